//! `/ca/…`: the certificates of our own CAs.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::conditional::Document;
use super::local::{Asker, name_of, read};
use super::{App, Problem};
use crate::ca::crl::Listed;
use crate::ca::csr::Request;
use crate::ca::revoke::{Outcome, Reason, RevocationError, Standing};
use crate::ca::{Authority, CaError, Signed};
use crate::config::duration;
use crate::pki::pem::{self, Label};
use crate::pki::serial::Serial;
use crate::report::{self, ListView, SCHEMA};
use crate::state::ca::CaRow;

/// The root's generation.
pub(super) const ROOT: u32 = 0;

const PEM: &str = "application/pem-certificate-chain";
const DER: &str = "application/pkix-cert";

/// `GET /ca/{ca}.pem`, the issuing certificate and then what is above it, the root last; `GET /ca/{ca}.crt`, the issuing certificate in DER.
pub(super) async fn newest(
    State(app): State<App>,
    Path(file): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (name, suffix) = file.rsplit_once('.').ok_or_else(unknown)?;
    // What is on record is told of, also while a token with the CA's keys is missing.
    let row = app.state.newest_ca(name).await?.ok_or_else(unknown)?;
    let issuing = certificate(&row)?;
    let (content_type, body) = match suffix {
        "crt" => (DER, issuing.to_vec()),
        "pem" => {
            let above = match &row.above {
                Some(above) => above.clone(),
                None => vec![certificate(&app.state.ca(name, ROOT).await?.ok_or_else(unknown)?)?.to_vec()],
            };
            let ders = std::iter::once(issuing).chain(above.iter().map(Vec::as_slice));
            let chain: String = ders.map(|der| pem::encode(Label::Certificate, der)).collect();
            (PEM, chain.into_bytes())
        }
        _ => return Err(unknown()),
    };
    let document = Document { content_type, file_name: file.clone(), modified: row.not_before, body };
    Ok(document.answer(&headers))
}

