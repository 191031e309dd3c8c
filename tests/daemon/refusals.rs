//! When the daemon must not start, and says why.

use std::process::ExitStatus;
use std::time::Duration;

use crate::harness::Daemon;
use crate::home::{Home, STORE};

const CA: &str = "[ca.internal]\nsubject = { common_name = \"Test CA\" }\n\n[certificate.\"a.internal\"]\n";

#[test]
fn a_second_daemon_on_the_same_state_is_refused() {
    let (home, mut first) = running();
    let second = Home::new();
    let text = second.head().replace("\"state\"", &format!("\"{}\"", home.state().display()));
    second.save(&format!("{text}{STORE}{CA}"));
    let (status, log) = refused(&second);
    assert_eq!(status.code(), Some(1));
    assert!(log.contains("another renewd uses the state in") && log.contains(&first.id().to_string()), "{log}");
    assert_eq!(first.get("/health").status, 200);
    assert!(first.terminate().success());
    assert!(Daemon::start(&second).terminate().success(), "the state is free again");
}

#[test]
fn sealed_keys_without_their_seal_key_are_refused_with_both_names() {
    let (home, mut daemon) = running();
    assert!(daemon.terminate().success());
    let (key, kept) = (home.state().join("seal.key"), home.file("kept.key"));
    std::fs::rename(&key, &kept).expect("a file can be renamed");
    let (status, missing) = refused(&home);
    assert!(!status.success());
    let sealed_with = quoted_after(&missing, "sealed with seal key ");
    assert!(missing.contains(&*key.to_string_lossy()), "the place is named: {missing}");
    assert!(!key.exists(), "no new key is made for a database that has one");

    home.secret("state/seal.key", &base64_of(b"another key of thirty-two octets"));
    let (status, other) = refused(&home);
    assert!(!status.success());
    assert_eq!(quoted_after(&other, "sealed with seal key "), sealed_with);
    let found = quoted_after(&other, "is seal key ");
    assert!(!found.is_empty() && found != sealed_with, "{other}");

    std::fs::rename(&kept, &key).expect("a file can be renamed");
    assert!(Daemon::start(&home).terminate().success(), "with its own key all is well");
}

#[test]
fn a_bad_config_is_refused_with_78_and_every_error() {
    let home = Home::with("[dns.main]\nzones = [\"a.test\"]\n[certificate.\"a.test\"]\nisuers = [\"nobody\"]\n");
    let (status, log) = refused(&home);
    assert_eq!(status.code(), Some(78));
    assert!(log.contains("isuers") && log.contains("issuers") && log.contains("dns.main"), "{log}");
}

#[test]
fn without_a_daemon_what_acts_says_so_and_what_looks_works() {
    let (home, mut daemon) = running();
    assert!(daemon.terminate().success());
    assert_eq!(daemon.cli(&["renew", "a.internal"]).status.code(), Some(3));
    assert_eq!(daemon.cli(&["reload"]).status.code(), Some(3));
    assert_eq!(daemon.state_of("a.internal"), "stored");
    assert_eq!(daemon.cli_json(&["check"])["schema"], 1);
    drop(home);
}

fn running() -> (Home, Daemon) {
    let home = Home::with(&format!("{STORE}{CA}"));
    let mut daemon = Daemon::start(&home);
    daemon.until_all(Duration::from_secs(30), "stored");
    (home, daemon)
}

/// Starts a daemon that ends by itself: how, and what it said meanwhile.
fn refused(home: &Home) -> (ExitStatus, String) {
    let before = std::fs::read_to_string(home.file("renewd.log")).unwrap_or_default();
    let mut daemon = Daemon::spawn(home, &[]);
    let status = daemon.wait();
    (status, daemon.log()[before.len()..].to_owned())
}

fn quoted_after(text: &str, words: &str) -> String {
    let (_, rest) = text.split_once(&format!("{words}`")).unwrap_or_else(|| panic!("no `{words}` in: {text}"));
    rest.split('`').next().unwrap_or_default().to_owned()
}

fn base64_of(octets: &[u8; 32]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(octets)
}
