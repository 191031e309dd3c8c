//! Leaves of private CAs, many at a time: written down in one transaction, signatures kept in another.

use std::collections::HashSet;
use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use sqlx::{Any, AssertSqlSafe, Executor};

use super::ca::{CaCertificateRow, NewCaCertificate};
use super::row::{optional_time, text, time, to_list};
use super::{Result, State};
use crate::clock::Timestamp;

/// As many rows as one statement takes.
const PIECE: usize = 64;

/// Columns of a leaf that is written down.
const COLUMNS: usize = 12;

/// The newest of the orders that stand for the same request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastOrder {
    /// The order.
    pub order_id: String,
    /// It was revoked, or is on hold.
    pub revoked: bool,
    /// When it was written down.
    pub created_at: Timestamp,
    /// When its certificate ends.
    pub not_after: Timestamp,
}

impl State {
    /// The leaves that answer these orders, those that there are.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn ca_certificates_of(&self, ca: &str, orders: &[&str]) -> Result<Vec<CaCertificateRow>> {
        let mut found = Vec::with_capacity(orders.len());
        for piece in orders.chunks(PIECE) {
            let piece = padded(piece);
            let numbers = numbered(2, piece.len(), |number| format!("${number}"));
            let statement = format!("SELECT * FROM ca_certificate WHERE ca = $1 AND order_id IN ({numbers})");
            let query = sqlx::query(AssertSqlSafe(statement)).bind(ca);
            let query = piece.into_iter().fold(query, |query, order| query.bind(*order));
            for row in &query.fetch_all(self.reader()).await? {
                found.push(CaCertificateRow::read(row)?);
            }
        }
        Ok(found)
    }

    /// Writes leaves down before they are signed, in one transaction, and answers the serials of those that were
    /// written: where an order has a leaf already, that one stays.
    ///
    /// # Errors
    /// Where the database fails, or the CA has used a serial before; nothing is written then.
    pub async fn add_ca_certificates(&self, new: &[(NewCaCertificate<'_>, Timestamp)]) -> Result<HashSet<String>> {
        let mut written = HashSet::with_capacity(new.len());
        if new.len() <= PIECE {
            // A statement is a transaction by itself.
            insert(self.writer(), new, &mut written).await?;
            return Ok(written);
        }
        let mut write = self.begin().await?;
        for piece in new.chunks(PIECE) {
            insert(&mut *write, piece, &mut written).await?;
        }
        write.commit().await?;
        Ok(written)
    }

    /// Leaves are signed: serials, and certificates in DER. Kept in one transaction, it answers the serials of those
    /// that were kept: where one was signed already, that signature stays.
    ///
    /// # Errors
    /// Where the database fails; nothing is kept then.
    pub async fn ca_certificates_signed(&self, ca: &str, signed: &[(&str, &[u8])]) -> Result<HashSet<String>> {
        let mut kept = HashSet::with_capacity(signed.len());
        if signed.len() <= PIECE {
            keep(self.writer(), ca, signed, &mut kept).await?;
            return Ok(kept);
        }
        let mut write = self.begin().await?;
        for piece in signed.chunks(PIECE) {
            keep(&mut *write, ca, piece, &mut kept).await?;
        }
        write.commit().await?;
        Ok(kept)
    }

    /// The last of the orders that begin so and end in a number.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn last_ca_order(&self, ca: &str, prefix: &str) -> Result<Option<LastOrder>> {
        let found = sqlx::query(
            "SELECT order_id, revoked_at, created_at, not_after FROM ca_certificate \
             WHERE ca = $1 AND order_id >= $2 AND order_id < $3 ORDER BY order_id DESC LIMIT 1",
        )
        .bind(ca)
        .bind(format!("{prefix}0"))
        .bind(format!("{prefix}:"))
        .fetch_optional(self.reader())
        .await?;
        let Some(row) = &found else { return Ok(None) };
        Ok(Some(LastOrder {
            order_id: text(row, "order_id")?,
            revoked: optional_time(row, "revoked_at")?.is_some(),
            created_at: time(row, "created_at")?,
            not_after: time(row, "not_after")?,
        }))
    }
}

