//! What the local socket offers: everything that the command line asks of a daemon.

use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, Path, Query, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use futures_util::stream;
use http::{StatusCode, header};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::peer::LocalUser;
use super::status::ConfigStatus;
use super::{App, DoctorRequest, Problem, ReloadRequest, clients, health, hierarchy, notifications};
use crate::clock::Timestamp;
use crate::config::Config;
use crate::identifier::CertificateName;
use crate::issuer::RevocationReason;
use crate::pki::serial::Serial;
use crate::report::why::IssuerView;
use crate::report::{self, SCHEMA};
use crate::state::JobKind;

/// As far as a plan looks ahead unless told otherwise, in days.
const DAYS: u32 = 60;

/// A CA that does not answer is not waited for longer than this, in tenths of a second.
const ASK_PATIENCE: u32 = 200;

pub(super) fn router() -> Router<App> {
    Router::new()
        .route("/status", get(status))
        .route("/reload", post(reload))
        .route("/plan", get(plan))
        .route("/doctor", post(doctor))
        .route("/certificates", get(certificates))
        .route("/certificates/{name}", get(certificate))
        .route("/certificates/{name}/why", get(why).post(refresh))
        .route("/certificates/{name}/renew", post(renew))
        .route("/certificates/{name}/revoke", post(revoke))
        .route("/certificates/{name}/deploy", post(deploy))
        .route("/accounts", get(accounts))
        .route("/accounts/{name}", get(account))
        .route("/accounts/{name}/rotate-key", post(rotate_key))
        .route("/notifications", get(notifications::list))
        .route("/notifications/{name}/test", post(notifications::test))
        .route("/jobs/{id}", get(job))
        .merge(clients::router())
}

type Answer = Result<Response, Problem>;

/// Who asks, as far as the connection tells.
pub(super) type Asker = Option<Extension<ConnectInfo<LocalUser>>>;

pub(super) fn name_of(asker: Asker) -> String {
    asker.map_or_else(|| "somebody".to_owned(), |Extension(ConnectInfo(user))| user.name())
}

async fn status(State(app): State<App>) -> Answer {
    let (now, listeners) = (app.clock.now(), app.status.listeners());
    let listeners: Vec<Value> = listeners
        .iter()
        .map(|(listen, state)| {
            let error = match state {
                super::status::ListenerState::Failed { error } => Some(error),
                _ => None,
            };
            json!({ "address": listen.address, "tls": listen.tls, "state": state.as_str(), "error": error })
        })
        .collect();
    Ok(Json(json!({
        "schema": SCHEMA,
        "version": env!("CARGO_PKG_VERSION"),
        "pid": std::process::id(),
        "node": app.state.node(),
        "started_at": app.status.started_at(),
        "heartbeat": app.status.heartbeat(),
        "loop_stuck": app.status.loop_stuck(now),
        "clock_trusted": app.status.clock_trusted(),
        "config": config_status(&app),
        "listeners": listeners,
        "health": health::examine(&app).await,
    }))
    .into_response())
}

fn config_status(app: &App) -> Value {
    match &*app.status.config() {
        ConfigStatus::Ok { since } => json!({ "status": "ok", "since": since }),
        ConfigStatus::Refused { report, since } => {
            json!({ "status": "refused", "since": since, "errors": report.errors, "notes": report.notes })
        }
    }
}

async fn reload(State(app): State<App>) -> Answer {
    let gone = || Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the daemon is about to stop");
    let (answer, answered) = oneshot::channel();
    app.reload.send(ReloadRequest { answer }).await.map_err(|_| gone())?;
    match answered.await.map_err(|_| gone())? {
        Ok(taken) => {
            let told = json!({ "schema": SCHEMA, "certificates": taken.certificates, "notes": taken.notes });
            Ok(Json(told).into_response())
        }
        Err(report) => {
            let count = report.errors.len();
            let words = if count == 1 { "1 error" } else { &format!("{count} errors") };
            Err(Problem::unprocessable(format!("the config is refused: {words}; the old one stays in force"))
                .with("schema", json!(SCHEMA))
                .with("errors", json!(report.errors))
                .with("notes", json!(report.notes)))
        }
    }
}

#[derive(Debug, Deserialize)]
struct PlanQuery {
    days: Option<u32>,
}

async fn plan(State(app): State<App>, Query(query): Query<PlanQuery>) -> Answer {
    let config = app.config.load_full();
    let (now, trusted) = (app.clock.now(), app.status.clock_trusted());
    let mut plan = report::plan(&app.state, &config, now, trusted, query.days.unwrap_or(DAYS)).await?;
    plan.authorities = hierarchy::changes(&app, &config).await?;
    Ok(Json(plan).into_response())
}

