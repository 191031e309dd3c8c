//! TXT values that we owe a deletion: written before they are presented, closed when they are withdrawn.

use std::time::Duration;

use sqlx::any::{AnyArguments, AnyRow};
use sqlx::query::Query;
use sqlx::{Any, AssertSqlSafe};

use super::row::{count, optional_text, text, time};
use super::{Result, State};
use crate::clock::Timestamp;

/// One TXT value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TxtRow {
    /// UUIDv7.
    pub id: String,
    /// The order it is for.
    pub order_id: String,
    /// The certificate's name.
    pub certificate: String,
    /// The DNS instance, as the config names it.
    pub instance: String,
    /// The zone.
    pub zone: String,
    /// The name in that zone.
    pub name: String,
    /// The value.
    pub value: String,
    /// The name before CNAMEs were followed.
    pub challenge_name: String,
    /// Failed withdrawals in a row.
    pub failures: u32,
    /// No withdrawal before this.
    pub retry_at: Timestamp,
    /// Why the last withdrawal failed.
    pub error: Option<String>,
}

/// What is needed to write a TXT value down.
#[derive(Debug)]
pub struct NewTxt<'a> {
    /// The order it is for.
    pub order_id: &'a str,
    /// The certificate's name.
    pub certificate: &'a str,
    /// The DNS instance.
    pub instance: &'a str,
    /// The zone.
    pub zone: &'a str,
    /// The name in that zone.
    pub name: &'a str,
    /// The value.
    pub value: &'a str,
    /// The name before CNAMEs were followed.
    pub challenge_name: &'a str,
}

impl NewTxt<'_> {
    /// Writes it down under this id; nobody withdraws it before `retry_at`.
    fn insertion<'q>(
        &'q self,
        id: &'q str,
        on_conflict: &str,
        now: Timestamp,
        retry_at: Timestamp,
    ) -> Query<'q, Any, AnyArguments> {
        sqlx::query(AssertSqlSafe(format!(
            "INSERT INTO txt (id, order_id, certificate, instance, zone, name, value, challenge_name, created_at, \
             failures, retry_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0, $10) {on_conflict}"
        )))
        .bind(id)
        .bind(self.order_id)
        .bind(self.certificate)
        .bind(self.instance)
        .bind(self.zone)
        .bind(self.name)
        .bind(self.value)
        .bind(self.challenge_name)
        .bind(now.millis())
        .bind(retry_at.millis())
    }
}

impl TxtRow {
    fn read(row: &AnyRow) -> Result<Self> {
        Ok(Self {
            id: text(row, "id")?,
            order_id: text(row, "order_id")?,
            certificate: text(row, "certificate")?,
            instance: text(row, "instance")?,
            zone: text(row, "zone")?,
            name: text(row, "name")?,
            value: text(row, "value")?,
            challenge_name: text(row, "challenge_name")?,
            failures: count(row, "failures")?,
            retry_at: time(row, "retry_at")?,
            error: optional_text(row, "error")?,
        })
    }
}

impl State {
    /// Writes TXT values down, in one transaction, before they are presented. One that stands already stays, and is owed
    /// a withdrawal again where it was withdrawn.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn add_txts(&self, new: &[NewTxt<'_>], now: Timestamp) -> Result<()> {
        let mut write = self.begin().await?;
        for txt in new {
            let again = "ON CONFLICT (order_id, instance, zone, name, value) \
                 DO UPDATE SET withdrawn_at = NULL, failures = 0, retry_at = 0, error = NULL";
            let id = super::new_id();
            txt.insertion(&id, again, now, Timestamp::EPOCH).execute(&mut *write).await?;
        }
        write.commit().await?;
        Ok(())
    }

    /// Writes one value down that no order asked for, before it is presented; nobody but its writer withdraws it before
    /// `until`. Returns its id.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn add_held_txt(&self, txt: &NewTxt<'_>, now: Timestamp, until: Timestamp) -> Result<String> {
        let id = super::new_id();
        txt.insertion(&id, "", now, until).execute(self.writer()).await?;
        Ok(id)
    }

    /// The values of a certificate that are not withdrawn.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn owed_txts(&self, certificate: &str) -> Result<Vec<TxtRow>> {
        let rows = sqlx::query("SELECT * FROM txt WHERE certificate = $1 AND withdrawn_at IS NULL ORDER BY id")
            .bind(certificate)
            .fetch_all(self.reader())
            .await?;
        rows.iter().map(TxtRow::read).collect()
    }

    /// The values are withdrawn.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn txts_withdrawn(&self, ids: &[String], now: Timestamp) -> Result<()> {
        let mut write = self.begin().await?;
        for id in ids {
            sqlx::query("UPDATE txt SET withdrawn_at = $2, error = NULL WHERE id = $1")
                .bind(id)
                .bind(now.millis())
                .execute(&mut *write)
                .await?;
        }
        write.commit().await?;
        Ok(())
    }

    /// A withdrawal failed and is tried again later.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn txt_withdrawal_failed(&self, id: &str, error: &str, now: Timestamp, wait: Duration) -> Result<()> {
        sqlx::query("UPDATE txt SET failures = failures + 1, retry_at = $2, error = $3 WHERE id = $1")
            .bind(id)
            .bind(now.plus(wait).millis())
            .bind(error)
            .execute(self.writer())
            .await?;
        Ok(())
    }

    /// How many values are owed a withdrawal in all.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn count_owed_txts(&self) -> Result<u32> {
        let count: i64 =
            sqlx::query_scalar("SELECT COUNT(*) FROM txt WHERE withdrawn_at IS NULL").fetch_one(self.reader()).await?;
        Ok(u32::try_from(count).unwrap_or(u32::MAX))
    }
}
