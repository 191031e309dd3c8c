//! Clocks that are wrong by a day or by half a century, and machines that sleep.

use std::sync::Arc;

use renewd::clock::Timestamp;
use renewd::config::Config;
use renewd::simulation::{Event, Report, Script, Span, What};

use crate::parts::{DAY, HOUR, live, names, peace, play};

const MILLIS_A_DAY: i64 = 86_400_000;

#[test]
fn by_a_clock_of_yesterday_or_of_1970_nothing_is_ordered_and_after_it_everything() {
    let (mut script, start) = ten_days(30);
    // The first ends before the clock comes near the highest time seen again, which is some hours old by then.
    let spans = [Span::of(start.plus(DAY * 5), HOUR * 16), Span::of(start.plus(DAY * 18), DAY)];
    let skews = [-MILLIS_A_DAY, -spans[1].from.millis()];
    // While the clock is wrong somebody wants one certificate more, which by any clock is due at once.
    let more = [come_later(&mut script), come_later(&mut script)];
    let configs = more.into_iter().rev();
    script.events = spans
        .iter()
        .zip(skews)
        .zip(configs)
        .flat_map(|((span, skew), config)| {
            let (wrong, right) = (Event::Clock { skew }, Event::Clock { skew: 0 });
            [(span.from, wrong), (span.from.plus(HOUR), Event::Config(config)), (span.to, right)]
        })
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
    // When it is right again somebody wants one certificate more, which would be due at once.
    let more = come_later(&mut script);
    script.events = vec![
        (ahead.from, Event::Clock { skew: MILLIS_A_DAY }),
        (ahead.to, Event::Clock { skew: 0 }),
        (ahead.to.plus(HOUR), Event::Config(more)),
    ];
    let report = play(script);
    // Until the true time is within an hour of the time that was seen.
    assert_eq!(orders_in(&report, Span::of(ahead.to, HOUR * 20)), 0);
    assert!(orders_in(&report, Span::of(ahead.to.plus(HOUR * 20), HOUR * 4)) > 0, "nobody waited: it shows nothing");
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

/// Takes the last certificate out of the script: the config before that, with which it comes.
fn come_later(script: &mut Script) -> Arc<Config> {
    let all = Arc::clone(&script.config);
    let mut fewer = Config::clone(&all);
    let (last, _) = fewer.certificates.pop_last().unwrap();
    script.held.retain(|held| held.version.certificate != last.to_string());
    script.config = fewer.into();
    all
}

fn orders_in(report: &Report, span: Span) -> usize {
    report.diary.iter().filter(|entry| matches!(entry.what, What::Made { .. }) && span.holds(entry.at)).count()
}
