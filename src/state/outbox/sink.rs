//! Sinks as the config in force names them, and how each receiver stands.

use std::time::Duration;

use sqlx::any::AnyRow;

use super::super::row::{count, integer, optional_text, optional_time, text, time, to_list};
use super::super::{Result, State};
use crate::clock::Timestamp;

/// A receiver that has taken nothing for this long is in trouble.
const TROUBLE: Duration = Duration::from_secs(15 * 60);

/// What the config says of a sink.
#[derive(Debug, Clone)]
pub struct SinkSettings {
    /// Its name.
    pub name: String,
    /// The kinds of events that it hears of.
    pub kinds: Vec<String>,
    /// The certificates that it hears of.
    pub patterns: Vec<String>,
}

/// How a sink stands.
#[derive(Debug, Clone)]
pub struct SinkRow {
    /// Its name.
    pub name: String,
    /// Failures of the receiver in a row.
    pub failures: u32,
    /// Nothing is sent before this.
    pub retry_at: Timestamp,
    /// Nothing has arrived since.
    pub failing_since: Option<Timestamp>,
    /// Why the last attempt failed.
    pub error: Option<String>,
    /// When the last event arrived.
    pub sent_at: Option<Timestamp>,
    /// Events that arrived, ever.
    pub sent: i64,
    /// Attempts that failed, ever.
    pub failed: i64,
    /// Events that were given up, ever.
    pub given_up: i64,
    /// Events that are still to be sent.
    pub due: u32,
}

impl SinkRow {
    fn read(row: &AnyRow) -> Result<Self> {
        Ok(Self {
            name: text(row, "name")?,
            failures: count(row, "failures")?,
            retry_at: time(row, "retry_at")?,
            failing_since: optional_time(row, "failing_since")?,
            error: optional_text(row, "error")?,
            sent_at: optional_time(row, "sent_at")?,
            sent: integer(row, "sent")?,
            failed: integer(row, "failed")?,
            given_up: integer(row, "given_up")?,
            due: count(row, "due")?,
        })
    }

    /// It has taken nothing for a quarter of an hour.
    #[must_use]
    pub fn is_in_trouble(&self, now: Timestamp) -> bool {
        self.failing_since.is_some_and(|since| now.since(since) > TROUBLE)
    }
}

impl State {
    /// Writes down where people are told from now on. What is due to a sink that is gone is closed; a receiver that was
    /// left alone after failures is tried again at once, since its settings may be mended.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn reconcile_sinks(&self, sinks: &[SinkSettings], retry: bool) -> Result<()> {
        let known: Vec<String> = sqlx::query_scalar("SELECT name FROM sink").fetch_all(self.reader()).await?;
        let mut write = self.begin().await?;
        for gone in known.iter().filter(|name| !sinks.iter().any(|sink| sink.name == **name)) {
            for statement in [
                "UPDATE notification SET state = 'given_up', error = 'the sink was taken out of the config' \
                 WHERE state = 'due' AND sink = $1",
                "DELETE FROM sink WHERE name = $1",
            ] {
                sqlx::query(statement).bind(gone).execute(&mut *write).await?;
            }
        }
        for sink in sinks {
            sqlx::query(
                "INSERT INTO sink (name, kinds, patterns, failures, retry_at, sent, failed, given_up) \
                 VALUES ($1, $2, $3, 0, 0, 0, 0, 0) \
                 ON CONFLICT (name) DO UPDATE SET kinds = excluded.kinds, patterns = excluded.patterns",
            )
            .bind(&sink.name)
            .bind(to_list(&sink.kinds))
            .bind(to_list(&sink.patterns))
            .execute(&mut *write)
            .await?;
        }
        if retry {
            for statement in [
                "UPDATE sink SET failures = 0, retry_at = 0",
                "UPDATE notification SET retry_at = 0 WHERE state = 'due'",
            ] {
                sqlx::query(statement).execute(&mut *write).await?;
            }
        }
        write.commit().await?;
        self.wake_notify();
        Ok(())
    }

    /// How every sink stands, by name.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn sinks(&self) -> Result<Vec<SinkRow>> {
        let rows = sqlx::query(
            "SELECT s.*, (SELECT COUNT(*) FROM notification n WHERE n.state = 'due' AND n.sink = s.name) AS due \
             FROM sink s ORDER BY s.name",
        )
        .fetch_all(self.reader())
        .await?;
        rows.iter().map(SinkRow::read).collect()
    }
}
