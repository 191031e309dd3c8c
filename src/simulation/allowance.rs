//! What a simulated CA allows: buckets that fill up again evenly, as Let's Encrypt documents its limits.

use std::collections::HashMap;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::config::{Limit, Limits};

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Orders,
    Domain,
    Names,
    Failures,
}

impl Kind {
    const fn of(self, limits: &Limits) -> Option<Limit> {
        match self {
            Self::Orders => limits.orders,
            Self::Domain => limits.domain,
            Self::Names => limits.names,
            Self::Failures => limits.failures,
        }
    }

    pub(super) const fn in_words(self) -> &'static str {
        match self {
            Self::Orders => "new orders of an account",
            Self::Domain => "certificates below a registered domain",
            Self::Names => "certificates for exactly the same names",
            Self::Failures => "failed authorizations of a name",
        }
    }
}

/// The buckets of one CA.
#[derive(Debug)]
pub(super) struct Buckets {
    limits: Limits,
    /// When the bucket is full again: how far that lies ahead is how much was taken.
    full_at: HashMap<(Kind, String), Timestamp>,
}

impl Buckets {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, full_at: HashMap::new() }
    }

    /// Whether one more may be taken.
    pub(super) fn has_room(&self, kind: Kind, subject: &str, now: Timestamp) -> bool {
        let Some(limit) = kind.of(&self.limits) else { return true };
        let taken = self.full_at.get(&(kind, subject.to_owned())).map_or(Duration::ZERO, |full| full.since(now));
        taken + each(limit) <= limit.within
    }

    /// Takes one, whether there is room or not.
    pub(super) fn take(&mut self, kind: Kind, subject: &str, now: Timestamp) {
        let Some(limit) = kind.of(&self.limits) else { return };
        let full = self.full_at.entry((kind, subject.to_owned())).or_insert(now);
        *full = (*full).max(now).plus(each(limit));
    }
}

/// Rounded down to milliseconds, so that a full bucket gives all that it holds.
fn each(limit: Limit) -> Duration {
    let millis = limit.within.as_millis() / u128::from(limit.most.max(1));
    Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

    #[test]
    fn a_bucket_gives_what_it_holds_and_fills_evenly() {
        let mut buckets = Buckets::new(Limits::LETS_ENCRYPT);
        for _ in 0..300 {
            assert!(buckets.has_room(Kind::Orders, "", NOW));
            buckets.take(Kind::Orders, "", NOW);
        }
        assert!(!buckets.has_room(Kind::Orders, "", NOW.plus(Duration::from_secs(35))));
        assert!(buckets.has_room(Kind::Orders, "", NOW.plus(Duration::from_secs(36))));
        assert!(buckets.has_room(Kind::Names, "a", NOW), "each kind has a bucket of its own");
    }

    #[test]
    fn whoever_keeps_a_sliding_window_never_empties_it() {
        let mut buckets = Buckets::new(Limits::LETS_ENCRYPT);
        for round in 0..5 {
            let now = NOW.plus(Duration::from_secs(round * 3 * 3600));
            for _ in 0..300 {
                assert!(buckets.has_room(Kind::Orders, "", now));
                buckets.take(Kind::Orders, "", now);
            }
        }
    }
}
