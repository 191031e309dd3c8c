//! Revoking against a real database and a real log.

use std::path::Path;

use tempfile::TempDir;

use super::*;
use crate::config::{Database, StateSettings};
use crate::state::ca::NewCaCertificate;
use crate::state::crl::CrlName;

const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);
const LATER: Timestamp = Timestamp::from_seconds(1_800_000_060);

async fn state(directory: &Path) -> State {
    let settings = StateSettings {
        directory: directory.to_owned(),
        socket: directory.join("renewd.sock"),
        node: "a".to_owned(),
        database: Database::Sqlite,
        seal_key: None,
    };
    State::open(&settings).await.unwrap()
}

async fn add(state: &State, ca: &str, serial: &str) {
    let not_after = NOW.plus(std::time::Duration::from_secs(86_400));
    let new = NewCaCertificate {
        ca,
        serial: serial.to_owned(),
        generation: 1,
        order_id: serial,
        names: &[],
        profile: "server",
        subject: "",
        shard: 0,
        not_before: NOW,
        not_after,
        to_be_signed: b"x",
    };
    state.add_ca_certificates(&[(new, NOW)]).await.unwrap();
}

fn serial(hex: &str) -> Serial {
    Serial::parse_hex(hex).unwrap()
}

async fn standing(state: &State, serial: &str) -> Standing {
    Standing::of(&status(state, "own", serial).await)
}

async fn status(state: &State, ca: &str, serial: &str) -> CaStatusRow {
    state.ca_statuses(ca, &[serial]).await.unwrap().pop().unwrap()
}

fn revoked(reason: Reason) -> Standing {
    Standing::Revoked { at: NOW, reason, hold_ended: None }
}

/// A state with two leaves of CA `own` and one of CA `other`.
async fn world(directory: &Path) -> (State, Revocations) {
    let state = state(directory).await;
    add(&state, "own", "0a").await;
    add(&state, "own", "0b").await;
    add(&state, "other", "0c").await;
    let revocations = Revocations::open(&state, directory).await.unwrap();
    (state, revocations)
}

#[tokio::test]
async fn what_is_revoked_is_on_record_and_in_the_log() {
    let directory = TempDir::new().unwrap();
    let (state, revocations) = world(directory.path()).await;
    let outcome = revocations.revoke("own", &serial("0a"), Reason::KeyCompromise, NOW).await.unwrap();
    assert_eq!(outcome, Outcome { standing: revoked(Reason::KeyCompromise), changed: true });
    assert_eq!(standing(&state, "0a").await, revoked(Reason::KeyCompromise));
    assert_eq!(standing(&state, "0b").await, Standing::Good { released: None });
    let log = std::fs::read_to_string(directory.path().join("revocations.log")).unwrap();
    let lines: Vec<_> = log.lines().skip(1).collect();
    assert_eq!(lines, ["2027-01-15T08:00:00Z own 0a keyCompromise - 1 0 2027-01-16T08:00:00Z"]);
    let again = revocations.revoke("own", &serial("0a"), Reason::Superseded, LATER).await.unwrap();
    assert_eq!(again, Outcome { standing: revoked(Reason::KeyCompromise), changed: false });
    assert_eq!(std::fs::read_to_string(directory.path().join("revocations.log")).unwrap(), log);
}

#[tokio::test]
async fn serials_of_nobody_and_of_another_ca_are_refused() {
    let directory = TempDir::new().unwrap();
    let (state, revocations) = world(directory.path()).await;
    for unknown in ["0c", "0d"] {
        let refused = revocations.revoke("own", &serial(unknown), Reason::Unspecified, NOW).await.unwrap_err();
        assert_eq!(refused.to_string(), format!("CA `own` has issued no certificate with the serial {unknown}"));
    }
    assert_eq!(status(&state, "other", "0c").await.revoked_at, None);
}

#[tokio::test]
async fn a_hold_is_released_and_only_a_hold() {
    let directory = TempDir::new().unwrap();
    let (state, revocations) = world(directory.path()).await;
    let refused = revocations.release("own", &serial("0a"), NOW).await;
    assert!(matches!(refused, Err(RevocationError::NotOnHold)), "{refused:?}");
    revocations.revoke("own", &serial("0a"), Reason::CertificateHold, NOW).await.unwrap();
    assert_eq!(standing(&state, "0a").await, revoked(Reason::CertificateHold));
    revocations.release("own", &serial("0a"), LATER).await.unwrap();
    assert_eq!(standing(&state, "0a").await, Standing::Good { released: Some(LATER) });
    revocations.revoke("own", &serial("0a"), Reason::Superseded, LATER).await.unwrap();
    let refused = revocations.release("own", &serial("0a"), LATER).await;
    assert!(matches!(refused, Err(RevocationError::Final { reason: Reason::Superseded })), "{refused:?}");
}

