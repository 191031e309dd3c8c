//! Opening the database: lock, connections, migrations, seal key.

use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::str::FromStr as _;
use std::sync::Arc;
use std::time::Duration;

use secrecy::ExposeSecret as _;
use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::{AnyPool, Executor as _};
use tokio::sync::Notify;

use super::fuse::Fuse;
use super::lock::{self, Lock};
use super::{Backend, Inner, Result, State, StateError, collation};
use crate::config::{Database, StateSettings};
use crate::secret::{Sealer, SecretError, SecretRef};

static MIGRATIONS: Migrator = sqlx::migrate!("./migrations");

/// WAL survives a crash of the process, `FULL` one of the machine.
const PRAGMAS: &str = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA busy_timeout = 10000; \
                       PRAGMA foreign_keys = ON; PRAGMA cache_size = -2000;";

/// The row of `meta` that names the seal key.
const SEAL_KEY_ID: &str = "seal_key_id";

impl State {
    /// Opens the state for the daemon: makes the directory, the database and the seal key where there are none, and
    /// refuses a second daemon.
    ///
    /// # Errors
    /// With what is wrong and what to do.
    pub async fn open(settings: &StateSettings) -> Result<Self> {
        make_directory(&settings.directory)?;
        let lock = take_lock(settings).await?;
        let (read, write, backend) = connect(settings, true).await?;
        if backend == Backend::Postgres {
            collation::to_c_order(&write, &MIGRATIONS).await?;
        }
        let sealer = seal_key(settings, &write, true).await?;
        Ok(Self::assemble(settings, read, write, backend, sealer, lock))
    }

    /// Opens the state beside a daemon, or where none runs, to look only.
    ///
    /// # Errors
    /// `Absent` where there is none; else with what is wrong.
    pub async fn open_to_look(settings: &StateSettings) -> Result<Self> {
        if settings.database == Database::Sqlite && !database_file(settings).exists() {
            return Err(StateError::Absent { directory: settings.directory.clone() });
        }
        let (read, write, backend) = connect(settings, false).await?;
        let sealer = seal_key(settings, &write, false).await?;
        Ok(Self::assemble(settings, read, write, backend, sealer, Lock::None))
    }

    /// A state in memory, for simulations: no file, no lock, a seal key of its own, gone when it is dropped. It has one
    /// connection: nothing may be read while a write is open.
    ///
    /// # Errors
    /// Where the database cannot be made.
    pub async fn simulated() -> Result<Self> {
        sqlx::any::install_default_drivers();
        let options = AnyConnectOptions::from_str("sqlite::memory:")?;
        let pool = AnyPoolOptions::new()
            .max_connections(1)
            .min_connections(1)
            .test_before_acquire(false)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_with(options)
            .await?;
        migrate(&pool).await?;
        let sealer = Sealer::from_base64(&Sealer::generate_base64()?)?;
        let node = "simulated".to_owned();
        Ok(Self::new((pool.clone(), pool, Backend::Sqlite, Lock::None), sealer, node))
    }

    fn assemble(
        settings: &StateSettings,
        read: AnyPool,
        write: AnyPool,
        backend: Backend,
        sealer: Sealer,
        lock: Lock,
    ) -> Self {
        let node = settings.node.clone();
        Self::new((read, write, backend, lock), sealer, node)
    }

    fn new((read, write, backend, lock): (AnyPool, AnyPool, Backend, Lock), sealer: Sealer, node: String) -> Self {
        let (wake, wake_notify, wake_lists) = (Notify::new(), Notify::new(), Notify::new());
        let fuse = Fuse::default();
        Self(Arc::new(Inner { read, write, backend, sealer, node, wake, wake_notify, wake_lists, lock, fuse }))
    }
}

async fn take_lock(settings: &StateSettings) -> Result<Lock> {
    sqlx::any::install_default_drivers();
    match &settings.database {
        Database::Sqlite => lock::take_file(&settings.directory),
        Database::Postgres { url, user, password } => {
            lock::take_database(&postgres_options(url, user, password.as_ref())?, url).await
        }
    }
}

fn make_directory(directory: &Path) -> Result<()> {
    let unusable = |source| StateError::Unusable { path: directory.to_owned(), source };
    // Others must be able to pass through to the certificates; what is secret in it is 0600 by itself.
    std::fs::DirBuilder::new().recursive(true).mode(0o755).create(directory).map_err(unusable)
}

fn database_file(settings: &StateSettings) -> PathBuf {
    settings.directory.join("renewd.db")
}

async fn connect(settings: &StateSettings, create: bool) -> Result<(AnyPool, AnyPool, Backend)> {
    sqlx::any::install_default_drivers();
    match &settings.database {
        Database::Sqlite => {
            let file = database_file(settings);
            if create {
                make_private(&file)?;
            }
            // One writer: SQLite has no more, and waiting in our own queue is fair.
            let write = sqlite(&file, 1, create).await?;
            if create {
                migrate(&write).await?;
            }
            // Not before: a connection that saw a table without its last columns would go on reading it so.
            Ok((sqlite(&file, 4, create).await?, write, Backend::Sqlite))
        }
        Database::Postgres { url, user, password } => {
            let pool = postgres(postgres_options(url, user, password.as_ref())?).await?;
            if create {
                migrate(&pool).await?;
            }
            Ok((pool.clone(), pool, Backend::Postgres))
        }
    }
}

/// The file exists, 0600, before SQLite writes to it: its WAL takes the same mode.
fn make_private(file: &Path) -> Result<()> {
    let made = std::fs::OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(file);
    made.map(drop).map_err(|source| StateError::Unusable { path: file.to_owned(), source })
}

