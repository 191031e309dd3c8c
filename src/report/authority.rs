//! A private CA, as it is on record.

use serde::Serialize;

use super::SCHEMA;
use crate::clock::Timestamp;
use crate::config::Config;
use crate::pki::leaf;
use crate::pki::pem::{self, Label};
use crate::pki::reason::Reason;
use crate::state::ca::CaRow;
use crate::state::ca_revocation::{CaCounts, CaStatusRow};
use crate::state::{Result, State};

/// The generation of the root.
const ROOT: u32 = 0;

/// How a CA stands.
#[derive(Debug, Clone, Serialize)]
pub struct AuthorityView {
    /// 1.
    pub schema: u32,
    /// Its name in the config.
    pub name: String,
    /// It is in the config.
    pub issues: bool,
    /// `None`: it is somebody else's.
    pub root: Option<RootView>,
    /// The issuing generations, the oldest first.
    pub generations: Vec<GenerationView>,
    /// Its lists; `None`: no daemon was asked, which makes them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crls: Option<Vec<ListView>>,
    /// In PEM: the newest issuing certificate first, the root last.
    pub chain: String,
}

/// A root of our own.
#[derive(Debug, Clone, Serialize)]
pub struct RootView {
    /// In words.
    pub subject: String,
    /// It is in force until here.
    pub not_after: Timestamp,
    /// Where its key is: `here`, `token` or `elsewhere`.
    pub key: &'static str,
    /// The key was handed out then.
    pub exported_at: Option<Timestamp>,
    /// Issuing certificates are answered for until then, without its key, or not at all; `None`: no daemon was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ocsp_until: Option<Option<Timestamp>>,
}

/// An issuing generation.
#[derive(Debug, Clone, Serialize)]
pub struct GenerationView {
    /// Counted from 1.
    pub number: u32,
    /// Lower-case hex.
    pub serial: String,
    /// `valid`, `on-hold` or `revoked`; `None`: somebody else's root says so.
    pub status: Option<&'static str>,
    /// In words.
    pub subject: String,
    /// In words.
    pub issuer: String,
    /// The kind of its key.
    pub algorithm: String,
    /// It is in force from here.
    pub not_before: Timestamp,
    /// It is in force until here.
    pub not_after: Timestamp,
    /// So many certificates it has issued.
    pub certificates: u64,
    /// Those of them that are revoked or on hold.
    pub revoked: u64,
}

/// A list, and what is amiss at its published URL.
#[derive(Debug, Clone, Serialize)]
pub struct ListView {
    /// Whose it is; 0: the root's.
    pub generation: u32,
    /// `None`: it is about everything.
    pub shard: Option<u32>,
    /// Where it is published.
    pub url: Option<String>,
    /// Its CRL number.
    pub number: Option<i64>,
    /// thisUpdate.
    pub this_update: Option<Timestamp>,
    /// nextUpdate.
    pub next_update: Option<Timestamp>,
    /// What the watchdog found at the URL.
    pub amiss: Option<String>,
}

/// The CA of that name, without what only a daemon knows; `None` where there is none, or none of its generations is
/// signed yet.
///
/// # Errors
/// Where the database fails.
pub async fn authority(state: &State, config: &Config, name: &str) -> Result<Option<AuthorityView>> {
    let root = state.ca(name, ROOT).await?;
    let mut rows = state.ca_generations(name).await?;
    rows.retain(|row| row.certificate.is_some());
    let Some(newest) = rows.last() else { return Ok(None) };
    let chain = chain(newest, root.as_ref());
    let counts = state.ca_counts(name).await?;
    let serials: Vec<&str> = rows.iter().map(|row| row.serial.as_str()).collect();
    let statuses = state.ca_statuses(name, &serials).await?;
    let generations = rows.iter().map(|row| generation(row, root.as_ref(), &counts, &statuses)).collect();
    Ok(Some(AuthorityView {
        schema: SCHEMA,
        name: name.to_owned(),
        issues: config.cas.contains_key(name),
        root: root.as_ref().and_then(root_view),
        generations,
        crls: None,
        chain,
    }))
}

fn generation(row: &CaRow, root: Option<&CaRow>, counts: &[CaCounts], statuses: &[CaStatusRow]) -> GenerationView {
    let counts = counts.iter().find(|counts| counts.generation == row.generation);
    let status = statuses.iter().find(|status| status.serial == row.serial);
    let ders = ders(row, root);
    let words = |der: Option<&&[u8]>| der.map(|der| subject(der)).unwrap_or_default();
    GenerationView {
        number: row.generation,
        serial: row.serial.clone(),
        status: status.map(standing),
        subject: words(ders.first()),
        issuer: words(ders.get(1).or(ders.first())),
        algorithm: row.key_type.clone(),
        not_before: row.not_before,
        not_after: row.not_after,
        certificates: counts.map_or(0, |counts| counts.certificates),
        revoked: counts.map_or(0, |counts| counts.revoked),
    }
}

fn standing(row: &CaStatusRow) -> &'static str {
    match (row.revoked_at, row.reason) {
        (None, _) => "valid",
        (Some(_), Some(reason)) if reason == Reason::CertificateHold.code() => "on-hold",
        (Some(_), _) => "revoked",
    }
}

fn root_view(row: &CaRow) -> Option<RootView> {
    let key = match (&row.key_uri, row.has_key()) {
        (Some(_), _) => "token",
        (None, true) => "here",
        (None, false) => "elsewhere",
    };
    let subject = subject(row.certificate.as_deref()?);
    Some(RootView { subject, not_after: row.not_after, key, exported_at: row.exported_at, ocsp_until: None })
}

/// Its certificate, and what is above it, the root last, in DER.
fn ders<'a>(row: &'a CaRow, root: Option<&'a CaRow>) -> Vec<&'a [u8]> {
    let above: Vec<&[u8]> = match &row.above {
        Some(above) => above.iter().map(Vec::as_slice).collect(),
        None => root.and_then(|root| root.certificate.as_deref()).into_iter().collect(),
    };
    row.certificate.as_deref().into_iter().chain(above).collect()
}

fn chain(newest: &CaRow, root: Option<&CaRow>) -> String {
    ders(newest, root).into_iter().map(|der| pem::encode(Label::Certificate, der)).collect()
}

/// A certificate's subject in words.
fn subject(certificate: &[u8]) -> String {
    leaf::parse(certificate).map(|certificate| certificate.subject().to_string()).unwrap_or_default()
}
