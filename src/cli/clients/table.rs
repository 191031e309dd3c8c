//! A table of clients as people save it: with commas, semicolons or tabs, and with rows that cannot be read.

use std::path::Path;

use anyhow::Context as _;
use serde_json::Value;

use super::arguments::Batch;

/// As many rows as are handed over in one go.
const ROWS: usize = 50;

/// The same where RSA keys are made: each takes seconds.
const SLOW_ROWS: usize = 2;

/// As long as the rows of one go may be, in octets; a single row may be longer.
const OCTETS: usize = 24 * 1024;

/// The file, read.
#[derive(Debug)]
pub(super) struct Table {
    /// The names of the columns, as the file writes them.
    pub(super) headers: Vec<String>,
    /// What is below them.
    pub(super) rows: Vec<Row>,
}

/// A row of the file.
#[derive(Debug)]
pub(super) struct Row {
    /// The line on which it begins, counted from 1.
    line: u64,
    /// What is in it; or the name of a column in which there is no text.
    pub(super) cells: Result<Vec<String>, String>,
}

impl Table {
    /// Reads a file.
    ///
    /// # Errors
    /// Where it cannot be read, or its head is no text.
    pub(super) fn read(path: &Path) -> anyhow::Result<Self> {
        let cannot = || format!("cannot read `{}`", path.display());
        Self::parse(&std::fs::read(path).with_context(cannot)?).with_context(cannot)
    }

    fn parse(bytes: &[u8]) -> anyhow::Result<Self> {
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let mut reader = csv::ReaderBuilder::new().flexible(true).delimiter(separator(bytes)).from_reader(bytes);
        let headers: Vec<String> = reader.headers().context("its first line")?.iter().map(str::to_owned).collect();
        anyhow::ensure!(!headers.is_empty(), "it is empty: its first line is to name the columns");
        let mut rows = Vec::new();
        for record in reader.byte_records() {
            let record = record?;
            rows.push(Row { line: line(bytes, &record), cells: cells(&record, &headers) });
        }
        Ok(Self { headers, rows })
    }

    /// Rows from `first` on that are handed over together, up to the next that cannot be read: one at least, where the
    /// first can.
    pub(super) fn some(&self, first: usize, batch: &Batch) -> Vec<&[String]> {
        let rows = self.rows[first..].iter().map_while(|row| row.cells.as_deref().ok());
        let rows: Vec<&[String]> = rows.take(ROWS).collect();
        let slow = |row: &&[String]| row.iter().any(|cell| cell.trim().starts_with("rsa-"));
        let slow = batch.key.as_deref().is_some_and(|key| key.starts_with("rsa-")) || rows.iter().any(slow);
        let mut octets = 0;
        let fits = |row: &&&[String]| {
            octets += row.iter().map(|cell| cell.len() + 3).sum::<usize>();
            octets <= OCTETS
        };
        let count = rows.iter().take(if slow { SLOW_ROWS } else { ROWS }).take_while(fits).count().max(1);
        rows.into_iter().take(count).collect()
    }

    /// The line of the row with this number, counted from 1 as the daemon tells it; 0 where there is none.
    pub(super) fn line(&self, row: &Value) -> u64 {
        let place = row.as_u64().and_then(|row| usize::try_from(row).ok()).and_then(|row| row.checked_sub(1));
        place.and_then(|place| self.rows.get(place)).map_or(0, |row| row.line)
    }
}

/// What stands between the columns: the one of `,`, `;` and tab that the first line has most of.
fn separator(bytes: &[u8]) -> u8 {
    let head = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let count = |sign: u8| head.iter().filter(|byte| **byte == sign).count();
    [b',', b';', b'\t'].into_iter().rev().max_by_key(|sign| count(*sign)).unwrap_or(b',')
}

/// Where a row begins, behind the empty lines that are passed over before it.
fn line(bytes: &[u8], record: &csv::ByteRecord) -> u64 {
    let Some(position) = record.position() else { return 0 };
    let start = usize::try_from(position.byte()).unwrap_or(usize::MAX).min(bytes.len());
    let passed_over = bytes[start..].iter().take_while(|byte| matches!(byte, b'\r' | b'\n'));
    let ends = passed_over.filter(|byte| **byte == b'\n').count();
    position.line() + u64::try_from(ends).unwrap_or(0)
}

fn cells(record: &csv::ByteRecord, headers: &[String]) -> Result<Vec<String>, String> {
    let column = |place: usize| headers.get(place).cloned().unwrap_or_else(|| format!("column {}", place + 1));
    let text = |(place, cell): (usize, &[u8])| String::from_utf8(cell.to_vec()).map_err(|_| column(place));
    record.iter().enumerate().map(text).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(bytes: &[u8]) -> Table {
        Table::parse(bytes).unwrap()
    }

    #[test]
    fn a_table_is_read_whatever_is_between_its_columns() {
        for text in ["\u{feff}cn,mail\nAnn,a\n", "cn;mail\r\nAnn;a\r\n", "cn\tmail\nAnn\ta", "cn,mail;x\nAnn,a\n"] {
            let read = table(text.as_bytes());
            assert_eq!((read.headers[0].as_str(), read.headers.len()), ("cn", 2), "{text}");
            assert_eq!(read.rows[0].cells.as_ref().unwrap(), &["Ann", "a"], "{text}");
        }
        assert_eq!(table(b"cn\nAnn\n").rows.len(), 1);
        assert!(Table::parse(b"").is_err());
    }

    #[test]
    fn a_row_is_known_by_its_line() {
        let read = table(b"cn,notes\n\nAnn,\"two\nlines\"\nBob,\n\nEve,\n");
        let lines: Vec<u64> = (0..5).map(|row| read.line(&Value::from(row))).collect();
        assert_eq!(lines, [0, 3, 5, 7, 0]);
    }

    #[test]
    fn a_row_that_is_no_text_harms_no_other() {
        let read = table(b"cn,mail\nAnn,a\nB\xf6b,b\nEve,\xff\nFay,f\n");
        let faults: Vec<_> = read.rows.iter().map(|row| row.cells.as_ref().err().map(String::as_str)).collect();
        assert_eq!(faults, [None, Some("cn"), Some("mail"), None]);
    }
}
