//! Renewal without being asked: whose turn has come, and how long whoever failed is left alone.

use super::{ClientRow, ClientStanding};
use crate::clock::Timestamp;
use crate::state::{Result, State};

/// Why an identity that would renew itself rests. It is found by these words, so they stay as they are.
const ORPHANED: &str = "its CA is not in the config any more";

/// Rows of `meta` with this before a CA's name: clients of it rest.
const RESTING: &str = "clients_resting ";

impl ClientRow {
    /// It would be renewed without being asked, and is not: its CA was taken out of the config.
    #[must_use]
    pub fn is_orphaned(&self) -> bool {
        self.auto_renew && self.standing == ClientStanding::Active && self.renew_error.as_deref() == Some(ORPHANED)
    }
}

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

    /// Of the identities that renew themselves those rest whose CA is on record and none of `cas`: nobody tries, and
    /// nothing fails. Those that rested and whose CA is one of them again go on.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn rest_clients_but(&self, cas: &[String]) -> Result<()> {
        for ca in self.ca_names().await?.iter().filter(|name| !cas.contains(name)) {
            self.rest_clients_of(ca).await?;
        }
        let resting = "SELECT name FROM meta WHERE name >= $1 AND name < $2";
        let resting: Vec<String> = sqlx::query_scalar(resting)
            .bind(RESTING)
            // `!` comes next after a blank.
            .bind(RESTING.replace(' ', "!"))
            .fetch_all(self.reader())
            .await?;
        for name in resting {
            if let Some(ca) = name.strip_prefix(RESTING).filter(|ca| cas.iter().any(|known| known == ca)) {
                self.wake_clients_of(ca).await?;
            }
        }
        Ok(())
    }

    async fn rest_clients_of(&self, ca: &str) -> Result<()> {
        let mut write = self.begin().await?;
        let rested = sqlx::query(
            "UPDATE client SET renew_next = NULL, renew_failures = 0, renew_error = $2 \
             WHERE ca = $1 AND renew_next IS NOT NULL",
        )
        .bind(ca)
        .bind(ORPHANED)
        .execute(&mut *write)
        .await?;
        if rested.rows_affected() > 0 {
            sqlx::query("INSERT INTO meta (name, value) VALUES ($1, '') ON CONFLICT (name) DO NOTHING")
                .bind(format!("{RESTING}{ca}"))
                .execute(&mut *write)
                .await?;
        }
        write.commit().await?;
        Ok(())
    }

    async fn wake_clients_of(&self, ca: &str) -> Result<()> {
        let mut write = self.begin().await?;
        sqlx::query(
            "UPDATE client SET renew_error = NULL, \
             renew_next = CASE WHEN auto_renew = 1 AND standing = 'active' THEN renew_at ELSE NULL END \
             WHERE ca = $1 AND renew_error = $2",
        )
        .bind(ca)
        .bind(ORPHANED)
        .execute(&mut *write)
        .await?;
        sqlx::query("DELETE FROM meta WHERE name = $1").bind(format!("{RESTING}{ca}")).execute(&mut *write).await?;
        write.commit().await?;
        self.wake();
        Ok(())
    }

    /// How many identities of this CA would renew themselves.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn self_renewing_clients(&self, ca: &str) -> Result<u64> {
        let count = "SELECT COUNT(*) FROM client WHERE ca = $1 AND auto_renew = 1 AND standing = 'active'";
        let found: i64 = sqlx::query_scalar(count).bind(ca).fetch_one(self.reader()).await?;
        Ok(u64::try_from(found).unwrap_or(0))
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
