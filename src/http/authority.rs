//! `/ca/…`: the certificates of our own CAs.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::conditional::Document;
use super::{App, Problem};
use crate::ca::{Authority, CaError, Generation};
use crate::pki::leaf;
use crate::pki::pem::{self, Label};
use crate::report::SCHEMA;
use crate::state::ca::CaRow;

/// The root's generation.
const ROOT: u32 = 0;

const PEM: &str = "application/pem-certificate-chain";
const DER: &str = "application/pkix-cert";

/// `GET /ca/{ca}.pem`, the issuing certificate and then everything above it, the root last; `GET /ca/{ca}.crt`, the issuing certificate in DER.
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
    Router::new().route("/cas/{name}", get(show)).route("/cas/{name}/rotate", post(rotate))
}

async fn show(State(app): State<App>, Path(name): Path<String>) -> Result<Response, Problem> {
    Ok(Json(told(&*open(&app, &name).await?).await?).into_response())
}

async fn rotate(State(app): State<App>, Path(name): Path<String>) -> Result<Response, Problem> {
    let authority = open(&app, &name).await?;
    let newest = authority.newest().map_err(|error| refused(&error))?;
    authority.rotate(newest.number, app.clock.now()).await.map_err(|error| refused(&error))?;
    Ok(Json(told(&authority).await?).into_response())
}

pub(super) async fn open(app: &App, name: &str) -> Result<Arc<Authority>, Problem> {
    let found = app.registry.get(name).await.map_err(|error| refused(&error))?;
    found.ok_or_else(|| Problem::not_found(format!("there is no CA `{name}`")))
}

/// How a CA stands.
pub(super) async fn told(authority: &Authority) -> Result<Value, Problem> {
    let generations = authority.generations();
    let generation = |generation: &Arc<Generation>| {
        json!({
            "number": generation.number,
            "subject": subject(&generation.certificate),
            "issuer": subject(generation.issuer()),
            "algorithm": generation.signer().algorithm().as_str(),
            "not_before": generation.not_before,
            "not_after": generation.not_after,
        })
    };
    let generations: Vec<Value> = generations.iter().map(generation).collect();
    let root = authority.root().await.map_err(|error| refused(&error))?;
    let root = root.map(|root| {
        json!({
            "subject": subject(&root.certificate),
            "not_after": root.not_after,
            "key": root.key.as_str(),
            "exported_at": root.exported_at,
        })
    });
    Ok(json!({
        "schema": SCHEMA,
        "name": authority.name(),
        "issues": authority.config().is_some(),
        "root": root,
        "generations": generations,
        "chain": authority.chain_pem().map_err(|error| refused(&error))?,
    }))
}

/// A certificate's subject in words.
fn subject(certificate: &[u8]) -> String {
    leaf::parse(certificate).map(|certificate| certificate.subject().to_string()).unwrap_or_default()
}

pub(super) fn refused(error: &CaError) -> Problem {
    let words = providers::error::chain(error);
    match error.is_refusal() {
        true => Problem::unprocessable(words),
        false => Problem::new(StatusCode::INTERNAL_SERVER_ERROR, words),
    }
}

fn unknown() -> Problem {
    Problem::not_found("there is no such CA certificate")
}
