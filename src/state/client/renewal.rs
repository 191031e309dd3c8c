//! Renewal without being asked: whose turn has come, and how long whoever failed is left alone.

use super::ClientRow;
use crate::clock::Timestamp;
use crate::state::{Result, State};

impl State {
    /// Identities to be renewed by now, the longest due first.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn due_clients(&self, now: Timestamp, limit: u32) -> Result<Vec<ClientRow>> {
        let rows = sqlx::query("SELECT * FROM client WHERE renew_next <= $1 ORDER BY renew_next LIMIT $2")
            .bind(now.millis())
            .bind(i64::from(limit))
            .fetch_all(self.reader())
            .await?;
        rows.iter().map(ClientRow::read).collect()
    }

    /// When the next identity is to be renewed.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn next_client_renewal(&self) -> Result<Option<Timestamp>> {
        let found = "SELECT renew_next FROM client WHERE renew_next IS NOT NULL ORDER BY renew_next LIMIT 1";
        let found: Option<i64> = sqlx::query_scalar(found).fetch_optional(self.reader()).await?;
        Ok(found.map(Timestamp::from_millis))
    }

    /// A renewal failed: it is tried again at `next`.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn client_renewal_failed(&self, id: &str, error: &str, next: Timestamp) -> Result<()> {
        sqlx::query(
            "UPDATE client SET renew_failures = renew_failures + 1, renew_error = $2, renew_next = $3 \
             WHERE id = $1 AND renew_next IS NOT NULL",
        )
        .bind(id)
        .bind(error)
        .bind(next.millis())
        .execute(self.writer())
        .await?;
        Ok(())
    }

    /// From now on an identity is renewed without being asked, or no longer. Whether there is such an identity.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn set_client_renewal(&self, id: &str, auto_renew: bool) -> Result<bool> {
        let done = sqlx::query(
            "UPDATE client SET auto_renew = $2, renew_failures = 0, renew_error = NULL, \
             renew_next = CASE WHEN $2 = 1 AND standing = 'active' THEN renew_at ELSE NULL END WHERE id = $1",
        )
        .bind(id)
        .bind(i64::from(auto_renew))
        .execute(self.writer())
        .await?;
        self.wake();
        Ok(done.rows_affected() > 0)
    }
}
