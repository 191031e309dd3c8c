//! What can go wrong at a vendor, sorted by what the caller does next.

use std::time::Duration;

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

/// A vendor's words on one line, cut at 300 characters.
#[must_use]
pub fn shorten(words: &str) -> String {
    const LONGEST: usize = 300;
    let line = words.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_words_are_cut_between_characters_and_put_on_one_line() {
        assert_eq!(shorten(" one\n  two "), "one two");
        assert_eq!(shorten(&"ö".repeat(300)), "ö".repeat(300));
        assert_eq!(shorten(&"ö".repeat(301)), format!("{}…", "ö".repeat(300)));
    }
}
