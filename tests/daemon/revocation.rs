//! Revoking at the CA, replacing, and a new key for the account, as an operator asks for them.

use std::time::Duration;

use crate::harness::{Daemon, said};
use crate::home::{Home, certificate};
use crate::own_ca::version;
use crate::peers::bind::Bind;
use crate::peers::openssl;
use crate::peers::pebble::{Pebble, PebbleOptions};

const LIMIT: Duration = Duration::from_secs(60);
const NAME: &str = "a.test";

#[test]
fn a_revoked_certificate_is_replaced_unless_nobody_wants_that() {
    let bind = Bind::start(&[NAME]);
    let pebble = Pebble::start(PebbleOptions { dns: bind.address(), ..PebbleOptions::default() });
    let home = Home::new();
    home.save(&home.acme_config(&bind, &[NAME], &pebble, &certificate(NAME, &[NAME], "")));
    let mut daemon = Daemon::start(&home);
    daemon.until_all(LIMIT, "stored");
    let (first, key) = (home.read(NAME, "cert.pem"), openssl::public_key_of_key(&home.read(NAME, "privkey.pem")));
    let serial = openssl::serial(&first);

    done(&daemon, &["revoke", NAME, "--reason", "keyCompromise"]);
    assert_eq!(pebble.certificate_status(&serial), "Revoked");
    assert_eq!(pebble.revocation_reason(&serial), Some(1));
    daemon.until(LIMIT, "it is replaced", |daemon| version(daemon, NAME) == 2 && daemon.state_of(NAME) == "stored");
    let new_key = openssl::public_key_of_key(&home.read(NAME, "privkey.pem"));
    assert_ne!(new_key, key, "the compromised key is never used again");

    let again = daemon.cli(&["revoke", NAME, "--reason", "superseded", "--serial", &serial]);
    assert_eq!(again.status.code(), Some(1), "what is revoked cannot be revoked again: {}", said(&again));

    done(&daemon, &["revoke", NAME, "--reason", "cessationOfOperation", "--no-replace"]);
    daemon.until(LIMIT, "it stays revoked", |daemon| daemon.state_of(NAME) == "revoked");
    assert_eq!(pebble.order_count(), 2);

    done(&daemon, &["account", "rotate-key", "pebble"]);
    done(&daemon, &["renew", NAME, "--force", "--wait"]);
    assert_eq!((version(&daemon, NAME), pebble.order_count()), (3, 3), "the account goes on with its new key");
    assert_eq!(daemon.terminate().code(), Some(0));
}

fn done(daemon: &Daemon, words: &[&str]) {
    let output = daemon.cli(words);
    assert!(output.status.success(), "{words:?}: {}", said(&output));
}
