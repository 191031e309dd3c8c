//! CRLs of private CAs: the numbers that were given out, what was published, and the entries to be listed.

use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row as _};

use super::row::{integer, optional_text, text, time};
use super::{Result, State, StateError, Write};
use crate::clock::Timestamp;

/// The `shard` of the list of a whole generation, which no leaf names.
const WHOLE: i64 = -1;

/// Entries read at a time: more than a shard usually has, so that one question is enough.
const PAGE: u32 = 16_384;

/// One list: a CA's generation, and the shard of it, or all of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CrlName {
    /// The CA's name in the config.
    pub ca: String,
    /// The generation that signs; 0 is the root.
    pub generation: u32,
    /// The shard; `None`: the list of the whole generation.
    pub shard: Option<u32>,
}

/// What is known of one list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CrlRow {
    /// Which list.
    pub name: CrlName,
    /// The highest number that was ever given out for it, or for its delta.
    pub number: i64,
    /// What is published is all that there is to say; else it is to be made anew.
    pub current: bool,
    /// Of what is published; `None`: nothing was published yet.
    pub published: Option<Published>,
    /// The list that deltas are made to.
    pub base: Option<Base>,
}

/// The dates of a list that is in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Published {
    /// thisUpdate.
    pub this_update: Timestamp,
    /// nextUpdate.
    pub next_update: Timestamp,
}

/// A complete list that delta CRLs are made to (RFC 5280, section 5.2.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Base {
    /// Its number.
    pub number: i64,
    /// Its thisUpdate.
    pub this_update: Timestamp,
}

/// Which entries are asked for.
#[derive(Debug, Clone, Copy)]
pub struct EntriesOf<'a> {
    /// The CA's name in the config.
    pub ca: &'a str,
    /// The generation.
    pub generation: u32,
    /// The shard.
    pub shard: u32,
    /// Certificates that ended before are left out.
    pub ending_after: Timestamp,
    /// What came to be since then is marked.
    pub changed_since: Timestamp,
}

/// An entry as a list is made of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Lower-case hex.
    pub serial: &'a str,
    /// Since when it is revoked, or was released.
    pub at: Timestamp,
    /// RFC 5280's number of the reason.
    pub reason: u8,
    /// It came to stand so since the time that was asked for.
    pub changed: bool,
}

/// As many entries as are read at once, packed as the database gave them.
#[derive(Debug, Default)]
pub struct EntryPage {
    serials: String,
    standings: String,
}

impl CrlName {
    fn shard_column(&self) -> i64 {
        self.shard.map_or(WHOLE, i64::from)
    }
}

impl CrlRow {
    fn read(row: &AnyRow) -> Result<Self> {
        let small = |column| Ok::<_, StateError>(u32::try_from(integer(row, column)?).unwrap_or(u32::MAX));
        let shard = match integer(row, "shard")? {
            WHOLE => None,
            _ => Some(small("shard")?),
        };
        let (this_update, next_update) = (time(row, "this_update")?, time(row, "next_update")?);
        let base_number: Option<i64> = row.try_get("base_number")?;
        let base_update: Option<i64> = row.try_get("base_update")?;
        Ok(Self {
            name: CrlName { ca: text(row, "ca")?, generation: small("generation")?, shard },
            number: integer(row, "number")?,
            current: row.try_get::<Option<i64>, _>("published_at")?.is_some(),
            published: (next_update > Timestamp::EPOCH).then_some(Published { this_update, next_update }),
            base: base_number
                .zip(base_update)
                .map(|(number, update)| Base { number, this_update: Timestamp::from_millis(update) }),
        })
    }
}

impl EntryPage {
    fn read(row: &AnyRow) -> Result<Self> {
        let column = |name| Ok::<_, StateError>(optional_text(row, name)?.unwrap_or_default());
        Ok(Self { serials: column("serials")?, standings: column("standings")? })
    }

    /// The entries.
    pub fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        let mut standings = self.standings.bytes();
        self.serials.split_terminator(',').map(move |serial| {
            // The digits up to the next comma, one by one: there are a million of these numbers.
            let digits = standings.by_ref().take_while(|octet| *octet != b',');
            let packed = digits
                .fold(0_i64, |number, digit| number.wrapping_mul(10).wrapping_add(i64::from(digit.wrapping_sub(b'0'))));
            let reason = u8::try_from(packed / 2 % 16).unwrap_or(0);
            Entry { serial, at: Timestamp::from_millis(packed / 32), reason, changed: packed % 2 == 1 }
        })
    }

    /// Where the next page begins; `None`: this is the last one.
    #[must_use]
    pub fn last(&self) -> Option<&str> {
        let commas = self.serials.bytes().filter(|octet| *octet == b',').count();
        let is_full = commas + 1 >= PAGE as usize;
        is_full.then(|| self.serials.split_terminator(',').max()).flatten()
    }
}

