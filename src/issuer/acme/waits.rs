//! For what each order waits, and since when. Kept in memory only: after a restart an order is walked through anew, and
//! every step of that walk is idempotent.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::clock::Timestamp;

/// Never a longer pause than this, unless the CA asks for one.
const LONGEST: Duration = Duration::from_secs(5);

/// Orders that were given up leave their entries; those older than this go.
const STALE: Duration = Duration::from_secs(24 * 60 * 60);

/// What an order waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// All TXT values are presented: for the authoritative servers.
    Propagating,
    /// All challenges are answered: for the CA's validation.
    Validating,
    /// It is finalized: for the certificate.
    Issuing,
}

/// Since when each order is at its stage.
#[derive(Debug, Default)]
pub(super) struct Waits(Mutex<HashMap<String, (Stage, Timestamp)>>);

impl Waits {
    /// The order comes to this stage.
    pub(super) fn begin(&self, order: &str, stage: Stage, now: Timestamp) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, (_, since)| now.since(*since) < STALE);
        all.insert(order.to_owned(), (stage, now));
    }

    /// How long the order has been at this stage; `None`: it is not there.
    pub(super) fn waited(&self, order: &str, stage: Stage, now: Timestamp) -> Option<Duration> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(order).filter(|(at, _)| *at == stage).map(|(_, since)| now.since(*since))
    }

    /// The order is at no stage.
    pub(super) fn end(&self, order: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(order);
    }
}

/// How long to pause after having waited this long: as long again, from `first` to five seconds.
pub(super) fn pause(waited: Duration, first: Duration) -> Duration {
    waited.clamp(first, LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_to_an_end() {
        let first = Duration::from_millis(100);
        let mut waited = Duration::ZERO;
        let mut pauses = Vec::new();
        for _ in 0..9 {
            pauses.push(pause(waited, first).as_millis());
            waited += pause(waited, first);
        }
        assert_eq!(pauses, [100, 100, 200, 400, 800, 1600, 3200, 5000, 5000]);
    }

    #[test]
    fn an_order_is_at_one_stage() {
        let (waits, now) = (Waits::default(), Timestamp::from_seconds(1000));
        let later = now.plus(Duration::from_secs(3));
        waits.begin("a", Stage::Propagating, now);
        assert_eq!(waits.waited("a", Stage::Propagating, later), Some(Duration::from_secs(3)));
        waits.begin("a", Stage::Validating, later);
        assert_eq!(waits.waited("a", Stage::Propagating, later), None);
        waits.end("a");
        assert_eq!(waits.waited("a", Stage::Validating, later), None);
    }
}
