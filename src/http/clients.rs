//! `/clients…` on the local socket: client certificates.

use axum::body::Bytes;
use axum::extract::{FromRequestParts, Path, Query, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::StatusCode;
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::{Value, json};

use super::local::{Asker, name_of, read};
use super::{App, Problem};
use crate::ca::CaError;
use crate::ca::client::batch::{Columns, MOST_ROWS, RowFault};
use crate::ca::client::{
    ClientError, ClientRequest, Download, Given, Part, Renewal, StatusChange, Wanted, serial_meant,
};
use crate::ca::revoke::Reason;
use crate::pki::serial::Serial;
use crate::report::{self, ClientView, SCHEMA};
use crate::state::client::ClientRow;
use crate::state::client::list::{ClientFilter, ClientStatus};

pub(super) fn router() -> Router<App> {
    Router::new()
        .route("/clients", get(list).post(issue))
        .route("/clients/stats", get(statistics))
        .route("/clients/batch", post(batch))
        .route("/clients/{word}", get(show))
        .route("/clients/{word}/download", post(download))
        .route("/clients/{word}/renew", post(renew))
        .route("/clients/{word}/auto-renew", post(auto_renew))
        .route("/clients/{word}/revoke", post(revoke))
        .route("/clients/{word}/hold", post(hold))
        .route("/clients/{word}/release", post(release))
}

type Answer = Result<Response, Problem>;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Wish {
    tenant: Option<String>,
    ca: Option<String>,
    usage: Option<String>,
    status: Option<String>,
    search: Option<String>,
    after: Option<String>,
    limit: Option<u32>,
}

async fn list(State(app): State<App>, Query(wish): Query<Wish>) -> Answer {
    let status = wish.status.as_deref().map(|word| ClientStatus::parse(word).ok_or_else(unknown_status)).transpose()?;
    let filter = ClientFilter {
        tenant: wish.tenant.as_deref(),
        ca: wish.ca.as_deref(),
        label: wish.usage.as_deref(),
        status,
        search: wish.search.as_deref(),
    };
    let (after, limit) = (wish.after.unwrap_or_default(), wish.limit.unwrap_or(100));
    Ok(Json(report::clients(&app.state, &filter, &after, limit, app.clock.now()).await?).into_response())
}

fn unknown_status() -> Problem {
    let known = ClientStatus::ALL.map(ClientStatus::as_str);
    Problem::unprocessable(format!("`status` is one of {}", known.join(", "))).with("statuses", json!(known))
}

async fn statistics(State(app): State<App>, Query(wish): Query<Wish>) -> Answer {
    let told = report::client_statistics(&app.state, wish.tenant.as_deref(), app.clock.now()).await?;
    Ok(Json(told).into_response())
}

/// The identity that a request's path names, and whose it must be.
#[derive(FromRequestParts)]
#[from_request(state(App))]
struct Named {
    #[from_request(via(Path))]
    word: String,
    #[from_request(via(Query))]
    bound: Bound,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Bound {
    tenant: Option<String>,
}

impl Named {
    async fn find(&self, app: &App) -> Result<ClientRow, ClientError> {
        app.clients.find(&self.word, self.bound.tenant.as_deref()).await
    }
}

async fn show(State(app): State<App>, named: Named) -> Answer {
    view(&app, &named.find(&app).await?, StatusCode::OK).await
}

async fn view(app: &App, row: &ClientRow, status: StatusCode) -> Answer {
    Ok((status, Json(report::client(&app.state, row, app.clock.now()).await?)).into_response())
}

async fn issue(State(app): State<App>, asker: Asker, body: Bytes) -> Answer {
    let request = with_ca(&app, read(&body)?);
    let wanted = request.check().map_err(ClientError::Refused)?;
    let asker = name_of(asker);
    let mut given = app.clients.issue(&[wanted], &asker, app.clock.now()).await?;
    let given = given.pop().ok_or(ClientError::Interrupted)??;
    tell(&given, &asker);
    view(&app, &given.client, if given.repeated { StatusCode::OK } else { StatusCode::CREATED }).await
}

/// The only CA is meant where none is named.
fn with_ca(app: &App, mut request: ClientRequest) -> ClientRequest {
    let config = app.config.load();
    let mut cas = config.cas.keys();
    if let (true, Some(only), None) = (request.ca.is_empty(), cas.next(), cas.next()) {
        request.ca.clone_from(only);
    }
    request
}

fn tell(given: &Given, asker: &str) {
    let serial = given.client.current.as_ref().map_or("", |current| current.serial.as_str());
    let Given { client, repeated } = given;
    if !repeated {
        tracing::info!(
            client = client.identifier,
            ca = client.ca,
            serial,
            requested_by = asker,
            "a client certificate was issued"
        );
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Renewing {
    csr: Option<String>,
    revoke_old: bool,
}

async fn renew(State(app): State<App>, asker: Asker, named: Named, body: Bytes) -> Answer {
    let Renewing { csr, revoke_old } = read(&body)?;
    let row = named.find(&app).await?;
    let asker = name_of(asker);
    let client = app.clients.renew(&row, &Renewal { csr, revoke_old }, &asker, app.clock.now()).await?;
    tell(&Given { client: client.clone(), repeated: false }, &asker);
    view(&app, &client, StatusCode::OK).await
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Changing {
    reason: Option<String>,
    serial: Option<String>,
}

async fn revoke(State(app): State<App>, asker: Asker, named: Named, body: Bytes) -> Answer {
    let changing: Changing = read(&body)?;
    let reason = changing.reason.as_deref().unwrap_or("unspecified");
    let reason = Reason::parse(reason).filter(|reason| reason.is_final()).ok_or_else(unknown_reason)?;
    change(&app, &named, &changing, StatusChange::Revoke(reason), asker).await
}

async fn hold(State(app): State<App>, asker: Asker, named: Named, body: Bytes) -> Answer {
    change(&app, &named, &read(&body)?, StatusChange::Revoke(Reason::CertificateHold), asker).await
}

async fn release(State(app): State<App>, asker: Asker, named: Named, body: Bytes) -> Answer {
    change(&app, &named, &read(&body)?, StatusChange::Release, asker).await
}

async fn change(app: &App, named: &Named, changing: &Changing, change: StatusChange, asker: Asker) -> Answer {
    let row = named.find(app).await?;
    let serial = changing.serial.as_deref().map(Serial::parse_hex).transpose();
    let serial = serial.map_err(|error| Problem::unprocessable(error.to_string()))?.map(|serial| serial.to_string());
    let serial = serial.or_else(|| serial_meant(&row, &named.word));
    let (client, serials) = app.clients.change_status(&row, serial.as_deref(), change, app.clock.now()).await?;
    let told = match change {
        StatusChange::Revoke(reason) => reason.as_str(),
        StatusChange::Release => "released",
    };
    let (name, serials, requested_by) = (&client.identifier, serials.join(" "), name_of(asker));
    tracing::info!(client = name, ca = client.ca, serials, reason = told, requested_by, "client certificates changed");
    view(app, &client, StatusCode::OK).await
}

fn unknown_reason() -> Problem {
    let known: Vec<&str> =
        Reason::ALL.iter().filter(|reason| reason.is_final()).map(|reason| reason.as_str()).collect();
    Problem::unprocessable(format!("`reason` is one of {}", known.join(", "))).with("reasons", json!(known))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AutoRenewal {
    enabled: bool,
}

async fn auto_renew(State(app): State<App>, named: Named, body: Bytes) -> Answer {
    let AutoRenewal { enabled } = read(&body)?;
    let row = named.find(&app).await?;
    let row = app.clients.set_renewal(&row, enabled).await?;
    view(&app, &row, StatusCode::OK).await
}

/// No `Debug`: it may hold a password.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanting {
    part: String,
    password: Option<String>,
}

async fn download(State(app): State<App>, asker: Asker, named: Named, body: Bytes) -> Answer {
    let Wanting { part, password } = read(&body)?;
    let part = Part::parse(&part).ok_or_else(unknown_part)?;
    let row = named.find(&app).await?;
    let file = app.clients.download(&row, part, password.map(SecretString::from).as_ref()).await?;
    if part.is_secret() {
        let (client, requested_by) = (&row.identifier, name_of(asker));
        tracing::info!(client, part = part.as_str(), requested_by, "a client's key was handed out");
    }
    Ok(Json(file_told(&file)).into_response())
}

fn file_told(file: &Download) -> Value {
    json!({ "schema": SCHEMA, "file_name": file.file_name, "content": BASE64.encode(file.bytes.as_slice()) })
}

fn unknown_part() -> Problem {
    let known = Part::ALL.map(Part::as_str);
    Problem::unprocessable(format!("`part` is one of {}", known.join(", "))).with("parts", json!(known))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Batch {
    /// What rows leave out.
    #[serde(default)]
    usual: ClientRequest,
    headers: Vec<String>,
    rows: Vec<Vec<String>>,
    /// The number of the first row, as people count.
    #[serde(default = "one")]
    first: usize,
    #[serde(default)]
    dry_run: bool,
    /// The parts that are to be answered of each that is issued.
    #[serde(default)]
    parts: Vec<String>,
}

const fn one() -> usize {
    1
}

async fn batch(State(app): State<App>, asker: Asker, body: Bytes) -> Answer {
    let batch: Batch = read(&body)?;
    if batch.rows.len() > MOST_ROWS {
        return Err(Problem::unprocessable(format!("{MOST_ROWS} rows at the most are taken in one go")));
    }
    let parts: Option<Vec<Part>> = batch.parts.iter().map(|part| Part::parse(part)).collect();
    let parts = parts.ok_or_else(unknown_part)?;
    let columns = Columns::read(&batch.headers).map_err(|error| Problem::unprocessable(error.to_string()))?;
    let usual = with_ca(&app, batch.usual);
    let read = batch.rows.iter().map(|row| columns.row(row, &usual));
    let rows: Vec<Result<Wanted, Vec<RowFault>>> = read.collect();
    let wanted: Vec<Wanted> = rows.iter().filter_map(|row| row.as_ref().ok().cloned()).collect();
    let mut outcomes = if batch.dry_run {
        tried_out(&app, &wanted).await?
    } else {
        issued(&app, &wanted, &parts, &name_of(asker)).await?
    }
    .into_iter();
    let results: Vec<Value> = rows
        .into_iter()
        .enumerate()
        .map(|(place, row)| {
            let told = match row {
                Ok(_) => outcomes.next().unwrap_or_default(),
                Err(faults) => json!({ "outcome": "refused", "errors": faults }),
            };
            with_row(told, batch.first + place)
        })
        .collect();
    Ok(Json(json!({ "schema": SCHEMA, "results": results })).into_response())
}

fn with_row(mut told: Value, row: usize) -> Value {
    told["row"] = json!(row);
    told
}

async fn tried_out(app: &App, wanted: &[Wanted]) -> Result<Vec<Value>, Problem> {
    let now = app.clock.now();
    let mut told = Vec::with_capacity(wanted.len());
    for one in wanted {
        let outcome = match app.clients.known(one).await {
            Ok(Some(_)) => Ok("repeated"),
            Ok(None) => app.clients.check(one, now).await.map(|()| "would be issued"),
            Err(refused) => Err(refused),
        };
        told.push(match outcome {
            Ok(outcome) => json!({ "outcome": outcome, "common_name": one.subject.common_name }),
            Err(refused) => refusal(refused, one)?,
        });
    }
    Ok(told)
}

async fn issued(app: &App, wanted: &[Wanted], parts: &[Part], asker: &str) -> Result<Vec<Value>, Problem> {
    let now = app.clock.now();
    let mut told = Vec::with_capacity(wanted.len());
    for (one, outcome) in wanted.iter().zip(app.clients.issue(wanted, asker, now).await?) {
        told.push(match outcome {
            Ok(given) => {
                tell(&given, asker);
                given_told(app, &given, parts).await?
            }
            Err(refused) => refusal(refused, one)?,
        });
    }
    Ok(told)
}

async fn given_told(app: &App, given: &Given, parts: &[Part]) -> Result<Value, Problem> {
    let mut files = Vec::with_capacity(parts.len());
    for part in parts {
        match app.clients.download(&given.client, *part, None).await {
            Ok(file) => files.push(file_told(&file)),
            // The key of somebody's own request, asked for again by a table.
            Err(ClientError::NoPart { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let outcome = if given.repeated { "repeated" } else { "issued" };
    let client = ClientView::of(&given.client, app.clock.now());
    Ok(json!({ "outcome": outcome, "client": client, "files": files }))
}

/// A row that the CA refuses, as one whose columns are wrong; a failure of ours is one of the whole request.
fn refusal(refused: ClientError, wanted: &Wanted) -> Result<Value, Problem> {
    if let ClientError::State(error) = refused {
        return Err(error.into());
    }
    let (column, hint) = match &refused {
        ClientError::Taken { .. } => ("id", "write another, or nothing"),
        ClientError::NoCa { .. } => ("ca", "write the name of a `[ca.NAME]` of the config"),
        ClientError::Ca { source, .. } => (column(source, wanted), "ask for what the CA's profile allows"),
        _ => ("common_name", "ask for what the CA's profile allows"),
    };
    let problem = providers::error::chain(&refused);
    let fault = RowFault { column, problem, hint: hint.to_owned() };
    Ok(json!({ "outcome": "refused", "errors": [fault] }))
}

/// The column of a table whose cell a CA refuses.
fn column(refused: &CaError, wanted: &Wanted) -> &'static str {
    match refused {
        CaError::Constrained { name, .. } if wanted.subject.common_name == *name => "common_name",
        CaError::Constrained { name, .. } if wanted.subject.email == *name => "email",
        CaError::Constrained { name, .. } if wanted.names.contains(name) => "names",
        CaError::NoProfile { .. } | CaError::Purpose { .. } => "profile",
        CaError::Lifetime { .. } => "days",
        _ => "common_name",
    }
}

impl From<ClientError> for Problem {
    fn from(error: ClientError) -> Self {
        let told = providers::error::chain(&error);
        match error {
            ClientError::State(error) => error.into(),
            ClientError::NoClient { .. } | ClientError::NoCertificate { .. } => Self::not_found(told),
            ClientError::Taken { .. } | ClientError::Standing { .. } => Self::new(StatusCode::CONFLICT, told),
            ClientError::Ambiguous { ids, .. } => Self::new(StatusCode::CONFLICT, told).with("ids", json!(ids)),
            ClientError::Refused(faults) => Self::unprocessable(told).with("faults", json!(faults)),
            ClientError::NoCa { .. } | ClientError::NoPart { .. } | ClientError::Ca { .. } => Self::unprocessable(told),
            ClientError::Revocation(error) => error.into(),
            ClientError::Key(_) | ClientError::Chain(_) | ClientError::Bundle(_) | ClientError::Interrupted => {
                tracing::error!("an answer failed: {told}");
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, told)
            }
        }
    }
}
