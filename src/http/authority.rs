//! `/ca/…`: the certificates of our own CAs.

use axum::extract::{Path, State};
use axum::response::Response;
use http::HeaderMap;

use super::conditional::Document;
use super::{App, Problem};
use crate::pki::pem::{self, Label};
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

fn unknown() -> Problem {
    Problem::not_found("there is no such CA certificate")
}
