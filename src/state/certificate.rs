//! Certificates: where each stands, and when to look again.

use sqlx::any::AnyRow;

use super::row::{count, integer, optional_count, optional_text, optional_time, parsed, text, time};
use super::{Result, State, Write};
use crate::clock::Timestamp;

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name { $($(#[$variant_doc])* $variant,)* }

        impl $name {
            /// As the database and people write it.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }

            /// From that word.
            #[must_use]
            pub fn parse(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)* _ => None }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str(self.as_str())
            }
        }
    };
}
pub(super) use words;

words! {
    /// How far a certificate has come.
    CertificateState {
        /// Nothing was done yet.
        Pending = "pending",
        /// It waits for somebody: a CNAME to be published, a time to come.
        Waiting = "waiting",
        /// An order is on its way.
        Ordering = "ordering",
        /// There is a certificate, and not every store has it.
        Issued = "issued",
        /// Every store has it, and not every consumer was told.
        Stored = "stored",
        /// Every consumer was told.
        Deployed = "deployed",
        /// It was seen to be served wherever `verify` says.
        Served = "served",
        /// It was taken out of the config.
        Retired = "retired",
        /// The current version is revoked and is not to be replaced.
        Revoked = "revoked",
    }
}

/// One certificate.
#[derive(Debug, Clone)]
pub struct CertificateRow {
    /// Its name.
    pub name: String,
    /// The fingerprint of what the config wanted when it was last looked at.
    pub definition: String,
    /// How far it has come.
    pub state: CertificateState,
    /// What is wrong, in words.
    pub problem: Option<String>,
    /// Why the last action was taken: a `planner::Reason` in JSON.
    pub reason: Option<String>,
    /// When that was.
    pub decided_at: Option<Timestamp>,
    /// When there may be something to do.
    pub look_again_at: Timestamp,
    /// The stores were searched for something to adopt.
    pub inspected: bool,
    /// Failed orders in a row.
    pub failures: u32,
    /// No new order before this.
    pub retry_at: Timestamp,
    /// What the last failure said.
    pub last_error: Option<String>,
    /// When that was.
    pub last_error_at: Option<Timestamp>,
    /// The current version.
    pub version_id: Option<String>,
    /// When the current version expires.
    pub not_after: Option<Timestamp>,
    /// How many attempts can be made before that.
    pub attempts_left: Option<u32>,
    /// When it first stood in the config.
    pub created_at: Timestamp,
    /// When it was taken out of the config.
    pub retired_at: Option<Timestamp>,
}

impl CertificateRow {
    fn read(row: &AnyRow) -> Result<Self> {
        Self::read_with(row, "created_at")
    }

    /// Reads a row that has another table's `created_at`, and the certificate's own under this name.
    pub(super) fn read_with(row: &AnyRow, created_at: &str) -> Result<Self> {
        Ok(Self {
            name: text(row, "name")?,
            definition: text(row, "definition")?,
            state: parsed(row, "certificate", "state", CertificateState::parse)?,
            problem: optional_text(row, "problem")?,
            reason: optional_text(row, "reason")?,
            decided_at: optional_time(row, "decided_at")?,
            look_again_at: time(row, "look_again_at")?,
            inspected: integer(row, "inspected")? != 0,
            failures: count(row, "failures")?,
            retry_at: time(row, "retry_at")?,
            last_error: optional_text(row, "last_error")?,
            last_error_at: optional_time(row, "last_error_at")?,
            version_id: optional_text(row, "version_id")?,
            not_after: optional_time(row, "not_after")?,
            attempts_left: optional_count(row, "attempts_left")?,
            created_at: time(row, created_at)?,
            retired_at: optional_time(row, "retired_at")?,
        })
    }
}

