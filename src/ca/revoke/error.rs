//! Why something is not revoked, or not released.

use std::path::PathBuf;
use std::sync::Arc;

use super::Reason;
use crate::state::StateError;

/// Why a certificate is not revoked, or not released.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RevocationError {
    /// It is none of this CA's: another CA's, or nobody's.
    #[error("CA `{ca}` has issued no certificate with the serial {serial}")]
    Unknown {
        /// The CA's name in the config.
        ca: String,
        /// Lower-case hex.
        serial: String,
    },
    /// It is revoked for good.
    #[error("its revocation ({}) is final: only a hold can be released", reason.as_str())]
    Final {
        /// Why it was revoked.
        reason: Reason,
    },
    /// There is nothing to release.
    #[error("it is not on hold")]
    NotOnHold,
    /// It could not be written down. Asking again is right.
    #[error("the revocation could not be kept")]
    NotWritten(#[source] Arc<WriteError>),
}

/// Why nothing can be written down.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The log of revocations cannot be read or written.
    #[error("cannot use `{}`", path.display())]
    Log {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The database failed.
    #[error("the state failed")]
    State(#[from] StateError),
    /// The program is about to end.
    #[error("writing was interrupted")]
    Interrupted,
}
