//! Identities that should be renewed without being asked and are not. From indexes: it costs in proportion to how many
//! there are.

use std::collections::BTreeMap;
use std::time::Duration;

use sqlx::any::AnyRow;

use super::ClientRow;
use crate::clock::Timestamp;
use crate::state::client::list::ClientStatus;
use crate::state::row::{integer, text};
use crate::state::{Result, State};

/// Whoever waits longer than this for a renewal that nobody has tried is late.
const LATE: Duration = Duration::from_secs(3600);

/// How many identities are not renewed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ClientTally {
    /// The last attempt failed.
    pub failing: u64,
    /// Of these, those whose certificate has ended.
    pub expired: u64,
    /// Their time came more than an hour ago, and it was not tried.
    pub late: u64,
}

/// Identities of one CA whose renewal failed.
#[derive(Debug, Clone)]
pub struct ClientTrouble {
    /// The CA's name in the config.
    pub ca: String,
    /// How many.
    pub count: u64,
    /// The one whose certificate ends first.
    pub first: ClientRow,
}

impl State {
    /// How many identities are not renewed that should be.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn client_tally(&self, now: Timestamp) -> Result<ClientTally> {
        let row = sqlx::query(
            "SELECT (SELECT COUNT(*) FROM client WHERE renew_failures > 0) AS failing, \
             (SELECT COUNT(*) FROM client WHERE renew_failures > 0 AND not_after <= $1) AS expired, \
             (SELECT COUNT(*) FROM client WHERE renew_next <= $2 AND renew_failures = 0) AS late",
        )
        .bind(now.millis())
        .bind(now.minus(LATE).millis())
        .fetch_one(self.reader())
        .await?;
        let (failing, expired, late) = (number(&row, "failing")?, number(&row, "expired")?, number(&row, "late")?);
        Ok(ClientTally { failing, expired, late })
    }

    /// The CAs that have identities whose renewal failed.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn client_troubles(&self) -> Result<Vec<ClientTrouble>> {
        let counts = "SELECT ca, COUNT(*) AS clients FROM client WHERE renew_failures > 0 GROUP BY ca ORDER BY ca";
        let mut troubles = Vec::new();
        for row in sqlx::query(counts).fetch_all(self.reader()).await? {
            let (ca, count) = (text(&row, "ca")?, number(&row, "clients")?);
            let first = "SELECT * FROM client WHERE renew_failures > 0 AND ca = $1 ORDER BY not_after, id LIMIT 1";
            let first = sqlx::query(first).bind(&ca).fetch_optional(self.reader()).await?;
            if let Some(first) = first {
                troubles.push(ClientTrouble { ca, count, first: ClientRow::read(&first)? });
            }
        }
        Ok(troubles)
    }

    /// How many identities there are of each status; all statuses are there.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn count_clients(&self, now: Timestamp) -> Result<BTreeMap<&'static str, u64>> {
        let rows = sqlx::query(
            "SELECT status, COUNT(*) AS clients FROM (SELECT CASE WHEN standing <> 'active' THEN standing \
             WHEN not_after <= $1 THEN 'expired' WHEN renew_at <= $1 THEN 'expiring' ELSE 'valid' END AS status \
             FROM client) AS each_client GROUP BY status",
        )
        .bind(now.millis())
        .fetch_all(self.reader())
        .await?;
        let mut counts: BTreeMap<_, _> = ClientStatus::ALL.iter().map(|status| (status.as_str(), 0)).collect();
        for row in rows {
            if let Some(status) = ClientStatus::parse(&text(&row, "status")?) {
                counts.insert(status.as_str(), number(&row, "clients")?);
            }
        }
        Ok(counts)
    }
}

fn number(row: &AnyRow, column: &str) -> Result<u64> {
    Ok(u64::try_from(integer(row, column)?).unwrap_or(0))
}
