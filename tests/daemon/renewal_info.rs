//! ACME renewal information (RFC 9773), asked of a real Pebble.

use std::time::Duration;

use serde_json::Value;

use crate::harness::Daemon;
use crate::home::{Home, certificate};
use crate::peers::bind::Bind;
use crate::peers::pebble::{Pebble, PebbleOptions};

const LIMIT: Duration = Duration::from_secs(60);
const NAME: &str = "www.a.test";

#[test]
fn what_the_ca_suggests_is_asked_for_shown_and_done() {
    let bind = Bind::start(&["a.test"]);
    let pebble = Pebble::start(PebbleOptions { dns: bind.address(), ..PebbleOptions::default() });
    let home = Home::new();
    home.save(&home.acme_config(&bind, &["a.test"], &pebble, &certificate(NAME, &[NAME], "")));
    let mut daemon = Daemon::start(&home);
    daemon.until_all(LIMIT, "stored");
    daemon.until(LIMIT, "the answer at once after issue", |daemon| info(daemon)["asked_at"].is_string());
    let first = info(&daemon);
    assert!(first["start"].as_str() < first["end"].as_str(), "{first}");
    let instant = first["instant"].clone();
    assert!(instant.as_str() >= first["start"].as_str() && instant.as_str() <= first["end"].as_str(), "{first}");

    // Asked again, and started again: the instant stays.
    daemon.cli_json(&["why", NAME, "--refresh"]);
    assert_eq!(info(&daemon)["instant"], instant);
    assert!(daemon.terminate().success());
    let mut daemon = Daemon::start(&home);
    assert_eq!(info(&daemon)["instant"], instant);

    let past = r#"{"suggestedWindow":{"start":"2026-01-02T04:00:00Z","end":"2026-01-03T04:00:00Z"},
        "explanationURL":"https://ca.example/incident"}"#;
    let old = std::fs::read_to_string(home.stored(NAME).join("cert.pem")).expect("it is stored");
    pebble.set_renewal_info(&old, past);
    daemon.cli_json(&["why", NAME, "--refresh"]);
    daemon.until(LIMIT, "the replacement", |daemon| daemon.show(NAME)["version"] == 2);
    daemon.until_all(LIMIT, "stored");
    let why = daemon.cli_json(&["why", NAME]);
    assert_eq!(why["reason_kind"], "renewal_info", "{why}");
    assert!(why["reason"].as_str().is_some_and(|reason| reason.contains("https://ca.example/incident")), "{why}");
    assert!(pebble.log().contains("replaces") || pebble.order_count() == 2, "one order for one replacement");
    assert_eq!(pebble.order_count(), 2);
}

fn info(daemon: &Daemon) -> Value {
    daemon.cli_json(&["why", NAME])["renewal_info"].clone()
}