/// `GET /ca/{ca}/{generation}.crt`: one issuing certificate in DER, as AIA names it.
pub(super) async fn generation(
    State(app): State<App>,
    Path((name, file)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let number = file.strip_suffix(".crt").and_then(|number| number.parse().ok());
    let number = number.filter(|number| *number != ROOT).ok_or_else(unknown)?;
    let row = app.state.ca(&name, number).await?.ok_or_else(unknown)?;
    let body = certificate(&row)?.to_vec();
    let file_name = format!("{name}-{number}.crt");
    Ok(Document { content_type: DER, file_name, modified: row.not_before, body }.answer(&headers))
}

/// A CA whose certificate is not signed yet is not there yet.
fn certificate(row: &CaRow) -> Result<&[u8], Problem> {
    row.certificate.as_deref().ok_or_else(unknown)
}

/// What the local socket offers for CAs.
pub(super) fn local() -> Router<App> {
    Router::new()
        .route("/cas/{name}", get(show))
        .route("/cas/{name}/rotate", post(rotate))
        .route("/cas/{name}/sign", post(sign))
        .route("/cas/{name}/revoke", post(revoke))
        .route("/cas/{name}/release", post(release))
}

async fn show(State(app): State<App>, Path(name): Path<String>) -> Result<Response, Problem> {
    Ok(Json(told(&app, &*open(&app, &name).await?).await?).into_response())
}

async fn rotate(State(app): State<App>, Path(name): Path<String>) -> Result<Response, Problem> {
    let authority = open(&app, &name).await?;
    let newest = authority.newest().map_err(|error| refused(&error))?;
    authority.rotate(newest.number, app.clock.now()).await.map_err(|error| refused(&error))?;
    // The new generation has its lists at once.
    app.crls.look();
    Ok(Json(told(&app, &authority).await?).into_response())
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Signing {
    csr: String,
    profile: String,
    lifetime: Option<String>,
}

async fn sign(
    State(app): State<App>,
    asker: Asker,
    Path(name): Path<String>,
    body: Bytes,
) -> Result<Response, Problem> {
    let Signing { csr, profile, lifetime } = read(&body)?;
    let lifetime = lifetime.as_deref().map(length).transpose()?;
    let request = Request::read(&csr).map_err(|error| Problem::unprocessable(format!("the request: {error}")))?;
    let authority = open(&app, &name).await?;
    let signed = authority.sign(&request, &profile, lifetime, app.clock.now()).await;
    let Signed { chain, repeated } = signed.map_err(|error| refused(&error))?;
    let (leaf, requested_by) = (chain.leaf(), name_of(asker));
    let serial = leaf.serial.to_string();
    if !repeated {
        tracing::info!(ca = name, serial, profile, requested_by, "a request was signed");
    }
    let told = json!({
        "schema": SCHEMA,
        "serial": serial,
        "not_before": leaf.not_before,
        "not_after": leaf.not_after,
        "repeated": repeated,
        "chain": chain.fullchain_pem(),
    });
    Ok((if repeated { StatusCode::OK } else { StatusCode::CREATED }, Json(told)).into_response())
}

fn length(text: &str) -> Result<Duration, Problem> {
    let length = duration::parse(text).filter(|length| !length.is_zero());
    length.ok_or_else(|| Problem::unprocessable(format!("`{text}` is no lifetime: write for instance `20d` or `12h`")))
}

pub(super) async fn open(app: &App, name: &str) -> Result<Arc<Authority>, Problem> {
    let found = app.registry.get(name).await.map_err(|error| refused(&error))?;
    found.ok_or_else(|| Problem::not_found(format!("there is no CA `{name}`")))
}

/// Which certificate is meant, and for `revoke` why.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Changing {
    serial: String,
    reason: Option<String>,
}

impl Changing {
    fn serial(&self) -> Result<Serial, Problem> {
        Serial::parse_hex(&self.serial).map_err(|error| Problem::unprocessable(error.to_string()))
    }
}

async fn revoke(
    State(app): State<App>,
    asker: Asker,
    Path(name): Path<String>,
    body: Bytes,
) -> Result<Response, Problem> {
    let changing: Changing = read(&body)?;
    let reason = changing.reason.as_deref().and_then(Reason::parse).ok_or_else(unknown_reason)?;
    let (serial, now) = (changing.serial()?, app.clock.now());
    open(&app, &name).await?.check_revocable(&serial).map_err(|error| refused(&error))?;
    let outcome = app.revocations.revoke(&name, &serial, reason, now).await?;
    Ok(changed(&name, &serial, outcome, asker))
}

async fn release(
    State(app): State<App>,
    asker: Asker,
    Path(name): Path<String>,
    body: Bytes,
) -> Result<Response, Problem> {
    let serial = read::<Changing>(&body)?.serial()?;
    open(&app, &name).await?;
    let outcome = app.revocations.release(&name, &serial, app.clock.now()).await?;
    Ok(changed(&name, &serial, outcome, asker))
}

fn changed(ca: &str, serial: &Serial, outcome: Outcome, asker: Asker) -> Response {
    let (status, at, reason) = match outcome.standing {
        Standing::Good { .. } => ("valid", None, None),
        Standing::Revoked { at, reason, .. } if reason.is_final() => ("revoked", Some(at), Some(reason.as_str())),
        Standing::Revoked { at, reason, .. } => ("on-hold", Some(at), Some(reason.as_str())),
    };
    let (serial, requested_by) = (serial.to_string(), name_of(asker));
    if outcome.changed {
        tracing::info!(ca, serial, status, reason, requested_by, "a certificate's standing has changed");
    }
    let told = json!({
        "schema": SCHEMA,
        "ca": ca,
        "serial": serial,
        "status": status,
        "revoked_at": at,
        "reason": reason,
        "changed": outcome.changed,
    });
    Json(told).into_response()
}

fn unknown_reason() -> Problem {
    let known = Reason::ALL.map(Reason::as_str);
    Problem::unprocessable(format!("`reason` is one of {}", known.join(", "))).with("reasons", json!(known))
}

/// How a CA stands, with what only a daemon knows.
pub(super) async fn told(app: &App, authority: &Authority) -> Result<Value, Problem> {
    let (config, name) = (app.config.load(), authority.name());
    let mut view = report::authority(&app.state, &config, name).await?.ok_or_else(unknown)?;
    if let Some(root) = &mut view.root {
        let responder = app.responders.get(name).await.ok().flatten();
        root.ocsp_until = Some(responder.and_then(|responder| responder.root_ends(app.clock.now())));
    }
    view.crls = Some(crls(app, name));
    Ok(json!(view))
}

/// The lists of a CA, and what is amiss at their published URLs.
fn crls(app: &App, ca: &str) -> Vec<ListView> {
    let (lists, amiss) = (app.crls.lists(), app.crls.amiss());
    let list = |list: &Listed| ListView {
        generation: list.name.generation,
        shard: list.name.shard,
        url: app.crls.url(&list.name),
        number: list.head.as_ref().and_then(|head| head.number),
        this_update: list.head.as_ref().map(|head| head.this_update),
        next_update: list.head.as_ref().map(|head| head.next_update),
        amiss: amiss.get(&list.name).map(|amiss| amiss.why().to_owned()),
    };
    lists.all().filter(|list| list.name.ca == ca).map(list).collect()
}

pub(super) fn refused(error: &CaError) -> Problem {
    let words = providers::error::chain(error);
    match error.is_refusal() {
        true => Problem::unprocessable(words),
        false => Problem::new(StatusCode::INTERNAL_SERVER_ERROR, words),
    }
}

impl From<RevocationError> for Problem {
    fn from(error: RevocationError) -> Self {
        let told = providers::error::chain(&error);
        match error {
            RevocationError::Unknown { .. } => Self::not_found(told),
            RevocationError::NotOnHold | RevocationError::Final { .. } => Self::new(StatusCode::CONFLICT, told),
            RevocationError::NotWritten(_) => {
                tracing::error!("an answer failed: {told}");
                Self::new(StatusCode::SERVICE_UNAVAILABLE, told)
            }
        }
    }
}

fn unknown() -> Problem {
    Problem::not_found("there is no such CA certificate")
}
