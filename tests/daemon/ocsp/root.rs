//! What is said of issuing certificates: by the root's responder, while the root's key is here and while it is in a safe.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::query::{Hash, Issuer, nonce, request};
use super::verifiers::{Door, lint};
use super::{World, config, must, octets, reading, text};
use crate::harness::{Daemon, program, said};
use crate::home::Home;
use crate::own_ca::{Clock, DAY, LIMIT};
use crate::peers::programs;

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// The serial of an issuing certificate.
fn serial(world: &World, generation: usize) -> String {
    let shown = world.daemon.cli_json(&["ca", "show", "own"]);
    shown["generations"][generation - 1]["serial"].as_str().unwrap().to_owned()
}

/// A request about certificates that the root has issued.
fn about(world: &World, serials: &[&[u8]]) -> Vec<u8> {
    let root = Issuer::of(&text(&world.root));
    request(&serials.iter().map(|serial| root.cert_id(Hash::Sha1, serial)).collect::<Vec<_>>(), &[])
}

/// What the root's responder says, once everything in it was verified.
fn ask(world: &World, serials: &[&[u8]]) -> Value {
    reading::read(&world.root, &world.post(&about(world, serials)).body)
}

fn status(world: &World, serial: &str) -> Value {
    let said = ask(world, &[&octets(serial)]);
    if said["status"] == "SUCCESSFUL" { said["singles"][0]["status"].clone() } else { said["status"].clone() }
}

fn done(daemon: &Daemon, words: &[&str]) -> String {
    let output = daemon.cli(words);
    assert!(output.status.success(), "{words:?}: {}", said(&output));
    said(&output)
}

/// Exports the root's key, and forgets it here.
fn take_away(world: &World) -> (PathBuf, PathBuf) {
    let (file, password) = (world.home.file("root.p12"), world.home.secret("password", "gehe1m\n"));
    let _ = std::fs::remove_file(&file);
    done(&world.daemon, &["ca", "root", "export", "own", "--to", path(&file), "--password-file", path(&password)]);
    done(&world.daemon, &["ca", "root", "forget", "own", "--yes"]);
    (file, password)
}

fn bring_back(world: &World, (file, password): &(PathBuf, PathBuf)) {
    let restore = ["ca", "root", "restore", "own", "--pkcs12", path(file), "--password-file", path(password)];
    done(&world.daemon, &restore);
}

#[test]
fn nginx_asks_about_the_whole_chain() {
    let world = World::start();
    let (ann, bob) = (world.issue("ann"), world.issue("bob"));
    let door = Door::open(&world, "on");
    door.admits(&ann, "ann");
    world.client(&["revoke", "ann", "--reason", "keyCompromise"]);
    door.turns_away(&ann);
    door.admits(&bob, "bob");
    let first = serial(&world, 1);
    let refused = world.daemon.cli(&["ca", "revoke", "own", &first, "--reason", "keyCompromise"]);
    assert!(!refused.status.success() && said(&refused).contains("renewd ca rotate"), "{}", said(&refused));
    done(&world.daemon, &["ca", "rotate", "own"]);
    let eve = world.issue("eve");
    done(&world.daemon, &["ca", "revoke", "own", &first, "--reason", "keyCompromise"]);
    door.turns_away(&bob);
    door.admits(&eve, "eve");
}

