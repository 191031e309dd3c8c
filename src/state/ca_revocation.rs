//! What has been revoked, held and released: columns of the leaves of private CAs.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::any::AnyRow;

use super::ca_leaf::{numbered, padded};
use super::row::{integer, optional_time, text, time};
use super::{Result, State, Write, client, crl};
use crate::clock::Timestamp;

/// Serials that one statement asks for: a power of two.
const PIECE: usize = 512;

/// How a leaf of a private CA stands, and where that is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaStatusRow {
    /// The CA's name in the config.
    pub ca: String,
    /// Lower-case hex.
    pub serial: String,
    /// The generation that has signed it.
    pub generation: u32,
    /// The CRL that it stands in when it is revoked.
    pub shard: u32,
    /// Not valid after.
    pub not_after: Timestamp,
    /// Since when it is revoked; `None`: it is not.
    pub revoked_at: Option<Timestamp>,
    /// RFC 5280's number of the reason; 6: on hold.
    pub reason: Option<u8>,
    /// When its last hold ended, whatever came after it.
    pub released_at: Option<Timestamp>,
}

/// How much a generation has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CaCounts {
    /// The generation.
    pub generation: u32,
    /// Certificates on record, without those of its own OCSP responders.
    pub certificates: u64,
    /// Those of them that are revoked or on hold.
    pub revoked: u64,
}

const COLUMNS: &str = "ca, serial, generation, shard, not_after, revoked_at, revocation_reason, released_at";

impl CaStatusRow {
    fn read(row: &AnyRow) -> Result<Self> {
        let small = |column| Ok::<_, super::StateError>(u32::try_from(integer(row, column)?).unwrap_or(u32::MAX));
        let revoked_at = optional_time(row, "revoked_at")?;
        let reason = match revoked_at {
            Some(_) => Some(u8::try_from(integer(row, "revocation_reason")?).unwrap_or(0)),
            None => None,
        };
        Ok(Self {
            ca: text(row, "ca")?,
            serial: text(row, "serial")?,
            generation: small("generation")?,
            shard: small("shard")?,
            not_after: time(row, "not_after")?,
            revoked_at,
            reason,
            released_at: optional_time(row, "released_at")?,
        })
    }

    /// When it last came to stand as it does; `None`: it has never been revoked.
    #[must_use]
    pub fn changed_at(&self) -> Option<Timestamp> {
        self.revoked_at.max(self.released_at)
    }
}

