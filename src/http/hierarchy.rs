//! `/cas/{name}/…` on the local socket: what comes from outside, and what is taken there.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::StatusCode;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::json;
use zeroize::Zeroizing;

use super::authority::{ROOT, open, refused, told};
use super::local::{Asker, name_of, read};
use super::{App, Problem};
use crate::ca::crl::CrlError;
use crate::ca::{self, BroughtIn, CaError, RootKey};
use crate::config::Config;
use crate::pki::bundle;
use crate::pki::key::PrivateKey;
use crate::pki::pem::{self, Label};
use crate::report::{AuthorityChange, SCHEMA};

pub(super) fn router() -> Router<App> {
    Router::new()
        .route("/cas/{name}/import", post(import))
        .route("/cas/{name}/csr", post(request))
        .route("/cas/{name}/install", post(install))
        .route("/cas/{name}/root/export", post(export_root))
        .route("/cas/{name}/root/forget", post(forget_root))
        .route("/cas/{name}/root/restore", post(restore_root))
}

/// The last CRL of a root whose key goes lasts so long: a year.
const LAST_LIST: Duration = Duration::from_secs(365 * 86_400);

type Answer = Result<Response, Problem>;

/// A key with certificates, in one of two forms. No `Debug`: it holds secrets.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Given {
    /// PEM, any number of them.
    certificates: String,
    /// PEM.
    key: Option<String>,
    /// In base64.
    pkcs12: Option<String>,
    password: Option<String>,
}

impl Given {
    /// Opening a PKCS#12 file takes its time.
    async fn open(self) -> Result<(PrivateKey, Vec<Vec<u8>>), Problem> {
        tokio::task::spawn_blocking(move || self.opened()).await.map_err(|_| refused(&CaError::Interrupted))?
    }

    fn opened(self) -> Result<(PrivateKey, Vec<Vec<u8>>), Problem> {
        let mut certificates = read_certificates(&self.certificates)?;
        match (self.key.map(Zeroizing::new), self.pkcs12.map(Zeroizing::new)) {
            (Some(key), None) => {
                let key = PrivateKey::from_pem(&key).map_err(|error| Problem::unprocessable(error.to_string()))?;
                Ok((key, certificates))
            }
            (None, Some(file)) => {
                let file = BASE64.decode(file.as_bytes()).map(Zeroizing::new);
                let file = file.map_err(|_| Problem::bad_request("`pkcs12` is no base64"))?;
                let password = SecretString::from(self.password.unwrap_or_default());
                let (key, more) = bundle::open_pfx(&file, &password)
                    .map_err(|error| Problem::unprocessable(providers::error::chain(&error)))?;
                certificates.extend(more);
                Ok((key, certificates))
            }
            _ => Err(Problem::bad_request("either `key` or `pkcs12` is wanted")),
        }
    }
}

/// The certificates in a text; what else stands there is passed over.
fn read_certificates(text: &str) -> Result<Vec<Vec<u8>>, Problem> {
    let read = |certificate: Result<CertificateDer<'_>, _>| match certificate {
        Ok(der) => Ok(der.to_vec()),
        Err(_) => Err(Problem::unprocessable("what was given as certificates is broken PEM")),
    };
    CertificateDer::pem_slice_iter(text.as_bytes()).map(read).collect()
}

async fn import(State(app): State<App>, asker: Asker, Path(name): Path<String>, body: Bytes) -> Answer {
    let given: Given = read(&body)?;
    let authority = open(&app, &name).await?;
    let (key, certificates) = given.open().await?;
    let brought = authority.import(&key, &certificates, app.clock.now()).await.map_err(|error| refused(&error))?;
    tell(&name, "import", asker);
    answer(&app, &name, &brought).await
}

async fn request(State(app): State<App>, Path(name): Path<String>, body: Bytes) -> Answer {
    #[derive(Default, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Wanted {
        anew: bool,
    }
    let Wanted { anew } = read(&body)?;
    let authority = open(&app, &name).await?;
    let request = authority.request(anew, app.clock.now()).await.map_err(|error| refused(&error))?;
    let text = pem::encode(Label::CertificateRequest, &request);
    Ok(Json(json!({ "schema": SCHEMA, "name": name, "request": text })).into_response())
}

