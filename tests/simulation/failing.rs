//! A CA that fails, or refuses, for a week.

use renewd::clock::Timestamp;
use renewd::simulation::{Refusal, Report, Script, Span, Trouble, TroubleKind, What};

use crate::parts::{DAY, HOUR, MINUTE, kill_every, lines, live, most_within, names, peace, play};

/// It goes wrong for so long, from before the certificates are due until long after they have expired.
const AFTER: u32 = 60;

/// More attempts than this in a day are too many for anybody.
const DAILY: usize = 100;

/// Attempts before a certificate expires that may fail.
const ATTEMPTS: usize = 5;

#[test]
fn a_week_of_500_brings_a_bounded_number_of_attempts_and_enough_before_expiry() {
    let mut script = short_lived(3);
    fail(&mut script);
    let (all, report) = (names(&script), play(script));
    for name in &all {
        let attempts: Vec<_> = lines(&report, name, |what| what == What::Failed);
        for issuer in ["first", "second"] {
            let at: Vec<_> = attempts.iter().filter(|entry| entry.issuer == issuer).map(|entry| entry.at).collect();
            enough_and_bounded(&report, name, &at);
        }
    }
    assert_eq!((report.missing, report.expired), (0, all.len() as u64), "all come back when it is over");
}

#[test]
fn a_week_of_refusals_brings_five_an_hour_at_the_most_and_enough_before_expiry() {
    let mut script = short_lived(3);
    refuse(&mut script);
    let (all, report) = (names(&script), play(script));
    for name in &all {
        let refused = refusals(&report, name);
        enough_and_bounded(&report, name, &refused);
        let hourly = most_within(&refused, HOUR);
        assert!(hourly <= 5, "{name}: {hourly} failed authorizations within an hour");
        assert!(lines(&report, name, |what| what != What::Refused).iter().all(|entry| entry.issuer == "first"));
    }
}

/// Killed every half minute, from the first failure on, it makes no attempt more, and none earlier.
#[test]
fn backoff_survives_a_kill_every_half_minute() {
    let mut calm = short_lived(2);
    refuse(&mut calm);
    let mut killed = short_lived(2);
    refuse(&mut killed);
    let span = week(&killed);
    let all = names(&killed);
    killed.events = kill_every(MINUTE / 2, span.from.plus(DAY / 2), DAY / 2).collect();
    let (calm, killed) = (play(calm), play(killed));
    assert!(killed.crashes > 1000, "{killed}");
    for name in &all {
        let until = span.from.plus(DAY);
        let count = |report: &Report| refusals(report, name).iter().filter(|at| **at < until).count();
        let (calmly, killed_often) = (count(&calm), count(&killed));
        assert!(calmly > 3, "{name}: the span shows nothing");
        assert!(killed_often <= calmly + 1, "{name}: {killed_often} attempts, and {calmly} without kills");
        let hourly = most_within(&refusals(&killed, name), HOUR);
        assert!(hourly <= 5, "{name}: {hourly} failed authorizations within an hour");
    }
}

/// Certificates of 160 hours.
fn short_lived(certificates: usize) -> Script {
    let mut script = peace(certificates, 20);
    live(&mut script, HOUR * 160);
    script
}

fn week(script: &Script) -> Span {
    Span::of(script.start.plus(HOUR * AFTER), DAY * 7)
}

fn fail(script: &mut Script) {
    let span = week(script);
    script.authorities.values_mut().for_each(|part| part.troubles = vec![Trouble { span, kind: TroubleKind::Failing }]);
}

fn refuse(script: &mut Script) {
    let span = week(script);
    script.refusals = names(script).into_iter().map(|certificate| Refusal { certificate, span }).collect();
}

fn refusals(report: &Report, name: &str) -> Vec<Timestamp> {
    lines(report, name, |what| what == What::Refused).iter().map(|entry| entry.at).collect()
}

/// Of the attempts at one CA.
fn enough_and_bounded(report: &Report, name: &str, attempts: &[Timestamp]) {
    let first = lines(report, name, |what| matches!(what, What::Issued { .. }))[0];
    let What::Issued { not_after, .. } = first.what else { panic!("{first:?}") };
    let before = attempts.iter().filter(|at| **at < not_after).count();
    assert!(before >= ATTEMPTS, "{name}: {before} attempts before it expires at {not_after}");
    let daily = most_within(attempts, DAY);
    assert!(daily <= DAILY, "{name}: {daily} attempts within a day");
}