async fn insert(
    database: impl Executor<'_, Database = Any>,
    piece: &[(NewCaCertificate<'_>, Timestamp)],
    written: &mut HashSet<String>,
) -> Result<()> {
    let piece = padded(piece);
    if piece.is_empty() {
        return Ok(());
    }
    let row = |first: usize| format!("({})", numbered(first, COLUMNS, |number| format!("${number}")));
    let rows: Vec<String> = (0..piece.len()).map(|place| row(1 + place * COLUMNS)).collect();
    let statement = format!(
        "INSERT INTO ca_certificate (ca, serial, generation, order_id, names, profile, subject, shard, not_before, \
         not_after, to_be_signed, created_at) VALUES {} ON CONFLICT (ca, order_id) DO NOTHING RETURNING serial",
        rows.join(", ")
    );
    let mut query = sqlx::query(AssertSqlSafe(statement));
    for (new, now) in piece {
        query = query
            .bind(new.ca)
            .bind(&new.serial)
            .bind(i64::from(new.generation))
            .bind(new.order_id)
            .bind(to_list(new.names))
            .bind(new.profile)
            .bind(new.subject)
            .bind(i64::from(new.shard))
            .bind(new.not_before.millis())
            .bind(new.not_after.millis())
            .bind(BASE64.encode(new.to_be_signed))
            .bind(now.millis());
    }
    for row in &query.fetch_all(database).await? {
        written.insert(text(row, "serial")?);
    }
    Ok(())
}

async fn keep(
    database: impl Executor<'_, Database = Any>,
    ca: &str,
    piece: &[(&str, &[u8])],
    kept: &mut HashSet<String>,
) -> Result<()> {
    let piece = padded(piece);
    if piece.is_empty() {
        return Ok(());
    }
    let row = |first: usize| format!("(${first}, ${})", first + 1);
    let rows: Vec<String> = (0..piece.len()).map(|place| row(2 + place * 2)).collect();
    // Both databases call the columns of VALUES so.
    let statement = format!(
        "UPDATE ca_certificate SET certificate = signed.column2, to_be_signed = NULL FROM (VALUES {}) AS signed \
         WHERE ca = $1 AND serial = signed.column1 AND certificate IS NULL RETURNING serial",
        rows.join(", ")
    );
    let query = sqlx::query(AssertSqlSafe(statement)).bind(ca);
    let query = piece.into_iter().fold(query, |query, (serial, der)| query.bind(*serial).bind(BASE64.encode(der)));
    for row in &query.fetch_all(database).await? {
        kept.insert(text(row, "serial")?);
    }
    Ok(())
}

/// The piece, with its last row again and again up to a power of two: the fewer kinds of statements there are, the more of
/// them are prepared already, and saying a row twice is as saying it once.
pub(super) fn padded<T>(piece: &[T]) -> Vec<&T> {
    let length = if piece.is_empty() { 0 } else { piece.len().next_power_of_two() };
    piece.iter().chain(std::iter::repeat_n(piece.last(), length).flatten()).take(length).collect()
}

/// What `count` numbers from `first` on become, with commas between them.
pub(super) fn numbered(first: usize, count: usize, word: impl Fn(usize) -> String) -> String {
    let mut text = String::new();
    for number in first..first + count {
        let comma = if number == first { "" } else { ", " };
        let _ = write!(text, "{comma}{}", word(number));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_filled_up_with_their_last_row() {
        for (length, filled) in [(0, 0), (1, 1), (2, 2), (3, 4), (33, 64), (64, 64)] {
            let piece: Vec<usize> = (0..length).collect();
            let padded = padded(&piece);
            assert_eq!(
                (padded.len(), padded.iter().filter(|row| ***row + 1 < length).count()),
                (filled, length.max(1) - 1)
            );
        }
    }
}
