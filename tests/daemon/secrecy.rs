//! No secret and no key in anything that the daemon tells: log, answers, metrics.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::harness::{Daemon, said};
use crate::home::{Home, certificate, dns, resolver};
use crate::peers::bind::Bind;
use crate::peers::pebble::{Pebble, PebbleOptions};
use crate::peers::ports;

/// Checks everything that this daemon tells and has told.
///
/// # Panics
/// When one of the secrets, a stored private key or the seal key is in it.
pub fn check(home: &Home, daemon: &Daemon, secrets: &[&str]) {
    let told = told(daemon);
    let mut sought: Vec<String> = secrets.iter().map(|&secret| secret.to_owned()).collect();
    sought.extend(std::fs::read_to_string(home.state().join("seal.key")).map(|key| key.trim().to_owned()));
    for name in daemon.certificates() {
        let key = home.stored(name["name"].as_str().expect("a name")).join("privkey.pem");
        let key = std::fs::read_to_string(key).unwrap_or_default();
        sought.extend(key.lines().filter(|line| !line.starts_with('-')).map(str::to_owned));
    }
    assert!(sought.iter().all(|secret| secret.len() >= 8), "something is sought: {sought:?}");
    for (place, text) in &told {
        assert!(!text.contains("PRIVATE KEY"), "a private key is in {place}");
        for secret in &sought {
            assert!(!text.contains(secret.as_str()), "`{secret}` is in {place}");
        }
    }
}

/// Places, and what is said there.
fn told(daemon: &Daemon) -> Vec<(String, String)> {
    let mut told = vec![("the log".to_owned(), daemon.log())];
    let names: Vec<_> = daemon.certificates().into_iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect();
    let each = names.iter().flat_map(|name| [vec!["show", name], vec!["why", name]]);
    for words in [vec!["list"], vec!["plan"], vec!["check"], vec!["account", "show"]].into_iter().chain(each) {
        told.push((words.join(" "), said(&daemon.cli(&words))));
        told.push((format!("{} --json", words.join(" ")), said(&daemon.cli(&[&words[..], &["--json"]].concat()))));
    }
    for path in ["/health", "/health/ready", "/metrics"] {
        told.push((path.to_owned(), daemon.get(path).text()));
    }
    told
}

const CANARY: &str = "canary-in-a-coal-mine";

#[test]
fn no_secret_is_told_though_everything_fails_and_debug_is_on() {
    let bind = Bind::start(&["a.test", "b.test", "c.test", "d.test", "e.test"]);
    let hmac = |word: &str| URL_SAFE_NO_PAD.encode(format!("{word:-<64}"));
    let (right, wrong) = (hmac("right"), hmac(CANARY));
    let options = PebbleOptions {
        dns: bind.address(),
        eab: Some(("kid-1".to_owned(), right.clone())),
        ..PebbleOptions::default()
    };
    let pebble = Pebble::start(options);
    let home = Home::new();
    home.secret("canary", CANARY);
    home.secret("right", &right);
    home.secret("wrong", &wrong);
    home.save(&config(&home, &bind, &pebble));

    let mut daemon = Daemon::start_with(&home, &["--log-level", "debug"], &[("ROUTE53_SECRET", CANARY)]);
    daemon.until(Duration::from_secs(90), "one is stored, and the others have failed", |daemon| {
        daemon.certificates().iter().all(|one| match one["name"].as_str() {
            Some("a.test") => one["state"] == "stored",
            _ => !one["last_error"].is_null(),
        })
    });
    assert_eq!(daemon.json("/health")["status"], "degraded");
    check(&home, &daemon, &[CANARY, &right, &wrong, bind.tsig_secret()]);
}

#[test]
fn the_log_in_json_is_an_object_a_line() {
    let home = Home::with("[ca.internal]\nsubject = { common_name = \"Test CA\" }\n\n[certificate.\"a.internal\"]\n");
    let mut daemon = Daemon::start_with(&home, &["--log-format", "json"], &[]);
    daemon.until(Duration::from_secs(30), "it is issued", |daemon| daemon.state_of("a.internal") != "pending");
    assert!(daemon.terminate().success());
    let log = daemon.log();
    let lines: Vec<serde_json::Value> =
        log.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect();
    let issued = lines.iter().find(|line| line["message"] == "issued").unwrap_or_else(|| panic!("{log}"));
    let field = |name: &str| issued[name].as_str().unwrap_or_default().to_owned();
    assert_eq!(
        (field("certificate"), field("issuer"), field("level")),
        ("a.internal".into(), "internal".into(), "INFO".into())
    );
    assert!(!field("serial").is_empty() && !field("reason").is_empty(), "{issued}");
}

/// `a.test` works. Behind every other name somebody refuses, or nobody answers.
fn config(home: &Home, bind: &Bind, pebble: &Pebble) -> String {
    let nowhere = ports::loopback(ports::tcp());
    let mut text = home.head() + &resolver(bind.address());
    for (account, key) in [("pebble", "right"), ("stranger", "wrong")] {
        text += home.account(pebble).replace("[account.pebble]", &format!("[account.{account}]")).trim_end();
        text += &format!("\neab = {{ kid = \"kid-1\", hmac_key = {{ file = \"{key}\" }} }}\n\n");
    }
    text += &home.rfc2136("main", &["a.test"], bind);
    let cloudflare = format!("api_url = \"http://{nowhere}\"\napi_token = {{ file = \"canary\" }}\n");
    let powerdns = format!("api_url = \"http://{nowhere}\"\napi_key = {{ file = \"canary\" }}\n");
    let acme_dns = format!(
        "api_url = \"http://{nowhere}\"\nusername = \"0b1d6c62-3b3e-4d5a-a5f2-6a0e3c4b8d11\"\n\
         password = {{ file = \"canary\" }}\nsubdomain = \"8e5700ea-a4bf-41c7-8a77-e990661dcc6a\"\n"
    );
    let route53 = format!(
        "region = \"us-east-1\"\naccess_key_id = \"AKIAEXAMPLE\"\nsecret_access_key = {{ env = \"ROUTE53_SECRET\" }}\n\
         endpoint_url = \"http://{nowhere}\"\n"
    );
    text += &dns("flare", &["b.test"], "cloudflare", &cloudflare);
    text += &dns("power", &["c.test"], "powerdns", &powerdns);
    text += &dns("registered", &["d.test"], "acme-dns", &acme_dns);
    text += &dns("amazon", &["e.test"], "route53", &route53);
    text +=
        "[store.disk]\npfx = { password = { file = \"canary\" } }\n[store.disk.directory]\npath = \"certificates\"\n\n";
    text += "[defaults]\nissuers = [\"pebble\"]\n\n";
    for name in ["a.test", "b.test", "c.test", "d.test", "e.test"] {
        text += &certificate(name, &[name], "");
    }
    text + &certificate("unbound", &["unbound.a.test"], "issuers = [\"stranger\"]\n")
}
