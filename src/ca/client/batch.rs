//! Many at once: rows of a table, each a request. A bad row is told with what to write, and harms no other.

use serde::Serialize;

use super::request::{ClientRequest, Fault, Wanted};

/// As many rows as are taken in one go.
pub const MOST_ROWS: usize = 1_000;

/// The columns that a table may have, and what else they are called.
const COLUMNS: [(&str, &[&str]); 15] = [
    ("id", &["identifier"]),
    ("common_name", &["cn", "name"]),
    ("email", &["mail"]),
    ("organization", &["org", "o"]),
    ("organizational_unit", &["ou", "unit"]),
    ("country", &["c"]),
    ("usage", &["cert_usage"]),
    ("tenant", &[]),
    ("days", &["days_valid"]),
    ("key", &["key_type"]),
    ("names", &["san"]),
    ("auto_renew", &[]),
    ("notes", &[]),
    ("profile", &[]),
    ("ca", &[]),
];

/// What is wrong with a table as a whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TableError {
    /// A column of an unknown name.
    #[error("column {number} is called `{name}`, which is no field: write one of {}", known())]
    Column {
        /// Counted from 1.
        number: usize,
        /// What it is called.
        name: String,
    },
    /// A field stands there twice.
    #[error("column {number} is `{name}` again: one is enough")]
    Twice {
        /// Counted from 1.
        number: usize,
        /// The field.
        name: &'static str,
    },
    /// Nobody is named.
    #[error("there is no column `common_name`")]
    NoCommonName,
}

fn known() -> String {
    COLUMNS.map(|(name, _)| name).join(", ")
}

/// What is wrong with one row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RowFault {
    /// The column.
    pub column: &'static str,
    /// What is wrong.
    pub problem: String,
    /// What to write.
    pub hint: String,
}

impl From<Fault> for RowFault {
    fn from(fault: Fault) -> Self {
        Self { column: fault.field, problem: fault.problem, hint: fault.hint }
    }
}

/// The head of a table, understood.
#[derive(Debug, Clone)]
pub struct Columns(Vec<&'static str>);

impl Columns {
    /// Reads the head: names in any case, blanks and hyphens for underscores.
    ///
    /// # Errors
    /// Where a column is unknown, there twice, or nobody is named.
    pub fn read<T: AsRef<str>>(head: &[T]) -> Result<Self, TableError> {
        let mut columns = Vec::with_capacity(head.len());
        for (place, name) in head.iter().enumerate() {
            let found = column(name.as_ref());
            let name = || name.as_ref().chars().take(80).collect();
            let found = found.ok_or_else(|| TableError::Column { number: place + 1, name: name() })?;
            if columns.contains(&found) {
                return Err(TableError::Twice { number: place + 1, name: found });
            }
            columns.push(found);
        }
        if columns.contains(&"common_name") { Ok(Self(columns)) } else { Err(TableError::NoCommonName) }
    }

    /// Reads one row. What it leaves out is taken from `usual`.
    ///
    /// # Errors
    /// With everything that is wrong with it.
    pub fn row<T: AsRef<str>>(&self, cells: &[T], usual: &ClientRequest) -> Result<Wanted, Vec<RowFault>> {
        let mut faults = Vec::new();
        if cells.len() > self.0.len() {
            let problem = format!("the row has {} cells, the head has {}", cells.len(), self.0.len());
            let hint = "put a text that holds a comma in quotes".to_owned();
            faults.push(RowFault { column: "common_name", problem, hint });
        }
        let mut request = usual.clone();
        for (column, cell) in self.0.iter().zip(cells) {
            let cell = cell.as_ref().trim();
            if !cell.is_empty() {
                faults.extend(fill(&mut request, column, cell).err());
            }
        }
        match request.check() {
            Ok(wanted) if faults.is_empty() => Ok(wanted),
            Ok(_) => Err(faults),
            Err(found) => {
                faults.extend(found.into_iter().map(RowFault::from));
                Err(faults)
            }
        }
    }
}

fn column(name: &str) -> Option<&'static str> {
    let name = name.trim().trim_start_matches('\u{feff}').to_lowercase().replace([' ', '-'], "_");
    let found = COLUMNS.iter().find(|(column, others)| *column == name || others.contains(&name.as_str()));
    found.map(|(column, _)| *column)
}

