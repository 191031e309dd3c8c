//! A CA whose keys are in a PKCS#11 token.

use std::process::Command;
use std::time::Duration;

use crate::harness::{Daemon, said};
use crate::home::{Home, STORE};
use crate::own_ca::LIMIT;
use crate::peers::softhsm::{LABEL, SoftHsm};
use crate::peers::{openssl, programs};

const PIN: &str = "geheime-PIN-4711";

fn config(home: &Home, kinds: &[&str]) -> String {
    home.secret("pin", &format!("{PIN}\n"));
    let one = |kind: &&str| {
        format!(
            "[ca.{kind}]\nsubject = {{ common_name = \"Token {kind}\" }}\nkey = \"{kind}\"\n\
             pkcs11 = {{ module = \"{}\", token = \"{LABEL}\", pin = {{ file = \"pin\" }} }}\n\
             [certificate.\"{kind}.test\"]\nissuers = \"{kind}\"\n",
            SoftHsm::module().display()
        )
    };
    format!("{}{STORE}{}", home.head(), kinds.iter().map(one).collect::<String>())
}

/// The chain of a certificate, which leads to its CA's root.
fn verified(daemon: &Daemon, kind: &str) -> Vec<String> {
    let chain = openssl::certificates(&daemon.get(&format!("/{kind}.test/tls")).text());
    let authority = openssl::certificates(&daemon.get(&format!("/ca/{kind}.pem")).text());
    openssl::verify(&authority[1], &chain[1], &chain[0]).expect(kind);
    chain
}

/// A generation's CRL comes, and `openssl` finds that its issuing certificate signed it.
fn crl_is_signed(home: &Home, daemon: &mut Daemon, kind: &str, generation: u32) {
    let crl = home.state().join(format!("crl/{kind}/{generation}/all.crl"));
    daemon.until(LIMIT, "the CRL is there", |_| crl.is_file());
    let issuing = openssl::certificates(&daemon.get(&format!("/ca/{kind}.pem")).text())[0].clone();
    let issuing = home.write("issuing.pem", &issuing);
    let mut program = Command::new(programs::find("openssl"));
    let words = program.args(["crl", "-inform", "DER", "-noout", "-in"]).arg(&crl).arg("-CAfile").arg(issuing);
    let output = programs::run(words, "");
    assert!(said(&output).contains("verify OK"), "{kind}: {}", said(&output));
}

#[test]
fn cas_live_in_a_token_and_their_keys_nowhere_else() {
    const KINDS: [&str; 3] = ["ecdsa-p256", "ecdsa-p384", "rsa-2048"];
    let (home, token) = (Home::new(), SoftHsm::with_pin(PIN));
    home.save(&config(&home, &KINDS));
    let mut daemon = Daemon::start_with_env(&home, &[token.variable()]);
    daemon.until_all(LIMIT, "stored");
    for kind in KINDS {
        verified(&daemon, kind);
        assert_eq!(daemon.cli_json(&["ca", "show", kind])["root"]["key"], "token");
    }
    for kind in KINDS {
        crl_is_signed(&home, &mut daemon, kind, 1);
    }
    let before = verified(&daemon, "ecdsa-p256");
    assert!(daemon.terminate().success());
    let mut daemon = Daemon::start_with_env(&home, &[token.variable()]);
    assert!(daemon.cli(&["renew", "ecdsa-p256.test", "--force", "--wait"]).status.success());
    assert_eq!(verified(&daemon, "ecdsa-p256")[1], before[1], "the same CA after a restart");
    assert!(daemon.cli(&["ca", "rotate", "ecdsa-p256"]).status.success());
    assert!(daemon.cli(&["renew", "ecdsa-p256.test", "--force", "--wait"]).status.success());
    assert_ne!(verified(&daemon, "ecdsa-p256")[1], before[1], "a new key in the token");
    crl_is_signed(&home, &mut daemon, "ecdsa-p256", 2);
    // What is asked for with a key in the token is signed by it.
    let request = daemon.cli(&["ca", "csr", "ecdsa-p384"]);
    let request = String::from_utf8(request.stdout).unwrap();
    programs::must(Command::new(programs::find("openssl")).args(["req", "-noout", "-verify"]), &request);
    let password = home.secret("password", "x\n");
    let export =
        ["ca", "root", "export", "rsa-2048", "--to", "root.p12", "--password-file", password.to_str().unwrap()];
    let output = daemon.cli(&export);
    assert!(said(&output).contains("does not hand it out"), "{}", said(&output));
    let keys = token.extractable();
    assert!(keys.len() >= 2 * KINDS.len() && !keys.contains(&true), "a key may be taken out of the token: {keys:?}");
    assert!(!daemon.log().contains(PIN), "the PIN is in the log");
    let database = std::fs::read(home.state().join("renewd.db")).unwrap();
    assert!(!database.windows(PIN.len()).any(|part| part == PIN.as_bytes()), "the PIN is in the database");
}