/// What the worker found out about a certificate that it has done with for now.
#[derive(Debug, Clone)]
pub struct Standing {
    /// How far it has come.
    pub state: CertificateState,
    /// What is wrong, in words.
    pub problem: Option<String>,
    /// When there may be something to do.
    pub look_again_at: Timestamp,
    /// How many attempts can be made before it expires; `None`: nothing can expire.
    pub attempts_left: Option<u32>,
    /// They are fewer than the config wants.
    pub too_few: bool,
}

/// How many certificates there are, by what `/health` and `/metrics` tell.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Not retired.
    pub managed: u32,
    /// With a problem.
    pub troubled: u32,
    /// Without a certificate in force.
    pub without: u32,
    /// Whose last attempts to order failed.
    pub failing: u32,
    /// Whose certificate has expired; one that was revoked for good does not count.
    pub expired: u32,
}

impl State {
    /// The certificate of that name.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn certificate(&self, name: &str) -> Result<Option<CertificateRow>> {
        let found =
            sqlx::query("SELECT * FROM certificate WHERE name = $1").bind(name).fetch_optional(self.reader()).await?;
        found.as_ref().map(CertificateRow::read).transpose()
    }

    /// Certificates after `after`, by name, `limit` at the most.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn certificates(&self, after: &str, limit: u32) -> Result<Vec<CertificateRow>> {
        let rows = sqlx::query("SELECT * FROM certificate WHERE name > $1 ORDER BY name LIMIT $2")
            .bind(after)
            .bind(i64::from(limit))
            .fetch_all(self.reader())
            .await?;
        rows.iter().map(CertificateRow::read).collect()
    }

    /// The names, definitions and retirement of all certificates: what a new config is held against.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn definitions(&self) -> Result<Vec<(String, String, bool)>> {
        let rows = sqlx::query("SELECT name, definition, retired_at FROM certificate").fetch_all(self.reader()).await?;
        rows.iter()
            .map(|row| Ok((text(row, "name")?, text(row, "definition")?, optional_time(row, "retired_at")?.is_some())))
            .collect()
    }

    /// The names that are due: those that have no certificate yet and those that have one in turns, so that neither kind
    /// waits for all of the other; of the latter the soonest expiry first.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn due(&self, now: Timestamp, limit: u32) -> Result<Vec<String>> {
        let mut names = in_turns(self.due_by(DUE_NEW, now, limit).await?, self.due_by(DUE_OLD, now, limit).await?);
        names.truncate(limit as usize);
        Ok(names)
    }

    async fn due_by(&self, statement: &'static str, now: Timestamp, limit: u32) -> Result<Vec<String>> {
        let query = sqlx::query_scalar(statement).bind(now.millis()).bind(i64::from(limit));
        Ok(query.fetch_all(self.reader()).await?)
    }

    /// When the first certificate that is not due yet becomes due.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn next_due(&self, now: Timestamp) -> Result<Option<Timestamp>> {
        let next: Option<i64> = sqlx::query_scalar(
            "SELECT look_again_at FROM certificate WHERE look_again_at > $1 ORDER BY look_again_at LIMIT 1",
        )
        .bind(now.millis())
        .fetch_optional(self.reader())
        .await?;
        Ok(next.map(Timestamp::from_millis))
    }

    /// Numbers for `/health` and `/metrics`.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn tally(&self, now: Timestamp) -> Result<Tally> {
        let row = sqlx::query(
            "SELECT COUNT(*) AS managed, COUNT(problem) AS troubled, \
             COALESCE(SUM(CASE WHEN COALESCE(not_after, 0) <= $1 THEN 1 ELSE 0 END), 0) AS without, \
             COALESCE(SUM(CASE WHEN failures > 0 THEN 1 ELSE 0 END), 0) AS failing, \
             COALESCE(SUM(CASE WHEN not_after <= $1 AND state <> 'revoked' THEN 1 ELSE 0 END), 0) AS expired \
             FROM certificate WHERE retired_at IS NULL",
        )
        .bind(now.millis())
        .fetch_one(self.reader())
        .await?;
        Ok(Tally {
            managed: count(&row, "managed")?,
            troubled: count(&row, "troubled")?,
            without: count(&row, "without")?,
            failing: count(&row, "failing")?,
            expired: count(&row, "expired")?,
        })
    }

    /// How many certificates have fewer attempts left before they expire than the config wants.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn count_too_few(&self) -> Result<u32> {
        let count: i64 =
            sqlx::query_scalar("SELECT COUNT(*) FROM certificate WHERE too_few = 1").fetch_one(self.reader()).await?;
        Ok(u32::try_from(count).unwrap_or(u32::MAX))
    }

    /// How many attempts are left before the certificates expire that expire first, `limit` at the most.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn attempts_left(&self, limit: u32) -> Result<Vec<(String, u32)>> {
        let rows = sqlx::query(
            "SELECT name, attempts_left FROM certificate WHERE attempts_left IS NOT NULL AND retired_at IS NULL \
             ORDER BY not_after LIMIT $1",
        )
        .bind(i64::from(limit))
        .fetch_all(self.reader())
        .await?;
        rows.iter().map(|row| Ok((text(row, "name")?, count(row, "attempts_left")?))).collect()
    }

    /// Puts a certificate down until `look_again_at`.
    ///
    /// `looked_at` is the `look_again_at` that was read when it was taken up: where somebody has written another since
    /// (a job, a reload), that one stays, and the certificate is due again at once.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn put_down(&self, name: &str, looked_at: Timestamp, standing: &Standing) -> Result<()> {
        sqlx::query(
            "UPDATE certificate SET state = $2, problem = $3, attempts_left = $6, too_few = $7, \
             look_again_at = CASE WHEN look_again_at = $5 THEN $4 ELSE look_again_at END WHERE name = $1",
        )
        .bind(name)
        .bind(standing.state.as_str())
        .bind(standing.problem.as_deref())
        .bind(standing.look_again_at.millis())
        .bind(looked_at.millis())
        .bind(standing.attempts_left.map(i64::from))
        .bind(i64::from(standing.too_few))
        .execute(self.writer())
        .await?;
        Ok(())
    }

    /// Makes a certificate due at once.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn look_now(&self, name: &str, now: Timestamp) -> Result<()> {
        sqlx::query(LOOK_NOW).bind(name).bind(now.millis()).execute(self.writer()).await?;
        self.wake();
        Ok(())
    }

    /// What has a problem is tried again at once: the config changed in a way that may have mended it. What a CA has
    /// put off stays put off.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn retry_troubled(&self, now: Timestamp) -> Result<()> {
        let mut write = self.begin().await?;
        for statement in [
            "UPDATE acme_order SET next_step_at = $1 WHERE state = 'open' AND waits_for IS NOT NULL",
            "UPDATE obstacle SET retry_at = $1 WHERE kind IN ('operator', 'held') AND retry_at > $1",
            "UPDATE delivery SET retry_at = 0 WHERE state = 'due' AND retry_at > $1",
            "UPDATE deployment SET retry_at = 0 WHERE state = 'due' AND retry_at > $1",
            "UPDATE txt SET retry_at = 0 WHERE withdrawn_at IS NULL AND retry_at > $1",
            "UPDATE certificate SET look_again_at = $1 WHERE problem IS NOT NULL AND look_again_at > $1",
        ] {
            sqlx::query(statement).bind(now.millis()).execute(&mut *write).await?;
        }
        write.commit().await?;
        self.wake();
        Ok(())
    }

    /// The stores were searched for something to adopt.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn inspected(&self, name: &str) -> Result<()> {
        sqlx::query("UPDATE certificate SET inspected = 1 WHERE name = $1").bind(name).execute(self.writer()).await?;
        Ok(())
    }

    /// Forgets backoff: somebody has asked for an attempt now. A CA's limits are kept all the same.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn forget_backoff(&self, name: &str) -> Result<()> {
        let mut write = self.begin().await?;
        for statement in [
            "UPDATE certificate SET retry_at = 0 WHERE name = $1",
            "UPDATE obstacle SET retry_at = 0 WHERE certificate = $1",
        ] {
            sqlx::query(statement).bind(name).execute(&mut *write).await?;
        }
        write.commit().await?;
        Ok(())
    }

    /// A new certificate of the config, due at once; one that was retired goes on with the version that it has.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn enlist(&self, write: &mut Write, name: &str, definition: &str, now: Timestamp) -> Result<()> {
        sqlx::query(
            "INSERT INTO certificate \
             (name, definition, state, look_again_at, inspected, failures, retry_at, created_at) \
             VALUES ($1, $2, 'pending', $3, 0, 0, 0, $3) \
             ON CONFLICT (name) DO UPDATE SET definition = excluded.definition, look_again_at = excluded.look_again_at, \
             retired_at = NULL, retry_at = 0",
        )
        .bind(name)
        .bind(definition)
        .bind(now.millis())
        .execute(&mut **write)
        .await?;
        // What was refused may be mended, and what was held back may be no longer what is wanted: limits are held against
        // the next order anew. What a CA put off stays put off.
        sqlx::query(
            "UPDATE obstacle SET retry_at = 0 WHERE certificate = $1 AND kind IN ('refused', 'operator', 'held')",
        )
        .bind(name)
        .execute(&mut **write)
        .await?;
        Ok(())
    }

    /// A certificate that is no longer in the config.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn retire(&self, write: &mut Write, name: &str, now: Timestamp) -> Result<()> {
        sqlx::query(
            "UPDATE certificate SET retired_at = $2, state = 'retired', look_again_at = $2, too_few = 0, \
             attempts_left = NULL WHERE name = $1",
        )
        .bind(name)
        .bind(now.millis())
        .execute(&mut **write)
        .await?;
        super::obstacle::forget(write, name).await?;
        Ok(())
    }
}