#[derive(Debug, Deserialize)]
struct Page {
    after: Option<String>,
    limit: Option<u32>,
}

async fn certificates(State(app): State<App>, Query(page): Query<Page>) -> Answer {
    let config = app.config.load_full();
    let (after, limit) = (page.after.unwrap_or_default(), page.limit.unwrap_or(100));
    Ok(Json(report::list(&app.state, &config, app.clock.now(), &after, limit).await?).into_response())
}

async fn certificate(State(app): State<App>, Path(name): Path<String>) -> Answer {
    let (config, name) = (app.config.load_full(), normalised(&name)?);
    let view = report::show(&app.state, &config, app.clock.now(), &name).await?;
    Ok(Json(view.ok_or_else(|| no_certificate(&name))?).into_response())
}

/// Has the CA asked about the renewal now, and tells how things stand once it has answered.
async fn refresh(State(app): State<App>, Path(name): Path<String>) -> Answer {
    let name = managed(&app, &name).await?;
    let id = app.state.certificate(&name).await?.and_then(|row| row.version_id);
    if let Some(id) = id {
        app.state.ask_for_renewal_now(&id).await?;
        app.state.look_now(&name, app.clock.now()).await?;
        for _ in 0..ASK_PATIENCE {
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            let asked = |version: crate::state::VersionRow| version.renewal.ask_at > Timestamp::EPOCH;
            if app.state.version(&id).await?.is_none_or(asked) {
                break;
            }
        }
    }
    why(State(app), Path(name)).await
}

async fn why(State(app): State<App>, Path(name): Path<String>) -> Answer {
    let (config, name) = (app.config.load_full(), normalised(&name)?);
    let why = report::why(&app.state, &config, app.clock.now(), app.status.clock_trusted(), &name).await?;
    let mut why = why.ok_or_else(|| no_certificate(&name))?;
    why.issuers = issuers_of(&app, &config, &name);
    Ok(Json(why).into_response())
}

/// How the issuers of a certificate were found.
fn issuers_of(app: &App, config: &Config, name: &str) -> Vec<IssuerView> {
    let (Some(looked), Some(wanted)) = (app.status.readiness().last(), config.certificates.get(name)) else {
        return Vec::new();
    };
    let view = |issuer: &String| {
        let problem = looked.objection(name, wanted, issuer).map(str::to_owned);
        IssuerView { issuer: issuer.clone(), ready: problem.is_none(), problem }
    };
    wanted.issuers.iter().map(view).collect()
}

/// What is to be looked at: one certificate, or everything.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Examined {
    certificate: Option<String>,
}

/// The answer begins at once and ends when everything was looked at: that takes longer than other answers may.
async fn doctor(State(app): State<App>, body: Bytes) -> Answer {
    let Examined { certificate } = read(&body)?;
    let certificate = certificate.map(|name| normalised(&name)).transpose()?;
    if let Some(name) = certificate.as_ref().filter(|name| !app.config.load().certificates.contains_key(name.as_str()))
    {
        return Err(Problem::not_found(format!("there is no certificate `{name}` in the config")));
    }
    let (answer, answered) = oneshot::channel();
    let gone = || {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "as many examinations as renewd makes at a time are under way")
    };
    app.doctor.try_send(DoctorRequest { certificate, answer }).map_err(|_| gone())?;
    let body = stream::once(async move {
        let examination = answered.await.map_err(std::io::Error::other)?;
        serde_json::to_vec(&examination).map_err(std::io::Error::other)
    });
    Ok(([(header::CONTENT_TYPE, "application/json")], Body::from_stream(body)).into_response())
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Renewal {
    force: bool,
}

