//! Clocks that are wrong by a day or by half a century, and machines that sleep.

use renewd::clock::Timestamp;
use renewd::simulation::{Event, Report, Script, Span, What};

use crate::parts::{DAY, HOUR, live, names, peace, play};

const MILLIS_A_DAY: i64 = 86_400_000;

#[test]
fn by_a_clock_of_yesterday_or_of_1970_nothing_is_ordered_and_after_it_everything() {
    let (mut script, start) = ten_days(30);
    let spans = [Span::of(start.plus(DAY * 5), HOUR * 20), Span::of(start.plus(DAY * 18), DAY)];
    let skews = [-MILLIS_A_DAY, -spans[1].from.millis()];
    script.events = spans
        .iter()
        .zip(skews)
        .flat_map(|(span, skew)| [(span.from, Event::Clock { skew }), (span.to, Event::Clock { skew: 0 })])
        .collect();
    let report = play(script);
    for span in spans {
        assert_eq!(orders_in(&report, span), 0, "ordered by a clock that is behind: {span:?}");
        let waited = Span::of(span.to, HOUR);
        assert!(orders_in(&report, waited) > 0, "nothing was due in {span:?}: it shows nothing");
    }
    assert_eq!((report.expired, report.missing), (0, 0));
}

#[test]
fn a_clock_a_day_ahead_costs_no_certificate_and_is_waited_for() {
    let (mut script, start) = ten_days(30);
    let ahead = Span::of(start.plus(DAY * 5), HOUR * 2);
    script.events = vec![(ahead.from, Event::Clock { skew: MILLIS_A_DAY }), (ahead.to, Event::Clock { skew: 0 })];
    let report = play(script);
    // Until the true time is within an hour of the time that was seen.
    assert_eq!(orders_in(&report, Span::of(ahead.to, HOUR * 22)), 0);
    assert_eq!((report.expired, report.missing), (0, 0));
}

#[test]
fn after_three_days_of_sleep_whatever_is_due_is_renewed() {
    let (mut script, start) = ten_days(30);
    let asleep = Span::of(start.plus(DAY * 5), DAY * 3);
    script.events = vec![(asleep.from, Event::Suspend(DAY * 3))];
    let report = play(script);
    assert_eq!(orders_in(&report, asleep), 0);
    assert!(orders_in(&report, Span::of(asleep.to, HOUR)) > 10, "they were due meanwhile");
    assert_eq!((report.expired, report.missing), (0, 0));
}

/// Thirty certificates of ten days, made over the three days before the start: due from the fifth day on.
fn ten_days(days: u32) -> (Script, Timestamp) {
    let mut script = peace(30, days);
    let start = script.start;
    live(&mut script, DAY * 10);
    for (index, name) in (0..).zip(names(&script)) {
        let not_before = start.minus(HOUR * 2 * index);
        script.hold(&name, not_before, not_before.plus(DAY * 10));
    }
    (script, start)
}

fn orders_in(report: &Report, span: Span) -> usize {
    report.diary.iter().filter(|entry| matches!(entry.what, What::Made { .. }) && span.holds(entry.at)).count()
}
