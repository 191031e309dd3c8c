//! What is due to a sink, and what became of it.

use std::time::Duration;

use providers::sinks::Event;
use sqlx::any::AnyRow;

use super::super::row::{count, text, time};
use super::super::{Result, State};
use super::read_event;
use crate::clock::Timestamp;

/// An event that is due to a sink.
#[derive(Debug, Clone)]
pub struct Due {
    /// The event.
    pub event: Event,
    /// Failed attempts to send it to this sink.
    pub failures: u32,
}

impl Due {
    fn read(row: &AnyRow) -> Result<Self> {
        Ok(Self { event: read_event(row)?, failures: count(row, "failures")? })
    }
}

impl State {
    /// When each sink to which anything is due may be sent something.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn sinks_due(&self) -> Result<Vec<(String, Timestamp)>> {
        let rows = sqlx::query(
            "SELECT s.name AS name, s.retry_at AS gate, MIN(n.retry_at) AS first FROM sink s \
             JOIN notification n ON n.sink = s.name AND n.state = 'due' GROUP BY s.name, s.retry_at",
        )
        .fetch_all(self.reader())
        .await?;
        rows.iter().map(|row| Ok((text(row, "name")?, time(row, "gate")?.max(time(row, "first")?)))).collect()
    }

    /// The oldest events that may be sent to a sink now.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn due_to(&self, sink: &str, now: Timestamp, limit: u32) -> Result<Vec<Due>> {
        let rows = sqlx::query(
            "SELECT n.event_id, n.failures, e.body FROM notification n JOIN event e ON e.id = n.event_id \
             WHERE n.state = 'due' AND n.sink = $1 AND n.retry_at <= $2 ORDER BY n.event_id LIMIT $3",
        )
        .bind(sink)
        .bind(now.millis())
        .bind(i64::from(limit))
        .fetch_all(self.reader())
        .await?;
        rows.iter().map(Due::read).collect()
    }

    /// The sink has taken the event.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn notified(&self, sink: &str, event_id: &str, now: Timestamp) -> Result<()> {
        let mut write = self.begin().await?;
        sqlx::query(
            "UPDATE notification SET state = 'sent', sent_at = $3, error = NULL WHERE event_id = $1 AND sink = $2",
        )
        .bind(event_id)
        .bind(sink)
        .bind(now.millis())
        .execute(&mut *write)
        .await?;
        sqlx::query(
            "UPDATE sink SET failures = 0, retry_at = 0, failing_since = NULL, error = NULL, sent_at = $2, sent = sent + 1 \
             WHERE name = $1",
        )
        .bind(sink)
        .bind(now.millis())
        .execute(&mut *write)
        .await?;
        write.commit().await?;
        Ok(())
    }

    /// The receiver refused this one event, which is tried again after `wait`; others are sent meanwhile.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn not_notified(
        &self,
        sink: &str,
        event_id: &str,
        error: &str,
        now: Timestamp,
        wait: Duration,
    ) -> Result<()> {
        self.note_failure(sink, event_id, error, now, (now.plus(wait), None)).await
    }

    /// The receiver takes nothing: it is left alone for `wait`.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn sink_failed(
        &self,
        sink: &str,
        event_id: &str,
        error: &str,
        now: Timestamp,
        wait: Duration,
    ) -> Result<()> {
        self.note_failure(sink, event_id, error, now, (Timestamp::EPOCH, Some(now.plus(wait)))).await
    }

    async fn note_failure(
        &self,
        sink: &str,
        event_id: &str,
        error: &str,
        now: Timestamp,
        (event_at, sink_at): (Timestamp, Option<Timestamp>),
    ) -> Result<()> {
        let mut write = self.begin().await?;
        sqlx::query(
            "UPDATE notification SET failures = failures + 1, retry_at = $3, error = $4 \
             WHERE event_id = $1 AND sink = $2",
        )
        .bind(event_id)
        .bind(sink)
        .bind(event_at.millis())
        .bind(error)
        .execute(&mut *write)
        .await?;
        sqlx::query(
            "UPDATE sink SET failures = failures + $2, retry_at = $3, failing_since = COALESCE(failing_since, $4), \
             error = $5, failed = failed + 1 WHERE name = $1",
        )
        .bind(sink)
        .bind(i64::from(sink_at.is_some()))
        .bind(sink_at.unwrap_or(Timestamp::EPOCH).millis())
        .bind(now.millis())
        .bind(error)
        .execute(&mut *write)
        .await?;
        write.commit().await?;
        Ok(())
    }

    /// Failures of the receiver in a row.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn sink_failures(&self, sink: &str) -> Result<u32> {
        let row =
            sqlx::query("SELECT failures FROM sink WHERE name = $1").bind(sink).fetch_optional(self.reader()).await?;
        row.as_ref().map_or(Ok(0), |row| count(row, "failures"))
    }

    /// The event is not sent to this sink any more.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn give_up(&self, sink: &str, event_id: &str) -> Result<()> {
        let mut write = self.begin().await?;
        sqlx::query("UPDATE notification SET state = 'given_up' WHERE event_id = $1 AND sink = $2 AND state = 'due'")
            .bind(event_id)
            .bind(sink)
            .execute(&mut *write)
            .await?;
        sqlx::query("UPDATE sink SET given_up = given_up + 1 WHERE name = $1").bind(sink).execute(&mut *write).await?;
        write.commit().await?;
        Ok(())
    }
}
