//! CAs on bad days: what they ask for is kept, what they deliver is looked at, and the next one is asked where it may be.

use std::time::{Duration, SystemTime};

use renewd::clock::Timestamp;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::acme_ca::{AcmeCa, Endpoint, Reply, Script};
use crate::harness::{Daemon, said};
use crate::home::{Home, STORE, certificate, dns, list};
use crate::own_ca::Clock;
use crate::receiver::Receiver;

const LIMIT: Duration = Duration::from_secs(60);
const HOUR: i64 = 3600;

/// One or more CAs that issue at once, and a daemon that can be moved in time. Certificates come with the config.
struct World {
    cas: Vec<AcmeCa>,
    receiver: Receiver,
    home: Home,
    clock: Clock,
    certificates: std::cell::RefCell<String>,
}

impl World {
    /// So many CAs, named `ca0` and so on, every certificate's issuers in this order.
    fn new(cas: usize) -> Self {
        let cas = (0..cas).map(|_| AcmeCa::start(Script::default())).collect();
        let home = Home::new();
        let clock = Clock::new(&home);
        World { cas, receiver: Receiver::start(), home, clock, certificates: Default::default() }
    }

    fn ca(&self) -> &AcmeCa {
        &self.cas[0]
    }

    fn daemon(&self) -> Daemon {
        self.home.save(&self.config());
        Daemon::start_with_env(&self.home, &[self.clock.variable()])
    }

    /// One certificate more.
    fn add(&self, name: &str, more: &str) {
        self.certificates.borrow_mut().push_str(&certificate(name, &[name], more));
    }

    /// The same, in a running daemon.
    fn want(&self, daemon: &Daemon, name: &str) {
        self.add(name, "");
        daemon.reload_by_saving(&self.home, &self.config());
    }

    fn config(&self) -> String {
        let account = |(number, ca): (usize, &AcmeCa)| {
            format!("[account.ca{number}]\ndirectory = \"{}\"\nagree_to_terms = true\n\n", ca.directory_url())
        };
        let accounts: String = self.cas.iter().enumerate().map(account).collect();
        let issuers: Vec<String> = (0..self.cas.len()).map(|number| format!("ca{number}")).collect();
        let defaults = format!("[defaults]\nissuers = {}\n\n", list(&issuers));
        let sink = format!("[notify.hook.webhook]\nurl = \"{}\"\n\n", self.receiver.url("/"));
        let host = dns("none", &["test"], "exec", "command = [\"false\"]\n");
        self.home.head() + &sink + &accounts + &host + STORE + &defaults + &self.certificates.borrow()
    }

    /// Renews another certificate, so that the loop has turned.
    fn turn(&self, daemon: &Daemon) {
        let output = daemon.cli(&["renew", "other.test", "--force", "--wait"]);
        assert!(output.status.success(), "{}", said(&output));
    }

    fn orders(&self) -> usize {
        self.cas.iter().map(|ca| ca.count(Endpoint::NewOrder)).sum()
    }

    fn assert_well_behaved(&self) {
        for ca in &self.cas {
            assert_eq!(ca.complaints(), [""; 0]);
        }
    }
}

#[test]
fn a_ca_that_says_when_to_come_back_is_left_alone_until_then() {
    let world = World::new(1);
    world.add("other.test", "");
    let mut daemon = world.daemon();
    daemon.until_all(LIMIT, "stored");
    let words = "too many new orders: see https://ca.test/limits";
    let mut offset = 0;
    for (number, (status, html, dated)) in
        [(429, false, false), (429, false, true), (429, true, false), (503, false, true), (503, true, true)]
            .into_iter()
            .enumerate()
    {
        let reply = if html { Reply::html(status) } else { Reply::problem(status, "rateLimited", words) };
        let date = Timestamp::from_datetime(now()).plus(Duration::from_secs(7200)).to_http_date();
        let reply = reply.with("retry-after", if dated { &date } else { "7200" });
        let (name, before) = (format!("n{number}.test"), world.orders());
        world.ca().next(Endpoint::NewOrder, reply);
        world.want(&daemon, &name);
        daemon.until(LIMIT, "it is sent away", |daemon| daemon.show(&name)["failures"] == 1);
        let view = daemon.show(&name);
        let wait = (moment(&view["retry_at"]) - now()).whole_seconds() - offset;
        assert!((7000..=7260).contains(&wait), "{number}: {wait} s: {view}");
        offset += 6900;
        world.clock.set(offset);
        world.turn(&daemon);
        assert_eq!(world.orders(), before + 2, "{number}: asked before its time");
        offset += 500;
        world.clock.set(offset);
        daemon.until(LIMIT, "it is issued", |daemon| daemon.state_of(&name) == "stored");
        assert_eq!(world.orders(), before + 3);
    }
    world.assert_well_behaved();
}

