//! Why a list is not made.

use std::path::PathBuf;

use super::encode::EncodeError;
use crate::ca::CaError;
use crate::state::StateError;

/// Why a list is not made.
#[derive(Debug, thiserror::Error)]
pub enum CrlError {
    /// The state failed.
    #[error("the state failed")]
    State(#[from] StateError),
    /// The CA cannot sign.
    #[error("the CA cannot sign")]
    Ca(#[from] CaError),
    /// The list cannot be written.
    #[error("cannot write `{}`", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The program is about to end.
    #[error("the making was interrupted")]
    Interrupted,
}

impl CrlError {
    pub(super) fn file(path: &std::path::Path, source: std::io::Error) -> Self {
        Self::File { path: path.to_owned(), source }
    }

    pub(super) fn encoding(path: &std::path::Path, error: EncodeError) -> Self {
        match error {
            EncodeError::File(source) => Self::file(path, source),
            EncodeError::Key(error) => Self::Ca(error),
        }
    }
}
