//! `[state]`: where renewd remembers.

use std::path::PathBuf;

use crate::secret::SecretRef;

/// Where the state is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateSettings {
    /// The state directory, absolute.
    pub directory: PathBuf,
    /// The local socket, absolute.
    pub socket: PathBuf,
    /// This node's name.
    pub node: String,
    /// The database.
    pub database: Database,
    /// Seals private keys: 32 bytes in base64. `None`: a file in the state directory, made on first start (SQLite only).
    pub seal_key: Option<SecretRef>,
}

/// The database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Database {
    /// `renewd.db` in the state directory.
    Sqlite,
    /// PostgreSQL.
    Postgres {
        /// `postgres://host:port/database`, without user and password.
        url: String,
        /// The user.
        user: String,
        /// The password, unless the server trusts us without.
        password: Option<SecretRef>,
    },
}
