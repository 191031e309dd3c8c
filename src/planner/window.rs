//! Weekly windows: `Mon-Fri 02:00-05:00 Europe/Berlin`.

use jiff::civil::{Date, Time, Weekday};
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
    let hour = i8::try_from(minutes / 60).ok()?;
    let minute = i8::try_from(minutes % 60).ok()?;
    let civil = day.to_datetime(Time::new(hour, minute, 0, 0).ok()?);
    let instant = zone.to_ambiguous_timestamp(civil).compatible().ok()?;
    Some(Timestamp::from_millis(instant.as_millisecond()))
}

const DAYS: [(&str, Weekday); 7] = [
    ("mon", Weekday::Monday),
    ("tue", Weekday::Tuesday),
    ("wed", Weekday::Wednesday),
    ("thu", Weekday::Thursday),
    ("fri", Weekday::Friday),
    ("sat", Weekday::Saturday),
    ("sun", Weekday::Sunday),
];

/// Reads `[DAYS] HH:MM-HH:MM [ZONE]`: days as `Mon`, `Mon-Fri`, `Sat,Sun` or `daily` (as if left out), the zone an IANA
/// name, UTC if left out.
///
/// # Errors
/// What is wrong, in words.
pub fn parse(text: &str) -> Result<Window, String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let (days, rest) = match words.split_first() {
        Some((first, rest)) if !first.contains(':') => (parse_days(first)?, rest),
        _ => ([true; 7], words.as_slice()),
    };
    let (hours, zone) = match rest {
        [hours] => (*hours, "UTC"),
        [hours, zone] => (*hours, *zone),
        _ => return Err("a window is `Mon-Fri 02:00-05:00 Europe/Berlin`".to_owned()),
    };
    let (from, to) = hours.split_once('-').ok_or("the hours are `02:00-05:00`")?;
    let (from, to) = (parse_minutes(from)?, parse_minutes(to)?);
    if from == to {
        return Err("the window ends when it begins".to_owned());
    }
    TimeZone::get(zone).map_err(|_| "there is no such time zone: write one like `Europe/Berlin`, or none for UTC")?;
    Ok(Window { days, from, to, zone: zone.to_owned() })
}

fn parse_days(text: &str) -> Result<[bool; 7], String> {
    let mut days = [false; 7];
    if text.eq_ignore_ascii_case("daily") {
        return Ok([true; 7]);
    }
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (mut day, last) = (parse_day(first)?, parse_day(last)?);
        days[day] = true;
        while day != last {
            day = (day + 1) % 7;
            days[day] = true;
        }
    }
    Ok(days)
}

fn parse_day(word: &str) -> Result<usize, String> {
    let word = word.to_ascii_lowercase();
    let index = DAYS.iter().position(|(name, _)| word == *name);
    index.ok_or_else(|| "the days are `Mon`, `Tue`, `Wed`, `Thu`, `Fri`, `Sat`, `Sun` or `daily`".to_owned())
}

fn parse_minutes(text: &str) -> Result<u16, String> {
    let wrong = || "the hours are `02:00-05:00`".to_owned();
    let (hour, minute) = text.split_once(':').ok_or_else(wrong)?;
    let digits = |part: &str| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(hour) || !digits(minute) {
        return Err(wrong());
    }
    let hour: u16 = hour.parse().map_err(|_| wrong())?;
    let minute: u16 = minute.parse().map_err(|_| wrong())?;
    if hour > 23 || minute > 59 {
        return Err("an hour is 00 to 23 and a minute 00 to 59".to_owned());
    }
    Ok(hour * 60 + minute)
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert_eq!(next_in("22:00-06:00", "2026-11-21T03:00:00Z"), "2026-11-21T03:00:00Z");
        assert_eq!(next_in("Fri 22:00-06:00", "2026-11-21T03:00:00Z"), "2026-11-21T03:00:00Z");
        assert_eq!(next_in("Sat,Sun-Mon 22:00-23:00", "2026-11-22T23:00:00Z"), "2026-11-23T22:00:00Z");
    }

    #[test]
    fn a_window_in_the_hour_that_summer_time_skips_opens() {
        assert_eq!(next_in("02:15-02:45 Europe/Berlin", "2026-03-29T00:50:00Z"), "2026-03-29T01:15:00Z");
    }

    #[test]
    fn what_is_no_window_is_refused() {
        for text in [
            "",
            "Mon",
            "Mon 1:00-2:00",
            "Mon 01:00",
            "Foo 01:00-02:00",
            "01:00-01:00",
            "01:00-24:00",
            "01:00-02:00 Mars",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
