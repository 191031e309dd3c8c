//! A CA whose renewal information always wants replaced what it has only just issued.

use std::time::Duration;

use renewd::clock::Timestamp;
use renewd::simulation::{Advice, What};

use crate::parts::{HOUR, MINUTE, lines, live, names, peace, play};

const CERTIFICATES: usize = 12;

/// What an order takes at the most.
const SLACK: Duration = Duration::from_secs(15 * 60);

#[test]
fn advice_that_never_ends_is_followed_at_once_and_then_every_six_hours() {
    for name in orders(8, 160 * HOUR) {
        let (first, followed) = (name[0], &name[1..]);
        assert!(followed[0].since(first) < 10 * MINUTE, "not at once: {name:?}");
        assert!(followed.len() > 7 * 4, "{name:?}");
        for pair in followed.windows(2) {
            let passed = pair[1].since(pair[0]);
            assert!(passed >= 6 * HOUR && passed < 6 * HOUR + SLACK, "after {passed:?}: {name:?}");
        }
    }
}

#[test]
fn the_lifetime_wins_over_spreading_what_is_advised() {
    for name in orders(2, 6 * HOUR) {
        let longest = name.windows(2).map(|pair| pair[1].since(pair[0])).max().unwrap();
        assert!(longest <= 3 * HOUR + SLACK, "{longest:?} without a renewal: {name:?}");
    }
}

/// When each certificate was ordered within so many days, all of them living so long.
fn orders(days: u32, lifetime: Duration) -> Vec<Vec<Timestamp>> {
    let mut script = peace(CERTIFICATES, days);
    live(&mut script, lifetime);
    script.authorities.values_mut().for_each(|part| part.advice = Advice::Over);
    let (all, report) = (names(&script), play(script));
    assert_eq!(report.expired, 0, "{report}");
    let made = |name: &String| lines(&report, name, |what| matches!(what, What::Made { .. }));
    all.iter().map(|name| made(name).into_iter().map(|entry| entry.at).collect()).collect()
}
