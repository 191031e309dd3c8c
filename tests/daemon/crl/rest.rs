//! Where nothing is to be listed, nobody looks; where something is, a list is there at once.

use crate::harness::Daemon;
use crate::home::Home;
use crate::own_ca::{Clock, DAY, LIMIT};
use crate::pki::{NAMED, Pki, config};

const LIST: &str = NAMED[1];

const HOUR: i64 = 3600;

fn start(more: &str) -> (Pki, Clock) {
    let home = Home::new();
    home.save(&config(&home, more));
    let clock = Clock::new(&home);
    let daemon = Daemon::start_with(&home, &["--log-level", "debug"], &[clock.variable()]);
    let mut pki = Pki { home, daemon };
    pki.until_published();
    (pki, clock)
}

/// How often the lists were looked after.
fn looks(daemon: &Daemon) -> usize {
    daemon.log().matches("CRLs were looked after").count()
}

/// Waits until the watch over published lists, which does not go by the moved clock, has come by twice: whoever waits
/// for the clock has seen by then that it was moved.
fn let_the_watch_pass(daemon: &mut Daemon) {
    let passed = |daemon: &Daemon| daemon.log().matches("published CRLs were looked at").count();
    let before = passed(daemon);
    daemon.until(LIMIT, "the watch has passed", |daemon| passed(daemon) >= before + 2);
}

#[test]
fn at_rest_nobody_looks_before_a_list_is_due() {
    let (mut pki, clock) = start("");
    let ann = pki.issue("ann");
    pki.revoke(&ann, "superseded");
    // What the start and the revocation have left to do is done in the first hours.
    let mut before = 0;
    for hour in 1..=10 {
        clock.set(hour * HOUR);
        let_the_watch_pass(&mut pki.daemon);
        if hour == 3 {
            before = looks(&pki.daemon);
        }
    }
    assert_eq!(looks(&pki.daemon), before, "there was nothing to do: {}", pki.daemon.log());
    let last = pki.number(LIST);
    clock.set(26 * HOUR);
    pki.daemon.until(LIMIT, "it is made anew", |daemon| crate::pki::number(&daemon.get(LIST).body) > last);
}

#[test]
fn a_clock_that_is_set_back_is_seen() {
    let (mut pki, clock) = start("");
    let first = pki.number(LIST);
    clock.set(2 * DAY);
    pki.daemon.until(LIMIT, "it is made anew", |daemon| crate::pki::number(&daemon.get(LIST).body) > first);
    let last = pki.number(LIST);
    clock.set(0);
    pki.daemon.until(LIMIT, "none is from the future", |daemon| crate::pki::number(&daemon.get(LIST).body) > last);
}

#[test]
fn a_new_shard_has_its_list_at_once() {
    let (mut pki, _clock) = start("crl_shard_size = 1\n");
    for name in ["ann", "bob", "cid"] {
        pki.issue(name);
    }
    pki.daemon.until(LIMIT, "their shards have lists", |daemon| daemon.get("/crl/own/1/2.crl").status == 200);
}
