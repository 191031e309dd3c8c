//! Deliveries: one version in one store. Stores are independent: each has a backoff of its own.

use std::time::Duration;

use sqlx::any::AnyRow;

use super::row::{count, optional_text, optional_time, text, time};
use super::{News, Result, State, VersionRow, Write};
use crate::clock::Timestamp;

/// One version in one store.
#[derive(Debug, Clone)]
pub struct DeliveryRow {
    /// The version.
    pub version_id: String,
    /// The store, as the config names it.
    pub store: String,
    /// The node whose store it is; empty: all nodes share it.
    pub node: String,
    /// The certificate's name.
    pub certificate: String,
    /// The store has it.
    pub stored: bool,
    /// Failed puts in a row.
    pub failures: u32,
    /// No put before this.
    pub retry_at: Timestamp,
    /// When the store had it.
    pub stored_at: Option<Timestamp>,
    /// Why the last put failed.
    pub error: Option<String>,
}

impl DeliveryRow {
    fn read(row: &AnyRow) -> Result<Self> {
        Ok(Self {
            version_id: text(row, "version_id")?,
            store: text(row, "store")?,
            node: text(row, "node")?,
            certificate: text(row, "certificate")?,
            stored: text(row, "state")? == "stored",
            failures: count(row, "failures")?,
            retry_at: time(row, "retry_at")?,
            stored_at: optional_time(row, "stored_at")?,
            error: optional_text(row, "error")?,
        })
    }

    /// Reads a row that was joined to its version's; `None`: there was none to be joined.
    pub(super) fn read_joined(row: &AnyRow, version: &VersionRow) -> Result<Option<Self>> {
        let Some(store) = optional_text(row, "d_store")? else { return Ok(None) };
        Ok(Some(Self {
            version_id: version.id.clone(),
            store,
            node: text(row, "d_node")?,
            certificate: version.certificate.clone(),
            stored: text(row, "d_state")? == "stored",
            failures: count(row, "d_failures")?,
            retry_at: time(row, "d_retry_at")?,
            stored_at: optional_time(row, "d_stored_at")?,
            error: optional_text(row, "d_error")?,
        }))
    }
}

pub(super) async fn insert(
    write: &mut Write,
    version_id: &str,
    certificate: &str,
    store: &str,
    node: &str,
    stored: bool,
    now: Timestamp,
) -> Result<()> {
    sqlx::query(
        "INSERT INTO delivery (version_id, store, node, certificate, state, failures, retry_at, stored_at) \
         VALUES ($1, $2, $3, $4, $5, 0, 0, $6) ON CONFLICT (version_id, store, node) DO NOTHING",
    )
    .bind(version_id)
    .bind(store)
    .bind(node)
    .bind(certificate)
    .bind(if stored { "stored" } else { "due" })
    .bind(stored.then_some(now.millis()))
    .execute(&mut **write)
    .await?;
    Ok(())
}

const OF: &str = "WHERE version_id = $1 AND store = $2 AND node = $3";

impl State {
    /// The deliveries of a version to this node's stores and to shared ones.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn deliveries(&self, version_id: &str) -> Result<Vec<DeliveryRow>> {
        let rows = sqlx::query("SELECT * FROM delivery WHERE version_id = $1 AND (node = $2 OR node = '')")
            .bind(version_id)
            .bind(self.node())
            .fetch_all(self.reader())
            .await?;
        rows.iter().map(DeliveryRow::read).collect()
    }

    /// Current versions that this node's stores and shared ones are said to have, by certificate, from `after` on.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn stored_deliveries(&self, after: (&str, &str), limit: u32) -> Result<Vec<DeliveryRow>> {
        let rows = sqlx::query(
            "SELECT d.* FROM delivery d JOIN certificate c ON c.version_id = d.version_id \
             WHERE d.state = 'stored' AND (d.node = $1 OR d.node = '') AND c.retired_at IS NULL \
             AND (d.certificate > $2 OR (d.certificate = $2 AND d.store > $3)) \
             ORDER BY d.certificate, d.store LIMIT $4",
        )
        .bind(self.node())
        .bind(after.0)
        .bind(after.1)
        .bind(i64::from(limit))
        .fetch_all(self.reader())
        .await?;
        rows.iter().map(DeliveryRow::read).collect()
    }

    /// How many deliveries of current versions are in each (store, stored).
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn count_deliveries(&self) -> Result<Vec<(String, bool, u32)>> {
        let rows = sqlx::query(
            "SELECT d.store AS store, d.state AS state, COUNT(*) AS amount FROM delivery d \
             JOIN certificate c ON c.version_id = d.version_id GROUP BY d.store, d.state",
        )
        .fetch_all(self.reader())
        .await?;
        rows.iter()
            .map(|row| Ok((text(row, "store")?, text(row, "state")? == "stored", count(row, "amount")?)))
            .collect()
    }

    /// A delivery that is wanted: due, unless it stands already.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn add_delivery(&self, version_id: &str, certificate: &str, store: &str, node: &str) -> Result<()> {
        let mut write = self.begin().await?;
        insert(&mut write, version_id, certificate, store, node, false, Timestamp::EPOCH).await?;
        write.commit().await?;
        Ok(())
    }

    /// The store has the version.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn delivered(&self, version_id: &str, store: &str, node: &str, now: Timestamp) -> Result<()> {
        self.delivered_and_tell((version_id, store, node), &News::default(), now).await
    }

    /// The same, and what is to be told of it in the same transaction.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn delivered_and_tell(
        &self,
        (version_id, store, node): (&str, &str, &str),
        news: &News,
        now: Timestamp,
    ) -> Result<()> {
        let mut write = self.begin().await?;
        sqlx::query(sqlx::AssertSqlSafe(format!(
            "UPDATE delivery SET state = 'stored', stored_at = $4, failures = 0, retry_at = 0, error = NULL {OF}"
        )))
        .bind(version_id)
        .bind(store)
        .bind(node)
        .bind(now.millis())
        .execute(&mut *write)
        .await?;
        self.commit_and_tell(write, news, now).await
    }

    /// A put failed and is tried again later.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn delivery_failed(
        &self,
        delivery: &DeliveryRow,
        error: &str,
        now: Timestamp,
        wait: Duration,
    ) -> Result<()> {
        self.delivery_failed_and_tell(delivery, (error, wait), &News::default(), now).await
    }

    /// The same, and what is to be told of it in the same transaction.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn delivery_failed_and_tell(
        &self,
        delivery: &DeliveryRow,
        (error, wait): (&str, Duration),
        news: &News,
        now: Timestamp,
    ) -> Result<()> {
        let mut write = self.begin().await?;
        sqlx::query(sqlx::AssertSqlSafe(format!(
            "UPDATE delivery SET failures = failures + 1, retry_at = $4, error = $5 {OF}"
        )))
        .bind(&delivery.version_id)
        .bind(&delivery.store)
        .bind(&delivery.node)
        .bind(now.plus(wait).millis())
        .bind(error)
        .execute(&mut *write)
        .await?;
        self.commit_and_tell(write, news, now).await
    }

    /// The store was found not to have what it should: the version is put again.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn redeliver(&self, version_id: &str, store: &str, node: &str) -> Result<()> {
        sqlx::query(sqlx::AssertSqlSafe(format!("UPDATE delivery SET state = 'due', failures = 0, retry_at = 0 {OF}")))
            .bind(version_id)
            .bind(store)
            .bind(node)
            .execute(self.writer())
            .await?;
        Ok(())
    }
}
