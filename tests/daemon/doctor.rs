//! Looking at everything live: what is well is said to be, what is wrong is found, and nothing is left behind.

use std::time::Duration;

use serde_json::Value;

use crate::harness::{Daemon, run, said};
use crate::home::{Home, STORE, certificate, dns};
use crate::own_ca::{Clock, LIMIT, OWN_CA};
use crate::peers::bind::Bind;
use crate::peers::pebble::{Pebble, PebbleOptions};
use crate::peers::ports;

const ZONE: &str = "a.test";

struct World {
    bind: Bind,
    pebble: Pebble,
    home: Home,
}

impl World {
    fn new(zones: &[&str]) -> Self {
        let bind = Bind::start(zones);
        let pebble = Pebble::start(PebbleOptions { dns: bind.address(), ..PebbleOptions::default() });
        World { bind, pebble, home: Home::new() }
    }

    fn config(&self, extra: &str) -> String {
        self.home.acme_config(&self.bind, &[ZONE], &self.pebble, extra)
    }

    /// A daemon with one certificate, `a.test` and its wildcard, that is stored already.
    fn daemon(&self) -> Daemon {
        self.home.save(&self.config(&certificate(ZONE, &[ZONE, "*.a.test"], "")));
        let mut daemon = Daemon::start(&self.home);
        daemon.until_all(LIMIT, "stored");
        daemon.until(LIMIT, "no TXT value is left", |_| self.bind.all_txt(ZONE).is_empty());
        daemon
    }
}

/// What `doctor --json` prints, whatever it exits with.
fn examine(daemon: &Daemon, words: &[&str]) -> Value {
    let output = daemon.cli(&[&["doctor", "--json"], words].concat());
    let found: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", said(&output)));
    assert_eq!(found["schema"], 1);
    assert_eq!(output.status.code(), Some(i32::from(found["errors"] != 0)), "{found:#}");
    found
}

/// The findings of one check in the groups about something, as `status: found`.
fn findings(found: &Value, about: &str, check: &str) -> Vec<String> {
    let groups = found["groups"].as_array().unwrap().iter().filter(|group| group["about"] == about);
    let all = groups.flat_map(|group| group["findings"].as_array().unwrap());
    let own = all.filter(|it| it["check"] == check);
    own.map(|it| format!("{}: {}", it["status"].as_str().unwrap(), it["found"].as_str().unwrap())).collect()
}

/// The only finding of a check.
fn finding(found: &Value, about: &str, check: &str) -> String {
    let all = findings(found, about, check);
    assert_eq!(all.len(), 1, "{about} {check}: {found:#}");
    all[0].clone()
}

#[test]
fn where_all_is_well_it_says_so_and_leaves_nothing_behind() {
    let world = World::new(&[ZONE]);
    world.bind.nsupdate("update add a.test 1 CAA 0 issue \"pebble.letsencrypt.org\"");
    let daemon = world.daemon();
    let orders = world.pebble.order_count();
    let found = examine(&daemon, &[]);
    assert_eq!((&found["errors"], &found["warnings"]), (&0.into(), &0.into()), "{found:#}");
    let directory = finding(&found, "issuer", "directory");
    assert!(directory.contains("profiles default, shortlived") && directory.contains("ARI"), "{directory}");
    assert!(finding(&found, "issuer", "account").starts_with("ok: registered as https://"), "{found:#}");
    assert!(finding(&found, "clock", "clock").starts_with("ok: it agrees"), "{found:#}");
    assert!(finding(&found, "zone", "write").contains("`_acme-challenge.a.test` is shown by every server"));
    assert_eq!(finding(&found, "zone", "withdraw"), "ok: the value is gone again");
    assert_eq!(finding(&found, "zone", "DNSSEC"), "ok: not signed");
    assert!(finding(&found, "certificate", "CAA").contains("may issue, by the records at a.test"), "{found:#}");
    assert!(finding(&found, "store", "write").starts_with("ok"), "{found:#}");
    assert!(finding(&found, "state", "database").starts_with("ok"), "{found:#}");
    assert_eq!(world.bind.all_txt(ZONE), []);
    assert_eq!(daemon.json("/health")["checks"]["txt_owed"], 0);
    assert_eq!(crate::crash::entries(&world.home.file("certificates")), [".versions", ZONE]);
    assert_eq!(crate::crash::entries(&world.home.file("certificates/.versions")), [ZONE]);
    assert_eq!(world.pebble.order_count(), orders, "nothing is ordered");
    let words = said(&daemon.cli(&["doctor", ZONE]));
    assert!(words.contains("certificate a.test\n") && words.ends_with("All is well.\n"), "{words}");
}

