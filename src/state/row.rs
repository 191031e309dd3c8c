//! Reading columns: from the database's words to ours.

use sqlx::Row as _;
use sqlx::any::AnyRow;

use super::{Result, StateError};
use crate::clock::Timestamp;

pub(super) fn text(row: &AnyRow, column: &str) -> Result<String> {
    Ok(row.try_get::<String, _>(column)?)
}

pub(super) fn optional_text(row: &AnyRow, column: &str) -> Result<Option<String>> {
    Ok(row.try_get::<Option<String>, _>(column)?)
}

pub(super) fn integer(row: &AnyRow, column: &str) -> Result<i64> {
    Ok(row.try_get::<i64, _>(column)?)
}

pub(super) fn optional_integer(row: &AnyRow, column: &str) -> Result<Option<i64>> {
    Ok(row.try_get::<Option<i64>, _>(column)?)
}

pub(super) fn count(row: &AnyRow, column: &str) -> Result<u32> {
    Ok(u32::try_from(integer(row, column)?).unwrap_or(u32::MAX))
}

pub(super) fn optional_count(row: &AnyRow, column: &str) -> Result<Option<u32>> {
    Ok(row.try_get::<Option<i64>, _>(column)?.and_then(|value| u32::try_from(value).ok()))
}

pub(super) fn time(row: &AnyRow, column: &str) -> Result<Timestamp> {
    Ok(Timestamp::from_millis(integer(row, column)?))
}

pub(super) fn optional_time(row: &AnyRow, column: &str) -> Result<Option<Timestamp>> {
    Ok(row.try_get::<Option<i64>, _>(column)?.map(Timestamp::from_millis))
}

/// A column whose text is one of ours, or a `Damaged` that names it.
pub(super) fn parsed<T>(
    row: &AnyRow,
    table: &'static str,
    column: &str,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Result<T> {
    let found = text(row, column)?;
    parse(&found).ok_or_else(|| StateError::Damaged {
        table,
        row: column.to_owned(),
        what: format!("`{found}` is unknown"),
    })
}

/// A column that holds a JSON list of texts.
pub(super) fn list(row: &AnyRow, table: &'static str, column: &str) -> Result<Vec<String>> {
    parsed(row, table, column, |text| serde_json::from_str(text).ok())
}

/// A list of texts as a column holds it.
pub(super) fn to_list<T: ToString>(items: &[T]) -> String {
    serde_json::Value::from(items.iter().map(ToString::to_string).collect::<Vec<_>>()).to_string()
}
