//! Obstacles: how each issuer treats each certificate, with a backoff of its own for each.

use std::time::Duration;

use sqlx::any::AnyRow;

use super::certificate::words;
use super::row::{count, parsed, text, time};
use super::{Result, State, Write};
use crate::clock::Timestamp;

words! {
    /// What kind of obstacle it is: whether another issuer may be tried hangs on nothing else.
    ObstacleKind {
        /// The issuer cannot issue now, whoever asks: unreachable, failing, rate limiting, pausing, its account in trouble.
        Unavailable = "unavailable",
        /// We hold back by ourselves, to keep the issuer's limits.
        Held = "held",
        /// The issuer refused the names (CAA, DNS, unauthorized, rejected identifier): another would do no better.
        Refused = "refused",
        /// Somebody must publish something first.
        Operator = "operator",
    }
}

impl ObstacleKind {
    /// Another issuer may be tried.
    #[must_use]
    pub const fn lets_others(self) -> bool {
        matches!(self, Self::Unavailable | Self::Held)
    }
}

/// How one issuer treats one certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObstacleRow {
    /// The account or CA.
    pub issuer: String,
    /// Of which kind it is.
    pub kind: ObstacleKind,
    /// Failures in a row.
    pub failures: u32,
    /// The issuer is not asked before this.
    pub retry_at: Timestamp,
    /// In the CA's own words, where it was the CA.
    pub error: String,
    /// When it began.
    pub since: Timestamp,
    /// When it was last met.
    pub last_at: Timestamp,
}

impl ObstacleRow {
    fn read(row: &AnyRow) -> Result<Self> {
        Ok(Self {
            issuer: text(row, "issuer")?,
            kind: parsed(row, "obstacle", "kind", ObstacleKind::parse)?,
            failures: count(row, "failures")?,
            retry_at: time(row, "retry_at")?,
            error: text(row, "error")?,
            since: time(row, "since")?,
            last_at: time(row, "last_at")?,
        })
    }
}

/// An obstacle that was met just now.
#[derive(Debug, Clone)]
pub struct Obstacle<'a> {
    /// The certificate's name.
    pub certificate: &'a str,
    /// The account or CA.
    pub issuer: &'a str,
    /// Of which kind it is.
    pub kind: ObstacleKind,
    /// In the CA's own words, where it was the CA.
    pub error: &'a str,
    /// The issuer is left alone for so long.
    pub wait: Duration,
    /// The limit that it is held back by together with others; empty: none.
    pub waits_for: &'a str,
}

impl State {
    /// The obstacles of a certificate.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn obstacles(&self, certificate: &str) -> Result<Vec<ObstacleRow>> {
        let rows = sqlx::query("SELECT * FROM obstacle WHERE certificate = $1 ORDER BY issuer")
            .bind(certificate)
            .fetch_all(self.reader())
            .await?;
        rows.iter().map(ObstacleRow::read).collect()
    }

    /// How many certificates are held back now, so that limits are kept.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn count_held(&self, now: Timestamp) -> Result<u32> {
        let count: i64 = sqlx::query_scalar(
            "SELECT COUNT(DISTINCT certificate) FROM obstacle WHERE kind = 'held' AND retry_at > $1",
        )
        .bind(now.millis())
        .fetch_one(self.reader())
        .await?;
        Ok(u32::try_from(count).unwrap_or(u32::MAX))
    }
}

/// Remembers an obstacle. One of our own making (`Held`) is no failure.
pub(super) async fn meet(write: &mut Write, obstacle: &Obstacle<'_>, now: Timestamp) -> Result<()> {
    let failed = i64::from(obstacle.kind != ObstacleKind::Held);
    sqlx::query(
        "INSERT INTO obstacle (certificate, issuer, kind, failures, retry_at, error, since, last_at, \
         waits_for, urgency) VALUES ($1, $2, $3, $4, $5, $6, $7, $7, $8, \
         COALESCE((SELECT not_after FROM certificate WHERE name = $1), 0)) \
         ON CONFLICT (certificate, issuer) DO UPDATE SET kind = excluded.kind, \
         failures = obstacle.failures + excluded.failures, retry_at = excluded.retry_at, error = excluded.error, \
         last_at = excluded.last_at, waits_for = excluded.waits_for, urgency = excluded.urgency",
    )
    .bind(obstacle.certificate)
    .bind(obstacle.issuer)
    .bind(obstacle.kind.as_str())
    .bind(failed)
    .bind(now.plus(obstacle.wait).millis())
    .bind(obstacle.error)
    .bind(now.millis())
    .bind(obstacle.waits_for)
    .execute(&mut **write)
    .await?;
    Ok(())
}

/// The issuer has issued.
pub(super) async fn overcome(write: &mut Write, certificate: &str, issuer: &str) -> Result<()> {
    sqlx::query("DELETE FROM obstacle WHERE certificate = $1 AND issuer = $2")
        .bind(certificate)
        .bind(issuer)
        .execute(&mut **write)
        .await?;
    Ok(())
}

/// Nothing stands in the way of a certificate that nobody wants any more.
pub(super) async fn forget(write: &mut Write, certificate: &str) -> Result<()> {
    sqlx::query("DELETE FROM obstacle WHERE certificate = $1").bind(certificate).execute(&mut **write).await?;
    Ok(())
}
