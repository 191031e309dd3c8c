//! What a config refers to and must be readable when it is used: secrets, and files of roots.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::load::Loaded;
use super::report::{ConfigError, Note, Report};
use crate::secret::{SecretError, SecretRef};

/// Something outside the config.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reference {
    /// A secret.
    Secret(SecretRef),
    /// A file that is no secret.
    File(PathBuf),
}

/// What came of a look.
enum Finding {
    /// The daemon would fail on it, too.
    Wrong(String),
    /// The daemon may see it otherwise.
    Doubtful(String),
}

impl Loaded {
    /// Looks whether everything that the config refers to can be read, here and now. What is missing or empty is an
    /// error; what perhaps only this user, or this environment, cannot see is a note.
    #[must_use]
    pub fn check_secrets(&self) -> Report {
        let mut report = Report { files: self.files.clone(), ..Report::default() };
        for (place, reference) in &self.references {
            let Note { file, line, column, key, .. } = place.clone();
            match reference.look() {
                None => {}
                Some(Finding::Wrong(message)) => {
                    report.errors.push(ConfigError { file, line, column, key, message, help: None });
                }
                Some(Finding::Doubtful(message)) => report.notes.push(Note { file, line, column, key, message }),
            }
        }
        let place = |file: &Path, line, column| (file.to_owned(), line, column);
        report.errors.sort_by_key(|error| place(&error.file, error.line, error.column));
        report.notes.sort_by_key(|note| place(&note.file, note.line, note.column));
        report
    }
}

impl Reference {
    fn look(&self) -> Option<Finding> {
        match self {
            Self::File(path) => std::fs::File::open(path).err().map(|error| unreadable(path, &error)),
            Self::Secret(secret) => match secret.read() {
                Ok(_) => open_to_everybody(secret),
                Err(error) => Some(judge(&error)),
            },
        }
    }
}

fn judge(error: &SecretError) -> Finding {
    match error {
        SecretError::Unreadable { path, source } => unreadable(path, source),
        SecretError::NoCredentials { .. } => Finding::Doubtful(error.to_string()),
        SecretError::NoVariable { .. } => Finding::Doubtful(format!("{error} here; the daemon's own may differ")),
        SecretError::TooLarge { .. } | SecretError::Empty { .. } => Finding::Wrong(error.to_string()),
    }
}

fn unreadable(path: &Path, error: &std::io::Error) -> Finding {
    let path = path.display();
    match error.kind() {
        std::io::ErrorKind::NotFound => Finding::Wrong(format!("there is no file `{path}`")),
        std::io::ErrorKind::PermissionDenied => Finding::Doubtful(format!("`{path}` cannot be read by this user")),
        std::io::ErrorKind::InvalidData => Finding::Wrong(format!("`{path}` is not UTF-8 text")),
        _ => Finding::Wrong(format!("`{path}` cannot be read: {error}")),
    }
}

fn open_to_everybody(secret: &SecretRef) -> Option<Finding> {
    let SecretRef::File(path) = secret else { return None };
    let mode = std::fs::metadata(path).ok()?.permissions().mode();
    let message = || format!("`{0}` can be read by everybody: `chmod o-rwx {0}`", path.display());
    (mode & 0o004 != 0).then(|| Finding::Doubtful(message()))
}
