//! Two Pebbles as two CAs: what one cannot issue the other does, and only that.

use std::time::Duration;

use crate::harness::Daemon;
use crate::home::{Home, STORE, certificate, resolver};
use crate::peers::bind::Bind;
use crate::peers::pebble::{Pebble, PebbleOptions};

const LIMIT: Duration = Duration::from_secs(120);
const CERTIFICATES: usize = 50;

#[test]
fn fifty_renewals_go_on_at_the_other_ca_when_the_first_stops_for_good() {
    let bind = Bind::start(&["a.test"]);
    let pebble = || Pebble::start(PebbleOptions { dns: bind.address(), ..PebbleOptions::default() });
    let (mut first, second) = (pebble(), pebble());
    let home = Home::new();
    home.save(&config(&home, &bind, &first, &second));
    let mut daemon = Daemon::start(&home);
    daemon.until_all(LIMIT, "stored");
    assert!(second.order_count() == 0, "the first is asked first");
    let before = first.order_count();
    for number in 0..CERTIFICATES {
        let asked = daemon.cli(&["renew", &name(number), "--force"]);
        assert!(asked.status.success(), "{}", crate::harness::said(&asked));
    }
    daemon.until(LIMIT, "ten renewals at the first CA", |_| first.order_count() >= before + 10);
    first.stop();
    daemon.until(LIMIT, "a second version of each", |daemon| {
        daemon.certificates().iter().all(|view| view["version"] == 2)
    });
    daemon.until_all(LIMIT, "stored");

    let (log, mut elsewhere) = (daemon.log(), 0);
    for number in 0..CERTIFICATES {
        let name = name(number);
        if daemon.show(&name)["issuer"] == "first" {
            continue;
        }
        elsewhere += 1;
        let why = daemon.cli_json(&["why", &name]);
        assert_eq!(why["obstacles"][0]["issuer"], "first", "{why}");
        assert_eq!(why["obstacles"][0]["kind"], "unavailable", "{why}");
        let told =
            log.lines().any(|line| line.contains(&name) && line.contains("first") && line.contains("order failed"));
        assert!(told, "the log does not tell why {name} went to the other CA");
    }
    assert!(elsewhere > 0, "nothing was left to the second CA");
    assert_eq!(second.order_count(), elsewhere, "one order each");
    daemon.until(LIMIT, "all TXT withdrawn", |daemon| daemon.json("/health")["checks"]["txt_owed"] == 0);
}

#[test]
fn a_refused_name_is_never_taken_to_another_ca() {
    let bind = Bind::start(&["a.test"]);
    let blocked =
        PebbleOptions { dns: bind.address(), domain_blocklist: vec!["n0.a.test".into()], ..Default::default() };
    let (first, second) =
        (Pebble::start(blocked), Pebble::start(PebbleOptions { dns: bind.address(), ..Default::default() }));
    let home = Home::new();
    let text = config(&home, &bind, &first, &second);
    let end = text.find("[certificate.\"n1.a.test\"]").expect("there are several");
    home.save(&text[..end]);
    let mut daemon = Daemon::start(&home);
    daemon.until(LIMIT, "a refusal", |daemon| daemon.show("n0.a.test")["failures"].as_u64() > Some(0));
    let why = daemon.cli_json(&["why", "n0.a.test"]);
    assert_eq!(
        (&why["obstacles"][0]["kind"], why["obstacles"].as_array().map(Vec::len)),
        (&"refused".into(), Some(1)),
        "{why}"
    );
    assert_eq!(second.order_count(), 0);
}

fn name(number: usize) -> String {
    format!("n{number}.a.test")
}

fn config(home: &Home, bind: &Bind, first: &Pebble, second: &Pebble) -> String {
    let account =
        |name: &str, pebble: &Pebble| home.account(pebble).replace("[account.pebble]", &format!("[account.{name}]"));
    let mut text = home.head() + &resolver(bind.address());
    text += &account("first", first);
    text += &account("second", second);
    text += &home.rfc2136("main", &["a.test"], bind);
    text += STORE;
    text += "[defaults]\nissuers = [\"first\", \"second\"]\n\n";
    (0..CERTIFICATES).fold(text, |text, number| text + &certificate(&name(number), &[&name(number)], ""))
}
