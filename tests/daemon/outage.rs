//! A CA that is down for hours in the midst of two hundred renewals.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::acme_ca::{AcmeCa, Endpoint, Reply, Script};
use crate::harness::Daemon;
use crate::home::{Home, certificate, dns};
use crate::own_ca::{Clock, DAY};

const LIMIT: Duration = Duration::from_secs(120);
const EACH: usize = 100;
const SEATS: usize = 4;

/// Renewals that are ordered before the CA is down.
const MADE: usize = 20;
const HOUR: i64 = 3600;

/// After the return, time goes on by this.
const STEP: i64 = 300;

#[test]
fn the_other_ca_takes_over_what_it_may_and_the_first_is_not_stormed_when_it_returns() {
    let (first, second) = (AcmeCa::start(Script::default()), AcmeCa::start(Script::default()));
    let home = Home::new();
    let clock = Clock::new(&home);
    home.save(&config(&home, &first, &second));
    let mut daemon = Daemon::start_with_env(&home, &[clock.variable()]);
    daemon.until(LIMIT, "all are issued", |_| first.count(Endpoint::Certificate) == 2 * EACH);
    daemon.until(LIMIT, "all are at rest", |daemon| daemon.certificates().iter().all(|one| one["version"] == 1));
    assert!(daemon.terminate().success());

    let orders = |ca: &AcmeCa| ca.count(Endpoint::NewOrder);
    let mut now = 65 * DAY;
    clock.set(now);
    first.be_ahead(now);
    second.be_ahead(now);
    first.always_after(2 * EACH + MADE, Endpoint::NewOrder, Reply::html(500));
    let mut daemon = Daemon::start_with_env(&home, &[clock.variable()]);
    daemon.until(LIMIT, "what may go elsewhere is there", |daemon| renewed(daemon, "both") == EACH);
    let (elsewhere, waiting) = (orders(&second), EACH - renewed(&daemon, "one"));
    assert!(elsewhere > 0 && waiting > 0, "{elsewhere} went elsewhere, {waiting} wait");

    // Six hours: everybody who waits has tried, and tries seldom.
    for _ in 0..36 {
        now += HOUR / 6;
        clock.set(now);
        daemon.until(LIMIT, "nobody's time has come", |daemon| next_tries(daemon, now).all(|at| at > 0));
    }
    let failures = |daemon: &Daemon| daemon.certificates().iter().filter_map(|one| one["failures"].as_u64()).max();
    assert!(failures(&daemon) <= Some(10), "{:?} tries in six hours", failures(&daemon));
    assert_eq!(orders(&second), elsewhere, "who may not go elsewhere does not");

    first.behave();
    let before = orders(&first);
    let (mut most, mut steps) = (0, 0);
    while renewed(&daemon, "one") < EACH {
        let soonest = next_tries(&daemon, now).min().expect("somebody waits");
        now += soonest.max(0) + STEP;
        clock.set(now);
        let start = orders(&first);
        daemon.until(LIMIT, "nobody's time has come", |daemon| next_tries(daemon, now).all(|at| at > 0));
        most = most.max(orders(&first) - start);
        steps += 1;
        assert!(steps < 100, "{} of {EACH} are renewed", renewed(&daemon, "one"));
    }
    assert_eq!(orders(&first) - before, waiting, "one order each");
    assert!(most * 3 <= waiting.max(30), "{most} of {waiting} came within {STEP} s: a storm");
    assert_eq!((first.complaints(), second.complaints()), (vec![], vec![]));
}

/// How many of a kind have their second version.
fn renewed(daemon: &Daemon, kind: &str) -> usize {
    let all = daemon.certificates();
    all.iter().filter(|one| one["name"].as_str().unwrap().starts_with(kind) && one["version"] == 2).count()
}

/// In how many seconds each that is not renewed is tried again.
fn next_tries(daemon: &Daemon, offset: i64) -> impl Iterator<Item = i64> {
    let now = OffsetDateTime::from(SystemTime::now()).unix_timestamp() + offset;
    let waiting: BTreeMap<_, _> = daemon
        .certificates()
        .into_iter()
        .filter(|one| one["version"] != 2)
        .map(|one| (one["name"].to_string(), one["retry_at"].as_str().map(str::to_owned)))
        .collect();
    let at = |at: String| OffsetDateTime::parse(&at, &Rfc3339).unwrap().unix_timestamp();
    waiting.into_values().map(move |retry_at| retry_at.map_or(0, |text| at(text) - now))
}

fn config(home: &Home, first: &AcmeCa, second: &AcmeCa) -> String {
    let account = |name: &str, ca: &AcmeCa| {
        format!(
            "[account.{name}]\ndirectory = \"{}\"\nagree_to_terms = true\nparallel_orders = {SEATS}\n\n",
            ca.directory_url()
        )
    };
    let text = home.head() + &account("first", first) + &account("second", second);
    let text = text + &dns("none", &["a.test"], "exec", "command = [\"false\"]\n");
    let kinds = [("both", "issuers = [\"first\", \"second\"]"), ("one", "issuers = [\"first\"]")];
    let all =
        kinds.iter().flat_map(|(kind, more)| (0..EACH).map(move |number| (format!("{kind}{number}.a.test"), more)));
    all.fold(text, |text, (name, more)| text + &certificate(&name, &[&name], more))
}