async fn install(State(app): State<App>, asker: Asker, Path(name): Path<String>, body: Bytes) -> Answer {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Signed {
        certificates: String,
    }
    let Signed { certificates } = read(&body)?;
    let authority = open(&app, &name).await?;
    let certificates = read_certificates(&certificates)?;
    let brought = authority.install(&certificates, app.clock.now()).await.map_err(|error| refused(&error))?;
    tell(&name, "install", asker);
    answer(&app, &name, &brought).await
}

async fn answer(app: &App, name: &str, brought: &BroughtIn) -> Answer {
    // The new generation has its lists at once.
    app.crls.look();
    let mut view = told(app, &*open(app, name).await?).await?;
    view["remarks"] = json!(brought.remarks);
    Ok(Json(view).into_response())
}

async fn export_root(State(app): State<App>, asker: Asker, Path(name): Path<String>, body: Bytes) -> Answer {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Wanted {
        password: String,
    }
    let password = SecretString::from(read::<Wanted>(&body)?.password);
    let authority = open(&app, &name).await?;
    let file = authority.export_root(&password, app.clock.now()).await.map_err(|error| refused(&error))?;
    tell(&name, "root export", asker);
    let told = json!({ "schema": SCHEMA, "name": name, "content": BASE64.encode(file.as_slice()) });
    Ok(Json(told).into_response())
}

async fn forget_root(State(app): State<App>, asker: Asker, Path(name): Path<String>) -> Answer {
    let authority = open(&app, &name).await?;
    let root = authority.root().await.map_err(|error| refused(&error))?;
    if root.is_some_and(|root| root.exported_at.is_some() && root.key == RootKey::Here) {
        publish_last(&app, &name).await?;
        outlast(&app, &name).await?;
    }
    authority.forget_root().await.map_err(|error| refused(&error))?;
    tell(&name, "root forget", asker);
    Ok(Json(told(&app, &authority).await?).into_response())
}

/// The root's list outlasts its key for a while: issuing certificates name it.
async fn publish_last(app: &App, name: &str) -> Result<(), Problem> {
    let now = app.clock.now();
    let signers = app.crls.signers(now).await.map_err(|error| refused(&error))?;
    let Some(root) = signers.iter().find(|signer| signer.ca == name && signer.generation == ROOT) else {
        return Ok(());
    };
    let failed = |error: CrlError| {
        let words = providers::error::chain(&error);
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, format!("the root's last CRL was not made: {words}"))
    };
    app.crls.publish_last(root, LAST_LIST, now).await.map_err(failed)
}

/// So does whoever answers OCSP for them.
async fn outlast(app: &App, name: &str) -> Result<(), Problem> {
    let Some(responder) = app.responders.get(name).await.map_err(|error| refused(&error))? else { return Ok(()) };
    responder.outlast_root_key(app.clock.now()).await.map_err(|error| refused(&error))
}

async fn restore_root(State(app): State<App>, asker: Asker, Path(name): Path<String>, body: Bytes) -> Answer {
    let given: Given = read(&body)?;
    let authority = open(&app, &name).await?;
    let (key, _) = given.open().await?;
    authority.restore_root(&key).await.map_err(|error| refused(&error))?;
    tell(&name, "root restore", asker);
    Ok(Json(told(&app, &authority).await?).into_response())
}

/// Private CAs whose certificates are not as a config has them, and those that somebody has to see to.
pub(super) async fn changes(app: &App, config: &Config) -> Result<Vec<AuthorityChange>, Problem> {
    let pending = ca::pending(&app.state, config, app.clock.now()).await.map_err(|error| refused(&error))?;
    let told = |pending: ca::Pending| AuthorityChange {
        ca: pending.ca,
        keys: pending.keys.into_iter().map(str::to_owned).collect(),
        consequence: pending.consequence,
    };
    Ok(pending.into_iter().map(told).collect())
}

fn tell(ca: &str, what: &str, asker: Asker) {
    let requested_by = name_of(asker);
    tracing::info!(ca, what, requested_by, "asked for on the local socket");
}