#[test]
fn what_would_fail_is_found_before_it_does() {
    let world = World::new(&[ZONE, "b.test"]);
    world.bind.nsupdate("update add _acme-challenge.far.a.test 1 CNAME far-away.b.test");
    world.bind.nsupdate("update add no.a.test 1 CAA 0 issue \"other.example\"");
    let account = "\"pebble.letsencrypt.org; accounturi=https://127.0.0.1/my-account/of-another\"";
    world.bind.nsupdate(&format!("update add theirs.a.test 1 CAA 0 issue {account}"));
    let wrong_key = format!(
        "server = \"{}\"\ntsig_key = \"{}\"\ntsig_secret = {{ file = \"wrong.key\" }}\n",
        world.bind.address(),
        world.bind.tsig_key()
    );
    world.home.secret("wrong.key", "bm90IHRoZSBrZXkgdGhhdCB0aGUgc2VydmVyIGhhcy4=");
    let mut extra = dns("other", &["b.test"], "rfc2136", &wrong_key);
    extra += "[store.broken.directory]\npath = \"config.toml/below-a-file\"\n\n[defaults]\nstores = [\"disk\"]\n\n";
    extra += &certificate("far.a.test", &["far.a.test"], "");
    extra += &certificate("no.a.test", &["no.a.test"], "profile = { require = \"nonesuch\" }\n");
    extra += &certificate("theirs.a.test", &["theirs.a.test"], "deploy = [{ command = [\"/no/such/program\"] }]\n");
    extra += &certificate("nowhere.test", &["nowhere.test"], "dns = \"main\"\nstores = [\"broken\"]\n");
    world.home.save(&world.config(&extra));
    let daemon = Daemon::start(&world.home);

    let found = examine(&daemon, &[]);
    let has = |about: &str, check: &str, start: &str, words: &str| {
        let all = findings(&found, about, check);
        let hit = all.iter().any(|text| text.starts_with(start) && text.contains(words));
        assert!(hit, "{about} {check} {start} {words}: {all:#?}");
    };
    has("zone", "write", "error", "far-away.b.test");
    has("zone", "write", "ok", "a.test");
    has("certificate", "challenge", "ok", "_acme-challenge.far.a.test → far-away.b.test, in zone b.test at `other`");
    has("certificate", "challenge", "error", "_acme-challenge.nowhere.test");
    has("certificate", "CAA", "error", "permits `other.example` and not `pebble.letsencrypt.org`");
    has("certificate", "CAA", "error", "of-another` only, and ours is `https://");
    has("certificate", "profile", "error", "it offers default, shortlived");
    has("certificate", "deploy", "error", "`/no/such/program` was not found");
    has("store", "write", "error", "below-a-file");
    has("store", "write", "ok", "");
    let values = [ZONE, "b.test"].map(|zone| world.bind.all_txt(zone)).concat();
    assert!(values.iter().all(|(_, value)| !value.starts_with("renewd-doctor")), "{values:?}");
    assert!(!daemon.log().contains("TXT value not withdrawn"), "what was refused is not owed");

    let one = examine(&daemon, &["far.a.test"]);
    assert_eq!(one["certificate"], "far.a.test");
    assert!(findings(&one, "store", "write").len() == 1 && findings(&one, "certificate", "CAA").len() == 1, "{one:#}");
    let unknown = daemon.cli(&["doctor", "other.test"]);
    assert!(unknown.status.code() == Some(1) && said(&unknown).contains("no certificate `other.test`"));
}

