//! One daemon a state: on SQLite a lock on a file beside the database, on PostgreSQL an advisory lock.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use sqlx::any::AnyConnectOptions;
use sqlx::{AnyConnection, Connection as _};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::{Result, StateError};

/// PostgreSQL's name for our lock, the same in each database: "renewd" in ASCII.
const ADVISORY_LOCK: i64 = 0x7265_6e65_7764;

/// How often the connection that holds the advisory lock is looked at.
const LOOK: Duration = Duration::from_secs(5);

/// The server may take this long to notice that a daemon has died and its connection is gone.
const AFTERLIFE: Duration = Duration::from_secs(3);

/// The lock, held until it is dropped, and given up by the kernel or the server when the process dies.
#[derive(Debug)]
pub(super) enum Lock {
    /// Looking needs none.
    None,
    /// The open file is the lock.
    File(#[expect(dead_code, reason = "held, not read")] File),
    /// The open connection is the lock.
    Connection(Mutex<AnyConnection>),
}

impl Lock {
    /// Returns when the lock is lost.
    pub(super) async fn lost(&self) -> StateError {
        let Self::Connection(connection) = self else { return std::future::pending().await };
        loop {
            tokio::time::sleep(LOOK).await;
            if let Err(error) = connection.lock().await.ping().await {
                return error.into();
            }
        }
    }
}

/// Takes the lock on the file in the state directory, or tells who has it.
pub(super) fn take_file(directory: &Path) -> Result<Lock> {
    let path = directory.join("renewd.lock");
    let unusable = |source| StateError::Unusable { path: path.clone(), source };
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(unusable)?;
    if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
        let mut text = String::new();
        let _ = file.read_to_string(&mut text);
        return Err(StateError::InUse { directory: directory.to_owned(), pid: text.trim().parse().ok() });
    }
    file.set_len(0).and_then(|()| file.rewind()).map_err(unusable)?;
    writeln!(file, "{}", std::process::id()).map_err(unusable)?;
    Ok(Lock::File(file))
}

/// Takes the advisory lock of the database over a connection of its own.
pub(super) async fn take_database(options: &AnyConnectOptions, url: &str) -> Result<Lock> {
    let mut connection = AnyConnection::connect_with(options).await?;
    let latest = Instant::now() + AFTERLIFE;
    while !try_lock(&mut connection).await? {
        if Instant::now() > latest {
            return Err(StateError::DatabaseInUse { url: url.to_owned() });
        }
        tokio::time::sleep(AFTERLIFE / 20).await;
    }
    Ok(Lock::Connection(Mutex::new(connection)))
}

async fn try_lock(connection: &mut AnyConnection) -> Result<bool> {
    let lock = sqlx::query_scalar("SELECT pg_try_advisory_lock($1)").bind(ADVISORY_LOCK);
    Ok(lock.fetch_one(connection).await?)
}
