//! Renewal information (RFC 9773) of a version, as its CA gave it last.

use sqlx::any::AnyRow;

use super::row::{count, optional_text, optional_time, time};
use super::{Result, State};
use crate::clock::Timestamp;

/// What a CA says of a version's renewal, and when it is asked again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenewalRow {
    /// The suggested window; `None`: the CA was not asked yet, or has no answer.
    pub window: Option<RenewalWindow>,
    /// The CA is not asked before this.
    pub ask_at: Timestamp,
    /// When it last answered.
    pub asked_at: Option<Timestamp>,
    /// Why the last question got no answer.
    pub error: Option<String>,
    /// Questions without an answer in a row.
    pub failures: u32,
}

impl Default for RenewalRow {
    fn default() -> Self {
        Self { window: None, ask_at: Timestamp::EPOCH, asked_at: None, error: None, failures: 0 }
    }
}

/// A suggested window (RFC 9773, section 4.2), and the instant that was chosen in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenewalWindow {
    /// Renew from here …
    pub start: Timestamp,
    /// … to here.
    pub end: Timestamp,
    /// Chosen once in the window, by chance.
    pub instant: Timestamp,
    /// A page that tells why.
    pub explanation: Option<String>,
}

impl RenewalRow {
    pub(super) fn read(row: &AnyRow) -> Result<Self> {
        let times =
            (optional_time(row, "ari_start")?, optional_time(row, "ari_end")?, optional_time(row, "ari_instant")?);
        let explanation = optional_text(row, "ari_explanation")?;
        let window = match times {
            (Some(start), Some(end), Some(instant)) => Some(RenewalWindow { start, end, instant, explanation }),
            _ => None,
        };
        Ok(Self {
            window,
            ask_at: time(row, "ari_ask_at")?,
            asked_at: optional_time(row, "ari_asked_at")?,
            error: optional_text(row, "ari_error")?,
            failures: count(row, "ari_failures")?,
        })
    }
}

impl State {
    /// What the CA said of a version's renewal, or why it said nothing.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn renewal_told(&self, version: &str, renewal: &RenewalRow) -> Result<()> {
        let window = renewal.window.as_ref();
        sqlx::query(
            "UPDATE version SET ari_start = $2, ari_end = $3, ari_instant = $4, ari_explanation = $5, ari_ask_at = $6, \
             ari_asked_at = $7, ari_error = $8, ari_failures = $9 WHERE id = $1",
        )
        .bind(version)
        .bind(window.map(|window| window.start.millis()))
        .bind(window.map(|window| window.end.millis()))
        .bind(window.map(|window| window.instant.millis()))
        .bind(window.and_then(|window| window.explanation.as_deref()))
        .bind(renewal.ask_at.millis())
        .bind(renewal.asked_at.map(Timestamp::millis))
        .bind(renewal.error.as_deref())
        .bind(i64::from(renewal.failures))
        .execute(self.writer())
        .await?;
        Ok(())
    }

    /// The CA is asked again at once: somebody wants to know now.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn ask_for_renewal_now(&self, version: &str) -> Result<()> {
        sqlx::query("UPDATE version SET ari_ask_at = 0 WHERE id = $1").bind(version).execute(self.writer()).await?;
        Ok(())
    }
}
