//! Half a thousand certificates that their CA wants replaced at once, and as many that are new.

use std::time::{Duration, SystemTime};

use serde_json::json;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::acme_ca::{AcmeCa, Endpoint, Script};
use crate::harness::Daemon;
use crate::home::{Home, certificate, dns};
use crate::own_ca::Clock;

const LIMIT: Duration = Duration::from_secs(120);
const EACH: usize = 500;
const HOUR: i64 = 3600;

#[test]
fn replacements_come_in_their_window_and_new_ones_are_not_starved() {
    let ca = AcmeCa::start(Script::default());
    let home = Home::new();
    let clock = Clock::new(&home);
    let start = now();
    let window = (after(start, 1800), after(start, 1800 + 5 * HOUR));
    suggest(&ca, window);

    home.save(&config(&home, &ca, &["old"]));
    let mut daemon = Daemon::start_with_env(&home, &[clock.variable()]);
    let told = |daemon: &Daemon| daemon.log().matches("the CA suggests when to renew").count();
    daemon.until(LIMIT, "each is issued, and its window known", |daemon| told(daemon) == EACH);
    assert!(daemon.terminate().success());

    // All at once: new certificates in the config, and the time of nearly every old one has come.
    ca.behave();
    home.save(&config(&home, &ca, &["old", "new"]));
    clock.set(seconds_until(after(window.1, -300)));
    let mut daemon = Daemon::start_with_env(&home, &[clock.variable()]);
    let replaced = |replacements: &[bool]| replacements.iter().filter(|replaces| **replaces).count();
    daemon.until(LIMIT, "every new one, and nearly every old one", |_| {
        let orders = replacements(&ca);
        orders.len() - replaced(&orders) == EACH && replaced(&orders) >= EACH * 9 / 10
    });
    let first = replaced(&replacements(&ca)[..EACH]);
    let fair = EACH / 4..=EACH * 3 / 4;
    assert!(fair.contains(&first), "{first} of the first {EACH} orders were replacements");

    let jump = seconds_until(after(window.1, -15));
    clock.set(jump);
    daemon.until(LIMIT, "every old one", |_| replaced(&replacements(&ca)) == EACH);
    let issued = |daemon: &Daemon| daemon.log().matches(" issued ").count();
    daemon.until(LIMIT, "all are issued", |daemon| issued(daemon) == 3 * EACH);
    // An instant may be the window's very end, and an order takes a moment.
    let over = after(now(), jump) - window.1;
    assert!(over < time::Duration::seconds(5), "the last is replaced {over} after the window's end");
    assert_eq!(ca.count(Endpoint::NewOrder), 3 * EACH, "nothing is ordered twice");
    assert_eq!(ca.complaints(), [""; 0]);
}

fn now() -> OffsetDateTime {
    OffsetDateTime::from(SystemTime::now())
}

fn after(at: OffsetDateTime, seconds: i64) -> OffsetDateTime {
    at + time::Duration::seconds(seconds)
}

fn seconds_until(at: OffsetDateTime) -> i64 {
    (at - now()).whole_seconds()
}

/// Of each order after the first `EACH`, whether it replaces something.
fn replacements(ca: &AcmeCa) -> Vec<bool> {
    ca.requests(Endpoint::NewOrder).iter().skip(EACH).map(|order| order["replaces"].is_string()).collect()
}

/// The CA suggests this window from now on.
fn suggest(ca: &AcmeCa, (start, end): (OffsetDateTime, OffsetDateTime)) {
    let text = |at: OffsetDateTime| at.format(&Rfc3339).unwrap();
    let window = json!({ "start": text(start), "end": text(end) });
    ca.edit(Endpoint::RenewalInfo, move |answer| answer["suggestedWindow"] = window.clone());
}

fn config(home: &Home, ca: &AcmeCa, kinds: &[&str]) -> String {
    let account = format!("[account.fake]\ndirectory = \"{}\"\nagree_to_terms = true\n\n", ca.directory_url());
    let text = home.head() + &account + &dns("none", &["a.test"], "exec", "command = [\"false\"]\n");
    let names = kinds.iter().flat_map(|kind| (0..EACH).map(move |number| format!("{kind}{number}.a.test")));
    names.fold(text, |text, name| text + &certificate(&name, &[&name], ""))
}