#[tokio::test]
async fn many_at_once_are_all_kept() {
    let directory = TempDir::new().unwrap();
    let (state, revocations) = world(directory.path()).await;
    let serials: Vec<String> = (100..300_u32).map(|number| format!("{:04x}", number + 0x1000)).collect();
    for serial in &serials {
        add(&state, "own", serial).await;
    }
    let all = serials.iter().map(|one| {
        let (revocations, one) = (revocations.clone(), serial(one));
        async move { revocations.revoke("own", &one, Reason::Superseded, NOW).await }
    });
    for outcome in futures_util::future::join_all(all).await {
        assert!(outcome.unwrap().changed);
    }
    for serial in &serials {
        assert_eq!(standing(&state, serial).await, revoked(Reason::Superseded));
    }
}

#[tokio::test]
async fn those_that_arrive_together_share_a_transaction() {
    const TOGETHER: u32 = 16;
    const EACH: u32 = 8;
    let directory = TempDir::new().unwrap();
    let (state, revocations) = world(directory.path()).await;
    let name = |number: u32| format!("{:04x}", number + 0x1000);
    for number in 0..TOGETHER * EACH {
        add(&state, "own", &name(number)).await;
    }
    // Each asks for its next one when it has been answered.
    let one_after_the_other = |asker: u32| {
        let revocations = revocations.clone();
        async move {
            for number in asker * EACH..(asker + 1) * EACH {
                revocations.revoke("own", &serial(&name(number)), Reason::Superseded, NOW).await.unwrap();
            }
        }
    };
    // A write more than these does not get through: two for each that all of them ask for at the same time.
    state.fuse().set(EACH * 2);
    futures_util::future::join_all((0..TOGETHER).map(one_after_the_other)).await;
    state.fuse().mend();
    for number in 0..TOGETHER * EACH {
        assert_eq!(standing(&state, &name(number)).await, revoked(Reason::Superseded));
    }
}

#[tokio::test]
async fn a_log_of_many_lines_is_merged_whole() {
    const LINES: u32 = 5_000;
    let directory = TempDir::new().unwrap();
    let (state, revocations) = world(directory.path()).await;
    add(&state, "own", "7777").await;
    let name = |number: u32| format!("{:04x}", number + 0x1000);
    let line = |serial: String| format!("{NOW} own {serial} superseded - 1 0 {LATER}\n");
    let lines: String = (0..LINES).map(|number| line(name(number))).collect();
    drop(revocations);
    let mut log = std::fs::File::options().append(true).open(directory.path().join("revocations.log")).unwrap();
    std::io::Write::write_all(&mut log, (lines + &line("7777".to_owned())).as_bytes()).unwrap();
    Revocations::open(&state, directory.path()).await.unwrap();
    for serial in [name(0), name(511), name(512), name(1_999), name(2_000), name(LINES - 1), "7777".to_owned()] {
        assert_eq!(standing(&state, &serial).await, revoked(Reason::Superseded), "{serial}");
    }
    let mark = state.revocations_mark().await.unwrap().unwrap();
    let length = std::fs::metadata(directory.path().join("revocations.log")).unwrap().len();
    assert!(mark.ends_with(&format!(" {length}")), "{mark}: the whole of it is known");
}

#[tokio::test]
async fn an_older_database_learns_from_the_log_what_was_revoked() {
    let directory = TempDir::new().unwrap();
    let (state, revocations) = world(directory.path()).await;
    revocations.revoke("own", &serial("0a"), Reason::CertificateHold, NOW).await.unwrap();
    add(&state, "own", "0e").await;
    revocations.revoke("own", &serial("0e"), Reason::KeyCompromise, NOW).await.unwrap();
    revocations.revoke("own", &serial("0b"), Reason::CertificateHold, NOW).await.unwrap();
    revocations.release("own", &serial("0b"), LATER).await.unwrap();
    state.close().await;
    drop((state, revocations));

    // As from a backup: the two leaves, nothing revoked, and no trace of the third.
    for file in ["renewd.db", "renewd.db-wal", "renewd.db-shm"] {
        let _ = std::fs::remove_file(directory.path().join(file));
    }
    let _ = std::fs::remove_file(directory.path().join("seal.key"));
    let (state, revocations) = world(directory.path()).await;
    assert_eq!(standing(&state, "0a").await, revoked(Reason::CertificateHold));
    assert_eq!(standing(&state, "0b").await, Standing::Good { released: Some(LATER) });
    assert_eq!(standing(&state, "0e").await, revoked(Reason::KeyCompromise), "it is remembered, known or not");
    let again = revocations.revoke("own", &serial("0e"), Reason::Superseded, LATER).await.unwrap();
    assert!(!again.changed);
}

