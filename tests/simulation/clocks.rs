//! Clocks that are wrong by a day or by half a century, and machines that sleep.

use std::sync::Arc;

use renewd::config::Config;
use renewd::simulation::{Event, Report, Script, Span, What};

use crate::parts::{DAY, HOUR, live, names, peace, play};

const MILLIS_A_DAY: i64 = 86_400_000;

#[test]
fn by_a_clock_of_yesterday_or_of_1970_nothing_is_ordered_and_after_it_everything() {
    let (mut script, all) = ten_days(26);
    let start = script.start;
    let spans = [Span::of(start.plus(DAY * 5), HOUR * 16), Span::of(start.plus(DAY * 18), DAY)];
    let skews = [-MILLIS_A_DAY, -spans[1].from.millis()];
    // Somebody wants new ones meanwhile. A day behind is at the end less than an hour behind what a look every six hours saw.
    let happens = |((span, skew), count): ((&Span, i64), usize)| {
        let wanted = Event::Config(first(&all, count));
        let (set, right) = (Event::Clock { skew }, Event::Clock { skew: 0 });
        [(span.from, set), (span.from.plus(HOUR), wanted), (span.to, right)]
    };
    script.events = spans.iter().zip(skews).zip([28, 30]).flat_map(happens).collect();
    let report = play(script);
    for span in spans {
        assert_eq!(orders_in(&report, span), 0, "ordered by a clock that is behind: {span:?}");
        let waited = Span::of(span.to, HOUR);
        assert!(orders_in(&report, waited) >= 2, "what was wanted in {span:?} does not come after it");
    }
    assert_eq!((report.expired, report.missing), (0, 0));
}

#[test]
fn a_clock_a_day_ahead_costs_no_certificate_and_is_waited_for() {
    let (mut script, all) = ten_days(28);
    let ahead = Span::of(script.start.plus(DAY * 5), HOUR * 2);
    let (set, right) = (Event::Clock { skew: MILLIS_A_DAY }, Event::Clock { skew: 0 });
    script.events = vec![(ahead.from, set), (ahead.to, right), (ahead.to.plus(HOUR), Event::Config(first(&all, 30)))];
    let report = play(script);
    // Until the true time is within an hour of the latest time that was seen.
    assert_eq!(orders_in(&report, Span::of(ahead.to, HOUR * 20)), 0);
    assert_eq!((report.expired, report.missing), (0, 0));
}

#[test]
fn after_three_days_of_sleep_whatever_is_due_is_renewed() {
    let (mut script, _) = ten_days(30);
    let asleep = Span::of(script.start.plus(DAY * 5), DAY * 3);
    script.events = vec![(asleep.from, Event::Suspend(DAY * 3))];
    let report = play(script);
    assert_eq!(orders_in(&report, asleep), 0);
    assert!(orders_in(&report, Span::of(asleep.to, HOUR)) > 10, "they were due meanwhile");
    assert_eq!((report.expired, report.missing), (0, 0));
}

/// The first so many of thirty certificates of ten days, made over the three days before the start: due from the fifth day
/// on. And the config with all of them.
fn ten_days(count: usize) -> (Script, Arc<Config>) {
    let mut script = peace(30, 30);
    live(&mut script, DAY * 10);
    let all = Arc::clone(&script.config);
    script.config = first(&all, count);
    for (index, name) in (0..).zip(names(&script)) {
        let not_before = script.start.minus(HOUR * 2 * index);
        script.hold(&name, not_before, not_before.plus(DAY * 10));
    }
    (script, all)
}

/// The config with the first so many of its certificates.
fn first(config: &Config, count: usize) -> Arc<Config> {
    let certificates = config.certificates.clone().into_iter().take(count).collect();
    Arc::new(Config { certificates, ..config.clone() })
}

fn orders_in(report: &Report, span: Span) -> usize {
    report.diary.iter().filter(|entry| matches!(entry.what, What::Made { .. }) && span.holds(entry.at)).count()
}
