//! Pebble at its worst: nearly every nonce is refused, accounts must be bound, authorizations come back valid, chains are
//! long and several, and names are of every kind.

use std::process::Command;
use std::time::Duration;

use crate::harness::{Daemon, said};
use crate::home::{Home, certificate};
use crate::peers::bind::Bind;
use crate::peers::pebble::{Pebble, PebbleOptions};
use crate::peers::{openssl, programs};

const LIMIT: Duration = Duration::from_secs(120);
const KEY: &str = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W";

/// Longer than a common name may be.
const LONG: &str = "a-very-long-label-of-more-than-forty-octets-in-all.and-another-one.a.test";

#[test]
fn names_of_every_kind_are_issued_and_renewed_by_a_pebble_at_its_worst() {
    let bind = Bind::start(&["a.test"]);
    let pebble = Pebble::start(PebbleOptions {
        dns: bind.address(),
        nonce_reject_percent: 90,
        authz_reuse_percent: 100,
        eab: Some(("kid-1".to_owned(), KEY.to_owned())),
        chain_length: 3,
        alternate_roots: 2,
        ..PebbleOptions::default()
    });
    let home = Home::new();
    home.secret("eab.key", KEY);
    let root = pebble.alternate_root_pem(1);
    let chain = format!("chain = \"{}\"\nprofile = {{ require = \"shortlived\" }}\n", common_name(&root));
    let extra = certificate("kinds", &["Upper.A.TEST.", "bücher.a.test", "*.a.test", "A.test", LONG], &chain);
    let text = home.acme_config(&bind, &["a.test"], &pebble, &extra).replace(
        "parallel_orders = 4",
        "parallel_orders = 4\neab = { kid = \"kid-1\", hmac_key = { file = \"eab.key\" } }",
    );
    home.save(&text);
    let mut daemon = Daemon::start(&home);
    daemon.until(LIMIT, "it is stored", |daemon| daemon.state_of("kinds") == "stored");
    for version in 1..=3 {
        let (leaf, chain) = (home.read("kinds", "cert.pem"), home.read("kinds", "chain.pem"));
        openssl::verify(&root, &chain, &leaf).expect("the chain leads to the root that is preferred");
        assert_eq!(openssl::certificates(&chain).len(), 3, "each that stands between");
        let mut names = [LONG, "*.a.test", "a.test", "upper.a.test", "xn--bcher-kva.a.test"];
        names.sort_unstable();
        assert_eq!(openssl::names(&leaf), names);
        assert_eq!(common_name(&leaf), "", "it would not hold every name");
        assert_eq!(daemon.show("kinds")["version"], version);
        if version < 3 {
            let renewed = daemon.cli(&["renew", "kinds", "--force", "--wait"]);
            assert!(renewed.status.success(), "{}", said(&renewed));
        }
    }
    // Authorizations that were valid already were not proved again.
    let accepted = |log: &str| log.matches("set VALID by completed challenge").count();
    assert_eq!(accepted(&pebble.log()), 5, "each name once");
    assert!(!pebble.log().contains("There are now 2 accounts"), "a second account was made");
    daemon.until(LIMIT, "all TXT withdrawn", |daemon| daemon.json("/health")["checks"]["txt_owed"] == 0);
    assert_eq!(bind.all_txt("a.test"), []);
}

/// The common name of a certificate's subject; empty where it has none.
fn common_name(pem: &str) -> String {
    let mut openssl = Command::new(programs::find("openssl"));
    let text = programs::must(openssl.args(["x509", "-noout", "-subject", "-nameopt", "sep_multiline,sname"]), pem);
    text.lines().find_map(|line| line.trim().strip_prefix("CN=")).unwrap_or_default().to_owned()
}