#[test]
fn everybody_believes_what_is_said_of_issuing_certificates() {
    let mut world = World::start();
    let described = must("openssl", &["x509", "-in", path(&world.issuing), "-noout", "-text"]);
    assert!(described.contains(&format!("OCSP - URI:{}\n", world.url())), "{described}");
    assert!(described.contains("/crl/own/0/0.crl"), "{described}");
    lint("lint_pkix_cert", &world.issuing, "the issuing certificate");
    let by_openssl = |world: &World| {
        let words = ["ocsp", "-url", &world.url(), "-CAfile", path(&world.root), "-issuer", path(&world.root)];
        let mut openssl = Command::new(programs::find("openssl"));
        let output = programs::run(openssl.args(words).args(["-cert", path(&world.issuing), "-serial", "0x1234"]), "");
        assert!(output.status.success() && said(&output).contains("Response verify OK"), "{}", said(&output));
        assert!(said(&output).contains("0x1234: unknown"), "{}", said(&output));
        said(&output)
    };
    let by_gnutls = |world: &World| {
        let files = ["--load-cert", path(&world.issuing), "--load-issuer", path(&world.root)];
        let ask = format!("--ask={}", world.url());
        must("ocsptool", &[&[ask.as_str(), "--load-trust", path(&world.root)], &files[..]].concat())
    };
    assert!(by_openssl(&world).contains("issuing.pem: good"));
    assert!(by_gnutls(&world).contains("Certificate Status: good"));
    done(&world.daemon, &["ca", "rotate", "own"]);
    let (first, second) = (serial(&world, 1), serial(&world, 2));
    done(&world.daemon, &["ca", "revoke", "own", &first, "--reason", "superseded"]);
    assert!(by_openssl(&world).contains("issuing.pem: revoked"));
    assert!(by_gnutls(&world).contains("Certificate Status: revoked"));
    let shown = world.daemon.cli_json(&["ca", "show", "own"]);
    assert_eq!(
        (&shown["generations"][0]["status"], &shown["generations"][1]["status"]),
        (&"revoked".into(), &"valid".into())
    );

    let said = ask(&world, &[&octets(&first), &octets(&second), &[7; 16]]);
    let statuses =
        |said: &Value| said["singles"].as_array().unwrap().iter().map(|one| one["status"].clone()).collect::<Vec<_>>();
    assert_eq!(statuses(&said), ["REVOKED", "GOOD", "UNKNOWN"]);
    assert_eq!(said["singles"][0]["reason"], "superseded");
    let responder = octets(&format!("{:0>32}", said["responder"].as_str().unwrap()));
    assert_eq!(statuses(&ask(&world, &[&responder])), ["GOOD"], "the responder itself");
    // A leaf is none of the root's, and an issuing certificate none of its own.
    let ann = world.issue("ann").serial;
    assert_eq!(statuses(&ask(&world, &[&ann])), ["UNKNOWN"]);
    assert_eq!(world.status(&octets(&second))["status"], "UNKNOWN");

    // The root's list says the same.
    world.daemon.until(LIMIT, "the root's list shows it", |daemon| {
        let list = daemon.get("/crl/own/0/all.pem");
        list.status == 200 && listed(&list.text()).contains(&first)
    });

    // What is on record so that it can be revoked is no leaf, and stays so over a restart.
    assert!(world.daemon.terminate().success());
    world.restart(&[]);
    assert_eq!((status(&world, &first), status(&world, &second)), ("REVOKED".into(), "GOOD".into()));
    let file = world.home.file("answer.der");
    std::fs::write(&file, world.post(&about(&world, &[&octets(&second)])).body).unwrap();
    lint("lint_ocsp_response", &file, "an answer of the root's responder");
}

fn listed(pem: &str) -> String {
    programs::must(Command::new("openssl").args(["crl", "-noout", "-text"]), pem).to_lowercase()
}