/// The lists that the entries of a shard stand in say less than there is to say. Their numbers rise, so that a list
/// that is being made just now does not count as current when it is done.
pub(super) async fn outdate(write: &mut Write, ca: &str, generation: u32, shard: u32) -> Result<()> {
    sqlx::query(
        "UPDATE crl SET number = number + 1, published_at = NULL \
         WHERE ca = $1 AND generation = $2 AND shard IN ($3, $4) AND delta = 0",
    )
    .bind(ca)
    .bind(i64::from(generation))
    .bind(i64::from(shard))
    .bind(WHOLE)
    .execute(&mut **write)
    .await?;
    Ok(())
}

const SELECT: &str = "SELECT crl.ca, crl.generation, crl.shard, crl.number, crl.published_at, crl.this_update, \
                      crl.next_update, deltas.base_number, deltas.base_update FROM crl LEFT JOIN crl AS deltas \
                      ON deltas.ca = crl.ca AND deltas.generation = crl.generation AND deltas.shard = crl.shard \
                      AND deltas.delta = 1 WHERE crl.delta = 0";

impl State {
    /// Every list that was ever begun.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn crls(&self) -> Result<Vec<CrlRow>> {
        let statement = format!("{SELECT} ORDER BY crl.ca, crl.generation, crl.shard");
        let found = sqlx::query(AssertSqlSafe(statement)).fetch_all(self.reader()).await?;
        found.iter().map(CrlRow::read).collect()
    }

    /// One list; `None` where it was never begun.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn crl(&self, name: &CrlName) -> Result<Option<CrlRow>> {
        let statement = format!("{SELECT} AND crl.ca = $1 AND crl.generation = $2 AND crl.shard = $3");
        let found = sqlx::query(AssertSqlSafe(statement))
            .bind(&name.ca)
            .bind(i64::from(name.generation))
            .bind(name.shard_column())
            .fetch_optional(self.reader())
            .await?;
        found.as_ref().map(CrlRow::read).transpose()
    }

    /// Gives out the next number of a list: at least `least`, and above every one that was given out before.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn next_crl_number(&self, name: &CrlName, least: i64) -> Result<i64> {
        Ok(sqlx::query_scalar(
            "INSERT INTO crl (ca, generation, shard, delta, number, this_update, next_update) \
             VALUES ($1, $2, $3, 0, $4, 0, 0) ON CONFLICT (ca, generation, shard, delta) \
             DO UPDATE SET number = CASE WHEN crl.number >= excluded.number THEN crl.number + 1 \
             ELSE excluded.number END, published_at = NULL RETURNING number",
        )
        .bind(&name.ca)
        .bind(i64::from(name.generation))
        .bind(name.shard_column())
        .bind(least)
        .fetch_one(self.writer())
        .await?)
    }

    /// The list with this number, and the delta of the same number to `base`, are in their places. It counts as current
    /// unless there was more to say meanwhile.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn crl_published(
        &self,
        name: &CrlName,
        number: i64,
        dates: Published,
        base: Option<Base>,
        now: Timestamp,
    ) -> Result<()> {
        let mut write = self.begin().await?;
        sqlx::query(
            "UPDATE crl SET this_update = $4, next_update = $5, \
             published_at = CASE WHEN number = $6 THEN $7 ELSE NULL END \
             WHERE ca = $1 AND generation = $2 AND shard = $3 AND delta = 0",
        )
        .bind(&name.ca)
        .bind(i64::from(name.generation))
        .bind(name.shard_column())
        .bind(dates.this_update.millis())
        .bind(dates.next_update.millis())
        .bind(number)
        .bind(now.millis())
        .execute(&mut *write)
        .await?;
        if let Some(base) = base {
            write_delta(&mut write, name, number, dates, base, now).await?;
        }
        write.commit().await?;
        Ok(())
    }

    /// The next entries behind the serial `after`, by serial: certificates that are revoked.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn revoked_entries(&self, of: &EntriesOf<'_>, after: &str) -> Result<EntryPage> {
        let entries = "SELECT serial, (revoked_at * 16 + revocation_reason) * 2 + \
             CASE WHEN revoked_at >= $5 OR released_at >= $5 THEN 1 ELSE 0 END AS standing \
             FROM ca_certificate WHERE ca = $1 AND generation = $2 AND shard = $3 AND serial > $4 \
             AND revoked_at IS NOT NULL AND not_after >= $6 ORDER BY serial LIMIT $7";
        self.entry_page(entries, of, after).await
    }

    /// The next entries behind the serial `after`, by serial: certificates whose hold was released since the time that
    /// is asked for.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn released_entries(&self, of: &EntriesOf<'_>, after: &str) -> Result<EntryPage> {
        // Few are released: `|| ''` keeps SQLite from walking through all of a CA's serials in their order for them.
        let entries = "SELECT serial, (released_at * 16 + 8) * 2 + 1 AS standing FROM ca_certificate \
             WHERE ca = $1 AND generation = $2 AND shard = $3 AND serial || '' > $4 AND released_at >= $5 \
             AND revoked_at IS NULL AND not_after >= $6 ORDER BY serial || '' LIMIT $7";
        self.entry_page(entries, of, after).await
    }

    async fn entry_page(&self, entries: &str, of: &EntriesOf<'_>, after: &str) -> Result<EntryPage> {
        // The aggregates make one row of a page: a row costs more to fetch than its entries to read.
        let row = sqlx::query(AssertSqlSafe(format!(
            "SELECT string_agg(serial, ',') AS serials, string_agg(CAST(standing AS TEXT), ',') AS standings \
             FROM ({entries}) AS page"
        )))
        .bind(of.ca)
        .bind(i64::from(of.generation))
        .bind(i64::from(of.shard))
        .bind(after)
        .bind(of.changed_since.millis())
        .bind(of.ending_after.millis())
        .bind(i64::from(PAGE))
        .fetch_one(self.reader())
        .await?;
        EntryPage::read(&row)
    }

    /// The highest shard of a generation in which something is revoked.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn highest_revoked_shard(&self, ca: &str, generation: u32) -> Result<Option<u32>> {
        let highest: Option<i64> = sqlx::query_scalar(
            "SELECT MAX(shard) FROM ca_certificate WHERE ca = $1 AND generation = $2 AND revoked_at IS NOT NULL",
        )
        .bind(ca)
        .bind(i64::from(generation))
        .fetch_one(self.reader())
        .await?;
        Ok(highest.and_then(|shard| u32::try_from(shard).ok()))
    }

    /// When the last leaf of a generation ends; `None` where it has none.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn last_leaf_ends(&self, ca: &str, generation: u32) -> Result<Option<Timestamp>> {
        let last: Option<i64> =
            sqlx::query_scalar("SELECT MAX(not_after) FROM ca_certificate WHERE ca = $1 AND generation = $2")
                .bind(ca)
                .bind(i64::from(generation))
                .fetch_one(self.reader())
                .await?;
        Ok(last.map(Timestamp::from_millis))
    }
}