const DUE_NEW: &str =
    "SELECT name FROM certificate WHERE look_again_at <= $1 AND not_after IS NULL ORDER BY name LIMIT $2";

const DUE_OLD: &str = "SELECT name FROM certificate WHERE look_again_at <= $1 AND not_after IS NOT NULL \
     ORDER BY not_after, name LIMIT $2";

/// One of the first, one of the second and so on, until there is no more of either.
fn in_turns(first: Vec<String>, second: Vec<String>) -> Vec<String> {
    let mut second = second.into_iter();
    let mut names = Vec::with_capacity(first.len() + second.len());
    for name in first {
        names.push(name);
        names.extend(second.next());
    }
    names.extend(second);
    names
}

/// An order was decided on, for this reason (JSON).
pub(super) async fn note_decision(write: &mut Write, name: &str, reason: &str, now: Timestamp) -> Result<()> {
    sqlx::query("UPDATE certificate SET state = 'ordering', reason = $2, decided_at = $3 WHERE name = $1")
        .bind(name)
        .bind(reason)
        .bind(now.millis())
        .execute(&mut **write)
        .await?;
    Ok(())
}

/// Due at once; never by the value that whoever works on it has read, so that `put_down` notices.
pub(super) const LOOK_NOW: &str =
    "UPDATE certificate SET look_again_at = CASE WHEN look_again_at = $2 THEN $2 - 1 ELSE $2 END WHERE name = $1";

/// A failed order is remembered on its certificate, after the obstacle that it met.
pub(super) async fn note_failure(write: &mut Write, name: &str, error: &str, now: Timestamp) -> Result<()> {
    sqlx::query(
        "UPDATE certificate SET failures = failures + 1, last_error = $2, last_error_at = $3, \
         retry_at = COALESCE((SELECT MIN(retry_at) FROM obstacle WHERE certificate = $1), 0) WHERE name = $1",
    )
    .bind(name)
    .bind(error)
    .bind(now.millis())
    .execute(&mut **write)
    .await?;
    Ok(())
}
