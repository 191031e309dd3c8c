//! Renewal by the real program against CAs that fail, that tell nothing, or that are asked by the wrong names.

use std::time::Duration;

use serde_json::Value;

use crate::acme_ca::{AcmeCa, Endpoint, Reply, Script};
use crate::harness::{Daemon, said};
use crate::home::{Home, STORE, certificate, dns};
use crate::own_ca::{Clock, DAY, problem, version};

const LIMIT: Duration = Duration::from_secs(60);
const NAME: &str = "www.a.test";

#[test]
fn everything_that_expired_while_it_was_down_is_renewed_and_the_old_is_served_meanwhile() {
    const NAMES: [&str; 6] = ["n0.a.test", "n1.a.test", "n2.a.test", "n3.a.test", "n4.a.test", "n5.a.test"];
    let ca = AcmeCa::start(Script::default());
    let home = Home::new();
    let clock = Clock::new(&home);
    let certificates: String = NAMES.iter().map(|name| certificate(name, &[name], "")).collect();
    home.save(&(accounts(&home, &[("fake", &ca)]) + &certificates));
    let mut daemon = Daemon::start_with_env(&home, &[clock.variable()]);
    daemon.until_all(LIMIT, "stored");
    let old = NAMES.map(|name| home.read(name, "fullchain.pem"));
    assert!(daemon.terminate().success());

    clock.set(100 * DAY);
    ca.be_ahead(100 * 86_400);
    ca.always(Endpoint::NewOrder, Reply::html(503));
    let mut daemon = Daemon::start_with_env(&home, &[clock.variable()]);
    let failing = |daemon: &Daemon| daemon.json("/health")["checks"]["certificates"]["failing"].clone();
    daemon.until(LIMIT, "each has been tried", |daemon| failing(daemon) == NAMES.len());
    let checks = daemon.json("/health");
    assert_eq!(
        (&checks["status"], &checks["checks"]["certificates"]["expired"]),
        (&"failing".into(), &NAMES.len().into())
    );
    for (name, old) in NAMES.iter().zip(&old) {
        let served = daemon.get(&format!("/{name}/tls"));
        assert_eq!((served.status, served.text()), (200, old.clone()), "{name}");
        assert_eq!(home.read(name, "fullchain.pem"), *old, "{name} is in its store no longer");
        assert_eq!(version(&daemon, name), 1);
    }

    ca.behave();
    clock.set(100 * DAY + 600);
    daemon.until(LIMIT, "all are renewed", |daemon| NAMES.iter().all(|name| version(daemon, name) == 2));
    daemon.until_all(LIMIT, "stored");
    for (name, old) in NAMES.iter().zip(&old) {
        assert_ne!(daemon.get(&format!("/{name}/tls")).text(), *old, "{name}");
    }
    assert_eq!((daemon.json("/health")["status"].as_str(), ca.complaints()), (Some("ok"), vec![]));
}

#[test]
fn names_added_and_removed_twenty_times_keep_the_limit_of_equal_sets_and_it_is_told() {
    const ROUNDS: usize = 20;
    // A CA that gives renewal information counts no order that says what it replaces.
    let ca = AcmeCa::start(Script { renewal_info: false, ..Script::default() });
    let home = Home::new();
    let limits = "limits = { names = \"5 per 7d\" }\n\n";
    let head = accounts(&home, &[("fake", &ca)]).replacen(
        "agree_to_terms = true\n",
        &format!("agree_to_terms = true\n{limits}"),
        1,
    );
    let one = head.clone() + &certificate(NAME, &[NAME], "");
    let two = head.clone() + &certificate(NAME, &[NAME, "more.a.test"], "");
    home.save(&one);
    let mut daemon = Daemon::start(&home);
    daemon.until_all(LIMIT, "stored");
    let held_back = |daemon: &Daemon| problem(daemon, NAME).starts_with("held back until");
    for round in 1..=ROUNDS {
        let (text, names) = if round % 2 == 1 { (&two, 2) } else { (&one, 1) };
        daemon.reload_by_saving(&home, text);
        daemon.until(LIMIT, "a certificate or a reason", |daemon| has_names(daemon, names) || held_back(daemon));
    }
    // Each of the two sets was certified five times, the first one included.
    let sets: Vec<usize> =
        ca.requests(Endpoint::NewOrder).iter().map(|order| order["identifiers"].as_array().unwrap().len()).collect();
    assert_eq!([1, 2].map(|names| sets.iter().filter(|set| **set == names).count()), [5, 5], "{sets:?}");
    let why = daemon.cli_json(&["why", NAME]);
    assert_eq!(why["obstacles"][0]["kind"], "held", "{why}");
    assert!(problem(&daemon, NAME).contains("5 per 7d certificates for exactly these names"), "{why}");
    assert_eq!(daemon.get(&format!("/{NAME}/tls")).status, 200, "what there is is served");
    // Another set is not held back with it.
    daemon.reload_by_saving(&home, &(head.clone() + &certificate(NAME, &[NAME, "b.a.test", "c.a.test"], "")));
    daemon.until(LIMIT, "the third set", |daemon| has_names(daemon, 3));

    // A certificate that is taken out and put back goes on with the version that it has.
    let orders = ca.count(Endpoint::NewOrder);
    let (in_force, whole) = (version(&daemon, NAME), std::fs::read_to_string(home.config()).unwrap());
    for _ in 0..ROUNDS {
        daemon.reload_by_saving(&home, &head);
        daemon.reload_by_saving(&home, &whole);
    }
    daemon.until_all(LIMIT, "stored");
    assert_eq!((ca.count(Endpoint::NewOrder), version(&daemon, NAME)), (orders, in_force));
}

