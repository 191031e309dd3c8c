//! A file's text, and where in it something stands.

use std::path::{Path, PathBuf};

/// One config file, as far as it could be read.
pub(super) struct Source {
    /// As it was named.
    pub(super) path: PathBuf,
    /// What its relative paths are relative to; absolute.
    pub(super) directory: PathBuf,
    /// The text, up to the first byte that is none.
    pub(super) text: String,
    /// Why it is not whole.
    pub(super) failure: Option<Failure>,
    /// Where each line begins.
    lines: Vec<usize>,
}

/// Why a file is not read.
pub(super) struct Failure {
    /// Where it is no text; `None` where the file as a whole is meant.
    pub(super) offset: Option<usize>,
    /// What is wrong.
    pub(super) message: String,
}

impl Source {
    /// Reads a file; what is wrong with it is kept in `failure`.
    pub(super) fn read(path: &Path) -> Self {
        match read_file(path) {
            Ok(bytes) => Self::from_bytes(path, bytes),
            Err(message) => Self::new(path, String::new(), Some(Failure { offset: None, message })),
        }
    }

    fn from_bytes(path: &Path, bytes: Vec<u8>) -> Self {
        match String::from_utf8(bytes) {
            Ok(text) => Self::new(path, text, None),
            Err(error) => {
                let offset = error.utf8_error().valid_up_to();
                let text = String::from_utf8_lossy(&error.as_bytes()[..offset]).into_owned();
                Self::new(path, text, Some(Failure { offset: Some(offset), message: "is not UTF-8 text".into() }))
            }
        }
    }

    fn new(path: &Path, text: String, failure: Option<Failure>) -> Self {
        let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let directory = absolute.parent().unwrap_or(&absolute).to_owned();
        let breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(index, _)| index + 1);
        let lines = std::iter::once(0).chain(breaks).collect();
        Self { path: path.to_owned(), directory, text, failure, lines }
    }

    /// Line and column, both from 1; the column counts characters.
    pub(super) fn position(&self, offset: usize) -> (u32, u32) {
        let line = self.lines.partition_point(|start| *start <= offset);
        let start = self.lines[line - 1];
        let before = self.text.as_bytes().get(start..offset.min(self.text.len())).unwrap_or_default();
        let column = String::from_utf8_lossy(before).chars().count() + 1;
        (saturate(line), saturate(column))
    }
}

/// Reads what is a plain file: a folder or a pipe is refused rather than waited for.
fn read_file(path: &Path) -> Result<Vec<u8>, String> {
    let metadata = std::fs::metadata(path).map_err(|error| unreadable(&error))?;
    if metadata.is_dir() {
        return Err("is a directory, not a file".into());
    }
    if !metadata.is_file() {
        return Err("is not a plain file".into());
    }
    std::fs::read(path).map_err(|error| unreadable(&error))
}

fn unreadable(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "there is no such file".into(),
        std::io::ErrorKind::PermissionDenied => "cannot be read: permission denied".into(),
        _ => format!("cannot be read: {error}"),
    }
}

fn saturate(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_lines_and_characters() {
        let source = Source::from_bytes(Path::new("a.toml"), "a = 1\nü = \"ö\" # x\n".into());
        assert_eq!(source.position(0), (1, 1));
        assert_eq!(source.position(5), (1, 6));
        assert_eq!(source.position(6), (2, 1));
        assert_eq!(source.position(8), (2, 2));
        assert_eq!(source.position(10_000), (3, 1));
    }

    #[test]
    fn what_is_no_text_is_placed() {
        let source = Source::from_bytes(Path::new("a.toml"), b"a = 1\nb = \"\xff\"".into());
        let failure = source.failure.as_ref().unwrap();
        assert_eq!(source.position(failure.offset.unwrap()), (2, 6));
    }

    #[test]
    fn what_is_no_file_is_said() {
        let directory = tempfile::tempdir().unwrap();
        let message = |path: &Path| Source::read(path).failure.unwrap().message;
        assert_eq!(message(directory.path()), "is a directory, not a file");
        assert_eq!(message(&directory.path().join("none")), "there is no such file");
    }
}
