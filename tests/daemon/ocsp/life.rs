//! Revoked, held, released, restarted, rotated, and as time goes by.

use serde_json::Value;

use super::query::{Hash, Issuer, nonce, request};
use super::{World, certificates, config, reading, text};
use crate::harness::Daemon;
use crate::home::Home;
use crate::own_ca::{Clock, DAY};

fn revoked(reason: &str) -> (Value, Value) {
    ("REVOKED".into(), reason.into())
}

fn status(world: &World, serial: &[u8]) -> (Value, Value) {
    let single = world.status(serial);
    (single["status"].clone(), single["reason"].clone())
}

fn good() -> (Value, Value) {
    ("GOOD".into(), Value::Null)
}

#[test]
fn a_revocation_is_answered_at_once_and_for_good() {
    let mut world = World::start();
    let (ann, bob) = (world.issue("ann").serial, world.issue("bob").serial);
    let before = world.status(&ann);
    assert_eq!((before["status"].clone(), status(&world, &bob)), ("GOOD".into(), good()));
    world.client(&["revoke", "ann", "--reason", "keyCompromise"]);
    let after = world.status(&ann);
    assert_eq!((&after["status"], &after["reason"]), (&"REVOKED".into(), &"keyCompromise".into()));
    let time = |value: &Value| value.as_i64().unwrap();
    assert!(time(&after["revoked_at"]) >= time(&before["this_update"]));
    assert!(time(&after["revoked_at"]) <= time(&after["this_update"]));

    world.client(&["hold", "bob"]);
    assert_eq!(status(&world, &bob), revoked("certificateHold"));
    world.client(&["release", "bob"]);
    assert_eq!(status(&world, &bob), good());
    world.client(&["hold", "bob"]);
    assert!(world.daemon.terminate().success());
    world.restart(&[]);
    assert_eq!((status(&world, &bob), status(&world, &ann)), (revoked("certificateHold"), revoked("keyCompromise")));
    world.client(&["revoke", "bob", "--reason", "cessationOfOperation"]);
    assert_eq!(status(&world, &bob), revoked("cessationOfOperation"));
    assert!(!world.daemon.cli(&["client", "release", "bob"]).status.success());
    world.daemon.kill();
    world.restart(&[]);
    assert_eq!(status(&world, &bob), revoked("cessationOfOperation"));
    let again = world.status(&ann);
    assert_eq!((&again["revoked_at"], &again["reason"]), (&after["revoked_at"], &after["reason"]));
}

#[test]
fn a_power_cut_between_request_and_answer_loses_nothing() {
    let mut world = World::start();
    let (ann, bob) = (world.issue("ann").serial, world.issue("bob").serial);
    let before = world.ask(&request(&[world.issuer().cert_id(Hash::Sha1, &ann)], &[]));
    for (point, client, serial) in [("revocation_logged", "ann", &ann), ("revocation_written", "bob", &bob)] {
        assert!(world.daemon.terminate().success());
        world.restart(&[(renewd::crash::VARIABLE, point)]);
        assert_eq!(status(&world, serial), good());
        let asked = world.daemon.cli(&["client", "revoke", client, "--reason", "superseded"]);
        assert!(!asked.status.success(), "{point}");
        assert!(!world.daemon.wait().success(), "{point}");
        world.restart(&[]);
        assert_eq!(status(&world, serial), revoked("superseded"), "{point}");
    }
    let after = world.ask(&request(&[world.issuer().cert_id(Hash::Sha1, &ann)], &[]));
    assert_eq!(before["responder"], after["responder"], "one that is fresh is not replaced by a restart");
}

#[test]
fn a_power_cut_while_a_responder_is_made_is_made_good() {
    let home = Home::new();
    home.save(&config(&home, ""));
    let mut daemon = Daemon::spawn(&home, &[(renewd::crash::VARIABLE, "responder_written")]);
    assert!(!daemon.wait().success(), "it was killed");
    let world = World::start_in(home, "", &[]);
    assert_eq!(status(&world, &world.issue("ann").serial), good());
}

