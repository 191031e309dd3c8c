//! Durations as people write them: `90s`, `20d`, `1d12h`.

use std::time::Duration;

/// What a duration looks like, for messages.
pub(super) const FORM: &str = "write for instance \"90s\", \"20d\" or \"1d12h\" (s, m, h, d, w, y)";

/// Units from the longest to the shortest; a year has 365 days.
const UNITS: [(char, u64); 6] =
    [('y', 365 * 86_400), ('w', 7 * 86_400), ('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];

/// A thousand years: what is longer is a slip of the pen, and would not fit a certificate's dates.
const LONGEST: u64 = 1_000 * 365 * 86_400;

/// Reads whole numbers with units, each unit at most once, from the longest to the shortest. `None` where the text is
/// no duration, is longer than a thousand years, or is nothing at all.
#[must_use]
pub fn parse(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut seconds = 0_u64;
    let mut units = UNITS.iter();
    while !rest.is_empty() {
        let end = rest.find(|character: char| !character.is_ascii_digit())?;
        let number: u64 = rest[..end].parse().ok()?;
        let unit = rest[end..].chars().next()?;
        let (_, length) = units.find(|(name, _)| *name == unit)?;
        seconds = seconds.checked_add(number.checked_mul(*length)?)?;
        rest = &rest[end + unit.len_utf8()..];
    }
    (!text.is_empty() && seconds <= LONGEST).then(|| Duration::from_secs(seconds))
}

/// As `parse` reads it; parts of a second are left out.
#[must_use]
pub fn in_words(duration: Duration) -> String {
    let mut left = duration.as_secs();
    let mut text = String::new();
    for (name, length) in UNITS.iter().filter(|(name, _)| !matches!(name, 'y' | 'w')) {
        if left >= *length {
            text.push_str(&format!("{}{name}", left / length));
            left %= length;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_add_up() {
        for (text, seconds) in [("90s", 90), ("20d", 1_728_000), ("1d12h", 129_600), ("1y", 31_536_000), ("0s", 0)] {
            assert_eq!(parse(text), Some(Duration::from_secs(seconds)), "{text}");
        }
        assert_eq!(parse("2w"), parse("14d"));
        assert_eq!(parse("2m"), parse("120s"));
        for text in ["90s", "1d12h", "7d", "0s"] {
            assert_eq!(parse(text).map(in_words), Some(text.replace("90s", "1m30s")));
        }
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in ["", "90", "s", "1.5h", "-1d", "1h1d", "1d1d", "1 d", "1ü", "99999999999999999999y", "1001y", "+1d"]
        {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
