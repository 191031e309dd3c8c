//! What CAs, stores, consumers and the clock do, as people are told of it; and a receiver that is away for long.

use std::time::Duration;

use serde_json::{Value, json};

use crate::acme_ca::{AcmeCa, Endpoint, Reply, Script};
use crate::harness::{Daemon, said};
use crate::home::{Home, STORE, certificate, dns};
use crate::own_ca::{Clock, DAY, config, plain};
use crate::peers::ports;
use crate::receiver::Receiver;

const LIMIT: Duration = Duration::from_secs(60);
const NAMES: [&str; 3] = ["a.test", "b.test", "c.test"];

#[test]
fn what_a_ca_advises_and_an_operator_revokes_is_told() {
    let (ca, receiver, home) = (AcmeCa::start(Script::default()), Receiver::start(), Home::new());
    home.save(&acme(&home, &receiver, &[("fake", &ca)], &NAMES[..1]));
    let mut daemon = Daemon::start(&home);
    daemon.until(LIMIT, "it is issued", |_| receiver.of_kind("issued").len() == 1);
    let past = json!({
        "suggestedWindow": { "start": "2026-01-02T04:00:00Z", "end": "2026-01-03T04:00:00Z" },
        "explanationURL": "https://ca.example/incident",
    });
    daemon.until(LIMIT, "the question at once after issue", |_| ca.count(Endpoint::RenewalInfo) == 1);
    ca.next(Endpoint::RenewalInfo, Reply::json(&past));
    daemon.cli_json(&["why", NAMES[0], "--refresh"]);
    daemon.until(LIMIT, "both are told", |_| {
        !receiver.of_kind("ari_replaced").is_empty() && !receiver.of_kind("renewed").is_empty()
    });
    let event = receiver.of_kind("ari_replaced").remove(0);
    assert_eq!((&event["certificate"], &event["url"]), (&NAMES[0].into(), &"https://ca.example/incident".into()));

    done(&daemon, &["revoke", NAMES[0], "--reason", "superseded", "--no-replace"]);
    daemon.until(LIMIT, "it is told", |_| receiver.of_kind("revoked").len() == 1);
    let event = receiver.of_kind("revoked").remove(0);
    assert!(event["text"].as_str().unwrap().contains("superseded") && event["serial"].is_string(), "{event}");
    assert_eq!(ca.complaints(), [""; 0]);
}

#[test]
fn an_account_in_trouble_is_told_once_and_once_that_it_is_well() {
    let (ca, receiver, home) = (AcmeCa::start(Script::default()), Receiver::start(), Home::new());
    home.save(&acme(&home, &receiver, &[("fake", &ca)], &NAMES));
    let mut daemon = Daemon::start(&home);
    daemon.until(LIMIT, "all are issued", |_| receiver.of_kind("issued").len() == NAMES.len());
    ca.deactivate_accounts();
    for name in NAMES {
        assert_eq!(daemon.cli(&["renew", name, "--force", "--wait"]).status.code(), Some(1));
    }
    daemon.until(LIMIT, "each failure is told", |_| receiver.of_kind("failed").len() == NAMES.len());
    let troubles = receiver.of_kind("issuer_trouble");
    assert_eq!((troubles.len(), &troubles[0]["issuer"]), (1, &"fake".into()), "{troubles:?}");
    assert!(troubles[0]["text"].as_str().unwrap().contains("the account is deactivated"), "{troubles:?}");
    ca.revive_accounts();
    done(&daemon, &["renew", NAMES[0], "--force", "--wait"]);
    daemon.until(LIMIT, "that both are well is told", |_| receiver.of_kind("recovered").len() == 2);
    let titles: Vec<_> = receiver.of_kind("recovered").iter().map(|event| event["title"].clone()).collect();
    assert_eq!(titles, ["`a.test` is well again", "`fake` is well again"]);
    assert_eq!(receiver.of_kind("recovered")[1]["certificate"], Value::Null, "an issuer is no certificate's");
}

#[test]
fn a_failover_that_works_is_the_trouble_of_one_issuer_and_no_failure() {
    let (first, second) = (AcmeCa::start(Script::default()), AcmeCa::start(Script::default()));
    let (receiver, home) = (Receiver::start(), Home::new());
    first.always(Endpoint::NewOrder, Reply::html(500));
    home.save(&acme(&home, &receiver, &[("first", &first), ("second", &second)], &NAMES));
    let mut daemon = Daemon::start(&home);
    daemon.until(LIMIT, "all are issued", |_| receiver.of_kind("issued").len() == NAMES.len());
    daemon.until(LIMIT, "the trouble is told", |_| receiver.of_kind("issuer_trouble").len() == 1);
    assert!(receiver.of_kind("issued").iter().all(|event| event["issuer"] == "second"));
    assert_eq!(kinds(&receiver), ["issued", "issued", "issued", "issuer_trouble"]);
    let trouble = receiver.of_kind("issuer_trouble").remove(0);
    assert_eq!((&trouble["issuer"], &trouble["certificate"]), (&"first".into(), &Value::Null), "{trouble}");
    assert!(trouble["text"].as_str().unwrap().contains("`second` is asked"), "{trouble}");
    assert!(trouble["detail"].as_str().unwrap().contains("500"), "{trouble}");

    // With nobody left, it is a failure.
    second.always(Endpoint::NewOrder, Reply::html(500));
    assert_eq!(daemon.cli(&["renew", NAMES[0], "--force", "--wait"]).status.code(), Some(1));
    daemon.until(LIMIT, "the failure is told", |_| receiver.of_kind("failed").len() == 1);
    first.behave();
    done(&daemon, &["renew", NAMES[0], "--force", "--wait"]);
    daemon.until(LIMIT, "that all is well is told", |_| receiver.of_kind("recovered").len() == 2);
    assert_eq!(receiver.of_kind("renewed")[0]["issuer"], "first");
}

