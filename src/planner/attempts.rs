//! How many attempts are left before a certificate expires: the figure that tells how bad it is.

use super::backoff::{Failure, after_order};
use crate::clock::Timestamp;

/// More than this is as good as any number.
const MANY: u32 = 100;

/// How many attempts can be made from `from` on before `not_after`, should each be refused like `failures` before it.
#[must_use]
pub fn left(from: Timestamp, not_after: Timestamp, failures: u32) -> u32 {
    let (mut at, mut attempts) = (from, 0);
    while at < not_after && attempts < MANY {
        attempts += 1;
        let left = not_after.since(at);
        at = at.plus(after_order(Failure::Refused, failures.saturating_add(attempts), Some(left), 999_999));
    }
    attempts
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const HOUR: u64 = 3600;
    const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

    fn after(hours: u64) -> Timestamp {
        NOW.plus(Duration::from_secs(hours * HOUR))
    }

    #[test]
    fn a_certificate_of_160_hours_has_its_attempts_from_half_of_its_life_on() {
        let attempts = left(NOW, after(80), 0);
        assert!((12..MANY).contains(&attempts), "{attempts}");
    }

    #[test]
    fn attempts_run_out() {
        assert_eq!(left(after(2), after(1), 3), 0);
        assert_eq!(left(NOW, after(1), 9), 4);
        assert_eq!(left(NOW, after(24 * 365), 0), MANY);
    }
}