#[test]
fn a_paused_name_shows_the_portal_s_link_and_is_not_hammered() {
    let world = World::new(1);
    world.add("other.test", "");
    let mut daemon = world.daemon();
    daemon.until_all(LIMIT, "stored");
    let link = format!("https://portal.ca.test/unpause?jwt={}", "abc.def-".repeat(60));
    let words = format!(
        "Your account is temporarily prevented from requesting certificates for paused.test and possibly others. \
         Please visit: {link}"
    );
    let (pause, before) = (Reply::problem(429, "rateLimited", &words), world.orders());
    // The other one's orders go through: only the paused name is refused.
    world.ca().next(Endpoint::NewOrder, pause);
    world.want(&daemon, "paused.test");
    daemon.until(LIMIT, "it is told", |daemon| daemon.show("paused.test")["failures"] == 1);
    let shown = said(&daemon.cli(&["why", "paused.test"]));
    assert!(shown.replace(['\n', ' '], "").contains(&link), "the link is not whole: {shown}");
    daemon.until(LIMIT, "people are told", |_| !world.receiver.of_kind("failed").is_empty());
    assert!(world.receiver.of_kind("failed")[0].to_string().contains(&link));
    world.clock.set(4 * 60);
    world.turn(&daemon);
    assert_eq!(world.orders(), before + 2, "five minutes are not over");
    world.clock.set(20 * 60);
    daemon.until(LIMIT, "it is issued when the pause is over", |daemon| daemon.state_of("paused.test") == "stored");
    world.assert_well_behaved();
}

#[test]
fn the_next_issuer_is_asked_for_what_is_the_ca_s_fault_and_for_nothing_else() {
    let world = World::new(2);
    let mut daemon = world.daemon();
    let reply = Reply::problem;
    let paused = "Your account is paused: visit https://portal.ca.test/";
    let cases = [
        ("rate", true, Endpoint::NewOrder, reply(429, "rateLimited", "too many")),
        ("busy", true, Endpoint::NewOrder, Reply::html(503).with("retry-after", "60")),
        ("broken", true, Endpoint::NewOrder, Reply::html(500)),
        ("internal", true, Endpoint::Finalize, reply(500, "serverInternal", "oh")),
        ("gateway", true, Endpoint::Finalize, Reply::html(502)),
        ("paused", true, Endpoint::NewOrder, reply(403, "rateLimited", paused)),
        ("caa", false, Endpoint::Finalize, reply(403, "caa", "CAA forbids")),
        ("dns", false, Endpoint::NewOrder, reply(400, "dns", "SERVFAIL")),
        ("unauthorized", false, Endpoint::Finalize, reply(403, "unauthorized", "wrong TXT")),
        ("rejected", false, Endpoint::NewOrder, reply(400, "rejectedIdentifier", "policy")),
    ];
    for (kind, goes_on, endpoint, reply) in cases {
        let (name, before) = (format!("{kind}.test"), world.cas[1].count(Endpoint::NewOrder));
        world.cas[0].next(endpoint, reply);
        world.want(&daemon, &name);
        daemon.until(LIMIT, kind, |daemon| {
            let view = daemon.show(&name);
            view["state"] == "stored" || view["failures"].as_u64() > Some(0) && !goes_on
        });
        let (why, elsewhere) = (daemon.cli_json(&["why", &name]), world.cas[1].count(Endpoint::NewOrder) - before);
        assert_eq!(why["obstacles"][0]["issuer"], "ca0", "{kind}: {why}");
        let wanted = if goes_on { (1, "unavailable", "ca1") } else { (0, "refused", "") };
        let found = (
            elsewhere,
            why["obstacles"][0]["kind"].as_str().unwrap_or_default(),
            daemon.show(&name)["issuer"].as_str().unwrap_or_default().to_owned(),
        );
        assert_eq!((found.0, found.1, found.2.as_str()), wanted, "{kind}: {why}");
    }
    world.assert_well_behaved();
}

#[test]
fn a_directory_that_is_down_leaves_the_next_issuer() {
    let world = World::new(2);
    world.cas[0].always(Endpoint::Directory, Reply::html(503));
    world.add("a.test", "");
    let mut daemon = world.daemon();
    daemon.until_all(LIMIT, "stored");
    assert_eq!(daemon.show("a.test")["issuer"], "ca1");
    // The next renewal tries the first again.
    world.cas[0].behave();
    world.clock.set(7 * HOUR);
    let output = daemon.cli(&["renew", "a.test", "--force", "--wait"]);
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(daemon.show("a.test")["issuer"], "ca0");
}