async fn write_delta(
    write: &mut Write,
    name: &CrlName,
    number: i64,
    dates: Published,
    base: Base,
    now: Timestamp,
) -> Result<()> {
    sqlx::query(
        "INSERT INTO crl (ca, generation, shard, delta, number, base_number, base_update, this_update, next_update, \
         published_at) VALUES ($1, $2, $3, 1, $4, $5, $6, $7, $8, $9) ON CONFLICT (ca, generation, shard, delta) \
         DO UPDATE SET number = excluded.number, base_number = excluded.base_number, \
         base_update = excluded.base_update, this_update = excluded.this_update, \
         next_update = excluded.next_update, published_at = excluded.published_at",
    )
    .bind(&name.ca)
    .bind(i64::from(name.generation))
    .bind(name.shard_column())
    .bind(number)
    .bind(base.number)
    .bind(base.this_update.millis())
    .bind(dates.this_update.millis())
    .bind(dates.next_update.millis())
    .bind(now.millis())
    .execute(&mut **write)
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_unpacked_as_the_database_packs_it() {
        let page = EntryPage { serials: "0a,0b".to_owned(), standings: format!("{},{}", (7 * 16 + 1) * 2 + 1, 9 * 32) };
        let entries: Vec<_> = page.entries().collect();
        let first = Entry { serial: "0a", at: Timestamp::from_millis(7), reason: 1, changed: true };
        let second = Entry { serial: "0b", at: Timestamp::from_millis(9), reason: 0, changed: false };
        assert_eq!(entries, [first, second]);
        assert_eq!((page.last(), EntryPage::default().entries().count()), (None, 0));
    }
}