impl State {
    /// How leaves of a CA stand: those of these serials that it has issued.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn ca_statuses(&self, ca: &str, serials: &[&str]) -> Result<Vec<CaStatusRow>> {
        let mut found = Vec::with_capacity(serials.len());
        for piece in serials.chunks(PIECE) {
            let piece = padded(piece);
            let numbers = numbered(2, piece.len(), |number| format!("${number}"));
            let statement = format!("SELECT {COLUMNS} FROM ca_certificate WHERE ca = $1 AND serial IN ({numbers})");
            let query = sqlx::query(sqlx::AssertSqlSafe(statement)).bind(ca);
            let query = piece.into_iter().fold(query, |query, serial| query.bind(*serial));
            for row in &query.fetch_all(self.reader()).await? {
                found.push(CaStatusRow::read(row)?);
            }
        }
        Ok(found)
    }

    /// Writes down how leaves stand now, that the lists which they are in are to be made anew, and how much of this
    /// node's log of revocations (`mark`) the database knows: all of it or nothing.
    ///
    /// A serial that is not on record (the database is older than the log) is put on record with nothing but this.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn write_ca_statuses(&self, rows: &[CaStatusRow], mark: &str) -> Result<()> {
        let mut write = self.begin().await?;
        for row in rows {
            write_status(&mut write, row).await?;
        }
        let lists: BTreeSet<_> = rows.iter().map(|row| (row.ca.as_str(), row.generation, row.shard)).collect();
        for (ca, generation, shard) in lists {
            crl::outdate(&mut write, ca, generation, shard).await?;
        }
        sqlx::query(
            "INSERT INTO meta (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        )
        .bind(mark_name(self.node()))
        .bind(mark)
        .execute(&mut *write)
        .await?;
        write.commit().await?;
        Ok(())
    }

    /// How many certificates each generation of a CA has issued to others than its own OCSP responders, and revoked.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn ca_counts(&self, ca: &str) -> Result<Vec<CaCounts>> {
        // Each is answered from an index, whatever stands in the rows. `!` comes next after a blank.
        const RESPONDERS: &str = "AND order_id >= 'ocsp ' AND order_id < 'ocsp!'";
        let all = self.counts_by_generation("", ca).await?;
        let responders = self.counts_by_generation(RESPONDERS, ca).await?;
        let revoked = self.counts_by_generation("AND revoked_at IS NOT NULL", ca).await?;
        let of = |counts: &BTreeMap<u32, u64>, generation: &u32| counts.get(generation).copied().unwrap_or(0);
        let counts = all.iter().map(|(generation, count)| CaCounts {
            generation: *generation,
            certificates: count.saturating_sub(of(&responders, generation)),
            revoked: of(&revoked, generation),
        });
        Ok(counts.collect())
    }

    async fn counts_by_generation(&self, which: &str, ca: &str) -> Result<BTreeMap<u32, u64>> {
        let statement = format!(
            "SELECT generation, COUNT(*) AS count FROM ca_certificate WHERE ca = $1 {which} GROUP BY generation"
        );
        let found = sqlx::query(sqlx::AssertSqlSafe(statement)).bind(ca).fetch_all(self.reader()).await?;
        let count = |row: &AnyRow| {
            let generation = u32::try_from(integer(row, "generation")?).unwrap_or(u32::MAX);
            Ok((generation, u64::try_from(integer(row, "count")?).unwrap_or(0)))
        };
        found.iter().map(count).collect()
    }

    /// How much of this node's log of revocations the database knows, as `write_ca_statuses` was told.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn revocations_mark(&self) -> Result<Option<String>> {
        Ok(sqlx::query_scalar("SELECT value FROM meta WHERE name = $1")
            .bind(mark_name(self.node()))
            .fetch_optional(self.reader())
            .await?)
    }
}

async fn write_status(write: &mut Write, row: &CaStatusRow) -> Result<()> {
    let written = sqlx::query(
        "UPDATE ca_certificate SET revoked_at = $3, revocation_reason = $4, released_at = $5 \
         WHERE ca = $1 AND serial = $2",
    )
    .bind(&row.ca)
    .bind(&row.serial)
    .bind(row.revoked_at.map(Timestamp::millis))
    .bind(row.reason.map(i64::from))
    .bind(row.released_at.map(Timestamp::millis))
    .execute(&mut **write)
    .await?;
    match written.rows_affected() {
        0 => remember(write, row).await,
        _ => client::certificate::follow(write, &row.ca, &row.serial).await,
    }
}

/// Puts a serial on record of which nothing is left but that it was revoked once.
async fn remember(write: &mut Write, row: &CaStatusRow) -> Result<()> {
    sqlx::query(
        "INSERT INTO ca_certificate (ca, serial, generation, order_id, names, not_before, not_after, created_at, \
         shard, revoked_at, revocation_reason, released_at) VALUES ($1, $2, $3, $4, '[]', $5, $6, $5, $7, $8, $9, $10)",
    )
    .bind(&row.ca)
    .bind(&row.serial)
    .bind(i64::from(row.generation))
    .bind(format!("revoked {}", row.serial))
    .bind(row.changed_at().unwrap_or(Timestamp::EPOCH).millis())
    .bind(row.not_after.millis())
    .bind(i64::from(row.shard))
    .bind(row.revoked_at.map(Timestamp::millis))
    .bind(row.reason.map(i64::from))
    .bind(row.released_at.map(Timestamp::millis))
    .execute(&mut **write)
    .await?;
    Ok(())
}

fn mark_name(node: &str) -> String {
    format!("revocations_log {node}")
}
