//! One client certificate's identity, lists of them, and how many there are.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::SCHEMA;
use super::certificate::{LARGEST_PAGE, told};
use crate::clock::Timestamp;
use crate::pki::reason::Reason;
use crate::state::client::certificate::ClientCertificateRow;
use crate::state::client::list::{ClientFilter, ClientStatus};
use crate::state::client::{ClientRow, ClientSubject};
use crate::state::{Result, State};

/// A day in milliseconds.
const DAY: i64 = 24 * 3600 * 1000;

/// Organizations that statistics name.
const ORGANIZATIONS: u32 = 100;

/// How an identity and its current certificate stand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientView {
    /// 1.
    pub schema: u32,
    /// UUIDv7.
    pub id: String,
    /// What people call it.
    pub identifier: String,
    /// Whose it is; empty: nobody's in particular.
    pub tenant: String,
    /// The CA's name in the config.
    pub ca: String,
    /// The CA's profile.
    pub profile: String,
    /// CN.
    pub common_name: String,
    /// An rfc822Name.
    pub email: Option<String>,
    /// O.
    pub organization: Option<String>,
    /// OU.
    pub organizational_unit: Option<String>,
    /// C.
    pub country: Option<String>,
    /// Further subject alternative names.
    pub names: Vec<String>,
    /// What it is used for.
    pub usage: String,
    /// A remark.
    pub notes: Option<String>,
    /// The kind of key that is made for it; `None`: its key is made elsewhere.
    pub key_type: Option<String>,
    /// How long each of its certificates lives, in days; `None`: as the profile says.
    pub days: Option<u64>,
    /// `pending`, `valid`, `expiring`, `expired`, `on-hold` or `revoked`.
    pub status: String,
    /// Of the current certificate, lower-case hex.
    pub serial: Option<String>,
    /// The current certificate's number, counted from 1.
    pub version: Option<u32>,
    /// It is in force from here.
    pub not_before: Option<String>,
    /// It is in force until here.
    pub not_after: Option<String>,
    /// Whole days until then; below zero once it has expired.
    pub days_left: Option<i64>,
    /// It is renewed without being asked.
    pub auto_renew: bool,
    /// When a third of its life is left.
    pub renew_at: Option<String>,
    /// When it is renewed without being asked, or that is tried again.
    pub renewal_at: Option<String>,
    /// Why the last such renewal failed.
    pub renewal_error: Option<String>,
    /// When it was made.
    pub created_at: String,
    /// Who asked for it.
    pub created_by: String,
    /// Every certificate, newest first; in the view of a single identity only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificates: Option<Vec<ClientCertificateView>>,
}

/// A certificate of an identity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientCertificateView {
    /// Counted from 1.
    pub version: u32,
    /// Lower-case hex, once issued.
    pub serial: Option<String>,
    /// It is in force from here.
    pub not_before: Option<String>,
    /// It is in force until here.
    pub not_after: Option<String>,
    /// Its key is here.
    pub has_key: bool,
    /// Another has taken its place.
    pub superseded: bool,
    /// Since when it is revoked or on hold.
    pub revoked_at: Option<String>,
    /// Why: RFC 5280's word.
    pub revocation_reason: Option<String>,
    /// What is still to be done for it.
    pub owed: Option<String>,
    /// Who asked for it.
    pub requested_by: String,
    /// When.
    pub created_at: String,
}

/// A page of identities.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientList {
    /// 1.
    pub schema: u32,
    /// The page. It may be short, or empty, and yet not the last.
    pub clients: Vec<ClientView>,
    /// What to give as `after` for the next page; `None`: that was all.
    pub next: Option<String>,
}

/// How many identities there are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientStatistics {
    /// 1.
    pub schema: u32,
    /// All of them.
    pub total: u64,
    /// By status.
    pub by_status: BTreeMap<String, u64>,
    /// By what they are used for.
    pub by_usage: BTreeMap<String, u64>,
    /// By CA, and for each by status.
    pub by_ca: BTreeMap<String, BTreeMap<String, u64>>,
    /// By organization: the hundred that have most.
    pub by_organization: BTreeMap<String, u64>,
}

