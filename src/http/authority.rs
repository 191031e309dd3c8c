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
use crate::ca::csr::Request;
use crate::ca::{Authority, CaError, Generation, Signed};
use crate::config::duration;
use crate::pki::pem::{self, Label};
use crate::report::SCHEMA;
use crate::state::ca::CaRow;

/// The root's generation.
const ROOT: u32 = 0;

const PEM: &str = "application/pem-certificate-chain";
const DER: &str = "application/pkix-cert";

/// `GET /ca/{ca}.pem`, the issuing certificate and then the root; `GET /ca/{ca}.crt`, the issuing certificate in DER.
pub(super) async fn newest(
    State(app): State<App>,
    Path(file): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (name, suffix) = file.rsplit_once('.').ok_or_else(unknown)?;
    let row = app.state.newest_ca(name).await?.ok_or_else(unknown)?;
    let issuing = certificate(&row)?;
    let (content_type, body) = match suffix {
        "crt" => (DER, issuing.to_vec()),
        "pem" => {
            let root = app.state.ca(name, ROOT).await?.ok_or_else(unknown)?;
            let chain = [issuing, certificate(&root)?].map(|der| pem::encode(Label::Certificate, der));
            (PEM, chain.concat().into_bytes())
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
}

async fn show(State(app): State<App>, Path(name): Path<String>) -> Result<Response, Problem> {
    told(&*open(&app, &name).await?)
}

async fn rotate(State(app): State<App>, Path(name): Path<String>) -> Result<Response, Problem> {
    let authority = open(&app, &name).await?;
    let newest = authority.newest().map_err(|error| refused(&error))?;
    authority.rotate(newest.number, app.clock.now()).await.map_err(|error| refused(&error))?;
    told(&authority)
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

async fn open(app: &App, name: &str) -> Result<Arc<Authority>, Problem> {
    let found = app.registry.get(name).await.map_err(|error| refused(&error))?;
    found.ok_or_else(|| Problem::not_found(format!("there is no CA `{name}`")))
}

fn told(authority: &Authority) -> Result<Response, Problem> {
    let generations = authority.generations();
    let generation = |generation: &Arc<Generation>| {
        json!({
            "number": generation.number,
            "algorithm": generation.signer().algorithm().as_str(),
            "not_before": generation.not_before,
            "not_after": generation.not_after,
        })
    };
    let generations: Vec<Value> = generations.iter().map(generation).collect();
    Ok(Json(json!({
        "schema": SCHEMA,
        "name": authority.name(),
        "issues": authority.config().is_some(),
        "generations": generations,
        "chain": authority.chain_pem().map_err(|error| refused(&error))?,
    }))
    .into_response())
}

fn refused(error: &CaError) -> Problem {
    let words = providers::error::chain(error);
    match error.is_refusal() {
        true => Problem::unprocessable(words),
        false => Problem::new(StatusCode::INTERNAL_SERVER_ERROR, words),
    }
}

fn unknown() -> Problem {
    Problem::not_found("there is no such CA certificate")
}
