//! DNS hosts and plugins in trouble: whatever they do, their values are withdrawn, or on record to be.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::acme_ca::{AcmeCa, Endpoint, Script};
use crate::bridge::Bridge;
use crate::cloudflare::{CloudflareServer, TOKEN, meaning};
use crate::exec_host::ExecHost;
use crate::harness::{Daemon, said};
use crate::home::{Home, STORE, certificate, dns, resolver};
use crate::own_ca::Clock;

const LIMIT: Duration = Duration::from_secs(60);
const ZONE: &str = "zone.test";
const NAMES: [&str; 2] = ["zone.test", "*.zone.test"];
const HOUR: i64 = 3600;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_plugin_that_crashes_hangs_or_floods_leaves_no_value_behind() {
    let (ca, home) = (AcmeCa::start(Script { ready: false, ..Script::default() }), Home::new());
    let host = ExecHost::start(&home, ZONE).await;
    // Another CA would do no better.
    let other = AcmeCa::start(Script::default());
    let text = config(&home, &ca, host.bridge.address, &host.instance(ZONE));
    home.save(&(text.replace(r#"["fake"]"#, r#"["fake", "other"]"#) + &account("other", &other)));
    ca.edit(Endpoint::Authorization, |authorization| {
        authorization["challenges"][0]["token"] = "../../$(touch owned);\n\u{1b}[2J".into();
    });
    let clock = Clock::new(&home);
    host.trouble("present crash");
    let mut daemon = Daemon::start_with_env(&home, &[clock.variable()]);
    let cases = [
        ("present crash", "was killed by signal 9"),
        ("present hang", "was killed after 2 s"),
        ("present flood", "exited with 75: …xxx"),
    ];
    for (number, (trouble, words)) in cases.into_iter().enumerate() {
        host.trouble(trouble);
        clock.set(HOUR * i64::try_from(number).unwrap());
        let failures = u64::try_from(number).unwrap() + 1;
        daemon.until(LIMIT, trouble, |daemon| daemon.show(ZONE)["failures"].as_u64() >= Some(failures));
        let why = daemon.cli_json(&["why", ZONE]);
        let problem = why["problem"].as_str().unwrap();
        assert!(problem.contains(words) && problem.len() < 2000, "{trouble}: {problem}");
        assert!(!host.values().is_empty(), "{trouble}: it did its work before");
        assert_on_record(&host, &why);
        assert_eq!(ca.count(Endpoint::Challenge), 0, "the CA is not told of what may not be there");
    }
    host.trouble("withdraw crash");
    clock.set(HOUR * 9);
    daemon.until(LIMIT, "it is stored", |daemon| daemon.state_of(ZONE) == "stored");
    for (number, trouble) in
        ["withdraw crash", "withdraw hang", "withdraw flood", "withdraw expired"].iter().enumerate()
    {
        host.trouble(trouble);
        clock.set(HOUR * (10 + 2 * i64::try_from(number).unwrap()));
        let errors = ["signal 9", "after 2 s", "…xxx", "the key has expired"];
        daemon.until(LIMIT, trouble, |daemon| owed(daemon).to_string().contains(errors[number]));
        assert_on_record(&host, &daemon.cli_json(&["why", ZONE]));
        let one = daemon.show(ZONE);
        assert_eq!((&one["state"], &one["failures"]), (&"stored".into(), &0.into()), "{trouble}: {one}");
    }
    host.trouble("");
    clock.set(HOUR * 30);
    daemon.until(LIMIT, "nothing is owed", |daemon| daemon.json("/health")["checks"]["txt_owed"] == 0);
    assert_eq!(host.values(), [""; 0]);
    assert!(!host.said().contains("owned"), "the CA's token itself goes nowhere: {}", host.said());
    assert_eq!((ca.count(Endpoint::NewOrder), ca.complaints()), (1, vec![]));
    assert_eq!(other.count(Endpoint::NewOrder), 0, "for DNS that fails nobody else is asked");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_host_that_is_busy_is_left_alone_and_one_whose_key_expires_midway_is_owed_a_withdrawal() {
    let (ca, home) = (AcmeCa::start(Script { ready: false, ..Script::default() }), Home::new());
    let host = Arc::new(CloudflareServer::start().await);
    host.cloud().add_zone(ZONE, "active");
    let records = Arc::clone(&host);
    let values = move |name: &str| records.cloud().contents(name).iter().map(|value| meaning(value)).collect();
    let bridge = Bridge::start(ZONE, None, values).await;
    home.secret("cloudflare.key", TOKEN);
    let settings = format!("api_url = \"{}\"\napi_token = {{ file = \"cloudflare.key\" }}\n", host.api_url());
    let own = "[ca.own]\nsubject = { common_name = \"Own\" }\n\n".to_owned();
    let own = own + &certificate("own.test", &["own.test"], "issuers = [\"own\"]");
    home.save(&(config(&home, &ca, bridge.address, &dns("host", &[ZONE], "cloudflare", &settings)) + &own));
    let standing = || host.cloud().contents("_acme-challenge.zone.test").len();
    let requests = || host.cloud().requests.len();
    let busy = r#"{"success":false,"errors":[{"code":971,"message":"slow down"}]}"#;
    host.cloud().refusals = vec![(429, busy.to_owned()); 99];
    hold(&ca);

    let clock = Clock::new(&home);
    let mut daemon = Daemon::start_with_env(&home, &[clock.variable()]);
    daemon.until(LIMIT, "it is busy", |daemon| daemon.show(ZONE)["failures"].as_u64() == Some(1));
    let asked = requests();
    let problem = daemon.show(ZONE)["problem"].to_string();
    assert!(problem.contains("rate limited") && problem.contains("slow down"), "{problem}");
    host.cloud().refusals.clear();
    // Another certificate is renewed meanwhile: the loop has turned.
    let other = daemon.cli(&["renew", "own.test", "--force", "--wait"]);
    assert!(other.status.success(), "{}", said(&other));
    assert_eq!((requests(), standing()), (asked, 0), "half a minute is not over");

    clock.set(HOUR);
    daemon.until(LIMIT, "both values stand, and the CA was told", |_| {
        standing() == 2 && ca.count(Endpoint::Challenge) == 2
    });
    let expired = r#"{"success":false,"errors":[{"code":9109,"message":"Invalid access token"}]}"#;
    host.cloud().refusals = vec![(403, expired.to_owned()); 999];
    ca.behave();
    daemon.until(LIMIT, "it is stored all the same", |daemon| daemon.state_of(ZONE) == "stored");
    daemon.until(LIMIT, "what is owed is told", |daemon| owed(daemon).to_string().contains("credentials were refused"));
    assert_eq!((standing(), daemon.show(ZONE)["failures"].clone()), (2, Value::from(0)));
    assert_eq!(daemon.json("/health")["checks"]["txt_owed"], 2);
    daemon.kill();
    host.cloud().refusals.clear();
    clock.set(3 * HOUR);
    let mut daemon = Daemon::start_with_env(&home, &[clock.variable()]);
    daemon.until(LIMIT, "nothing is owed", |daemon| daemon.json("/health")["checks"]["txt_owed"] == 0);
    assert_eq!(standing(), 0);
    assert_eq!((ca.complaints(), host.cloud().complaints.clone()), (vec![], vec![]));
}

/// Challenges are never done with.
fn hold(ca: &AcmeCa) {
    for endpoint in [Endpoint::Order, Endpoint::Authorization] {
        ca.edit(endpoint, |document| document["status"] = "pending".into());
    }
}

fn owed(daemon: &Daemon) -> Value {
    daemon.cli_json(&["why", ZONE])["owed_txts"].clone()
}

/// Every value that stands is on record to be withdrawn.
fn assert_on_record(host: &ExecHost, why: &Value) {
    let owed = why["owed_txts"].to_string();
    for value in host.values() {
        assert!(owed.contains(&value), "`{value}` stands and is not on record: {owed}");
    }
}

fn config(home: &Home, ca: &AcmeCa, server: std::net::SocketAddr, instance: &str) -> String {
    home.head()
        + &resolver(server)
        + STORE
        + &account("fake", ca)
        + instance
        + &certificate(ZONE, &NAMES, "issuers = [\"fake\"]")
}

fn account(name: &str, ca: &AcmeCa) -> String {
    format!("[account.{name}]\ndirectory = \"{}\"\nagree_to_terms = true\n\n", ca.directory_url())
}