async fn sqlite(file: &Path, connections: u32, create: bool) -> Result<AnyPool> {
    let path = url::form_urlencoded_path(&file.to_string_lossy());
    let mode = if create { "rwc" } else { "rw" };
    let options = AnyConnectOptions::from_str(&format!("sqlite://{path}?mode={mode}"))?;
    let pool = AnyPoolOptions::new()
        .max_connections(connections)
        .min_connections(1)
        .acquire_timeout(Duration::from_secs(30))
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        .after_connect(|connection, _| Box::pin(async move { connection.execute(PRAGMAS).await.map(drop) }));
    Ok(pool.connect_with(options).await?)
}

fn postgres_options(url: &str, user: &str, password: Option<&SecretRef>) -> Result<AnyConnectOptions> {
    let password = password.map(SecretRef::read).transpose()?;
    let login = url::with_login(url, user, password.as_ref().map(|secret| secret.expose_secret()));
    // The URL now holds the password: sqlx's own error for a bad URL must not carry it on.
    let options = AnyConnectOptions::from_str(&login)
        .map_err(|_| sqlx::Error::Configuration("the database URL cannot be read".into()))?;
    Ok(options)
}

async fn postgres(options: AnyConnectOptions) -> Result<AnyPool> {
    let pool = AnyPoolOptions::new().max_connections(8).acquire_timeout(Duration::from_secs(10));
    Ok(pool.connect_with(options).await?)
}

async fn migrate(pool: &AnyPool) -> Result<()> {
    MIGRATIONS.run(pool).await.map_err(explain_migration)
}

fn explain_migration(error: MigrateError) -> StateError {
    match error {
        MigrateError::VersionMissing(version) => StateError::Newer { version },
        other => StateError::Migration(other),
    }
}

/// The seal key, held against the one that the database was sealed with.
async fn seal_key(settings: &StateSettings, pool: &AnyPool, make: bool) -> Result<Sealer> {
    let mut expected = seal_key_id(pool).await?;
    let (sealer, place) = find_key(settings, expected.as_deref(), make)?;
    if expected.is_none() {
        sqlx::query("INSERT INTO meta (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING")
            .bind(SEAL_KEY_ID)
            .bind(sealer.id())
            .execute(pool)
            .await?;
        // Another node may have been first, with another key.
        expected = seal_key_id(pool).await?;
    }
    match expected {
        Some(id) if id != sealer.id() => {
            Err(StateError::OtherSealKey { sealed_with: id, place, found: sealer.id().to_owned() })
        }
        _ => Ok(sealer),
    }
}

async fn seal_key_id(pool: &AnyPool) -> Result<Option<String>> {
    Ok(sqlx::query_scalar("SELECT value FROM meta WHERE name = $1").bind(SEAL_KEY_ID).fetch_optional(pool).await?)
}

fn find_key(settings: &StateSettings, expected: Option<&str>, make: bool) -> Result<(Sealer, String)> {
    let file = settings.directory.join("seal.key");
    let reference = settings.seal_key.clone().unwrap_or(SecretRef::File(file.clone()));
    let place = reference.to_string();
    match reference.read() {
        Ok(text) => Ok((Sealer::from_base64(text.expose_secret())?, place)),
        Err(SecretError::Unreadable { source, .. })
            if settings.seal_key.is_none() && source.kind() == std::io::ErrorKind::NotFound =>
        {
            match expected {
                Some(id) => Err(StateError::SealKeyMissing { sealed_with: id.to_owned(), place }),
                None if make => Ok((make_key(&file)?, place)),
                None => Err(StateError::Absent { directory: settings.directory.clone() }),
            }
        }
        Err(other) => Err(other.into()),
    }
}

/// Writes a fresh key, 0600 before a byte of it, whole or not at all.
fn make_key(file: &Path) -> Result<Sealer> {
    use std::io::Write as _;
    let unusable = |source| StateError::Unusable { path: file.to_owned(), source };
    let text = Sealer::generate_base64()?;
    let fresh = file.with_extension("key.new");
    let _ = std::fs::remove_file(&fresh);
    let mut handle =
        std::fs::OpenOptions::new().create_new(true).write(true).mode(0o600).open(&fresh).map_err(unusable)?;
    handle.write_all(text.as_bytes()).and_then(|()| handle.sync_all()).map_err(unusable)?;
    std::fs::rename(&fresh, file).map_err(unusable)?;
    if let Some(directory) = file.parent() {
        std::fs::File::open(directory).and_then(|open| open.sync_all()).map_err(unusable)?;
    }
    Ok(Sealer::from_base64(&text)?)
}

mod url {
    //! Building connection URLs from parts that may hold any character.

    /// A path with everything percent-encoded that a URL would read otherwise.
    pub(super) fn form_urlencoded_path(path: &str) -> String {
        encode(path, b"/-._~")
    }

    /// `postgres://host/db` with user and password put in.
    pub(super) fn with_login(url: &str, user: &str, password: Option<&str>) -> String {
        let (scheme, rest) = url.split_once("://").unwrap_or(("postgres", url));
        let password = password.map(|word| format!(":{}", encode(word, b"-._~"))).unwrap_or_default();
        format!("{scheme}://{}{password}@{rest}", encode(user, b"-._~"))
    }

    fn encode(text: &str, kept: &[u8]) -> String {
        let mut encoded = String::new();
        for byte in text.bytes() {
            if byte.is_ascii_alphanumeric() || kept.contains(&byte) {
                encoded.push(char::from(byte));
            } else {
                encoded.push_str(&format!("%{byte:02X}"));
            }
        }
        encoded
    }

    #[cfg(test)]
    mod tests {
        #[test]
        fn a_login_is_encoded() {
            let url = super::with_login("postgres://db/renewd", "a@b", Some("p:/#"));
            assert_eq!(url, "postgres://a%40b:p%3A%2F%23@db/renewd");
        }
    }
}
