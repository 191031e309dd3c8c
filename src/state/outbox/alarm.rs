//! Alarms: when a certificate should have been renewed long ago.

use std::time::Duration;

use super::super::row::{list, text, time};
use super::super::version::NewVersion;
use super::super::{Result, State, Write};
use crate::clock::Timestamp;

/// A certificate that nears its end.
#[derive(Debug, Clone)]
pub struct NearingEnd {
    /// Its name.
    pub certificate: String,
    /// What it vouches for.
    pub names: Vec<String>,
    /// The account or CA.
    pub issuer: String,
    /// Lower-case hex.
    pub serial: String,
    /// When it expires.
    pub not_after: Timestamp,
    /// What the last failure said.
    pub last_error: Option<String>,
}

/// Attempts are at least a quarter of an hour apart: this is five of them.
const FIVE_ATTEMPTS: Duration = Duration::from_secs(75 * 60);

/// A tenth of its life before its end, or as long before as five attempts take; in the last quarter in any case.
fn alarm_at(not_before: Timestamp, not_after: Timestamp) -> Timestamp {
    let life = not_after.since(not_before);
    not_after.minus((life / 10).max(FIVE_ATTEMPTS.min(life / 4)))
}

/// The alarm of a certificate's new version.
pub(in super::super) async fn set(write: &mut Write, new: &NewVersion<'_>) -> Result<()> {
    write_alarm(write, new.certificate, Some(alarm_at(new.not_before, new.not_after))).await
}

async fn write_alarm(write: &mut Write, certificate: &str, at: Option<Timestamp>) -> Result<()> {
    sqlx::query("UPDATE certificate SET alarm_at = $2 WHERE name = $1")
        .bind(certificate)
        .bind(at.map(Timestamp::millis))
        .execute(&mut **write)
        .await?;
    Ok(())
}

impl State {
    /// A certificate stands in the config (again): its end is watched.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn watch_end(&self, write: &mut Write, certificate: &str) -> Result<()> {
        let found = sqlx::query(
            "SELECT v.not_before, v.not_after FROM certificate c JOIN version v ON v.id = c.version_id WHERE c.name = $1",
        )
        .bind(certificate)
        .fetch_optional(&mut **write)
        .await?;
        let Some(row) = found else { return Ok(()) };
        let at = alarm_at(time(&row, "not_before")?, time(&row, "not_after")?);
        write_alarm(write, certificate, Some(at)).await
    }

    /// Nobody need be told of this certificate's end: it is retired.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn watch_end_no_more(&self, write: &mut Write, certificate: &str) -> Result<()> {
        write_alarm(write, certificate, None).await?;
        self.forget_alerts(write, certificate).await
    }

    /// Certificates that should have been renewed long ago or have too few attempts left, first alarm first. From indexes: it costs in proportion to
    /// how many there are.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn nearing_end(&self, now: Timestamp, limit: u32) -> Result<Vec<NearingEnd>> {
        let rows = sqlx::query(
            "SELECT c.name, c.last_error, v.names, v.issuer, v.serial, v.not_after FROM certificate c \
             JOIN version v ON v.id = c.version_id WHERE (c.alarm_at <= $1 OR c.too_few = 1) AND c.retired_at IS NULL \
             AND c.state <> 'revoked' ORDER BY c.alarm_at LIMIT $2",
        )
        .bind(now.millis())
        .bind(i64::from(limit))
        .fetch_all(self.reader())
        .await?;
        let read = |row: &sqlx::any::AnyRow| {
            Ok(NearingEnd {
                certificate: text(row, "name")?,
                names: list(row, "version", "names")?,
                issuer: text(row, "issuer")?,
                serial: text(row, "serial")?,
                not_after: time(row, "not_after")?,
                last_error: super::super::row::optional_text(row, "last_error")?,
            })
        };
        rows.iter().map(read).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alarm_leaves_time_and_comes_after_the_renewal() {
        let hours = |hours: u64| Duration::from_secs(hours * 3600);
        for (life, before) in [
            (hours(90 * 24), hours(9 * 24)),
            (hours(160), hours(16)),
            (hours(10), Duration::from_secs(75 * 60)),
            (hours(1), Duration::from_secs(15 * 60)),
        ] {
            let end = Timestamp::EPOCH.plus(life);
            assert_eq!(end.since(alarm_at(Timestamp::EPOCH, end)), before, "{life:?}");
        }
    }
}
