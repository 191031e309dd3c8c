//! Single facts: the highest time seen, and what else there is one of.

use super::{Result, State};
use crate::clock::Timestamp;

const HIGHEST_TIME: &str = "highest_time";

impl State {
    /// The highest time that any daemon on this state has seen.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn highest_time(&self) -> Result<Option<Timestamp>> {
        let found: Option<String> = sqlx::query_scalar("SELECT value FROM meta WHERE name = $1")
            .bind(HIGHEST_TIME)
            .fetch_optional(self.reader())
            .await?;
        Ok(found.and_then(|text| text.parse().ok()).map(Timestamp::from_millis))
    }

    /// Remembers `now`, which the caller knows to be higher than what is stored.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn remember_time(&self, now: Timestamp) -> Result<()> {
        sqlx::query(
            "INSERT INTO meta (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        )
        .bind(HIGHEST_TIME)
        .bind(now.millis().to_string())
        .execute(self.writer())
        .await?;
        Ok(())
    }
}
