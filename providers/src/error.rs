//! What can go wrong at a vendor, sorted by what the caller does next.

use std::time::Duration;

/// How many characters of a vendor's words an error keeps.
const DETAIL_LIMIT: usize = 300;

/// A vendor's refusal or absence. `Display` never shows a credential.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The credentials were refused: nothing will work until the operator changes them.
    #[error("the credentials were refused: {detail}")]
    Unauthorized {
        /// The vendor's own words, shortened.
        detail: String,
    },
    /// The vendor does not host this zone for these credentials.
    #[error("the zone `{zone}` is not hosted there")]
    ZoneNotFound {
        /// The zone that was asked for.
        zone: String,
    },
    /// The vendor asks to come back later.
    #[error("rate limited: {detail}")]
    RateLimited {
        /// How long the vendor asks to wait, where it says.
        retry_after: Option<Duration>,
        /// The vendor's own words, shortened.
        detail: String,
    },
    /// The vendor understood and refused: the same request will be refused again.
    #[error("rejected: {detail}")]
    Rejected {
        /// The vendor's own words, shortened.
        detail: String,
    },
    /// The vendor could not be reached, failed, or did not answer in time.
    #[error("unavailable: {detail}")]
    Unavailable {
        /// What was seen, with the whole chain of causes.
        detail: String,
    },
}

impl Error {
    /// An `Unavailable` that tells the whole chain of `error`'s causes in one line.
    pub fn unavailable(error: &(dyn std::error::Error + 'static)) -> Self {
        Self::Unavailable { detail: chain(error) }
    }

    /// A `Rejected` with these words.
    pub fn rejected(detail: impl Into<String>) -> Self {
        Self::Rejected { detail: detail.into() }
    }

    /// How long the vendor asks to wait, where it says.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

/// An error and its causes in one line, each told once.
#[must_use]
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let words = inner.to_string();
        if !line.contains(&words) {
            line.push_str(": ");
            line.push_str(&words);
        }
        cause = inner.source();
    }
    line
}

/// A vendor's words fit for an error: one line without control characters, at most 300 characters.
#[must_use]
pub fn shorten(words: &str) -> String {
    let plain = plain(words);
    match plain.char_indices().nth(DETAIL_LIMIT) {
        Some((end, _)) => format!("{}…", plain.get(..end).unwrap_or_default().trim_end()),
        None => plain,
    }
}

/// The end of a program's words fit for an error: as [`shorten`], but the last 300 characters.
#[must_use]
pub fn shorten_start(words: &str) -> String {
    let plain = plain(words);
    match plain.char_indices().nth_back(DETAIL_LIMIT) {
        Some((cut, dropped)) => {
            let kept = plain.get(cut + dropped.len_utf8()..).unwrap_or_default();
            format!("…{}", kept.trim_start())
        }
        None => plain,
    }
}

fn plain(words: &str) -> String {
    let words: Vec<&str> = words.split(|char: char| char.is_control() || char.is_whitespace()).collect();
    words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_plain_and_short() {
        assert_eq!(shorten(" no\x1b[31m\r\n  more"), "no [31m more");
        assert_eq!(shorten(&"ß".repeat(300)), "ß".repeat(300));
        assert_eq!(shorten(&"ß".repeat(301)), format!("{}…", "ß".repeat(300)));
        assert_eq!(shorten_start(&"ß".repeat(300)), "ß".repeat(300));
        assert_eq!(shorten_start(&format!("xy{}z", "ß".repeat(299))), format!("…{}z", "ß".repeat(299)));
    }
}
