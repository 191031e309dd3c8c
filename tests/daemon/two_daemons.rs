//! Two daemons that know nothing of each other, and the same names in one zone.

use std::time::Duration;

use crate::harness::{Daemon, said};
use crate::home::{Home, certificate};
use crate::peers::bind::Bind;
use crate::peers::openssl;
use crate::peers::pebble::{Pebble, PebbleOptions};

const LIMIT: Duration = Duration::from_secs(120);
const NAMES: [&str; 2] = ["a.test", "*.a.test"];
const ROUNDS: usize = 3;

#[test]
fn apex_and_wildcard_are_proved_by_both_at_once_and_others_values_stay() {
    let bind = Bind::start(&["a.test"]);
    let pebble = Pebble::start(PebbleOptions { dns: bind.address(), ..PebbleOptions::default() });
    bind.nsupdate("update add _acme-challenge.a.test 60 TXT theirs\nupdate add a.test 60 TXT \"v=spf1 -all\"");
    let homes = [Home::new(), Home::new()];
    for home in &homes {
        home.save(&home.acme_config(&bind, &["a.test"], &pebble, &certificate("a.test", &NAMES, "")));
    }
    let mut daemons = homes.each_ref().map(Daemon::start);
    for daemon in &mut daemons {
        daemon.until_all(LIMIT, "stored");
    }
    for round in 0..ROUNDS {
        std::thread::scope(|scope| {
            let renewals =
                daemons.each_ref().map(|daemon| scope.spawn(|| daemon.cli(&["renew", "a.test", "--force", "--wait"])));
            // A third party comes and goes meanwhile.
            bind.nsupdate(&format!("update add _acme-challenge.a.test 60 TXT third-{round}"));
            for renewal in renewals {
                let output = renewal.join().expect("it does not panic");
                assert!(output.status.success(), "round {round}: {}", said(&output));
            }
        });
    }
    for (home, daemon) in homes.iter().zip(&mut daemons) {
        let (leaf, chain) = (home.read("a.test", "cert.pem"), home.read("a.test", "chain.pem"));
        openssl::verify(&pebble.root_pem(), &chain, &leaf).expect("the chain leads to Pebble's root");
        daemon.until(LIMIT, "nothing is owed", |daemon| daemon.json("/health")["checks"]["txt_owed"] == 0);
        let one = daemon.show("a.test");
        assert_eq!((&one["version"], &one["failures"]), (&(ROUNDS + 1).into(), &0.into()), "{one}");
    }
    let challenge = |value: &str| ("_acme-challenge.a.test".to_owned(), value.to_owned());
    let left = bind.all_txt("a.test");
    let wanted = [
        challenge("theirs"),
        challenge("third-0"),
        challenge("third-1"),
        challenge("third-2"),
        ("a.test".to_owned(), "v=spf1 -all".to_owned()),
    ];
    assert_eq!(left, wanted);
    assert_eq!(pebble.order_count(), 2 * (ROUNDS + 1));
}