#[test]
fn issuing_certificates_are_answered_for_while_the_roots_key_is_in_a_safe() {
    let home = Home::new();
    let clock = Clock::new(&home);
    let mut world = World::start_in(home, "", &[clock.variable()]);
    let first = serial(&world, 1);
    assert_eq!(status(&world, &first), "GOOD");
    done(&world.daemon, &["ca", "rotate", "own"]);
    let start = now();
    let safe = take_away(&world);
    let shown = done(&world.daemon, &["ca", "show", "own"]);
    assert!(shown.contains("OCSP answers for issuing certificates: until "), "{shown}");
    let fresh = request(&[Issuer::of(&text(&world.root)).cert_id(Hash::Sha256, &octets(&first))], &[nonce(&[1; 16])]);
    let ends = reading::read(&world.root, &world.post(&fresh).body)["responder_ends"].as_i64().unwrap();
    assert!((start + 364 * DAY..start + 366 * DAY).contains(&ends), "it lasts a year");

    clock.set(200 * DAY);
    assert_eq!(status(&world, &first), "GOOD");
    assert!(world.daemon.terminate().success());
    world.restart(&[clock.variable()]);
    assert_eq!(status(&world, &first), "GOOD", "after a restart without the root's key");
    // It can be revoked, and is told of, though no list can.
    done(&world.daemon, &["ca", "revoke", "own", &first, "--reason", "superseded"]);
    assert_eq!(status(&world, &first), "REVOKED");
    let wanted = |daemon: &Daemon| daemon.json("/health")["checks"]["authorities"]["roots_wanted"].clone();
    assert_eq!(wanted(&world.daemon), 0);

    clock.set(280 * DAY);
    world.daemon.until(LIMIT, "health wants the root back", |daemon| wanted(daemon) == 1);
    assert_eq!(world.daemon.json("/health")["checks"]["authorities"]["status"], "degraded");
    for command in ["check", "plan"] {
        let (name, value) = clock.variable();
        let mut renewd = program();
        let renewd = renewd.arg(command).arg("--config").arg(world.home.config()).env(name, value);
        let told = said(&programs::run(renewd, ""));
        assert!(told.contains("nobody answers OCSP for its issuing certificates after"), "{told}");
        assert!(told.contains("renewd ca root restore own"), "{told}");
    }
    clock.set(364 * DAY);
    let said = reading::read(&world.root, &world.post(&fresh).body);
    assert!(said["singles"][0]["next_update"].as_i64().unwrap() <= ends, "{said}");
    clock.set(367 * DAY);
    assert_eq!(status(&world, &first), "UNAUTHORIZED", "nobody speaks for the root any more");
    assert_eq!(wanted(&world.daemon), 1);

    bring_back(&world, &safe);
    let deadline = Instant::now() + LIMIT;
    while status(&world, &first) != "REVOKED" {
        assert!(Instant::now() < deadline, "there is no responder again");
        std::thread::sleep(Duration::from_millis(200));
    }
    assert_eq!(wanted(&world.daemon), 0);
    let again = take_away(&world);
    assert_eq!(again, safe);
    clock.set((367 + 360) * DAY);
    assert_eq!(status(&world, &first), "REVOKED", "for another year");
}

#[test]
fn the_roots_responder_is_replaced_long_before_it_ends() {
    let home = Home::new();
    let clock = Clock::new(&home);
    let world = World::start_in(home, "ocsp_validity = \"7d\"", &[clock.variable()]);
    let plain = about(&world, &[&octets(&serial(&world, 1))]);
    let start = now();
    let days = [0, 20, 26, 31, 45, 62, 400, 800];
    let answers = days.map(|day| {
        clock.set(day * DAY);
        world.post(&plain).body
    });
    let answers = reading::read_all(&world.root, &answers);
    for (day, answer) in days.iter().zip(&answers) {
        let left = answer["responder_ends"].as_i64().unwrap() - (start + day * DAY);
        assert!(left > 333 * DAY, "day {day}: {answer}");
        assert!(answer["singles"][0]["next_update"].as_i64().unwrap() > start + (day + 3) * DAY, "day {day}: {answer}");
    }
    let mut responders: Vec<_> = answers.iter().map(|answer| answer["responder"].as_str().unwrap()).collect();
    responders.dedup();
    assert_eq!(responders.len(), 5, "one for a month: {responders:?}");
}

#[test]
fn a_power_cut_while_the_roots_responder_is_made_is_made_good() {
    let home = Home::new();
    home.save(&config(&home, ""));
    let mut daemon = Daemon::spawn(&home, &[(renewd::crash::VARIABLE, "root_responder_written")]);
    assert!(!daemon.wait().success(), "it was killed");
    let world = World::start_in(home, "", &[]);
    assert_eq!(status(&world, &serial(&world, 1)), "GOOD");
}

fn now() -> i64 {
    renewd::clock::Clock::system().now().seconds()
}
