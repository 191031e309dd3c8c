//! Killed at each point of a revocation and its publication, of an issue and of a rotation, and started again.

use std::os::unix::process::ExitStatusExt as _;

use renewd::crash::{Point, VARIABLE};

use crate::harness::{Daemon, said};
use crate::own_ca::LIMIT;
use crate::peers::openssl;
use crate::pki::{NAMED, Pki, serial};

#[test]
fn a_crash_at_any_point_of_a_revocation_loses_nothing_and_numbers_rise() {
    let mut pki = Pki::start();
    for (turn, point) in Point::REVOCATION.iter().enumerate() {
        let certificate = pki.issue(&format!("client-{turn}"));
        let serial = serial(&certificate);
        // Nothing is due but what the revocation brings about.
        assert!(pki.daemon.terminate().success());
        pki.daemon = Daemon::start_with_env(&pki.home, &[(VARIABLE, point.name())]);
        let before = NAMED.map(|path| pki.number(path));
        let words = ["ca", "revoke", "own", &serial, "--reason", "keyCompromise"];
        let answered = pki.daemon.cli(&words).status.success();
        killed(&mut pki.daemon, point.name());

        pki.daemon = Daemon::start(&pki.home);
        // It was in the log before any of these points: it counts, answered or not.
        pki.until_listed(&serial, true);
        let after = NAMED.map(|path| pki.number(path));
        assert!(after[1] > before[1], "{}: {before:?} {after:?}", point.name());
        let again = pki.daemon.cli_json(&words);
        assert_eq!((&again["changed"], &again["status"]), (&false.into(), &"revoked".into()), "{answered} {again}");
        let refused = pki.verify(&certificate, &pki.named(), &[]).unwrap_err();
        assert!(refused.contains("certificate revoked"), "{}: {refused}", point.name());
    }
    let (shown, count) = (pki.shown(), Point::REVOCATION.len());
    assert_eq!(shown["generations"][0]["revoked"], count, "{shown}");
    let log = std::fs::read_to_string(pki.home.state().join("revocations.log")).unwrap();
    assert_eq!(log.matches(" own ").count(), count, "each once: {log}");
}

#[test]
fn a_crash_while_a_leaf_is_issued_repeats_no_serial() {
    for point in ["leaf_written", "leaf_signed"] {
        let home = crate::home::Home::new();
        home.save(&crate::pki::config(&home, "[store.disk.directory]\n[certificate.\"a.internal\"]\n"));
        killed(&mut Daemon::spawn(&home, &[(VARIABLE, point)]), point);
        let mut pki = Pki { daemon: Daemon::start(&home), home };
        pki.daemon.until(LIMIT, "it is there", |daemon| daemon.get("/a.internal/tls").status == 200);
        assert_eq!(pki.daemon.show("a.internal")["version"], 1);
        assert_eq!(pki.shown()["generations"][0]["certificates"], 1, "{point}: one leaf, signed once");
    }
}

#[test]
fn a_crash_while_a_generation_is_made_leads_to_that_generation() {
    let mut pki = Pki::start();
    let ann = pki.issue("ann");
    let before = pki.authority().0;
    let root = std::fs::read_to_string(before).unwrap();
    assert!(pki.daemon.terminate().success());
    pki.daemon = Daemon::start_with_env(&pki.home, &[(VARIABLE, "generation_written")]);
    let output = pki.daemon.cli(&["ca", "rotate", "own"]);
    assert!(!output.status.success(), "{}", said(&output));
    killed(&mut pki.daemon, "generation_written");

    pki.daemon = Daemon::start(&pki.home);
    let shown = pki.shown();
    assert_eq!(shown["generations"].as_array().unwrap().len(), 2, "{shown}");
    let chain = openssl::certificates(&pki.daemon.get("/ca/own.pem").text());
    assert_eq!(chain[1], root);
    assert_eq!(pki.daemon.get("/ca/own/2.crt").status, 200);
    pki.daemon.until(LIMIT, "it has lists", |daemon| daemon.get("/crl/own/2/0.crl").status == 200);
    pki.revoke(&ann, "superseded");
    let bob = pki.issue("bob");
    let lists = [pki.list(NAMED[0], "root.crl"), pki.list("/crl/own/2/0.crl", "second.crl")];
    pki.verify(&bob, &lists, &[]).unwrap();
}

fn killed(daemon: &mut Daemon, point: &str) {
    let status = daemon.wait();
    assert_eq!(status.signal(), Some(9), "it does not come to `{point}`: {status}");
}