#[test]
fn the_generation_before_goes_on_answering() {
    let mut world = World::start();
    let (ann, bob) = (world.issue("ann").serial, world.issue("bob").serial);
    assert_eq!(status(&world, &ann), good());
    assert!(world.daemon.cli(&["ca", "rotate", "own"]).status.success());
    let eve = world.issue("eve").serial;
    let second = world.home.write("second.pem", &certificates(&world.daemon, "own")[0]);
    let newest = Issuer::of(&text(&second));
    let of_eve = |issuer: &Issuer| request(&[issuer.cert_id(Hash::Sha1, &eve)], &[]);
    for restarted in [false, true] {
        if restarted {
            assert!(world.daemon.terminate().success());
            world.restart(&[]);
        }
        let said = reading::read(&second, &world.post(&of_eve(&newest)).body);
        assert_eq!(said["singles"][0]["status"], "GOOD", "by a responder of the new generation");
        assert_eq!(status(&world, &ann), good(), "by a responder of the old one");
        let said = world.ask(&of_eve(&world.issuer()));
        assert_eq!(said["singles"][0]["status"], "UNKNOWN", "the old generation has not issued it");
    }
    world.client(&["revoke", "bob", "--reason", "superseded"]);
    assert_eq!(status(&world, &bob), revoked("superseded"));
}

#[test]
fn a_ca_taken_out_of_the_config_goes_on_answering() {
    let mut world = World::start();
    let (ann, bob) = (world.issue("ann").serial, world.issue("bob").serial);
    world.client(&["revoke", "bob", "--reason", "superseded"]);
    let without = config(&world.home, "").replace("[ca.own]", "[ca.another]");
    world.daemon.reload_by_saving(&world.home, &without);
    for restarted in [false, true] {
        if restarted {
            assert!(world.daemon.terminate().success());
            world.restart(&[]);
        }
        assert!(!world.daemon.cli(&["client", "issue", "--ca", "own", "--cn", "eve"]).status.success());
        assert_eq!((status(&world, &ann), status(&world, &bob)), (good(), revoked("superseded")));
    }
}

#[test]
fn responders_are_replaced_before_they_end() {
    let home = Home::new();
    let clock = Clock::new(&home);
    let world = World::start_in(home, "ocsp_validity = \"7d\"", &[clock.variable()]);
    let plain = request(&[world.issuer().cert_id(Hash::Sha1, &world.issue("ann").serial)], &[]);
    let start = now();
    let days = [0, 3, 6, 8, 11, 14, 15, 20, 27, 28, 29, 43, 60];
    let answers = days.map(|day| {
        clock.set(day * DAY);
        world.post(&plain).body
    });
    // That each answer was made in its responder's time, and ends with it at the latest, the reading has checked.
    let answers = reading::read_all(&world.issuing, &answers);
    for (day, answer) in days.iter().zip(&answers) {
        let now = start + day * DAY;
        let produced = answer["produced_at"].as_i64().unwrap();
        assert!(produced > now - 4 * DAY && produced < now + DAY, "day {day}: {answer}");
        let next_update = answer["singles"][0]["next_update"].as_i64().unwrap();
        assert!(next_update > now + 3 * DAY, "time is left to whoever gets it: day {day}: {answer}");
    }
    let mut responders: Vec<_> = answers.iter().map(|answer| answer["responder"].as_str().unwrap()).collect();
    responders.dedup();
    assert!(responders.len() >= 5, "{responders:?}");
}

#[test]
fn no_answer_outlives_the_issuer() {
    let home = Home::new();
    let clock = Clock::new(&home);
    let lines = "ocsp_validity = \"7d\"\nissuing_lifetime = \"20d\"\nleaf_lifetime = \"8d\"";
    let world = World::start_in(home, lines, &[clock.variable()]);
    let ann = world.issue("ann").serial;
    let id = world.issuer().cert_id(Hash::Sha1, &ann);
    let (plain, fresh) = (request(std::slice::from_ref(&id), &[]), request(&[id], &[nonce(&[1; 16])]));
    let start = now();
    clock.set(19 * DAY);
    for der in [&plain, &fresh] {
        let said = world.ask(der);
        assert_eq!(said["singles"][0]["next_update"], said["responder_ends"], "{said}");
        assert!(said["responder_ends"].as_i64().unwrap() < start + 20 * DAY + DAY / 2, "{said}");
    }
    clock.set(21 * DAY);
    for der in [&plain, &fresh] {
        assert_eq!(world.ask(der)["status"], "UNAUTHORIZED", "nothing that it issued is in force any more");
    }
}

fn now() -> i64 {
    renewd::clock::Clock::system().now().seconds()
}