#[test]
fn an_order_without_an_end_gives_way_to_the_next_issuer_and_is_looked_at_again() {
    let world = World::new(2);
    for endpoint in [Endpoint::Finalize, Endpoint::Order] {
        world.cas[0].edit(endpoint, |order| {
            if order["status"] == "valid" {
                order["status"] = "processing".into();
                order.as_object_mut().unwrap().remove("certificate");
            }
        });
    }
    world.add("both.test", "");
    world.add("one.test", "issuers = [\"ca0\"]");
    let mut daemon = world.daemon();
    daemon.until(LIMIT, "both are finalized", |_| world.cas[0].count(Endpoint::Finalize) == 2);
    world.clock.set(10 * 60);
    daemon.until(LIMIT, "both wait", |daemon| daemon.log().matches("waiting: the CA is issuing").count() >= 2);
    assert_eq!(world.cas[1].count(Endpoint::NewOrder), 0, "ten minutes are no reason");
    world.clock.set(17 * 60);
    daemon.until(LIMIT, "the other CA issues", |daemon| daemon.state_of("both.test") == "stored");
    assert_eq!(daemon.show("both.test")["issuer"], "ca1");
    daemon.until(LIMIT, "it is told", |daemon| daemon.show("one.test")["failures"].as_u64() > Some(0));
    let problem = daemon.show("one.test")["problem"].to_string();
    assert!(problem.contains("the CA is slow: the CA is issuing, for 1"), "{problem}");
    // The order stays: when it has come to its end the certificate is fetched.
    world.cas[0].behave();
    world.clock.set(HOUR);
    daemon.until(LIMIT, "it is fetched", |daemon| daemon.state_of("one.test") == "stored");
    assert_eq!(world.cas[0].count(Endpoint::NewOrder), 2);
    world.assert_well_behaved();
}

#[test]
fn an_order_that_outlived_its_time_is_replaced_and_not_retried() {
    let world = World::new(1);
    world.ca().always(Endpoint::Finalize, Reply::html(500));
    world.add("a.test", "");
    let mut daemon = world.daemon();
    daemon.until(LIMIT, "it fails", |daemon| daemon.show("a.test")["failures"] == 1);
    daemon.kill();
    let finalized = world.ca().count(Endpoint::Finalize);
    world.ca().behave();
    // The CA does not say that it is over; only the time does.
    world.ca().edit(Endpoint::Order, |order| {
        if order["status"] == "ready" {
            order["expires"] = "2026-01-01T00:00:00Z".into();
        }
    });
    world.clock.set(9 * HOUR);
    let mut daemon = Daemon::start_with_env(&world.home, &[world.clock.variable()]);
    daemon.until(LIMIT, "it is given up", |daemon| daemon.log().contains("it expired at 2026-01-01T00:00:00Z"));
    world.clock.set(10 * HOUR);
    daemon.until(LIMIT, "a new one is issued", |daemon| daemon.state_of("a.test") == "stored");
    assert_eq!((world.orders(), world.ca().count(Endpoint::Finalize)), (2, finalized + 1));
    world.assert_well_behaved();
}

#[test]
fn an_order_that_was_forgotten_while_nothing_ran_is_no_failure() {
    let world = World::new(1);
    world.add("a.test", "");
    world.home.save(&world.config());
    let cut = [world.clock.variable(), (renewd::crash::VARIABLE, "order_url_written")];
    assert!(!Daemon::spawn(&world.home, &cut).wait().success(), "it was killed");
    world.ca().next(Endpoint::Order, Reply::problem(404, "malformed", "no such order"));
    world.clock.set(9 * HOUR);
    let mut daemon = Daemon::start_with_env(&world.home, &[world.clock.variable()]);
    daemon.until_all(LIMIT, "stored");
    let log = daemon.log();
    assert!(log.contains(": a new one is made") && !log.contains("order failed"), "{log}");
    assert_eq!(world.orders(), 2);
    world.assert_well_behaved();
}

