//! Lists of identities, a page at a time, read off an index.
//!
//! One filter leads: it and the order of the page are one index. The others are held against what that index yields, up
//! to [`WINDOW`] rows a page; a page whose window is used up before it is full says where to go on.

mod asked;

use sqlx::any::AnyRow;

use super::{ClientRow, ClientStanding};
use crate::clock::Timestamp;
use crate::state::row::{integer, optional_text, text};
use crate::state::{Result, State};
use asked::Asked;

/// As many rows as one page looks at.
pub const WINDOW: u32 = 10_000;

/// How an identity stands at a given time, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientStatus {
    /// Nothing was issued yet.
    Pending,
    /// In force, with more than a third of its life before it.
    Valid,
    /// In force, and due to be renewed.
    Expiring,
    /// It has ended.
    Expired,
    /// Revoked for the time being.
    OnHold,
    /// Revoked for good.
    Revoked,
}

impl ClientStatus {
    /// Every status.
    pub const ALL: [Self; 6] = [Self::Pending, Self::Valid, Self::Expiring, Self::Expired, Self::OnHold, Self::Revoked];

    /// As people write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Valid => "valid",
            Self::Expiring => "expiring",
            Self::Expired => "expired",
            Self::OnHold => "on-hold",
            Self::Revoked => "revoked",
        }
    }

    /// From that word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == word)
    }

    /// How an identity stands at `now`.
    #[must_use]
    pub fn of(client: &ClientRow, now: Timestamp) -> Self {
        match (client.standing, &client.current) {
            (ClientStanding::Revoked, _) => Self::Revoked,
            (ClientStanding::OnHold, _) => Self::OnHold,
            (ClientStanding::Active, Some(current)) if current.not_after <= now => Self::Expired,
            (ClientStanding::Active, Some(current)) if current.renew_at <= now => Self::Expiring,
            (ClientStanding::Active, Some(_)) => Self::Valid,
            (ClientStanding::Pending | ClientStanding::Active, _) => Self::Pending,
        }
    }
}

/// Which identities are wanted; `None`: whatever it is.
#[derive(Debug, Clone, Copy, Default)]
pub struct ClientFilter<'a> {
    /// Of this tenant.
    pub tenant: Option<&'a str>,
    /// Of this CA.
    pub ca: Option<&'a str>,
    /// With this use.
    pub label: Option<&'a str>,
    /// That stand so.
    pub status: Option<ClientStatus>,
    /// In whose identifier, common name or address this is found, in any case.
    pub search: Option<&'a str>,
}

/// A page of identities.
#[derive(Debug, Clone)]
pub struct ClientPage {
    /// In the order in which they were made; those that have ended or soon will, in the order of their end.
    pub clients: Vec<ClientRow>,
    /// What to ask with for the next page; `None`: that was all.
    pub next: Option<String>,
}

/// So many identities of one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCount {
    /// The CA's name in the config.
    pub ca: String,
    /// What they are used for.
    pub label: String,
    /// How they stand.
    pub status: ClientStatus,
    /// How many.
    pub count: u64,
}

impl State {
    /// A page of at most `limit` identities behind the place `after` (empty: from the beginning). A place that nobody was
    /// given is the beginning.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn clients(
        &self,
        filter: &ClientFilter<'_>,
        after: &str,
        limit: u32,
        now: Timestamp,
    ) -> Result<ClientPage> {
        let asked = Asked::new(filter, after, now);
        let mut clients = self.page(&asked, limit).await?;
        let full = clients.len() > limit as usize;
        clients.truncate(limit as usize);
        let next = match clients.last() {
            Some(last) if full => Some(asked.place(last)),
            _ => self.end_of_window(&asked).await?,
        };
        Ok(ClientPage { clients, next })
    }

    /// One more than `limit`, where there are.
    async fn page(&self, asked: &Asked, limit: u32) -> Result<Vec<ClientRow>> {
        let query = asked.bind_all(sqlx::query(sqlx::AssertSqlSafe(asked.page(limit.saturating_add(1)))));
        query.fetch_all(self.reader()).await?.iter().map(ClientRow::read).collect()
    }

    /// The last place that a page has looked at, where there may be more behind it.
    async fn end_of_window(&self, asked: &Asked) -> Result<Option<String>> {
        if asked.is_answered_by_the_index() {
            return Ok(None);
        }
        let query = asked.bind_lead(sqlx::query(sqlx::AssertSqlSafe(asked.last_of_window())));
        query.fetch_optional(self.reader()).await?.map(|row| asked.place_of(&row)).transpose()
    }

    /// How many identities there are of each kind.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn client_counts(&self, tenant: Option<&str>, now: Timestamp) -> Result<Vec<ClientCount>> {
        let of_tenant = if tenant.is_some() { "WHERE tenant = $2" } else { "" };
        let statement = format!(
            "SELECT ca, label, status, COUNT(*) AS clients FROM (SELECT ca, label, \
             CASE WHEN standing <> 'active' THEN standing WHEN not_after <= $1 THEN 'expired' \
             WHEN renew_at <= $1 THEN 'expiring' ELSE 'valid' END AS status FROM client {of_tenant}) AS each_client \
             GROUP BY ca, label, status ORDER BY ca, label, status"
        );
        let query = sqlx::query(sqlx::AssertSqlSafe(statement)).bind(now.millis());
        let query = if let Some(tenant) = tenant { query.bind(tenant) } else { query };
        let rows = query.fetch_all(self.reader()).await?;
        rows.iter().map(ClientCount::read).collect()
    }

    /// How many identities each organization has, the largest first, `limit` at the most.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn client_organizations(&self, tenant: Option<&str>, limit: u32) -> Result<Vec<(String, u64)>> {
        let of_tenant = if tenant.is_some() { "WHERE tenant = $2" } else { "" };
        let statement = format!(
            "SELECT organization, COUNT(*) AS clients FROM client {of_tenant} GROUP BY organization \
             ORDER BY clients DESC, organization LIMIT $1"
        );
        let query = sqlx::query(sqlx::AssertSqlSafe(statement)).bind(i64::from(limit));
        let query = if let Some(tenant) = tenant { query.bind(tenant) } else { query };
        let rows = query.fetch_all(self.reader()).await?;
        rows.iter()
            .map(|row| Ok((text(row, "organization")?, u64::try_from(integer(row, "clients")?).unwrap_or(0))))
            .collect()
    }
}

impl ClientCount {
    fn read(row: &AnyRow) -> Result<Self> {
        let status = optional_text(row, "status")?.as_deref().and_then(ClientStatus::parse);
        Ok(Self {
            ca: text(row, "ca")?,
            label: text(row, "label")?,
            status: status.unwrap_or(ClientStatus::Pending),
            count: u64::try_from(integer(row, "clients")?).unwrap_or(0),
        })
    }
}
