//! One certificate, and the list of all.

use serde::{Deserialize, Serialize};

use super::SCHEMA;
use super::facts::Facts;
use crate::clock::Timestamp;
use crate::config::{self, Config};
use crate::planner::Reason;
use crate::planner::decide::{command_target, verify_target};
use crate::state::{CertificateRow, DeploymentKind, DeploymentRow, Result, State, VersionRow};

/// A day in milliseconds.
const DAY: i64 = 24 * 3600 * 1000;

/// How one certificate stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CertificateView {
    /// 1.
    pub schema: u32,
    /// Its name in the config.
    pub name: String,
    /// What it vouches for: as the config wants it, else as the current version has it.
    pub names: Vec<String>,
    /// How far it has come: `pending`, `waiting`, `ordering`, `issued`, `stored`, `deployed`, `served`, `retired`,
    /// `revoked`.
    pub state: String,
    /// What is wrong, in words.
    pub problem: Option<String>,
    /// Why the last action was taken, in words.
    pub reason: Option<String>,
    /// The same in one word: `missing`, `expiring` and so on.
    pub reason_kind: Option<String>,
    /// Who issued the current version.
    pub issuer: Option<String>,
    /// Of the current version, lower-case hex.
    pub serial: Option<String>,
    /// The current version is in force from here.
    pub not_before: Option<String>,
    /// The current version is in force until here.
    pub not_after: Option<String>,
    /// Whole days until then; below zero once it has expired.
    pub days_left: Option<i64>,
    /// When its time to be renewed comes.
    pub renew_at: Option<String>,
    /// When renewd looks at it next, for whatever there may be to do.
    pub next_action_at: Option<String>,
    /// The current version's number.
    pub version: Option<u64>,
    /// The kind of the current version's key.
    pub key_type: Option<String>,
    /// The profile that the current version was issued with.
    #[serde(default)]
    pub profile: Option<String>,
    /// The stores that are to have it.
    pub stores: Vec<StoreView>,
    /// The commands that tell consumers.
    pub deploy: Vec<DeployView>,
    /// The places where it must be served.
    pub verify: Vec<VerifyView>,
    /// What the last failed order said.
    pub last_error: Option<String>,
    /// When that was.
    pub last_error_at: Option<String>,
    /// No new order before this, where one has failed.
    pub retry_at: Option<String>,
    /// Failed orders in a row.
    pub failures: u32,
    /// Every version, newest first; in the view of a single certificate only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub versions: Option<Vec<VersionView>>,
}

/// One store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreView {
    /// Its name in the config.
    pub store: String,
    /// `due` or `stored`.
    pub state: String,
    /// When it had the current version.
    pub stored_at: Option<String>,
    /// Why it has not.
    pub error: Option<String>,
    /// When it is tried again.
    pub retry_at: Option<String>,
}

/// One command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeployView {
    /// Program and arguments.
    pub command: Vec<String>,
    /// `due` or `done`.
    pub state: String,
    /// When it was last run for the current version.
    pub done_at: Option<String>,
    /// Why it failed.
    pub error: Option<String>,
    /// When it is tried again.
    pub retry_at: Option<String>,
}

/// One place where the certificate must be served.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerifyView {
    /// `host:port`.
    pub address: String,
    /// The name sent as SNI.
    pub server_name: Option<String>,
    /// `due` or `served`.
    pub state: String,
    /// When it was last seen there.
    pub done_at: Option<String>,
    /// What was wrong there.
    pub error: Option<String>,
    /// When it is looked at again.
    pub retry_at: Option<String>,
}

/// One version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionView {
    /// Counted from 1.
    pub version: u64,
    /// It is the one in use.
    pub current: bool,
    /// Lower-case hex.
    pub serial: String,
    /// Who issued it.
    pub issuer: String,
    /// What it vouches for.
    pub names: Vec<String>,
    /// The kind of its key.
    pub key_type: String,
    /// In force from here.
    pub not_before: String,
    /// In force until here.
    pub not_after: String,
    /// When it came to us.
    pub created_at: String,
    /// When it was revoked.
    pub revoked_at: Option<String>,
    /// Why, in RFC 5280's word.
    pub revocation_reason: Option<String>,
}

/// A page of certificates.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CertificateList {
    /// 1.
    pub schema: u32,
    /// By name.
    pub certificates: Vec<CertificateView>,
    /// Ask for those after this name to go on; `None`: there are no more.
    pub next: Option<String>,
}

/// As many as are told on one page.
pub const LARGEST_PAGE: u32 = 500;

/// Certificates after `after`, by name, at most `limit` and never more than [`LARGEST_PAGE`].
///
/// # Errors
/// Where the database fails.
pub async fn list(state: &State, config: &Config, now: Timestamp, after: &str, limit: u32) -> Result<CertificateList> {
    let limit = limit.clamp(1, LARGEST_PAGE);
    let rows = state.certificates(after, limit).await?;
    let full = rows.len() == limit as usize;
    let next = rows.last().filter(|_| full).map(|row| row.name.clone());
    let mut certificates = Vec::with_capacity(rows.len());
    for row in rows {
        certificates.push(view(&Facts::read(state, config, row).await?, now));
    }
    Ok(CertificateList { schema: SCHEMA, certificates, next })
}

/// One certificate with all its versions; `None` where there is none of that name.
///
/// # Errors
/// Where the database fails.
pub async fn show(state: &State, config: &Config, now: Timestamp, name: &str) -> Result<Option<CertificateView>> {
    let Some(row) = state.certificate(name).await? else { return Ok(None) };
    let current = row.version_id.clone();
    let mut view = view(&Facts::read(state, config, row).await?, now);
    let versions = state.versions(name).await?;
    view.versions = Some(versions.iter().map(|version| version_view(version, current.as_deref())).collect());
    Ok(Some(view))
}

