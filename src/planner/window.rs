//! Weekly windows: `Mon-Fri 02:00-05:00 Europe/Berlin`.

use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use jiff::{Span, ToSpan as _};

use crate::clock::Timestamp;
use crate::config::Window;

/// The first instant from `from` on that lies within one of the windows. `None`: there are none.
#[must_use]
pub fn next(windows: &[Window], from: Timestamp) -> Option<Timestamp> {
    windows.iter().filter_map(|window| next_of(window, from)).min()
}

fn next_of(window: &Window, from: Timestamp) -> Option<Timestamp> {
    let zone = TimeZone::get(&window.zone).ok()?;
    let instant = jiff::Timestamp::from_millisecond(from.millis()).ok()?;
    let today = instant.to_zoned(zone.clone()).date();
    // Yesterday's may have run past midnight; a week on, every day has been looked at.
    (-1..=7).find_map(|offset: i64| {
        let day = today.checked_add(Span::new().days(offset)).ok()?;
        let (opens, closes) = on(window, day, &zone)?;
        (closes > from).then(|| opens.max(from))
    })
}

fn on(window: &Window, day: Date, zone: &TimeZone) -> Option<(Timestamp, Timestamp)> {
    let index = usize::try_from(day.weekday().to_monday_zero_offset()).ok()?;
    if !window.days[index] {
        return None;
    }
    let last = if window.to <= window.from { day.checked_add(1.day()).ok()? } else { day };
    Some((at(day, window.from, zone)?, at(last, window.to, zone)?))
}

fn at(day: Date, minutes: u16, zone: &TimeZone) -> Option<Timestamp> {
    if minutes == 24 * 60 {
        return at(day.checked_add(1.day()).ok()?, 0, zone);
    }
    let hour = i8::try_from(minutes / 60).ok()?;
    let minute = i8::try_from(minutes % 60).ok()?;
    let civil = day.to_datetime(Time::new(hour, minute, 0, 0).ok()?);
    let instant = zone.to_ambiguous_timestamp(civil).compatible().ok()?;
    Some(Timestamp::from_millis(instant.as_millisecond()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::window::parse;

    fn moment(text: &str) -> Timestamp {
        Timestamp::from_millis(text.parse::<jiff::Timestamp>().unwrap().as_millisecond())
    }

    fn next_in(window: &str, from: &str) -> String {
        next(&[parse(window).unwrap()], moment(from)).unwrap().to_string()
    }

    #[test]
    fn the_next_window_is_found() {
        // 2026-11-21 is a Saturday.
        assert_eq!(next_in("Mon-Fri 02:00-05:00", "2026-11-21T12:00:00Z"), "2026-11-23T02:00:00Z");
        assert_eq!(next_in("Mon-Fri 02:00-05:00 Europe/Berlin", "2026-11-21T12:00:00Z"), "2026-11-23T01:00:00Z");
        assert_eq!(next_in("Sat 02:00-13:00", "2026-11-21T12:00:00Z"), "2026-11-21T12:00:00Z");
        assert_eq!(next_in("Sat 02:00-12:00", "2026-11-21T12:00:00Z"), "2026-11-28T02:00:00Z");
        assert_eq!(next_in("daily 22:00-06:00", "2026-11-21T03:00:00Z"), "2026-11-21T03:00:00Z");
        assert_eq!(next_in("Fri 22:00-06:00", "2026-11-21T03:00:00Z"), "2026-11-21T03:00:00Z");
        assert_eq!(next_in("Sat 23:00-24:00", "2026-11-21T23:59:00Z"), "2026-11-21T23:59:00Z");
        assert_eq!(next_in("Sat 23:00-24:00", "2026-11-22T00:00:00Z"), "2026-11-28T23:00:00Z");
        assert_eq!(next_in("Sat,Sun-Mon 22:00-23:00", "2026-11-22T23:00:00Z"), "2026-11-23T22:00:00Z");
    }

    #[test]
    fn a_window_in_the_hour_that_summer_time_skips_opens() {
        assert_eq!(next_in("daily 02:15-02:45 Europe/Berlin", "2026-03-29T00:50:00Z"), "2026-03-29T01:15:00Z");
    }
}
