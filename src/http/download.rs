//! `/{name}/tls`: the certificate with its chain. The private key never leaves this way.

use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse as _, Response};
use http::HeaderMap;
use serde::Deserialize;

use super::conditional::Document;
use super::{App, Problem, pkcs7};
use crate::identifier::CertificateName;
use crate::pki::chain::{Chain, ChainError};
use crate::state::VersionRow;

/// What the query may say.
#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    format: Option<String>,
}

/// A form in which a chain is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    /// The whole chain, leaf first.
    Pem,
    /// The leaf alone.
    Der,
    /// The whole chain in a PKCS #7 envelope.
    P7b,
}

impl Format {
    fn parse(word: Option<&str>) -> Result<Self, Problem> {
        match word {
            None | Some("pem") => Ok(Self::Pem),
            Some("der") => Ok(Self::Der),
            Some("p7b") => Ok(Self::P7b),
            Some(_) => Err(Problem::bad_request("`format` is `pem`, `der` or `p7b`")),
        }
    }

    const fn content_type(self) -> &'static str {
        match self {
            Self::Pem => "application/pem-certificate-chain",
            Self::Der => "application/pkix-cert",
            Self::P7b => "application/x-pkcs7-certificates",
        }
    }

    const fn suffix(self) -> &'static str {
        match self {
            Self::Pem => "pem",
            Self::Der => "der",
            Self::P7b => "p7b",
        }
    }

    fn body(self, version: &VersionRow) -> Result<Vec<u8>, Problem> {
        let chain = Chain::from_pem(&version.chain).map_err(|error| damaged(version, &error))?;
        Ok(match self {
            Self::Pem => chain.fullchain_pem().into_bytes(),
            Self::Der => chain.ders()[0].clone(),
            Self::P7b => pkcs7::certificates_only(chain.ders()),
        })
    }
}

fn damaged(version: &VersionRow, error: &ChainError) -> Problem {
    let error = error as &dyn std::error::Error;
    tracing::error!(certificate = version.certificate, serial = version.serial, error, "a stored chain is damaged");
    Problem::new(http::StatusCode::INTERNAL_SERVER_ERROR, "the stored certificate is damaged: see renewd's log")
}

/// `GET /{name}/tls`.
pub(super) async fn download(
    State(app): State<App>,
    Path(name): Path<String>,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    if app.config.load().http.protect_downloads {
        return Err(Problem::key_needed());
    }
    let format = Format::parse(asked.format.as_deref())?;
    let version = current_version(&app, &name).await?.ok_or_else(unknown)?;
    let document = Document {
        content_type: format.content_type(),
        file_name: format!("{}.{}", version.certificate, format.suffix()),
        modified: version.created_at,
        body: format.body(&version)?,
    };
    Ok(document.answer(&headers).into_response())
}

/// One answer for what is unknown, retired and not issued yet: a stranger learns nothing from the difference.
fn unknown() -> Problem {
    Problem::not_found("there is no certificate of that name, or it has not been issued yet")
}

async fn current_version(app: &App, name: &str) -> Result<Option<VersionRow>, Problem> {
    let Ok(name) = CertificateName::parse(name) else { return Ok(None) };
    let row = app.state.certificate(name.as_str()).await?.filter(|row| row.retired_at.is_none());
    match row.and_then(|row| row.version_id) {
        Some(id) => Ok(app.state.version(&id).await?),
        None => Ok(None),
    }
}
