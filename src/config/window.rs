//! Weekly windows: `Mon-Fri 02:00-05:00 Europe/Berlin`.

use super::certificate::Window;
use super::suggest;

/// What a window looks like, for messages.
const FORM: &str =
    "write for instance \"Mon-Fri 02:00-05:00 Europe/Berlin\", \"Sat,Sun 00:00-24:00\" or \"daily 22:00-04:00\"";

/// As the config writes them.
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// Reads a window.
///
/// # Errors
/// What is wrong, and what to write instead.
pub fn parse(text: &str) -> Result<Window, (String, String)> {
    let mut words = text.split_whitespace();
    let (Some(days), Some(hours), zone, None) = (words.next(), words.next(), words.next(), words.next()) else {
        return Err(("is not a window".into(), FORM.into()));
    };
    let days = parse_days(days).ok_or_else(|| ("does not begin with days".into(), FORM.into()))?;
    let (from, to) = parse_hours(hours).ok_or_else(|| ("has no hours after the days".into(), FORM.into()))?;
    if from == to {
        return Err(("the window ends as it begins".into(), "write 00:00-24:00 for the whole day".into()));
    }
    Ok(Window { days, from, to, zone: parse_zone(zone.unwrap_or("UTC"))? })
}

fn parse_days(text: &str) -> Option<[bool; 7]> {
    let text = text.to_ascii_lowercase();
    if text == "daily" {
        return Some([true; 7]);
    }
    let mut days = [false; 7];
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (day(first)?, day(last)?);
        let mut today = first;
        days[today] = true;
        while today != last {
            today = (today + 1) % 7;
            days[today] = true;
        }
    }
    Some(days)
}

fn day(text: &str) -> Option<usize> {
    DAYS.iter().position(|day| *day == text)
}

fn parse_hours(text: &str) -> Option<(u16, u16)> {
    let (from, to) = text.split_once('-')?;
    let (from, to) = (minutes(from)?, minutes(to)?);
    (from < 24 * 60).then_some((from, to))
}

/// Minutes since midnight of `HH:MM`, up to `24:00`.
fn minutes(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    let digits = |part: &str| (part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit())).then(|| part.parse());
    let (hour, minute): (u16, u16) = (digits(hour)?.ok()?, digits(minute)?.ok()?);
    let sum = hour * 60 + minute;
    (minute < 60 && sum <= 24 * 60).then_some(sum)
}

fn parse_zone(name: &str) -> Result<String, (String, String)> {
    match jiff::tz::TimeZone::get(name) {
        Ok(zone) => Ok(zone.iana_name().unwrap_or(name).to_owned()),
        Err(_) => Err(("names a time zone that is not known".into(), nearest_zone(name))),
    }
}

fn nearest_zone(name: &str) -> String {
    let zones: Vec<String> = jiff::tz::db().available().map(|zone| zone.as_str().to_owned()).collect();
    suggest::closest(name, zones.iter().map(String::as_str)).map_or_else(
        || "write a zone such as `Europe/Berlin`, or none for UTC".into(),
        |zone| format!("did you mean `{zone}`?"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn days(text: &str) -> String {
        let window = parse(&format!("{text} 02:00-05:00")).unwrap();
        window.days.map(|day| if day { 'x' } else { '-' }).iter().collect()
    }

    #[test]
    fn days_are_single_ranges_or_lists() {
        assert_eq!(days("Mon-Fri"), "xxxxx--");
        assert_eq!(days("sat"), "-----x-");
        assert_eq!(days("Sat-Mon"), "x----xx");
        assert_eq!(days("Mon,Wed-Thu,Sun"), "x-xx--x");
        assert_eq!(days("daily"), "xxxxxxx");
    }

    #[test]
    fn hours_and_zones_are_read() {
        let window = parse("Mon-Fri 22:30-05:00 europe/berlin").unwrap();
        assert_eq!((window.from, window.to, window.zone.as_str()), (22 * 60 + 30, 300, "Europe/Berlin"));
        assert_eq!(parse("daily 00:00-24:00").unwrap().zone, "UTC");
    }

    #[test]
    fn mistakes_are_told_apart() {
        for (text, message) in [
            ("", "is not a window"),
            ("Mon-Fri", "is not a window"),
            ("Mon 02:00-03:00 UTC x", "is not a window"),
            ("Moo 02:00-05:00", "does not begin with days"),
            ("Mon- 02:00-05:00", "does not begin with days"),
            ("Mon 2:00-05:00", "has no hours after the days"),
            ("Mon 02:60-05:00", "has no hours after the days"),
            ("Mon 24:00-05:00", "has no hours after the days"),
            ("Mon 02:00-24:01", "has no hours after the days"),
            ("Mon 02:00-02:00", "the window ends as it begins"),
            ("Mon 02:00-05:00 Europe/Berlim", "names a time zone that is not known"),
        ] {
            assert_eq!(parse(text).unwrap_err().0, message, "{text}");
        }
        assert_eq!(parse("Mon 02:00-05:00 Europe/Berlim").unwrap_err().1, "did you mean `Europe/Berlin`?");
    }
}
