//! Times as people like them: how long from now, beside UTC.

use std::time::Duration;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::clock::Timestamp;

/// `2026-11-03T10:00:00Z (in 12 days)`; a text that is no time stays as it is.
pub(super) fn beside(text: &str, now: Timestamp) -> String {
    match OffsetDateTime::parse(text, &Rfc3339) {
        Ok(at) => format!("{text} ({})", distance(Timestamp::from_datetime(at), now)),
        Err(_) => text.to_owned(),
    }
}

/// The same for a time that may not be there.
pub(super) fn beside_if(text: Option<&String>, now: Timestamp) -> Option<String> {
    text.map(|text| beside(text, now))
}

/// `in 12 days`, `3 hours ago`, `now`.
pub(super) fn distance(at: Timestamp, now: Timestamp) -> String {
    match (at.since(now), now.since(at)) {
        (ahead, _) if ahead >= Duration::from_secs(1) => format!("in {}", length(ahead)),
        (_, behind) if behind >= Duration::from_secs(1) => format!("{} ago", length(behind)),
        _ => "now".to_owned(),
    }
}

/// In the largest unit of which there are two, else in the largest of which there is one.
fn length(duration: Duration) -> String {
    const UNITS: [(u64, &str); 4] = [(86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second")];
    let seconds = duration.as_secs();
    let unit = UNITS.into_iter().find(|(unit, _)| seconds >= 2 * unit).unwrap_or((1, "second"));
    let count = seconds / unit.0;
    format!("{count} {}{}", unit.1, if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_told_in_fitting_units() {
        let now = Timestamp::from_seconds(1_000_000_000);
        for (seconds, told) in [
            (0, "now"),
            (1, "in 1 second"),
            (119, "in 119 seconds"),
            (120, "in 2 minutes"),
            (-7_200, "2 hours ago"),
            (100 * 86_400, "in 100 days"),
        ] {
            assert_eq!(distance(Timestamp::from_seconds(now.seconds() + seconds), now), told);
        }
        assert_eq!(beside("2001-09-09T01:46:40Z", now), "2001-09-09T01:46:40Z (now)");
        assert_eq!(beside("never", now), "never");
    }
}
