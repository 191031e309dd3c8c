//! Client certificates that are issued and renewed are told: one by its name, many in one event.

use serde_json::Value;

use crate::harness::{Daemon, said};
use crate::home::Home;
use crate::own_ca::{Clock, LIMIT, config};
use crate::receiver::Receiver;

const MANY: usize = 120;

fn titles(receiver: &Receiver, kind: &str) -> Vec<String> {
    receiver.of_kind(kind).iter().map(|event| event["title"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn one_is_told_by_its_name_and_many_at_once() {
    let (home, receiver) = (Home::new(), Receiver::start());
    let clock = Clock::new(&home);
    home.secret("hmac", "x");
    let hook =
        format!("[notify.hook.webhook]\nurl = \"{}\"\nsecret = {{ file = \"hmac\" }}\n\n", receiver.url("/hook"));
    home.save(&config(&home, &hook));
    let mut daemon = Daemon::start_with_env(&home, &[clock.variable()]);
    let rows: String = (0..MANY).map(|row| format!("Person {row},person-{row}\n")).collect();
    let table = home.write("people.csv", &format!("common_name,id\n{rows}"));
    let out = home.file("certs");
    let words = ["client", "batch", table.to_str().unwrap(), "--ca", "own", "--out", out.to_str().unwrap()];
    let output = daemon.cli(&words);
    assert!(output.status.success(), "{}", said(&output));
    assert!(titles(&receiver, "issued").is_empty(), "it is waited for the end of what comes");
    clock.set(60);
    daemon.until(LIMIT, "the many are told", |_| !receiver.of_kind("issued").is_empty());
    assert_eq!(titles(&receiver, "issued"), [format!("{MANY} client certificates of `own` were issued")]);

    daemon.cli_json(&["client", "issue", "--ca", "own", "--cn", "Ann", "--id", "ann"]);
    daemon.cli_json(&["client", "renew", "person-7"]);
    clock.set(120);
    daemon.until(LIMIT, "both are told", |_| {
        receiver.of_kind("issued").len() == 2 && !receiver.of_kind("renewed").is_empty()
    });
    let issued = receiver.of_kind("issued").pop().unwrap();
    assert_eq!(issued["title"], "The client certificate of `ann` was issued");
    let view = daemon.cli_json(&["client", "show", "ann"]);
    assert_eq!((&issued["issuer"], &issued["serial"]), (&Value::from("own"), &view["serial"]));
    assert_eq!(titles(&receiver, "renewed"), ["The client certificate of `person-7` was renewed"]);

    // A power cut loses nothing, and repeats nothing.
    daemon.cli_json(&["client", "issue", "--ca", "own", "--cn", "Eve", "--id", "eve"]);
    daemon.kill();
    clock.set(180);
    let mut daemon = Daemon::start_with_env(&home, &[clock.variable()]);
    daemon.until(LIMIT, "it is told after all", |_| receiver.of_kind("issued").len() == 3);
    assert_eq!(titles(&receiver, "issued")[2], "The client certificate of `eve` was issued");
    assert_eq!(receiver.of_kind("renewed").len(), 1);
}