#[test]
fn a_token_that_is_missing_is_told_of_and_taken_when_it_is_there_again() {
    let (home, token) = (Home::new(), SoftHsm::with_pin(PIN));
    home.save(&config(&home, &["ecdsa-p256"]));
    let mut daemon = Daemon::start_with_env(&home, &[token.variable()]);
    daemon.until_all(LIMIT, "stored");
    let before = verified(&daemon, "ecdsa-p256");
    assert!(daemon.terminate().success());
    token.unplug();
    let mut daemon = Daemon::start_with_env(&home, &[token.variable()]);
    daemon.until(LIMIT, "health tells of it", |daemon| {
        let health = daemon.json("/health");
        health["status"] == "degraded" && health["checks"]["authorities"]["troubled"] == 1
    });
    let output = daemon.cli(&["ca", "rotate", "ecdsa-p256"]);
    assert!(!output.status.success());
    assert!(said(&output).contains(&format!("the token `{LABEL}` is not there")), "{}", said(&output));
    assert_eq!(verified(&daemon, "ecdsa-p256"), before, "what was issued is served");
    assert!(daemon.terminate().success());
    token.plug();
    let mut daemon = Daemon::start_with_env(&home, &[token.variable()]);
    daemon.until(Duration::from_secs(30), "all is well", |daemon| daemon.json("/health")["status"] == "ok");
    assert!(daemon.cli(&["renew", "ecdsa-p256.test", "--force", "--wait"]).status.success());
    assert_eq!(verified(&daemon, "ecdsa-p256")[1], before[1]);
}

/// What `doctor` says of the CA, and whether it found an error.
fn examined(daemon: &Daemon) -> (bool, String) {
    let output = daemon.cli(&["doctor"]);
    (output.status.success(), said(&output))
}

#[test]
fn a_token_lost_at_run_time_is_found_by_doctor_and_health_and_taken_again_at_a_start() {
    let (home, token) = (Home::new(), SoftHsm::with_pin(PIN));
    let text = config(&home, &["ecdsa-p256"]);
    home.save(&text);
    let mut daemon = Daemon::start_with_env(&home, &[token.variable()]);
    daemon.until_all(LIMIT, "stored");
    let (well, told) = examined(&daemon);
    assert!(well && !told.contains("on no record"), "{told}");
    token.unplug();
    let (well, told) = examined(&daemon);
    assert!(!well && told.contains(LABEL), "{told}");
    let troubled = |daemon: &Daemon| daemon.json("/health")["checks"]["authorities"]["troubled"].clone();
    assert_eq!(troubled(&daemon), 1);
    // It comes back, and its PIN is elsewhere.
    assert!(daemon.terminate().success());
    token.plug();
    std::fs::rename(home.file("pin"), home.file("another-pin")).unwrap();
    home.save(&text.replace("file = \"pin\"", "file = \"another-pin\""));
    let mut daemon = Daemon::start_with_env(&home, &[token.variable()]);
    let (well, told) = examined(&daemon);
    assert!(well, "{told}");
    assert_eq!(troubled(&daemon), 0);
    assert!(daemon.cli(&["renew", "ecdsa-p256.test", "--force", "--wait"]).status.success());
    verified(&daemon, "ecdsa-p256");
    assert!(daemon.terminate().success());
    assert!(!daemon.log().contains(PIN), "the PIN is in the log");
}

#[test]
fn a_key_that_a_power_cut_left_in_the_token_is_told_of() {
    let (home, token) = (Home::new(), SoftHsm::with_pin(PIN));
    home.save(&config(&home, &["ecdsa-p256"]));
    let cut = [token.variable(), (renewd::crash::VARIABLE, "token_key_made")];
    assert!(!Daemon::spawn(&home, &cut).wait().success(), "it was killed");
    let mut daemon = Daemon::start_with_env(&home, &[token.variable()]);
    daemon.until_all(LIMIT, "stored");
    verified(&daemon, "ecdsa-p256");
    let (well, told) = examined(&daemon);
    assert!(well, "{told}");
    assert_eq!(told.matches("holds a key `renewd ecdsa-p256 root`").count(), 1, "{told}");
    assert!(told.contains("--delete-object --type privkey"), "{told}");
    assert!(!told.contains("renewd ecdsa-p256 1"), "what is on record is no stray: {told}");
}

#[test]
fn a_wrong_pin_is_tried_once() {
    let (home, token) = (Home::new(), SoftHsm::with_pin("another-PIN"));
    home.save(&config(&home, &["ecdsa-p256"]));
    let mut daemon = Daemon::start_with_env(&home, &[token.variable()]);
    daemon.until(LIMIT, "it is said", |daemon| daemon.log().contains("refuses the PIN"));
    let tried = token.written_at();
    assert!(!daemon.cli(&["renew", "ecdsa-p256.test", "--force", "--wait"]).status.success());
    assert_eq!(token.written_at(), tried, "a token that is told a wrong PIN again and again locks itself");
    // Mended, it is tried again without a restart.
    home.secret("pin", token.pin());
    assert!(daemon.cli(&["renew", "ecdsa-p256.test", "--force", "--wait"]).status.success(), "{}", daemon.log());
    verified(&daemon, "ecdsa-p256");
    assert!(!daemon.log().contains(PIN));
}
