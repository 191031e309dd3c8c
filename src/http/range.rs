//! Range requests (RFC 9110, section 14): a part of what is fetched.

use http::{HeaderMap, header};

use super::conditional::read_http_date;
use crate::clock::Timestamp;

/// How much of something is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// All of it.
    Whole,
    /// So many octets (one at least) from there.
    Part {
        /// The first octet's place.
        start: u64,
        /// How many octets.
        length: u64,
    },
    /// Nothing that there is.
    Nothing,
}

/// What a GET wants of something that is so long. Who asks for several parts at once, in other units, or for a part of
/// another version than this one, gets the whole.
pub(super) fn wanted(request: &HeaderMap, tag: &str, modified: Timestamp, length: u64) -> Wanted {
    let range = request.get(header::RANGE).and_then(|value| value.to_str().ok());
    let Some(range) = range.filter(|_| is_meant(request, tag, modified)) else { return Wanted::Whole };
    let Some(range) = range.strip_prefix("bytes=").map(str::trim) else { return Wanted::Whole };
    let Some((first, last)) = range.split_once('-').filter(|_| !range.contains(',')) else { return Wanted::Whole };
    match (number(first), number(last)) {
        (Some(first), _) if first >= length && (last.is_empty() || number(last) >= Some(first)) => Wanted::Nothing,
        (Some(first), None) if last.is_empty() => part(first, length - 1),
        (Some(first), Some(last)) if first <= last => part(first, last.min(length - 1)),
        (None, Some(0)) if first.is_empty() => Wanted::Nothing,
        (None, Some(_)) if first.is_empty() && length == 0 => Wanted::Nothing,
        (None, Some(count)) if first.is_empty() => part(length.saturating_sub(count), length - 1),
        _ => Wanted::Whole,
    }
}

const fn part(first: u64, last: u64) -> Wanted {
    Wanted::Part { start: first, length: last - first + 1 }
}

/// Digits alone; more than fit are as good as the highest number.
fn number(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().unwrap_or(u64::MAX))
}

/// `If-Range` names this version, or is not there (section 13.1.5).
fn is_meant(request: &HeaderMap, tag: &str, modified: Timestamp) -> bool {
    let Some(value) = request.get(header::IF_RANGE) else { return true };
    let Ok(value) = value.to_str() else { return false };
    value == tag || read_http_date(value).is_some_and(|date| date.seconds() == modified.seconds())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    const MODIFIED: Timestamp = Timestamp::from_seconds(784_111_777);

    fn of(headers: &[(header::HeaderName, &str)], length: u64) -> Wanted {
        let headers =
            headers.iter().map(|(name, value)| (name.clone(), HeaderValue::from_str(value).unwrap())).collect();
        wanted(&headers, "\"tag\"", MODIFIED, length)
    }

    #[test]
    fn one_part_is_cut_out_and_nothing_beyond_the_end() {
        let (part, nothing) = (|start, length| Wanted::Part { start, length }, Wanted::Nothing);
        for (range, expected) in [
            ("bytes=0-0", part(0, 1)),
            ("bytes=2-5", part(2, 4)),
            ("bytes=2-", part(2, 8)),
            ("bytes=2-99999999999999999999999", part(2, 8)),
            ("bytes=-3", part(7, 3)),
            ("bytes=-30", part(0, 10)),
            ("bytes=10-", nothing),
            ("bytes=10-12", nothing),
            ("bytes=-0", nothing),
            ("bytes=5-2", Wanted::Whole),
            ("bytes=12-11", Wanted::Whole),
            ("bytes=0-1,4-5", Wanted::Whole),
            ("bytes=-", Wanted::Whole),
            ("bytes=a-b", Wanted::Whole),
            ("bytes=+1-2", Wanted::Whole),
            ("lines=1-2", Wanted::Whole),
        ] {
            assert_eq!(of(&[(header::RANGE, range)], 10), expected, "{range}");
        }
        assert_eq!(of(&[], 10), Wanted::Whole);
        assert_eq!(of(&[(header::RANGE, "bytes=-1")], 0), Wanted::Nothing);
    }

    #[test]
    fn a_part_of_another_version_is_the_whole() {
        for (condition, expected) in [
            ("\"tag\"", Wanted::Part { start: 1, length: 1 }),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Wanted::Part { start: 1, length: 1 }),
            ("\"other\"", Wanted::Whole),
            ("W/\"tag\"", Wanted::Whole),
            ("Sun, 06 Nov 1994 08:49:36 GMT", Wanted::Whole),
        ] {
            assert_eq!(of(&[(header::RANGE, "bytes=1-1"), (header::IF_RANGE, condition)], 10), expected, "{condition}");
        }
    }
}