/// The current version has so many names.
fn has_names(daemon: &Daemon, names: usize) -> bool {
    daemon.show(NAME)["versions"][0]["names"].as_array().map(Vec::len) == Some(names)
}

#[test]
fn renewal_information_is_asked_of_the_ca_that_issued_and_only_that_is_told_what_is_replaced() {
    let (first, second) = (AcmeCa::start(Script::default()), AcmeCa::start(Script::default()));
    let home = Home::new();
    let head = accounts(&home, &[("first", &first), ("second", &second)]);
    home.save(&(head.clone() + &certificate(NAME, &[NAME], "issuers = [\"first\"]")));
    let clock = Clock::new(&home);
    let mut daemon = Daemon::start_with_env(&home, &[clock.variable()]);
    daemon.until_all(LIMIT, "stored");
    daemon.until(LIMIT, "the question at once after issue", |_| first.count(Endpoint::RenewalInfo) == 1);

    daemon.reload_by_saving(&home, &(head + &certificate(NAME, &[NAME], "issuers = [\"second\", \"first\"]")));
    daemon.cli_json(&["why", NAME, "--refresh"]);
    daemon.until(LIMIT, "the question to whoever issued", |_| first.count(Endpoint::RenewalInfo) == 2);
    assert_eq!((second.count(Endpoint::RenewalInfo), first.count(Endpoint::NewOrder)), (0, 1));

    // The next comes from the other CA, which has issued nothing that could be replaced.
    suggest_now(&first);
    daemon.cli_json(&["why", NAME, "--refresh"]);
    daemon.until(LIMIT, "the replacement", |daemon| version(daemon, NAME) == 2);
    daemon.until(LIMIT, "a question to the other CA", |_| second.count(Endpoint::RenewalInfo) == 1);
    assert_eq!(second.requests(Endpoint::NewOrder)[0].get("replaces"), None);
    assert_eq!((first.count(Endpoint::RenewalInfo), first.count(Endpoint::NewOrder)), (3, 1));

    // The advice never ends: to be followed, it waits for six hours, and for no other CA.
    suggest_now(&second);
    daemon.cli_json(&["why", NAME, "--refresh"]);
    const WAITS: &str = "its CA suggests to renew what it has only just issued, and is followed 1 per 6h";
    daemon.until(LIMIT, "an end", |daemon| problem(daemon, NAME).contains(WAITS));
    let asked = |ca: &AcmeCa| (ca.count(Endpoint::RenewalInfo), ca.count(Endpoint::NewOrder));
    assert_eq!((asked(&first), asked(&second).1), ((3, 1), 1), "nobody asks about what was replaced");
    // The one after comes from the same, and says what it replaces.
    clock.set(6 * 3600 + 60);
    daemon.until(LIMIT, "the second replacement", |daemon| version(daemon, NAME) == 3);
    assert!(second.requests(Endpoint::NewOrder)[1]["replaces"].is_string());
    daemon.until(LIMIT, "an end", |daemon| problem(daemon, NAME).contains(WAITS));
    assert_eq!((asked(&first), asked(&second).1), ((3, 1), 2));
    assert_eq!((first.complaints(), second.complaints()), (vec![], vec![]));
}

