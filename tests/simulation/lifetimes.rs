//! A year without trouble: certificates of every lifetime are renewed once a cycle.

use std::time::Duration;

use renewd::clock::Timestamp;
use renewd::simulation::{Report, Script, What};

use crate::parts::{DAY, HOUR, MINUTE, each, lines, names, peace, play};

/// In hours.
const LIFETIMES: [u32; 7] = [160, 6 * 24, 10 * 24, 45 * 24, 64 * 24, 90 * 24, 200 * 24];

/// 2027-09-01T00:00:00Z: the year from here on has a leap day.
const START: Timestamp = Timestamp::from_seconds(1_819_756_800);

/// How long before it is made a certificate is in force.
const BACKDATED: Duration = HOUR;

/// What an order takes at the most: the simulation goes on in strides of a minute.
const SLACK: Duration = Duration::from_secs(15 * 60);

#[test]
fn each_lifetime_brings_one_renewal_a_cycle_for_a_year() {
    let script = with_lifetimes(365);
    let (all, report) = (names(&script), play(script));
    for (name, lifetime) in all.iter().zip(lifetimes()) {
        let usual = if lifetime < 10 * DAY { lifetime / 2 } else { lifetime / 3 };
        one_a_cycle(&report, name, lifetime, (usual, usual + (lifetime / 30).min(DAY)));
    }
    assert_eq!((report.expired, report.failures), (0, 0));
}

#[test]
fn a_fixed_thirty_days_before_makes_no_certificate_always_due() {
    let mut script = with_lifetimes(120);
    each(&mut script, |certificate| certificate.renew.before = Some(30 * DAY));
    let (all, report) = (names(&script), play(script));
    for (name, lifetime) in all.iter().zip(lifetimes()) {
        let most = lifetime.mul_f64(2.0 / 3.0);
        let least = (30 * DAY).min(most);
        one_a_cycle(&report, name, lifetime, (least, (least + (lifetime / 30).min(DAY)).min(most)));
    }
}

fn lifetimes() -> impl Iterator<Item = Duration> {
    LIFETIMES.into_iter().map(|hours| HOUR * hours)
}

fn with_lifetimes(days: u32) -> Script {
    let mut script = peace(LIFETIMES.len(), days);
    (script.start, script.end) = (START, START.plus(DAY * days));
    script.lifetimes = names(&script).into_iter().zip(lifetimes()).collect();
    script
}

/// Each order brings a certificate, and each is replaced when between `left.0` and `left.1` of its life are left.
fn one_a_cycle(report: &Report, name: &str, lifetime: Duration, left: (Duration, Duration)) {
    let issued = lines(report, name, |what| matches!(what, What::Issued { .. }));
    let orders = lines(report, name, |what| matches!(what, What::Made { .. })).len();
    assert_eq!(orders, issued.len(), "{name}: an order brought nothing");
    let (shortest, longest) = (lifetime - left.1 - BACKDATED, lifetime - left.0 - BACKDATED);
    assert!(shortest + BACKDATED + MINUTE >= lifetime / 3, "the bounds of this test are wrong");
    let year = report.days;
    let most = usize::try_from((DAY * year).as_secs() / shortest.as_secs()).unwrap() + 2;
    assert!((1..=most).contains(&issued.len()), "{name}: {} certificates in {year} days", issued.len());
    for pair in issued.windows(2) {
        let passed = pair[1].at.since(pair[0].at);
        assert!(passed + Duration::from_secs(1) >= shortest, "{name} of {lifetime:?} is renewed after {passed:?}");
        assert!(passed <= longest + SLACK, "{name} of {lifetime:?} is renewed after {passed:?}");
    }
    let last = issued.last().map_or(START, |entry| entry.at);
    let end = START.plus(DAY * year);
    assert!(end.since(last) <= longest + SLACK, "{name} is renewed no more after {last}");
}
