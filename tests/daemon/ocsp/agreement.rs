//! OCSP, the lists and the record say the same: of every reason, and of a generation that another has followed.

use std::collections::BTreeMap;

use renewd::ca::revoke::Reason;
use x509_parser::prelude::{CertificateRevocationList, FromDer as _};

use super::World;
use crate::home::Home;
use crate::own_ca::{Clock, DAY, LIMIT};

/// Of each serial since when it is revoked, in seconds, and the code of the reason; 0 where none is given.
type Entries = BTreeMap<Vec<u8>, (i64, u8)>;

fn entries(der: &[u8]) -> Entries {
    let (_, list) = CertificateRevocationList::from_der(der).unwrap();
    let revoked = list.iter_revoked_certificates();
    let reason = |code: Option<(bool, x509_parser::x509::ReasonCode)>| code.map_or(0, |(_, reason)| reason.0);
    let told = revoked.map(|entry| {
        let serial = entry.raw_serial().iter().copied().skip_while(|octet| *octet == 0).collect();
        (serial, (entry.revocation_date.timestamp(), reason(entry.reason_code())))
    });
    told.collect()
}

/// When a list says that there will be another, in seconds.
fn next_update(der: &[u8]) -> i64 {
    let (_, list) = CertificateRevocationList::from_der(der).unwrap();
    list.next_update().unwrap().timestamp()
}

#[test]
fn every_reason_is_told_alike_by_ocsp_and_by_every_list() {
    let mut world = World::start();
    let certificates = Reason::ALL.map(|reason| {
        let serial = world.issue(&reason.as_str().to_lowercase()).serial;
        (reason, serial.iter().copied().skip_while(|octet| *octet == 0).collect::<Vec<u8>>())
    });
    let mut expected = Entries::new();
    for (reason, serial) in &certificates {
        let told = world.daemon.cli_json(&["ca", "revoke", "own", &hex::encode(serial), "--reason", reason.as_str()]);
        // At once: the next question is answered so already, without any wait.
        let said = world.status(serial);
        let since = said["revoked_at"].as_i64().unwrap();
        assert_eq!(said["status"], "REVOKED", "{reason:?}: {said}");
        assert_eq!(told["reason"], reason.as_str());
        assert_eq!(told["revoked_at"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap().as_second(), since);
        let named = if *reason == Reason::Unspecified { "" } else { reason.as_str() };
        assert_eq!(said["reason"].as_str().unwrap_or_default(), named);
        expected.insert(serial.clone(), (since, reason.code()));
    }
    for path in ["/crl/own/1/0.crl", "/crl/own/1/all.crl", "/crl/own.crl", "/crl/own/1/0/delta.crl"] {
        world.daemon.until(LIMIT * 3, "all are listed", |daemon| entries(&daemon.get(path).body).len() == 8);
        assert_eq!(entries(&world.daemon.get(path).body), expected, "{path}");
    }
    for (reason, _) in &certificates {
        let view = world.daemon.cli_json(&["client", "show", &reason.as_str().to_lowercase()]);
        let status = if reason.is_final() { "revoked" } else { "on-hold" };
        assert_eq!(
            (&view["status"], &view["certificates"][0]["revocation_reason"]),
            (&status.into(), &reason.as_str().into())
        );
    }
    // Released: OCSP at once, and the lists with the next.
    let (_, held) = certificates.iter().find(|(reason, _)| !reason.is_final()).unwrap();
    world.daemon.cli_json(&["ca", "release", "own", &hex::encode(held)]);
    assert_eq!(world.status(held)["status"], "GOOD");
    expected.remove(held);
    for path in ["/crl/own/1/0.crl", "/crl/own/1/all.crl"] {
        world.daemon.until(LIMIT * 3, "it is released", |daemon| entries(&daemon.get(path).body).len() == 7);
        assert_eq!(entries(&world.daemon.get(path).body), expected, "{path}");
    }
}

#[test]
fn the_generation_before_signs_answers_and_lists_until_its_last_leaf_has_expired() {
    let home = Home::new();
    let clock = Clock::new(&home);
    let mut world = World::start_in(home, "leaf_lifetime = \"60d\"", &[clock.variable()]);
    let (ann, bob) = (world.issue("ann").serial, world.issue("bob").serial);
    assert!(world.daemon.cli(&["ca", "rotate", "own"]).status.success());
    world.issue("eve");
    world.client(&["revoke", "bob", "--reason", "superseded"]);
    let start = renewd::clock::Clock::system().now().seconds();
    for day in [0, 20, 40, 59] {
        clock.set(day * DAY);
        let now = start + day * DAY;
        // That the answers are signed for the first generation, by a responder in force, the reading has checked.
        assert_eq!(world.status(&ann)["status"], "GOOD", "day {day}");
        assert_eq!(world.status(&bob)["status"], "REVOKED", "day {day}");
        for path in ["/crl/own/1/0.crl", "/crl/own/1/all.crl"] {
            let fresh = |der: &[u8]| next_update(der) > now + 5 * DAY && entries(der).contains_key(&bob);
            world.daemon.until(LIMIT, "the old list is made anew", |daemon| fresh(&daemon.get(path).body));
        }
    }
}
