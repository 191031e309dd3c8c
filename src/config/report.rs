//! What a config is refused for, and what is merely said about it. Nothing here ever holds a line of the file, nor a
//! value found where a secret belongs.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::ser::{Serialize, SerializeStruct, Serializer};

/// Why a config is refused: every error at once.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// In the order of the files and their lines.
    pub errors: Vec<ConfigError>,
    /// What would have been said of the config had it been taken.
    pub notes: Vec<Note>,
    /// What to watch for a repair: see [`Loaded::files`](super::Loaded::files).
    pub files: Vec<PathBuf>,
}

/// One mistake and its place.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct ConfigError {
    /// The file, as it was named.
    #[serde(serialize_with = "path_as_text")]
    pub file: PathBuf,
    /// From 1; 0 where the file as a whole is meant.
    pub line: u32,
    /// In characters from 1; 0 where the file as a whole is meant.
    pub column: u32,
    /// The key's path, as in `certificate."example.com".dns`; empty where the mistake is no key's.
    pub key: String,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub help: Option<String>,
}

/// Something to know about a config that is taken all the same.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Note {
    /// The file, as it was named.
    #[serde(serialize_with = "path_as_text")]
    pub file: PathBuf,
    /// From 1; 0 where the file as a whole is meant.
    pub line: u32,
    /// In characters from 1; 0 where the file as a whole is meant.
    pub column: u32,
    /// The key's path.
    pub key: String,
    /// What there is to know.
    pub message: String,
}

impl Report {
    /// A report of nothing but one file that cannot be read.
    pub(super) fn of_file(file: &Path, message: String) -> Self {
        let error = ConfigError { file: file.to_owned(), line: 0, column: 0, key: String::new(), message, help: None };
        Self { errors: vec![error], notes: Vec::new(), files: vec![file.to_owned()] }
    }
}

impl std::error::Error for Report {}

/// One error a line, then one note a line.
impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let errors = self.errors.iter().map(ToString::to_string);
        let lines: Vec<String> = errors.chain(self.notes.iter().map(ToString::to_string)).collect();
        formatter.write_str(&lines.join("\n"))
    }
}

/// `{ schema, errors, notes }`.
impl Serialize for Report {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut report = serializer.serialize_struct("Report", 3)?;
        report.serialize_field("schema", &1)?;
        report.serialize_field("errors", &self.errors)?;
        report.serialize_field("notes", &self.notes)?;
        report.end()
    }
}

/// `file:line:column: key: message; help`; of the place the file alone where it is meant as a whole.
impl fmt::Display for ConfigError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_place(formatter, &self.file, self.line, self.column, &self.key)?;
        formatter.write_str(&self.message)?;
        self.help.as_ref().map_or(Ok(()), |help| write!(formatter, "; {help}"))
    }
}

impl std::error::Error for ConfigError {}

/// `file:line:column: key: note: message`.
impl fmt::Display for Note {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_place(formatter, &self.file, self.line, self.column, &self.key)?;
        write!(formatter, "note: {}", self.message)
    }
}

fn write_place(formatter: &mut fmt::Formatter<'_>, file: &Path, line: u32, column: u32, key: &str) -> fmt::Result {
    match line {
        0 => write!(formatter, "{}: ", file.display())?,
        _ => write!(formatter, "{}:{line}:{column}: ", file.display())?,
    }
    if key.is_empty() { Ok(()) } else { write!(formatter, "{key}: ") }
}

fn path_as_text<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&path.to_string_lossy())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let file = PathBuf::from("c.toml");
        Report {
            errors: vec![ConfigError {
                file: file.clone(),
                line: 3,
                column: 7,
                key: "defaults.dns".into(),
                message: "no dns instance `mian`".into(),
                help: Some("did you mean `main`?".into()),
            }],
            notes: vec![Note { file, line: 0, column: 0, key: String::new(), message: "empty".into() }],
            files: Vec::new(),
        }
    }

    #[test]
    fn people_read_place_key_message_and_help() {
        assert_eq!(
            report().to_string(),
            "c.toml:3:7: defaults.dns: no dns instance `mian`; did you mean `main`?\nc.toml: note: empty"
        );
    }

    #[test]
    fn programs_read_a_schema() {
        let json = serde_json::to_value(report()).unwrap();
        assert_eq!(json["schema"], 1);
        assert_eq!(json["errors"][0]["line"], 3);
        assert_eq!(json["errors"][0]["help"], "did you mean `main`?");
        assert_eq!(json["notes"][0]["message"], "empty");
        assert!(json.get("files").is_none());
    }
}