#[test]
fn a_ca_without_renewal_information_or_with_broken_one_issues_and_renews_all_the_same() {
    let none = AcmeCa::start(Script { renewal_info: false, ..Script::default() });
    let (unknown, failing) = (AcmeCa::start(Script::default()), AcmeCa::start(Script::default()));
    unknown.always(Endpoint::RenewalInfo, Reply::problem(404, "malformed", "no such certificate"));
    failing.always(Endpoint::RenewalInfo, Reply::problem(500, "serverInternal", "oh"));
    let cas = [("none", &none), ("unknown", &unknown), ("failing", &failing)];
    let names = cas.map(|(issuer, _)| format!("{issuer}.a.test"));
    let home = Home::new();
    let clock = Clock::new(&home);
    let text = cas.iter().zip(&names).fold(accounts(&home, &cas), |text, ((issuer, _), name)| {
        text + &certificate(name, &[name], &format!("issuers = [\"{issuer}\"]"))
    });
    home.save(&text);
    let mut daemon = Daemon::start_with_env(&home, &[clock.variable()]);
    daemon.until_all(LIMIT, "stored");
    let asked = |ca: &AcmeCa| ca.count(Endpoint::RenewalInfo);
    daemon.until(LIMIT, "both are asked", |_| asked(&unknown) == 1 && asked(&failing) == 1);
    assert_eq!((asked(&none), problem(&daemon, &names[2]).as_str()), (0, ""), "nothing is wrong");

    // By lifetime they are renewed in good time.
    cas.iter().for_each(|(_, ca)| ca.be_ahead(65 * 86_400));
    clock.set(65 * DAY);
    daemon.until(LIMIT, "all are renewed", |daemon| names.iter().all(|name| version(daemon, name) == 2));
    daemon.until_all(LIMIT, "stored");
    let orders = cas.map(|(_, ca)| (ca.count(Endpoint::NewOrder), ca.complaints()));
    assert_eq!(orders, [(2, vec![]), (2, vec![]), (2, vec![])]);
}

#[test]
fn by_a_clock_that_a_ca_contradicts_nothing_is_ordered_from_the_first_start_on() {
    let ca = AcmeCa::start(Script::default());
    // To a machine that wakes up in 1970 its CA lives in the far future; here it is the CA's past that is far away.
    ca.header(Endpoint::Directory, "date", "Thu, 01 Jan 1970 00:10:00 GMT");
    let home = Home::new();
    home.save(&(accounts(&home, &[("fake", &ca)]) + &certificate(NAME, &[NAME], "")));
    let mut daemon = Daemon::start(&home);
    daemon.until(LIMIT, "it is told", |daemon| problem(daemon, NAME).contains("set the clock"));
    assert_eq!((ca.count(Endpoint::NewAccount), ca.count(Endpoint::NewOrder)), (0, 0));
    ca.behave();
    let asked = daemon.cli(&["renew", NAME, "--wait"]);
    assert!(asked.status.success(), "{}", said(&asked));
    assert_eq!(version(&daemon, NAME), 1);
}

/// The head of a config with these accounts, a store and a DNS instance that nobody needs.
fn accounts(home: &Home, cas: &[(&str, &AcmeCa)]) -> String {
    let account = |(name, ca): &(&str, &AcmeCa)| {
        format!("[account.{name}]\ndirectory = \"{}\"\nagree_to_terms = true\n\n", ca.directory_url())
    };
    let accounts: String = cas.iter().map(account).collect();
    let first = cas[0].0;
    let defaults = format!("[defaults]\nissuers = [\"{first}\"]\n\n");
    home.head() + &accounts + &dns("none", &["a.test"], "exec", "command = [\"false\"]\n") + STORE + &defaults
}

/// The CA wants whatever it has issued replaced at once.
fn suggest_now(ca: &AcmeCa) {
    let window = serde_json::json!({ "start": "2026-01-02T04:00:00Z", "end": "2026-01-03T04:00:00Z" });
    ca.edit(Endpoint::RenewalInfo, move |answer: &mut Value| answer["suggestedWindow"] = window.clone());
}