#[test]
fn a_fallback_that_could_not_issue_degrades_health_until_it_can() {
    let world = World::new(&[ZONE]);
    let closed = format!(
        "[account.down]\ndirectory = \"https://127.0.0.1:{}/dir\"\nagree_to_terms = true\n\n{OWN_CA}",
        ports::tcp()
    );
    let text = |issuers: &str| {
        let more = format!("issuers = [{issuers}]\n");
        world.config(&format!("{closed}{}", certificate(ZONE, &[ZONE], &more)))
    };
    world.home.save(&text("\"pebble\", \"down\""));
    let clock = Clock::new(&world.home);
    let mut daemon = Daemon::start_with_env(&world.home, &[clock.variable()]);
    daemon.until_all(LIMIT, "stored");
    assert_eq!(daemon.json("/health")["checks"]["issuers"], Value::Null, "nobody has looked yet");
    clock.set(40);
    let issuers = |daemon: &Daemon| daemon.json("/health")["checks"]["issuers"].clone();
    daemon.until(LIMIT, "the fallback is found", |daemon| issuers(daemon)["not_ready"] == 1);
    assert_eq!(issuers(&daemon)["ready"], 1);
    assert_eq!(daemon.json("/health")["status"], "degraded");
    let metrics = daemon.get("/metrics").text();
    assert!(metrics.contains("renewd_issuer_ready{issuer=\"down\"} 0\n"), "{metrics}");
    assert!(metrics.contains("renewd_issuer_ready{issuer=\"pebble\"} 1\n"), "{metrics}");
    let why = daemon.cli_json(&["why", ZONE]);
    assert_eq!((&why["issuers"][0]["ready"], &why["issuers"][1]["ready"]), (&true.into(), &false.into()), "{why}");
    assert!(said(&daemon.cli(&["why", ZONE])).contains("COULD ISSUE"));
    assert!(finding(&examine(&daemon, &[ZONE]), "certificate", "CAA").contains("may issue"));
    assert_eq!(daemon.log().matches("it could not issue").count(), 1);

    daemon.reload_by_saving(&world.home, &text("\"pebble\", \"own\""));
    clock.set(60);
    daemon.until(LIMIT, "all could issue", |daemon| issuers(daemon)["not_ready"] == 0);
    assert_eq!(issuers(&daemon)["ready"], 2);
    world.bind.nsupdate("update add a.test 1 CAA 0 issue \"other.example\"");
    clock.set(7 * 3600);
    daemon.until(LIMIT, "CAA is seen", |daemon| issuers(daemon)["not_ready"] == 1);
    assert!(daemon.cli_json(&["why", ZONE])["issuers"][0]["problem"].as_str().unwrap().contains("other.example"));
}

#[test]
fn a_value_left_behind_is_withdrawn_by_the_next_daemon() {
    let world = World::new(&[ZONE]);
    let mut daemon = world.daemon();
    // A second server that never answers keeps the examination waiting while its value stands.
    world.bind.nsupdate("update add a.test 1 NS ns2.a.test\nupdate add ns2.a.test 1 A 127.0.0.9");
    let mut doctor = crate::harness::program();
    doctor.args(["doctor", "--config"]).arg(world.home.config());
    let mut doctor = doctor.stdout(std::process::Stdio::null()).spawn().unwrap();
    daemon.until(LIMIT, "the value stands", |_| !world.bind.all_txt(ZONE).is_empty());
    daemon.kill();
    let _ = doctor.wait();
    assert_eq!(world.bind.all_txt(ZONE).len(), 1);
    world.bind.nsupdate("update delete a.test NS ns2.a.test");
    let clock = Clock::new(&world.home);
    clock.set(600);
    let mut daemon = Daemon::start_with_env(&world.home, &[clock.variable()]);
    daemon.until(LIMIT, "it is withdrawn", |_| world.bind.all_txt(ZONE).is_empty());
    daemon.until(LIMIT, "nothing is owed", |daemon| daemon.json("/health")["checks"]["txt_owed"] == 0);
}

#[test]
fn without_a_daemon_it_looks_by_itself_and_makes_no_state() {
    let world = World::new(&[ZONE]);
    world.home.save(&world.config(&certificate(ZONE, &[ZONE], "")));
    let output = run(&world.home.config(), &["doctor", "--json"]);
    let found: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", said(&output)));
    assert_eq!((output.status.code(), &found["errors"]), (Some(0), &0.into()), "{found:#}");
    assert!(finding(&found, "state", "database").starts_with("warning"), "{found:#}");
    assert!(finding(&found, "issuer", "directory").starts_with("ok"), "{found:#}");
    assert!(!world.home.state().exists() && !world.home.file("certificates").exists());
    assert_eq!(world.pebble.requests("POST /sign-me-up"), 0);

    let mut daemon = Daemon::start(&world.home);
    daemon.until_all(Duration::from_secs(60), "stored");
    assert!(daemon.terminate().success());
    let output = run(&world.home.config(), &["doctor"]);
    assert!(output.status.success() && said(&output).contains("the value is gone again"), "{}", said(&output));
    world.home.save(&format!("{}{STORE}[certificate.\"x.test\"]\nisuers = 1\n", world.home.head()));
    assert_eq!(run(&world.home.config(), &["doctor"]).status.code(), Some(78));
}
