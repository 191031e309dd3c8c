//! More is due at once than a CA's limits let through.

use std::collections::BTreeSet;
use std::time::Duration;

use renewd::clock::Timestamp;
use renewd::config::{Config, Limit, Limits};
use renewd::simulation::{Entry, Script, What};

use crate::parts::{DAY, HOUR, MINUTE, each, limit, live, most_within, names, orders_within_three_hours, peace, play};

/// An order, the time until the next, and a look at the clock: a limit of three hours comes round after this.
const ROUND: Duration = Duration::from_secs(3 * 3600 + 300);

#[test]
fn a_thousand_due_at_once_keep_the_limit_the_soonest_expiry_first_and_starve_no_new_ones() {
    after_a_week_down(1_000, 60, 30);
}

#[test]
#[ignore = "the same at its true size takes some minutes"]
fn ten_thousand_due_at_once_keep_the_limit_the_soonest_expiry_first_and_starve_no_new_ones() {
    after_a_week_down(10_000, 600, 300);
}

#[test]
fn everything_that_expired_while_nothing_ran_is_renewed() {
    let mut script = peace(250, 3);
    orders_within_three_hours(&mut script, 300);
    live(&mut script, DAY * 90);
    let (all, start) = (names(&script), script.start);
    for name in &all {
        script.hold(name, start.minus(DAY * 90), start.minus(DAY));
    }
    let report = play(script);
    let (orders, late): (Vec<_>, Vec<_>) =
        report.diary.iter().filter(made).partition(|entry| entry.at < start.plus(HOUR));
    assert_eq!((orders.len(), late.len()), (all.len(), 0), "each once, and at once");
    assert_eq!((report.expired, report.missing), (all.len() as u64, 0));
}

#[test]
fn new_names_below_a_domain_keep_its_limit_and_the_rest_goes_to_the_next_ca() {
    let mut script = peace(10, 3);
    let domain = Some(Limit { most: 4, within: DAY * 7 });
    limit(&mut script, Limits { orders: None, domain, names: None, failures: None });
    script.authorities.get_mut("second").unwrap().limits = Limits::LETS_ENCRYPT;
    let mut config = Config::clone(&script.config);
    config.accounts.get_mut("second").unwrap().limits = Limits::LETS_ENCRYPT;
    script.config = config.into();
    live(&mut script, DAY * 90);
    let report = play(script);
    let by = |issuer: &str| report.diary.iter().filter(|entry| made(entry) && entry.issuer == issuer).count();
    assert_eq!((by("first"), by("second")), (4, 6));
}

/// `old` certificates that are due, and `new` ones, with one account that may make `most` orders within three hours.
fn after_a_week_down(old: usize, new: usize, most: u32) {
    let rounds = u32::try_from((old + new).div_ceil(most as usize)).unwrap();
    let mut script = peace(old + new, (ROUND * rounds).as_secs().div_ceil(DAY.as_secs()) as u32 + 1);
    orders_within_three_hours(&mut script, most);
    each(&mut script, |certificate| certificate.issuers.truncate(1));
    live(&mut script, DAY * 90);
    hold(&mut script, old, ROUND * (rounds + 4));
    let (all, start) = (names(&script), script.start);
    let held: BTreeSet<String> = script.held.iter().map(|held| held.version.certificate.clone()).collect();
    let report = play(script);

    let orders: Vec<&Entry> = report.diary.iter().filter(made).collect();
    let first: Vec<&&Entry> = orders.iter().take(old + new).collect();
    let served: BTreeSet<&str> = first.iter().map(|entry| entry.certificate.as_str()).collect();
    assert_eq!(served.len(), all.len(), "each once before any twice");
    let instants: Vec<Timestamp> = orders.iter().map(|entry| entry.at).collect();
    let busiest = most_within(&instants, 3 * HOUR);
    assert!(busiest <= most as usize, "{busiest} orders within three hours");
    let took = first.last().unwrap().at.since(start);
    assert!(took <= ROUND * rounds, "{took:?} for {rounds} rounds: room was left unused");
    assert_eq!((report.expired, report.missing), (0, 0));

    let (renewals, fresh): (Vec<&Entry>, Vec<&Entry>) =
        first.iter().copied().copied().partition(|entry| held.contains(&entry.certificate));
    soonest_first(&renewals, most as usize);
    // A quarter of each round is kept for new ones.
    let latest = ROUND * (u32::try_from(new).unwrap() / (most / 4) + 2);
    let took = fresh.last().unwrap().at.since(start);
    assert!(took <= latest, "the last new one waits for {took:?}, longer than {latest:?}");
    let early = renewals.iter().filter(|entry| entry.at.since(start) < ROUND).count();
    assert!(early >= most as usize / 4, "new ones leave {early} orders of the first round to renewals");
    // Nothing of a round is left unused, while both wait neither.
    for (number, round) in (0..).zip(first.chunks(most as usize)) {
        let (took, latest) = (round.last().unwrap().at.since(start), ROUND * number + MINUTE * 5);
        let new = round.iter().filter(|entry| !held.contains(&entry.certificate)).count();
        assert!(took <= latest, "round {number}, with {new} new ones, ends after {took:?}, not {latest:?}");
    }
}

fn made(entry: &&Entry) -> bool {
    matches!(entry.what, What::Made { .. })
}

/// All of them are due, and expire one after another, the first after `spared`, in another order than that of their names.
fn hold(script: &mut Script, old: usize, spared: Duration) {
    let (start, all) = (script.start, names(script));
    for (index, name) in all.iter().take(old).enumerate() {
        let place = u32::try_from(index * 7919 % old).unwrap();
        let not_after = start.plus(spared).plus(MINUTE * place);
        script.hold(name, not_after.minus(DAY * 90), not_after);
    }
}

/// Nobody comes two rounds before somebody who expires earlier.
fn soonest_first(renewals: &[&Entry], round: usize) {
    let expires = |entry: &Entry| match entry.what {
        What::Made { expires, .. } => expires.unwrap(),
        _ => panic!("{entry:?} is no order"),
    };
    let mut latest = Timestamp::EPOCH;
    for (index, entry) in renewals.iter().enumerate() {
        if let Some(before) = index.checked_sub(round) {
            latest = latest.max(expires(renewals[before]));
        }
        assert!(
            expires(entry) >= latest,
            "{} comes a round after what expires at {latest}: {entry:?}",
            entry.certificate
        );
    }
}