async fn renew(State(app): State<App>, asker: Asker, Path(name): Path<String>, body: Bytes) -> Answer {
    let Renewal { force } = read(&body)?;
    let name = managed(&app, &name).await?;
    submit(&app, JobKind::Renew, &name, json!({ "force": force }), asker).await
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Revocation {
    reason: String,
    serial: Option<String>,
    #[serde(default = "yes")]
    replace: bool,
}

const fn yes() -> bool {
    true
}

async fn revoke(State(app): State<App>, asker: Asker, Path(name): Path<String>, body: Bytes) -> Answer {
    let Revocation { reason, serial, replace } = read(&body)?;
    let reason = RevocationReason::parse(&reason).ok_or_else(unknown_reason)?;
    let name = known(&app, &name).await?;
    let serial = serial.map(|serial| Serial::parse_hex(&serial)).transpose();
    let serial = serial.map_err(|error| Problem::unprocessable(error.to_string()))?.map(|serial| serial.to_string());
    check_revocable(&app, &name, serial.as_deref()).await?;
    let arguments = json!({ "reason": reason.as_str(), "serial": serial, "replace": replace });
    submit(&app, JobKind::Revoke, &name, arguments, asker).await
}

fn unknown_reason() -> Problem {
    let reasons: Vec<&str> = RevocationReason::ALL.iter().map(|reason| reason.as_str()).collect();
    Problem::unprocessable(format!("`reason` is one of {}", reasons.join(", "))).with("reasons", json!(reasons))
}

/// There is a version of that serial, or a current one where no serial is given.
async fn check_revocable(app: &App, name: &str, serial: Option<&str>) -> Result<(), Problem> {
    let Some(serial) = serial else {
        let row = app.state.certificate(name).await?;
        let issued = row.is_some_and(|row| row.version_id.is_some());
        return if issued { Ok(()) } else { Err(Problem::unprocessable(format!("`{name}` has not been issued yet"))) };
    };
    let versions = app.state.versions(name).await?;
    if versions.iter().any(|version| version.serial == serial) {
        return Ok(());
    }
    Err(Problem::unprocessable(format!("`{name}` has no version with the serial {serial}")))
}

async fn deploy(State(app): State<App>, asker: Asker, Path(name): Path<String>) -> Answer {
    let name = managed(&app, &name).await?;
    submit(&app, JobKind::Deploy, &name, json!({}), asker).await
}

async fn accounts(State(app): State<App>) -> Answer {
    let config = app.config.load_full();
    let mut accounts = Vec::new();
    for name in config.accounts.keys() {
        accounts.extend(report::account(&app.state, &config, name).await?);
    }
    Ok(Json(json!({ "schema": SCHEMA, "accounts": accounts })).into_response())
}

async fn account(State(app): State<App>, Path(name): Path<String>) -> Answer {
    let config = app.config.load_full();
    let view = report::account(&app.state, &config, &name).await?.ok_or_else(|| no_account(&name))?;
    Ok(Json(view).into_response())
}

async fn rotate_key(State(app): State<App>, asker: Asker, Path(name): Path<String>) -> Answer {
    if !app.config.load().accounts.contains_key(&name) {
        return Err(no_account(&name));
    }
    submit(&app, JobKind::RotateKey, &name, json!({}), asker).await
}

async fn job(State(app): State<App>, Path(id): Path<String>) -> Answer {
    let view = report::job(&app.state, &id).await?;
    Ok(Json(view.ok_or_else(|| Problem::not_found("there is no such job"))?).into_response())
}

/// Writes a job down, and says which.
async fn submit(app: &App, kind: JobKind, subject: &str, arguments: Value, asker: Asker) -> Answer {
    let asker = name_of(asker);
    let id = app.state.add_job(kind, subject, &arguments, &asker, app.clock.now()).await?;
    tracing::info!(job = id, kind = kind.as_str(), subject, requested_by = asker, "asked for on the local socket");
    Ok((StatusCode::ACCEPTED, Json(json!({ "schema": SCHEMA, "job": id }))).into_response())
}

/// The body as JSON; no body is an empty object.
pub(super) fn read<T: DeserializeOwned>(body: &Bytes) -> Result<T, Problem> {
    let text: &[u8] = if body.is_empty() { b"{}" } else { body };
    serde_json::from_slice(text).map_err(|error| Problem::bad_request(format!("the body cannot be read: {error}")))
}

fn normalised(name: &str) -> Result<String, Problem> {
    CertificateName::parse(name).map(|name| name.to_string()).map_err(|error| Problem::not_found(error.to_string()))
}

/// The certificate is known, perhaps as a retired one.
async fn known(app: &App, name: &str) -> Result<String, Problem> {
    let name = normalised(name)?;
    match app.state.certificate(&name).await? {
        Some(_) => Ok(name),
        None => Err(no_certificate(&name)),
    }
}

/// The certificate is in the config.
async fn managed(app: &App, name: &str) -> Result<String, Problem> {
    let name = normalised(name)?;
    match app.state.certificate(&name).await? {
        Some(row) if row.retired_at.is_none() => Ok(name),
        Some(_) => Err(Problem::unprocessable(format!("`{name}` is retired: put it back into the config first"))),
        None => Err(no_certificate(&name)),
    }
}

fn no_certificate(name: &str) -> Problem {
    Problem::not_found(format!("there is no certificate `{name}`"))
}

fn no_account(name: &str) -> Problem {
    Problem::not_found(format!("there is no account `{name}` in the config"))
}