#[test]
fn a_store_a_consumer_and_a_clock_in_trouble_are_told() {
    let (receiver, home) = (Receiver::start(), Home::new());
    let served = format!("verify = [{{ address = \"{}\" }}]", ports::loopback(ports::tcp()));
    let certificates = plain(&["stored.test"]) + &certificate("served.test", &["served.test"], &served);
    home.save(&config(&home, &(sink(&receiver) + &certificates)));
    let foreign = home.stored("stored.test");
    std::fs::create_dir_all(foreign.join("somebody's")).unwrap();
    let clock = Clock::new(&home);
    let mut daemon = Daemon::start_with_env(&home, &[clock.variable()]);
    daemon.until(LIMIT, "the store's trouble is told", |_| receiver.of_kind("store_failed").len() == 1);
    daemon.until(LIMIT, "the consumer's trouble is told", |_| receiver.of_kind("not_served").len() == 1);
    let one = |kind: &str| receiver.of_kind(kind).remove(0);
    assert_eq!(one("store_failed")["certificate"], "stored.test");
    assert_eq!(one("not_served")["certificate"], "served.test");
    assert!(one("not_served")["detail"].is_string(), "{}", one("not_served"));
    std::fs::remove_dir_all(foreign).unwrap();
    done(&daemon, &["deploy", "stored.test"]);
    daemon.until(LIMIT, "that it is stored is told", |_| receiver.of_kind("recovered").len() == 1);

    clock.set(-2 * 3600);
    daemon.until(LIMIT, "the wrong clock is told", |_| receiver.of_kind("clock_wrong").len() == 1);
    assert_eq!(daemon.json("/health")["checks"]["clock"]["status"], "failing");
    clock.set(0);
    daemon.until(LIMIT, "that it is right is told", |_| receiver.of_kind("recovered").len() == 2);
}

#[test]
fn a_receiver_that_is_away_degrades_health_and_after_a_week_its_events_are_given_up() {
    let (mut receiver, home) = (Receiver::start(), Home::new());
    home.save(&config(&home, &(sink(&receiver) + &plain(&["a.test"]))));
    receiver.stop();
    let clock = Clock::new(&home);
    let mut daemon = Daemon::start_with_env(&home, &[clock.variable()]);
    daemon.until(LIMIT, "it is tried in vain", |daemon| hook(daemon)["failing_since"].is_string());
    let check = |daemon: &Daemon| daemon.json("/health")["checks"]["notifications"].clone();
    assert_eq!((&check(&daemon)["status"], &check(&daemon)["due"]), (&"ok".into(), &1.into()));
    clock.set(14 * 60);
    assert_eq!(check(&daemon)["status"], "ok", "not yet a quarter of an hour");
    clock.set(16 * 60);
    daemon.until(LIMIT, "health tells", |daemon| daemon.json("/health")["status"] == "degraded");
    assert_eq!((&check(&daemon)["status"], daemon.get("/health").status), (&"degraded".into(), 200));

    clock.set(7 * DAY - 60);
    let tries = |daemon: &Daemon| daemon.log().matches("not told: ").count();
    let before = tries(&daemon);
    daemon.until(LIMIT, "another try", |daemon| tries(daemon) > before);
    assert_eq!(hook(&daemon)["due"], 1, "a week has not passed");
    clock.set(7 * DAY + 3 * 3600);
    daemon.until(LIMIT, "it is given up", |daemon| hook(daemon)["due"] == 0);
    let metric = "renewd_notifications_total{sink=\"hook\",state=\"given_up\"} 1";
    assert!(daemon.get("/metrics").text().contains(metric), "{}", daemon.get("/metrics").text());
    assert!(daemon.log().contains("given up after a week"));

    receiver.start_again();
    clock.set(7 * DAY + 6 * 3600);
    done(&daemon, &["renew", "a.test", "--force", "--wait"]);
    daemon.until(LIMIT, "what is new arrives", |_| kinds(&receiver) == ["renewed"]);
    daemon.until(LIMIT, "all is well", |daemon| check(daemon)["status"] == "ok");
}

fn sink(receiver: &Receiver) -> String {
    format!("[notify.hook.webhook]\nurl = \"{}\"\n\n", receiver.url("/"))
}

/// These CAs as issuers of these certificates, in this order.
fn acme(home: &Home, receiver: &Receiver, cas: &[(&str, &AcmeCa)], names: &[&str]) -> String {
    let account = |(name, ca): &(&str, &AcmeCa)| {
        format!("[account.{name}]\ndirectory = \"{}\"\nagree_to_terms = true\n\n", ca.directory_url())
    };
    let issuers: Vec<&str> = cas.iter().map(|(name, _)| *name).collect();
    let defaults = format!("[defaults]\nissuers = {}\n\n", crate::home::list(&issuers));
    let accounts: String = cas.iter().map(account).collect();
    let host = dns("none", &["test"], "exec", "command = [\"false\"]\n");
    home.head() + &sink(receiver) + &accounts + &host + STORE + &defaults + &plain(names)
}

fn kinds(receiver: &Receiver) -> Vec<String> {
    let mut kinds: Vec<_> = receiver.events().iter().map(|event| event["kind"].as_str().unwrap().to_owned()).collect();
    kinds.sort();
    kinds
}

fn hook(daemon: &Daemon) -> Value {
    daemon.cli_json(&["notify", "list"])["sinks"][0].clone()
}

fn done(daemon: &Daemon, words: &[&str]) {
    let output = daemon.cli(words);
    assert!(output.status.success(), "{words:?}: {}", said(&output));
}
