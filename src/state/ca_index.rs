//! How the certificates of a private CA stand, read by the ten thousand.

use sqlx::Row as _;
use sqlx::any::AnyRow;

use super::{Result, State, StateError};
use crate::clock::Timestamp;

/// Certificates a page.
const PAGE: i64 = 10_000;

/// A certificate's row, in one text: the database puts thousands of them together, so that reading a million costs a
/// hundred rows.
const LINE: &str = "serial || ',' || CAST(generation AS TEXT) || ',' || CAST(created_at AS TEXT) || ',' || \
                    COALESCE(CAST(revoked_at AS TEXT), '') || ',' || COALESCE(CAST(revocation_reason AS TEXT), '')";

/// How one certificate stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaIndexRow {
    /// Lower-case hex.
    pub serial: String,
    /// The generation that issued it.
    pub generation: u32,
    /// It was written then.
    pub created_at: Timestamp,
    /// Revoked, or on hold, since then.
    pub revoked_at: Option<Timestamp>,
    /// RFC 5280's code.
    pub reason: Option<u8>,
}

impl CaIndexRow {
    fn parse(line: &str) -> Option<Self> {
        let mut parts = line.split(',');
        let mut part = || parts.next();
        let serial = part()?.to_owned();
        let generation = part()?.parse().ok()?;
        let created_at = Timestamp::from_millis(part()?.parse().ok()?);
        let revoked_at = optional(part()?)?.map(Timestamp::from_millis);
        let reason = optional(part()?)?;
        Some(Self { serial, generation, created_at, revoked_at, reason })
    }
}

/// An empty text is none.
fn optional<T: std::str::FromStr>(text: &str) -> Option<Option<T>> {
    if text.is_empty() { Some(None) } else { text.parse().ok().map(Some) }
}

fn rows(found: &AnyRow) -> Result<Vec<CaIndexRow>> {
    let Some(lines) = found.try_get::<Option<String>, _>("lines")? else { return Ok(Vec::new()) };
    let damaged = |line: &str| StateError::Damaged {
        table: "ca_certificate",
        row: line.split(',').next().unwrap_or_default().to_owned(),
        what: "a number in it is out of range".to_owned(),
    };
    lines.split(';').map(|line| CaIndexRow::parse(line).ok_or_else(|| damaged(line))).collect()
}

impl State {
    /// A page of a CA's certificates in the order in which they were written, behind this one; of the last of them the
    /// next page is asked for. Empty at the end.
    ///
    /// # Errors
    /// Where the database fails or a row is damaged.
    pub async fn ca_index_page(&self, ca: &str, after: Option<&CaIndexRow>) -> Result<Vec<CaIndexRow>> {
        let (created_at, serial) = after.map_or((i64::MIN, ""), |row| (row.created_at.millis(), row.serial.as_str()));
        let statement = format!(
            "SELECT string_agg(line, ';') AS lines FROM (SELECT {LINE} AS line FROM ca_certificate \
             WHERE ca = $1 AND (created_at, serial) > ($2, $3) ORDER BY created_at, serial LIMIT $4) AS page"
        );
        let query = sqlx::query(sqlx::AssertSqlSafe(statement)).bind(ca).bind(created_at).bind(serial).bind(PAGE);
        let mut page = rows(&query.fetch_one(self.reader()).await?)?;
        // An aggregate promises no order.
        page.sort_unstable_by(|a, b| (a.created_at, &a.serial).cmp(&(b.created_at, &b.serial)));
        Ok(page)
    }

    /// A CA's certificates that were written, revoked or released at this moment or later, by whomever.
    ///
    /// # Errors
    /// Where the database fails or a row is damaged.
    pub async fn ca_index_since(&self, ca: &str, since: Timestamp) -> Result<Vec<CaIndexRow>> {
        let mut all = Vec::new();
        for column in ["created_at", "revoked_at", "released_at"] {
            let statement =
                format!("SELECT string_agg({LINE}, ';') AS lines FROM ca_certificate WHERE ca = $1 AND {column} >= $2");
            let query = sqlx::query(sqlx::AssertSqlSafe(statement)).bind(ca).bind(since.millis());
            all.extend(rows(&query.fetch_one(self.reader()).await?)?);
        }
        Ok(all)
    }

    /// How one certificate stands; `None`: the CA has issued none with that serial (lower-case hex).
    ///
    /// # Errors
    /// Where the database fails or the row is damaged.
    pub async fn ca_index_row(&self, ca: &str, serial: &str) -> Result<Option<CaIndexRow>> {
        let statement =
            format!("SELECT string_agg({LINE}, ';') AS lines FROM ca_certificate WHERE ca = $1 AND serial = $2");
        let query = sqlx::query(sqlx::AssertSqlSafe(statement)).bind(ca).bind(serial);
        Ok(rows(&query.fetch_one(self.reader()).await?)?.pop())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_and_damage_is_seen() {
        let row = CaIndexRow::parse("0a,3,1700000000123,,").unwrap();
        assert_eq!((row.serial.as_str(), row.generation, row.revoked_at, row.reason), ("0a", 3, None, None));
        let row = CaIndexRow::parse("0a,3,1,1700000000123,6").unwrap();
        assert_eq!((row.revoked_at, row.reason), (Some(Timestamp::from_millis(1_700_000_000_123)), Some(6)));
        for line in ["", "0a", "0a,3,1,", "0a,x,1,,", "0a,3,1,,256", "0a,-1,1,,"] {
            assert_eq!(CaIndexRow::parse(line), None, "{line}");
        }
    }
}