fn fill(request: &mut ClientRequest, column: &'static str, cell: &str) -> Result<(), RowFault> {
    let text = || Some(cell.to_owned());
    let refused = |hint: &str| {
        let shown: String = cell.chars().take(80).collect();
        RowFault { column, problem: format!("`{shown}` cannot be read"), hint: hint.to_owned() }
    };
    match column {
        "id" => request.id = text(),
        "common_name" => request.common_name = cell.to_owned(),
        "email" => request.email = text(),
        "organization" => request.organization = text(),
        "organizational_unit" => request.organizational_unit = text(),
        "country" => request.country = text(),
        "usage" => request.usage = text(),
        "tenant" => request.tenant = text(),
        "days" => request.days = Some(cell.parse().map_err(|_| refused("write a number of days"))?),
        "key" => request.key = text(),
        "names" => request.names = cell.split([' ', ';']).map(str::to_owned).collect(),
        "auto_renew" => request.auto_renew = truth(cell).ok_or_else(|| refused("write `yes` or `no`"))?,
        "notes" => request.notes = text(),
        "profile" => request.profile = text(),
        // The last of `COLUMNS`: a test goes through them all.
        _ => request.ca = cell.to_owned(),
    }
    Ok(())
}

fn truth(cell: &str) -> Option<bool> {
    match cell.to_ascii_lowercase().as_str() {
        "yes" | "true" | "1" => Some(true),
        "no" | "false" | "0" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usual() -> ClientRequest {
        ClientRequest { ca: "own".to_owned(), days: Some(30), ..ClientRequest::default() }
    }

    #[test]
    fn heads_are_read_as_people_write_them() {
        let columns = Columns::read(&["\u{feff}Common Name", "E-Mail", "days-valid", "SAN"]);
        assert!(matches!(columns, Err(TableError::Column { number: 2, .. })), "{columns:?}");
        let columns = Columns::read(&["\u{feff}Common Name", "mail", "days-valid", "SAN"]).unwrap();
        assert_eq!(columns.0, ["common_name", "email", "days", "names"]);
        assert_eq!(Columns::read(&["cn", "name"]).unwrap_err(), TableError::Twice { number: 2, name: "common_name" });
        assert_eq!(Columns::read(&["email"]).unwrap_err(), TableError::NoCommonName);
    }

    #[test]
    fn every_column_fills_a_field() {
        for (column, _) in COLUMNS {
            let (mut request, before) = (ClientRequest::default(), format!("{:?}", ClientRequest::default()));
            assert!(fill(&mut request, column, "1").is_ok(), "{column}");
            let after = format!("{request:?}");
            assert_ne!(after, before, "{column}");
            assert_eq!(after.contains("ca: \"1\""), column == "ca", "{column}");
        }
    }

    #[test]
    fn a_row_takes_what_it_leaves_out_from_the_usual() {
        let columns = Columns::read(&["cn", "days", "names", "auto_renew"]).unwrap();
        let wanted = columns.row(&["Ann", "", "a.example;b.example", "yes"], &usual()).unwrap();
        assert_eq!((wanted.ca.as_str(), wanted.lifetime.map(|life| life.as_secs())), ("own", Some(30 * 86_400)));
        assert_eq!((wanted.names.len(), wanted.auto_renew), (2, true));
        assert!(columns.row(&["Ann"], &usual()).is_ok(), "cells at the end may be left out");
    }

    #[test]
    fn everything_wrong_with_a_row_is_told() {
        let columns = Columns::read(&["cn", "days", "email", "auto_renew"]).unwrap();
        let faults = columns.row(&["", "soon", "nobody", "perhaps", "?"], &usual()).unwrap_err();
        let found: Vec<_> = faults.iter().map(|fault| fault.column).collect();
        assert_eq!(found, ["common_name", "days", "auto_renew", "common_name", "email"]);
    }
}