impl ClientView {
    /// How an identity stands at `now`.
    #[must_use]
    pub fn of(row: &ClientRow, now: Timestamp) -> Self {
        let ClientSubject { common_name, email, organization, organizational_unit, country } = row.subject.clone();
        let current = row.current.as_ref();
        let days = |end: Timestamp| (end.millis() - now.millis()).div_euclid(DAY);
        Self {
            schema: SCHEMA,
            id: row.id.clone(),
            identifier: row.identifier.clone(),
            tenant: row.tenant.clone(),
            ca: row.ca.clone(),
            profile: row.profile.clone(),
            common_name,
            email: there(email),
            organization: there(organization),
            organizational_unit: there(organizational_unit),
            country: there(country),
            names: row.names.clone(),
            usage: row.label.clone(),
            notes: there(row.notes.clone()),
            key_type: there(row.key_type.clone()),
            days: row.lifetime.map(|lifetime| lifetime.as_secs() / 86_400),
            status: ClientStatus::of(row, now).as_str().to_owned(),
            serial: current.map(|current| current.serial.clone()),
            version: current.map(|current| current.number),
            not_before: current.map(|current| current.not_before.to_string()),
            not_after: current.map(|current| current.not_after.to_string()),
            days_left: current.map(|current| days(current.not_after)),
            auto_renew: row.auto_renew,
            renew_at: current.map(|current| current.renew_at.to_string()),
            renewal_at: told(row.renew_next),
            renewal_error: row.renew_error.clone(),
            created_at: row.created_at.to_string(),
            created_by: row.created_by.clone(),
            certificates: None,
        }
    }
}

impl ClientCertificateView {
    fn of(row: &ClientCertificateRow) -> Self {
        Self {
            version: row.number,
            serial: row.serial.clone(),
            not_before: told(row.not_before),
            not_after: told(row.not_after),
            has_key: row.has_key(),
            superseded: row.superseded_by.is_some(),
            revoked_at: told(row.revoked_at),
            revocation_reason: row.revoked_at.and(row.revocation_reason).map(reason_told),
            owed: row.owed.map(|owed| owed.to_string()),
            requested_by: row.requested_by.clone(),
            created_at: row.created_at.to_string(),
        }
    }
}

fn there(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}

fn reason_told(code: u8) -> String {
    Reason::from_code(code).unwrap_or(Reason::Unspecified).as_str().to_owned()
}

/// One identity with all of its certificates.
///
/// # Errors
/// Where the database fails.
pub async fn client(state: &State, row: &ClientRow, now: Timestamp) -> Result<ClientView> {
    let certificates = state.client_certificates(&row.id).await?;
    let certificates = certificates.iter().map(ClientCertificateView::of).collect();
    Ok(ClientView { certificates: Some(certificates), ..ClientView::of(row, now) })
}

/// A page of identities behind the place `after`, at most `limit` and never more than [`LARGEST_PAGE`].
///
/// # Errors
/// Where the database fails.
pub async fn clients(
    state: &State,
    filter: &ClientFilter<'_>,
    after: &str,
    limit: u32,
    now: Timestamp,
) -> Result<ClientList> {
    let page = state.clients(filter, after, limit.clamp(1, LARGEST_PAGE), now).await?;
    let clients = page.clients.iter().map(|row| ClientView::of(row, now)).collect();
    Ok(ClientList { schema: SCHEMA, clients, next: page.next })
}

/// How many identities there are of each kind.
///
/// # Errors
/// Where the database fails.
pub async fn client_statistics(state: &State, tenant: Option<&str>, now: Timestamp) -> Result<ClientStatistics> {
    let organizations = state.client_organizations(tenant, ORGANIZATIONS).await?;
    let mut statistics = ClientStatistics {
        schema: SCHEMA,
        total: 0,
        by_status: ClientStatus::ALL.iter().map(|status| (status.as_str().to_owned(), 0)).collect(),
        by_usage: BTreeMap::new(),
        by_ca: BTreeMap::new(),
        by_organization: organizations.into_iter().filter(|(name, _)| !name.is_empty()).collect(),
    };
    for found in state.client_counts(tenant, now).await? {
        let status = found.status.as_str().to_owned();
        statistics.total += found.count;
        *statistics.by_status.entry(status.clone()).or_default() += found.count;
        *statistics.by_usage.entry(found.label).or_default() += found.count;
        *statistics.by_ca.entry(found.ca).or_default().entry(status).or_default() += found.count;
    }
    Ok(statistics)
}