#[tokio::test]
async fn what_the_database_holds_for_final_stays_so_whatever_the_log_says() {
    let directory = TempDir::new().unwrap();
    let (state, revocations) = world(directory.path()).await;
    revocations.revoke("own", &serial("0a"), Reason::CertificateHold, NOW).await.unwrap();
    revocations.release("own", &serial("0a"), NOW).await.unwrap();
    let held = std::fs::read(directory.path().join("revocations.log")).unwrap();
    revocations.revoke("own", &serial("0a"), Reason::KeyCompromise, LATER).await.unwrap();
    let final_standing = standing(&state, "0a").await;
    drop(revocations);
    // An older log comes back instead of an older database.
    std::io::Write::write_all(&mut std::fs::File::create(directory.path().join("revocations.log")).unwrap(), &held)
        .unwrap();
    Revocations::open(&state, directory.path()).await.unwrap();
    assert_eq!(standing(&state, "0a").await, final_standing);
}

#[tokio::test]
async fn an_older_line_does_not_undo_what_came_after_it() {
    let directory = TempDir::new().unwrap();
    let (state, revocations) = world(directory.path()).await;
    revocations.revoke("own", &serial("0a"), Reason::CertificateHold, NOW).await.unwrap();
    let held = std::fs::read(directory.path().join("revocations.log")).unwrap();
    revocations.release("own", &serial("0a"), LATER).await.unwrap();
    drop(revocations);
    std::io::Write::write_all(&mut std::fs::File::create(directory.path().join("revocations.log")).unwrap(), &held)
        .unwrap();
    Revocations::open(&state, directory.path()).await.unwrap();
    assert_eq!(standing(&state, "0a").await, Standing::Good { released: Some(LATER) });
}

#[tokio::test]
async fn a_later_line_does_not_take_back_what_the_database_holds_for_final() {
    let directory = TempDir::new().unwrap();
    let (state, revocations) = world(directory.path()).await;
    revocations.revoke("own", &serial("0a"), Reason::CertificateHold, NOW).await.unwrap();
    revocations.release("own", &serial("0a"), LATER).await.unwrap();
    let released = std::fs::read(directory.path().join("revocations.log")).unwrap();
    // Revoked for good by a clock that had gone back.
    revocations.revoke("own", &serial("0a"), Reason::KeyCompromise, NOW).await.unwrap();
    drop(revocations);
    std::io::Write::write_all(&mut std::fs::File::create(directory.path().join("revocations.log")).unwrap(), &released)
        .unwrap();
    Revocations::open(&state, directory.path()).await.unwrap();
    assert_eq!(standing(&state, "0a").await, revoked(Reason::KeyCompromise));
}

#[tokio::test]
async fn what_the_database_refused_is_written_with_the_next() {
    let directory = TempDir::new().unwrap();
    let (state, revocations) = world(directory.path()).await;
    state.fuse().set(0);
    let failed = revocations.revoke("own", &serial("0a"), Reason::KeyCompromise, NOW).await;
    assert!(matches!(failed, Err(RevocationError::NotWritten(_))), "{failed:?}");
    state.fuse().mend();
    assert_eq!(standing(&state, "0a").await, Standing::Good { released: None });
    revocations.revoke("own", &serial("0b"), Reason::Superseded, NOW).await.unwrap();
    assert_eq!(standing(&state, "0a").await, revoked(Reason::KeyCompromise), "the log had it");
}

#[tokio::test]
async fn whoever_observes_learns_of_every_change() {
    struct Seen(Mutex<Vec<(String, Standing)>>);
    impl Observer for Seen {
        fn changed(&self, ca: &str, _: u32, serial: &Serial, standing: Standing) {
            self.0.lock().unwrap().push((format!("{ca} {serial}"), standing));
        }
    }
    let directory = TempDir::new().unwrap();
    let (_, revocations) = world(directory.path()).await;
    let seen = Arc::new(Seen(Mutex::default()));
    revocations.observe(Arc::clone(&seen) as Arc<dyn Observer>);
    revocations.revoke("own", &serial("0a"), Reason::CertificateHold, NOW).await.unwrap();
    revocations.revoke("own", &serial("0a"), Reason::CertificateHold, NOW).await.unwrap();
    revocations.release("own", &serial("0a"), NOW).await.unwrap();
    let released = Standing::Good { released: Some(NOW) };
    let expected = [revoked(Reason::CertificateHold), released].map(|standing| ("own 0a".to_owned(), standing));
    assert_eq!(*seen.0.lock().unwrap(), expected);
}

#[tokio::test]
async fn a_list_that_is_being_made_is_outdated_by_a_revocation() {
    let directory = TempDir::new().unwrap();
    let (state, revocations) = world(directory.path()).await;
    let name = CrlName { ca: "own".to_owned(), generation: 1, shard: Some(0) };
    let number = state.next_crl_number(&name, 5).await.unwrap();
    revocations.revoke("own", &serial("0a"), Reason::Superseded, NOW).await.unwrap();
    let dates = crate::state::crl::Published { this_update: NOW, next_update: LATER };
    state.crl_published(&name, number, dates, None, NOW).await.unwrap();
    let row = state.crl(&name).await.unwrap().unwrap();
    assert!(!row.current && row.number > number && row.published == Some(dates), "{row:?}");
}
