//! Opening: who may, with which key, and what is refused.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use renewd::config::StateSettings;
use renewd::secret::{Sealer, SecretError};
use renewd::state::{State, StateError};
use tempfile::TempDir;

use super::place::{NOW, execute, on_postgres, on_sqlite, secret};
use crate::peers::postgres::Postgres;

fn mode(file: &Path) -> u32 {
    std::fs::metadata(file).unwrap().permissions().mode() & 0o7777
}

async fn refused(settings: &StateSettings) -> StateError {
    State::open(settings).await.expect_err("it is refused")
}

#[tokio::test]
async fn what_is_made_is_ours_alone() {
    let directory = TempDir::new().unwrap();
    let state = State::open(&on_sqlite(directory.path())).await.unwrap();
    state.remember_time(NOW).await.unwrap();
    for file in ["seal.key", "renewd.db", "renewd.db-wal", "renewd.db-shm", "renewd.lock"] {
        assert_eq!(mode(&directory.path().join(file)), 0o600, "{file}");
    }
    let key = std::fs::read_to_string(directory.path().join("seal.key")).unwrap();
    assert_eq!(state.sealer().id(), Sealer::from_base64(&key).unwrap().id());
}

#[tokio::test]
async fn a_second_daemon_is_told_who_has_it() {
    let directory = TempDir::new().unwrap();
    let settings = on_sqlite(directory.path());
    let state = State::open(&settings).await.unwrap();
    let error = refused(&settings).await;
    let StateError::InUse { pid, .. } = &error else { panic!("{error:?}") };
    assert_eq!(*pid, Some(std::process::id()));
    assert!(error.to_string().contains(&format!("process {}", std::process::id())), "{error}");
    State::open_to_look(&settings).await.expect("looking is not refused").close().await;
    state.close().await;
    drop(state);
    State::open(&settings).await.expect("the lock goes with its holder");
}

#[tokio::test]
async fn looking_makes_nothing() {
    let directory = TempDir::new().unwrap();
    let settings = on_sqlite(&directory.path().join("none"));
    assert!(matches!(State::open_to_look(&settings).await, Err(StateError::Absent { .. })));
    assert!(!settings.directory.exists());
}

#[tokio::test]
async fn a_missing_seal_key_is_not_made_anew() {
    let directory = TempDir::new().unwrap();
    let settings = on_sqlite(directory.path());
    let state = State::open(&settings).await.unwrap();
    let id = state.sealer().id().to_owned();
    state.close().await;
    drop(state);
    let file = directory.path().join("seal.key");
    let away = directory.path().join("away");
    std::fs::rename(&file, &away).unwrap();
    let error = refused(&settings).await;
    let StateError::SealKeyMissing { sealed_with, .. } = &error else { panic!("{error:?}") };
    assert_eq!(*sealed_with, id);
    assert!(error.to_string().contains(file.to_str().unwrap()), "{error}");
    assert!(!file.exists());
    std::fs::rename(&away, &file).unwrap();
    State::open(&settings).await.unwrap();
}

#[tokio::test]
async fn another_seal_key_is_refused_naming_both() {
    let directory = TempDir::new().unwrap();
    let settings = on_sqlite(directory.path());
    let state = State::open(&settings).await.unwrap();
    let id = state.sealer().id().to_owned();
    state.close().await;
    drop(state);
    let text = Sealer::generate_base64().unwrap();
    let other = StateSettings { seal_key: Some(secret(directory.path(), "other", &text)), ..settings };
    let error = refused(&other).await;
    let StateError::OtherSealKey { sealed_with, found, .. } = &error else { panic!("{error:?}") };
    assert_eq!((sealed_with, found.as_str()), (&id, Sealer::from_base64(&text).unwrap().id()));
    let told = error.to_string();
    assert!(told.contains(sealed_with) && told.contains(found) && !told.contains(text.as_str()), "{told}");
    assert!(!format!("{error:?}").contains(text.as_str()));
}

#[tokio::test]
async fn a_key_that_was_asked_for_is_not_made() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("absent");
    let seal_key = Some(renewd::secret::SecretRef::File(file.clone()));
    let settings = StateSettings { seal_key, ..on_sqlite(directory.path()) };
    let error = refused(&settings).await;
    assert!(matches!(error, StateError::Secret(SecretError::Unreadable { .. })), "{error:?}");
    assert!(!file.exists());
}

const NEWER: &str = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
                     SELECT 9999, 'from the future', success, checksum, 0 FROM _sqlx_migrations WHERE version = 1";

#[tokio::test]
async fn a_newer_database_is_refused_on_sqlite() {
    let directory = TempDir::new().unwrap();
    let settings = on_sqlite(directory.path());
    newer(&settings).await;
}

#[tokio::test]
async fn postgres_refuses_what_sqlite_refuses() {
    let directory = TempDir::new().unwrap();
    let server = Postgres::start();
    let settings = on_postgres(&server, directory.path(), "newer");
    newer(&settings).await;

    // Two daemons begin at the same moment: one of them is told, not let in. Later on, another key is.
    let one = on_postgres(&server, directory.path(), "keys");
    let text = Sealer::generate_base64().unwrap();
    let other = StateSettings { seal_key: Some(secret(directory.path(), "other", &text)), ..one.clone() };
    let outcomes = [State::open(&one), State::open(&other)];
    let outcomes = futures_util::future::join_all(outcomes).await;
    let told: Vec<_> = outcomes.iter().filter_map(|outcome| outcome.as_ref().err()).collect();
    assert!(matches!(told.as_slice(), [StateError::DatabaseInUse { .. }]), "{told:?}");
    let late = if outcomes[0].is_ok() { &other } else { &one };
    drop(outcomes);
    let error = refused_when_free(late).await;
    assert!(matches!(error, StateError::OtherSealKey { .. }), "{error:?}");

    // A wrong password is told without the password.
    let wrong = secret(directory.path(), "password", "not-the-password");
    let error = refused_database(&one, wrong).await;
    assert!(matches!(error, StateError::Database(_)), "{error:?}");
    assert!(!format!("{error:?} {}", providers::error::chain(&error)).contains("not-the-password"));
}

/// The server notices after a moment that the connection that held the lock is gone.
async fn refused_when_free(settings: &StateSettings) -> StateError {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        match refused(settings).await {
            StateError::DatabaseInUse { .. } if Instant::now() < deadline => {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            other => return other,
        }
    }
}

async fn refused_database(settings: &StateSettings, wrong: renewd::secret::SecretRef) -> StateError {
    let renewd::config::Database::Postgres { url, user, .. } = &settings.database else { panic!("it is PostgreSQL") };
    let database = renewd::config::Database::Postgres { url: url.clone(), user: user.clone(), password: Some(wrong) };
    refused(&StateSettings { database, ..settings.clone() }).await
}

async fn newer(settings: &StateSettings) {
    let state = State::open(settings).await.unwrap();
    execute(&state, NEWER).await;
    state.close().await;
    drop(state);
    let error = refused(settings).await;
    assert!(matches!(error, StateError::Newer { version: 9999 }), "{error:?}");
}
