//! Deployments: telling one consumer of one version, and looking at what it serves. Per node.

use std::time::Duration;

use sqlx::any::AnyRow;

use super::certificate::words;
use super::row::{count, optional_text, optional_time, parsed, text, time};
use super::{News, Result, State};
use crate::clock::Timestamp;

words! {
    /// What is done for the consumer.
    DeploymentKind {
        /// A command is run.
        Command = "command",
        /// What is served is looked at.
        Verify = "verify",
    }
}

/// One consumer of one version on this node.
#[derive(Debug, Clone)]
pub struct DeploymentRow {
    /// The version.
    pub version_id: String,
    /// What is done.
    pub kind: DeploymentKind,
    /// JSON: the command, or the address.
    pub target: String,
    /// The certificate's name.
    pub certificate: String,
    /// It was done, and there was nothing wrong.
    pub done: bool,
    /// Since when it is to be done.
    pub due_since: Timestamp,
    /// Failures in a row.
    pub failures: u32,
    /// Not before this.
    pub retry_at: Timestamp,
    /// When it was last done.
    pub done_at: Option<Timestamp>,
    /// Why it last failed.
    pub error: Option<String>,
}

impl DeploymentRow {
    fn read(row: &AnyRow) -> Result<Self> {
        Ok(Self {
            version_id: text(row, "version_id")?,
            kind: parsed(row, "deployment", "kind", DeploymentKind::parse)?,
            target: text(row, "target")?,
            certificate: text(row, "certificate")?,
            done: text(row, "state")? == "done",
            due_since: time(row, "due_since")?,
            failures: count(row, "failures")?,
            retry_at: time(row, "retry_at")?,
            done_at: optional_time(row, "done_at")?,
            error: optional_text(row, "error")?,
        })
    }
}

/// The key of a deployment on this node.
#[derive(Debug, Clone, Copy)]
pub struct DeploymentKey<'a> {
    /// The version.
    pub version_id: &'a str,
    /// What is done.
    pub kind: DeploymentKind,
    /// JSON: the command, or the address.
    pub target: &'a str,
}

const OF: &str = "WHERE version_id = $1 AND node = $2 AND kind = $3 AND target = $4";

impl State {
    /// This node's deployments of a version.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn deployments(&self, version_id: &str) -> Result<Vec<DeploymentRow>> {
        let rows = sqlx::query("SELECT * FROM deployment WHERE version_id = $1 AND node = $2")
            .bind(version_id)
            .bind(self.node())
            .fetch_all(self.reader())
            .await?;
        rows.iter().map(DeploymentRow::read).collect()
    }

    /// All deployments of current versions on this node that wait for this same command.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn deployments_awaiting(&self, command: &str) -> Result<Vec<DeploymentRow>> {
        let rows = sqlx::query(
            "SELECT d.* FROM deployment d JOIN certificate c ON c.version_id = d.version_id \
             WHERE d.node = $1 AND d.kind = 'command' AND d.state = 'due' AND d.target = $2 AND c.retired_at IS NULL \
             ORDER BY d.certificate",
        )
        .bind(self.node())
        .bind(command)
        .fetch_all(self.reader())
        .await?;
        rows.iter().map(DeploymentRow::read).collect()
    }

    /// Something to do for a consumer: due from `now`, unless it stands already.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn add_deployment(&self, key: DeploymentKey<'_>, certificate: &str, now: Timestamp) -> Result<()> {
        sqlx::query(
            "INSERT INTO deployment (version_id, node, kind, target, certificate, state, due_since, failures, retry_at) \
             VALUES ($1, $2, $3, $4, $5, 'due', $6, 0, 0) ON CONFLICT (version_id, node, kind, target) DO NOTHING",
        )
        .bind(key.version_id)
        .bind(self.node())
        .bind(key.kind.as_str())
        .bind(key.target)
        .bind(certificate)
        .bind(now.millis())
        .execute(self.writer())
        .await?;
        Ok(())
    }

    /// It was done for these, in one transaction.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn deployments_done(&self, keys: &[DeploymentKey<'_>], now: Timestamp) -> Result<()> {
        self.deployments_done_and_tell(keys, &News::default(), now).await
    }

    /// The same, and what is to be told of it in the same transaction.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn deployments_done_and_tell(
        &self,
        keys: &[DeploymentKey<'_>],
        news: &News,
        now: Timestamp,
    ) -> Result<()> {
        let mut write = self.begin().await?;
        for key in keys {
            sqlx::query(sqlx::AssertSqlSafe(format!(
                "UPDATE deployment SET state = 'done', done_at = $5, failures = 0, retry_at = 0, error = NULL {OF}"
            )))
            .bind(key.version_id)
            .bind(self.node())
            .bind(key.kind.as_str())
            .bind(key.target)
            .bind(now.millis())
            .execute(&mut *write)
            .await?;
        }
        self.commit_and_tell(write, news, now).await
    }

    /// It failed for these and is tried again later.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn deployments_failed(
        &self,
        keys: &[DeploymentKey<'_>],
        error: &str,
        now: Timestamp,
        wait: Duration,
    ) -> Result<()> {
        self.deployments_failed_and_tell(keys, (error, wait), &News::default(), now).await
    }

    /// The same, and what is to be told of it in the same transaction.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn deployments_failed_and_tell(
        &self,
        keys: &[DeploymentKey<'_>],
        (error, wait): (&str, Duration),
        news: &News,
        now: Timestamp,
    ) -> Result<()> {
        let mut write = self.begin().await?;
        for key in keys {
            sqlx::query(sqlx::AssertSqlSafe(format!(
                "UPDATE deployment SET state = 'due', failures = failures + 1, retry_at = $5, error = $6 {OF}"
            )))
            .bind(key.version_id)
            .bind(self.node())
            .bind(key.kind.as_str())
            .bind(key.target)
            .bind(now.plus(wait).millis())
            .bind(error)
            .execute(&mut *write)
            .await?;
        }
        self.commit_and_tell(write, news, now).await
    }

    /// All deployments of a version are to be done again: somebody asked, or the files were put back.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn redeploy(&self, version_id: &str, now: Timestamp) -> Result<()> {
        sqlx::query(
            "UPDATE deployment SET state = 'due', due_since = $3, failures = 0, retry_at = 0 \
             WHERE version_id = $1 AND node = $2",
        )
        .bind(version_id)
        .bind(self.node())
        .bind(now.millis())
        .execute(self.writer())
        .await?;
        Ok(())
    }
}