#[test]
fn a_chain_that_does_not_fit_leaves_the_old_certificate_and_people_are_told() {
    let world = World::new(1);
    world.add("a.test", "");
    let mut daemon = world.daemon();
    daemon.until_all(LIMIT, "stored");
    let files = || ["cert.pem", "chain.pem", "privkey.pem"].map(|file| world.home.read("a.test", file));
    let (before, own) = (files(), world.ca().foreign_leaf(&["a.test"]));
    type Spoil = Box<dyn Fn(&mut Vec<String>) + Send>;
    let cases: [(&str, Spoil); 4] = [
        ("another key", Box::new(move |chain| chain[0].clone_from(&own))),
        ("without that of its issuer", Box::new(|chain| chain.truncate(1))),
        ("another key", Box::new(|chain| chain.reverse())),
        ("unexpected [evil.test]", Box::new(|_| ())),
    ];
    for (number, (words, spoil)) in cases.into_iter().enumerate() {
        world.ca().edit_chain(spoil);
        world.ca().misname((number == 3).then_some(&["a.test", "evil.test"][..]));
        world.clock.set(7 * HOUR * i64::try_from(number).unwrap());
        let output = daemon.cli(&["renew", "a.test", "--force", "--wait"]);
        assert_eq!(output.status.code(), Some(1), "{}", said(&output));
        assert!(said(&output).contains(words), "{words}: {}", said(&output));
        world.ca().behave();
        let view = daemon.show("a.test");
        assert_eq!((&view["version"], &view["state"]), (&1.into(), &"stored".into()), "{view}");
        assert!(files() == before, "{words}: a file was touched");
    }
    daemon.until(LIMIT, "it is told", |_| !world.receiver.of_kind("failed").is_empty());
    assert!(world.receiver.of_kind("failed")[0].to_string().contains("chain that does not fit"));
    world.ca().misname(None);
    world.clock.set(40 * HOUR);
    let output = daemon.cli(&["renew", "a.test", "--force", "--wait"]);
    assert!(output.status.success(), "{}", said(&output));
    daemon.until(LIMIT, "that it is well is told", |_| world.receiver.of_kind("recovered").len() == 1);
}

#[test]
fn hostile_words_of_a_ca_reach_no_terminal_and_no_line_of_the_log() {
    let world = World::new(1);
    let mut daemon = world.daemon();
    let detail = "\u{1b}[2J\u{1b}]0;owned\u{7}$(touch /tmp/owned) `reboot`; ../../etc/passwd\r\n2026-01-01T00:00:00Z \
                  ERROR forged: line\u{202e}\u{0}";
    let hostile = json!({
        "type": "urn:ietf:params:acme:error:rejectedIdentifier\u{1b}[31m", "detail": detail,
        "instance": "javascript:alert(1)\n", "subproblems": [null, 7, { "detail": "\u{1b}[2J\nforged: sub" }],
    });
    let replies = [
        Reply { status: 400, ..Reply::json(&hostile) },
        Reply { status: 400, headers: Vec::new(), body: "x\u{1b}[2J\nforged: html".repeat(500_000) },
        Reply::html(307).with("location", "http://169.254.169.254/latest/meta-data"),
        Reply::json(&json!({ "status": "\u{1b}[2J\nforged: status" })),
    ];
    for (number, reply) in replies.into_iter().enumerate() {
        let name = format!("n{number}.test");
        world.ca().next(Endpoint::NewOrder, reply);
        world.want(&daemon, &name);
        daemon.until(LIMIT, "it fails", |daemon| daemon.show(&name)["failures"] == 1);
        let shown = said(&daemon.cli(&["why", &name])) + &said(&daemon.cli(&["list"]));
        assert!(!shown.chars().any(is_hostile), "{shown:?}");
        assert!(!shown.lines().any(|line| line.starts_with("forged")), "{shown}");
    }
    daemon.until(LIMIT, "people are told", |_| world.receiver.of_kind("failed").len() == 4);
    let told: String = world.receiver.of_kind("failed").iter().map(|event| event["detail"].to_string()).collect();
    assert!(told.contains("../../etc/passwd") && !told.contains("\\u001b"), "what is told, is told plainly: {told}");
    let log = daemon.log();
    assert!(log.contains("../../etc/passwd") && !log.chars().any(is_hostile), "{log:?}");
    assert!(!log.lines().any(|line| line.starts_with("forged") || line.contains(" ERROR forged") && line.len() < 80));
    assert!(daemon.get("/metrics").status == 200 && !std::path::Path::new("/tmp/owned").exists());
}

/// What moves a terminal's cursor, or turns a line around.
fn is_hostile(character: char) -> bool {
    character.is_control() && character != '\n' || character == '\u{202e}'
}

fn now() -> OffsetDateTime {
    OffsetDateTime::from(SystemTime::now())
}

fn moment(value: &Value) -> OffsetDateTime {
    OffsetDateTime::parse(value.as_str().unwrap(), &Rfc3339).unwrap()
}
