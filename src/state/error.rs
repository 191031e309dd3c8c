//! What can go wrong with the database.

use std::path::PathBuf;

use crate::secret::{SealError, SecretError};

/// Why the state cannot be opened, read or written.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// Another daemon holds it.
    #[error("another renewd uses the state in `{}`{}: stop that one first, or give this one a `[state] directory` of its own", directory.display(), told(*pid))]
    InUse {
        /// The state directory.
        directory: PathBuf,
        /// The other daemon's process, where it said so.
        pid: Option<u32>,
    },
    /// Another daemon holds the PostgreSQL database.
    #[error("another renewd uses the database `{url}`: stop that one first, or give this one a database of its own")]
    DatabaseInUse {
        /// The database, without user and password.
        url: String,
    },
    /// There is no state yet, and only a daemon makes one.
    #[error("there is no state in `{}` yet: `renewd run` makes it", directory.display())]
    Absent {
        /// The state directory.
        directory: PathBuf,
    },
    /// The directory or a file in it cannot be used.
    #[error("cannot use `{}`", path.display())]
    Unusable {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The database was made by a newer renewd.
    #[error("the database was made by a newer renewd (migration {version}): run that one, or restore a backup")]
    Newer {
        /// The first migration that this program does not know.
        version: i64,
    },
    /// A migration failed.
    #[error("the database cannot be brought up to date")]
    Migration(#[source] sqlx::migrate::MigrateError),
    /// The database holds sealed rows and the key that sealed them is not there.
    #[error(
        "the database holds keys sealed with seal key `{sealed_with}`, but {place} is not there: put that key back, or restore a backup"
    )]
    SealKeyMissing {
        /// The id of the key that sealed the rows.
        sealed_with: String,
        /// Where the key was looked for.
        place: String,
    },
    /// The database was sealed with another key.
    #[error(
        "the database holds keys sealed with seal key `{sealed_with}`, but {place} is seal key `{found}`: give the right one"
    )]
    OtherSealKey {
        /// The id of the key that sealed the rows.
        sealed_with: String,
        /// Where the key was found.
        place: String,
        /// The id of the key that was found.
        found: String,
    },
    /// A secret that the state needs cannot be read.
    #[error("cannot read the state's secret")]
    Secret(#[from] SecretError),
    /// Sealing or opening failed.
    #[error("cannot seal or open a key")]
    Seal(#[from] SealError),
    /// The database failed.
    #[error("the database failed")]
    Database(#[from] sqlx::Error),
    /// A row holds what no renewd wrote.
    #[error("the {table} row `{row}` is damaged: {what}")]
    Damaged {
        /// The table.
        table: &'static str,
        /// The row's key.
        row: String,
        /// What is wrong.
        what: String,
    },
}

fn told(pid: Option<u32>) -> String {
    pid.map_or_else(String::new, |pid| format!(" (process {pid})"))
}
