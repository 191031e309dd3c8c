//! Jobs: what somebody asked for. They survive a restart.

use sqlx::any::AnyRow;

use super::certificate::words;
use super::row::{optional_text, optional_time, parsed, text, time};
use super::{Result, State};
use crate::clock::Timestamp;

words! {
    /// What is asked for.
    JobKind {
        /// Renew a certificate. Arguments: `{"force": bool}`.
        Renew = "renew",
        /// Revoke a version. Arguments: `{"reason": text, "serial": text or null, "replace": bool}`.
        Revoke = "revoke",
        /// Put a certificate into its stores again and tell its consumers.
        Deploy = "deploy",
        /// Give an account a new key.
        RotateKey = "rotate-key",
    }
}

words! {
    /// How a job stands.
    JobState {
        /// Nobody has taken it up.
        Queued = "queued",
        /// It is being worked on.
        Running = "running",
        /// It is done.
        Succeeded = "succeeded",
        /// It cannot be done.
        Failed = "failed",
    }
}

/// One job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobRow {
    /// UUIDv7.
    pub id: String,
    /// What is asked for.
    pub kind: JobKind,
    /// The certificate's or the account's name.
    pub subject: String,
    /// JSON, by kind.
    pub arguments: String,
    /// Who asked.
    pub requested_by: String,
    /// How it stands.
    pub state: JobState,
    /// When it was asked for.
    pub submitted_at: Timestamp,
    /// When it was taken up.
    pub started_at: Option<Timestamp>,
    /// When it was done.
    pub finished_at: Option<Timestamp>,
    /// What came of it, in words.
    pub result: Option<String>,
    /// Why it cannot be done.
    pub error: Option<String>,
}

impl JobRow {
    fn read(row: &AnyRow) -> Result<Self> {
        Ok(Self {
            id: text(row, "id")?,
            kind: parsed(row, "job", "kind", JobKind::parse)?,
            subject: text(row, "subject")?,
            arguments: text(row, "arguments")?,
            requested_by: text(row, "requested_by")?,
            state: parsed(row, "job", "state", JobState::parse)?,
            submitted_at: time(row, "submitted_at")?,
            started_at: optional_time(row, "started_at")?,
            finished_at: optional_time(row, "finished_at")?,
            result: optional_text(row, "result")?,
            error: optional_text(row, "error")?,
        })
    }
}

impl State {
    /// Writes a job down and wakes the loop; a certificate's job makes the certificate due.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn add_job(
        &self,
        kind: JobKind,
        subject: &str,
        arguments: &serde_json::Value,
        requested_by: &str,
        now: Timestamp,
    ) -> Result<String> {
        let id = super::new_id();
        let mut write = self.begin().await?;
        sqlx::query(
            "INSERT INTO job (id, kind, subject, arguments, requested_by, state, submitted_at) \
             VALUES ($1, $2, $3, $4, $5, 'queued', $6)",
        )
        .bind(&id)
        .bind(kind.as_str())
        .bind(subject)
        .bind(arguments.to_string())
        .bind(requested_by)
        .bind(now.millis())
        .execute(&mut *write)
        .await?;
        if kind != JobKind::RotateKey {
            sqlx::query(super::certificate::LOOK_NOW).bind(subject).bind(now.millis()).execute(&mut *write).await?;
        }
        write.commit().await?;
        self.wake();
        Ok(id)
    }

    /// The job of that id.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn job(&self, id: &str) -> Result<Option<JobRow>> {
        let found = sqlx::query("SELECT * FROM job WHERE id = $1").bind(id).fetch_optional(self.reader()).await?;
        found.as_ref().map(JobRow::read).transpose()
    }

    /// The jobs on one certificate that are not finished, oldest first.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn open_jobs(&self, certificate: &str) -> Result<Vec<JobRow>> {
        let rows = sqlx::query(
            "SELECT * FROM job WHERE subject = $1 AND kind <> 'rotate-key' AND state IN ('queued', 'running') ORDER BY id",
        )
        .bind(certificate)
        .fetch_all(self.reader())
        .await?;
        rows.iter().map(JobRow::read).collect()
    }

    /// The jobs on accounts that are not finished, oldest first.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn open_account_jobs(&self) -> Result<Vec<JobRow>> {
        let rows =
            sqlx::query("SELECT * FROM job WHERE kind = 'rotate-key' AND state IN ('queued', 'running') ORDER BY id")
                .fetch_all(self.reader())
                .await?;
        rows.iter().map(JobRow::read).collect()
    }

    /// The job was taken up.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn job_started(&self, id: &str, now: Timestamp) -> Result<()> {
        sqlx::query("UPDATE job SET state = 'running', started_at = COALESCE(started_at, $2) WHERE id = $1")
            .bind(id)
            .bind(now.millis())
            .execute(self.writer())
            .await?;
        Ok(())
    }

    /// The job is finished: done with what came of it, or not to be done.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn job_finished(&self, id: &str, outcome: Result<&str, &str>, now: Timestamp) -> Result<()> {
        let (state, result, error) = match outcome {
            Ok(result) => ("succeeded", Some(result), None),
            Err(error) => ("failed", None, Some(error)),
        };
        sqlx::query("UPDATE job SET state = $2, result = $3, error = $4, finished_at = $5 WHERE id = $1")
            .bind(id)
            .bind(state)
            .bind(result)
            .bind(error)
            .bind(now.millis())
            .execute(self.writer())
            .await?;
        Ok(())
    }
}