fn view(facts: &Facts<'_>, now: Timestamp) -> CertificateView {
    let row = &facts.row;
    let reason = row.reason.as_deref().and_then(Reason::from_json);
    let version = facts.version.as_ref();
    CertificateView {
        schema: SCHEMA,
        name: row.name.clone(),
        names: names(facts),
        state: row.state.to_string(),
        problem: row.problem.clone(),
        reason: reason.as_ref().map(ToString::to_string),
        reason_kind: reason.as_ref().map(reason_kind),
        issuer: version.map(|version| version.issuer.clone()),
        serial: version.map(|version| version.serial.clone()),
        not_before: told(version.map(|version| version.not_before)),
        not_after: told(version.map(|version| version.not_after)),
        days_left: version.map(|version| (version.not_after.millis() - now.millis()).div_euclid(DAY)),
        renew_at: told(facts.renew_at(now)),
        next_action_at: told(Some(row.look_again_at).filter(|at| *at < Timestamp::NEVER)),
        version: version.map(|version| version.number),
        key_type: version.map(|version| version.key_type.clone()),
        profile: version.and_then(|version| version.profile.clone()),
        stores: facts.stores.iter().map(|store| store_view(facts, store)).collect(),
        deploy: facts.wanted.iter().flat_map(|wanted| deploy_views(facts, wanted)).collect(),
        verify: facts.wanted.iter().flat_map(|wanted| verify_views(facts, wanted)).collect(),
        last_error: row.last_error.clone(),
        last_error_at: told(row.last_error_at),
        retry_at: told(retry_at(row)),
        failures: row.failures,
        versions: None,
    }
}

fn names(facts: &Facts<'_>) -> Vec<String> {
    match (facts.wanted, &facts.version) {
        (Some(wanted), _) => wanted.names.iter().map(ToString::to_string).collect(),
        (None, Some(version)) => version.names.clone(),
        (None, None) => Vec::new(),
    }
}

/// The reason's `kind`, as its JSON has it.
pub(super) fn reason_kind(reason: &Reason) -> String {
    let json = serde_json::to_value(reason).unwrap_or_default();
    json["kind"].as_str().unwrap_or_default().to_owned()
}

/// A time as JSON has it.
pub(super) fn told(at: Option<Timestamp>) -> Option<String> {
    at.map(|at| at.to_string())
}

/// When a certificate whose order failed is tried again.
pub(super) fn retry_at(row: &CertificateRow) -> Option<Timestamp> {
    Some(row.retry_at).filter(|at| row.failures > 0 && *at > Timestamp::EPOCH)
}

fn store_view(facts: &Facts<'_>, (store, node): &(String, String)) -> StoreView {
    let row = facts.deliveries.iter().find(|row| row.store == *store && row.node == *node);
    let stored = row.is_some_and(|row| row.stored);
    StoreView {
        store: store.clone(),
        state: if stored { "stored" } else { "due" }.to_owned(),
        stored_at: told(row.and_then(|row| row.stored_at)),
        error: row.and_then(|row| row.error.clone()),
        retry_at: told(row.filter(|row| !row.stored && row.failures > 0).map(|row| row.retry_at)),
    }
}

fn deploy_views<'a>(
    facts: &'a Facts<'_>,
    wanted: &'a config::Certificate,
) -> impl Iterator<Item = DeployView> + use<'a> {
    wanted.deploy.iter().map(|deploy| {
        let row = deployment(facts, DeploymentKind::Command, &command_target(deploy));
        DeployView {
            command: deploy.command.clone(),
            state: if row.is_some_and(|row| row.done) { "done" } else { "due" }.to_owned(),
            done_at: told(row.and_then(|row| row.done_at)),
            error: row.and_then(|row| row.error.clone()),
            retry_at: told(row.and_then(tried_again_at)),
        }
    })
}

fn verify_views<'a>(
    facts: &'a Facts<'_>,
    wanted: &'a config::Certificate,
) -> impl Iterator<Item = VerifyView> + use<'a> {
    wanted.verify.iter().map(|place| {
        let row = deployment(facts, DeploymentKind::Verify, &verify_target(place));
        VerifyView {
            address: place.address.clone(),
            server_name: place.server_name.clone(),
            state: if row.is_some_and(|row| row.done) { "served" } else { "due" }.to_owned(),
            done_at: told(row.and_then(|row| row.done_at)),
            error: row.and_then(|row| row.error.clone()),
            retry_at: told(row.and_then(tried_again_at)),
        }
    })
}

fn deployment<'a>(facts: &'a Facts<'_>, kind: DeploymentKind, target: &str) -> Option<&'a DeploymentRow> {
    facts.deployments.iter().find(|row| row.kind == kind && row.target == target)
}

fn tried_again_at(row: &DeploymentRow) -> Option<Timestamp> {
    (!row.done && row.failures > 0).then_some(row.retry_at)
}

fn version_view(version: &VersionRow, current: Option<&str>) -> VersionView {
    VersionView {
        version: version.number,
        current: current == Some(version.id.as_str()),
        serial: version.serial.clone(),
        issuer: version.issuer.clone(),
        names: version.names.clone(),
        key_type: version.key_type.clone(),
        not_before: version.not_before.to_string(),
        not_after: version.not_after.to_string(),
        created_at: version.created_at.to_string(),
        revoked_at: told(version.revoked_at),
        revocation_reason: version.revocation_reason.clone(),
    }
}
