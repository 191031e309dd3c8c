//! Backoff: how long to leave a thing alone after it failed.

use std::time::Duration;

/// What kind of failure it was: what the caller does next depends on nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The other side could not be reached, failed by itself, or was slow.
    Temporary,
    /// The other side asks to come back after this long.
    RateLimited {
        /// What it asked for, where it said.
        retry_after: Option<Duration>,
    },
    /// The other side understood and refused (CAA, unauthorized, rejected identifier, invalid challenge).
    Refused,
    /// Nothing will work until the operator does something.
    Operator,
}

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// How long to wait after the `failures`th failed order in a row (counted from 1) of a certificate that has `left` to
/// live (`None`: there is none yet). `spread` (0 to 999,999) keeps many from coming back together.
///
/// Refusals never exceed five in an hour (5, 10, 20, 40 … minutes). The wait grows to six hours at the most, and to a
/// tenth of the time that is left, so that a short certificate still has its attempts. What waits for the operator is
/// looked at every half hour at least: nobody wants to wait for hours after having mended it.
#[must_use]
pub fn after_order(failure: Failure, failures: u32, left: Option<Duration>, spread: u32) -> Duration {
    let first = match failure {
        Failure::Temporary => Duration::from_secs(30),
        Failure::RateLimited { .. } | Failure::Refused | Failure::Operator => 5 * MINUTE,
    };
    let longest = if failure == Failure::Operator { HOUR / 2 } else { 6 * HOUR };
    let ceiling = left.map_or(longest, |left| (left / 10).clamp(15 * MINUTE, longest));
    let wait = double(first, failures).min(ceiling);
    let asked = match failure {
        Failure::RateLimited { retry_after: Some(asked) } => asked.min(7 * 24 * HOUR),
        _ => Duration::ZERO,
    };
    stretch(wait, spread).max(asked)
}

/// How long to wait after the `failures`th failure in a row of something that harms nobody when it is tried often: a
/// put into a store, a command, a withdrawal.
#[must_use]
pub fn after_step(failures: u32, retry_after: Option<Duration>, spread: u32) -> Duration {
    let wait = double(Duration::from_secs(5), failures).min(HOUR);
    stretch(wait, spread).max(retry_after.unwrap_or_default().min(24 * HOUR))
}

fn double(first: Duration, failures: u32) -> Duration {
    first.saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1).min(20)))
}

/// Up to a tenth longer, never shorter.
fn stretch(wait: Duration, spread: u32) -> Duration {
    wait + wait.mul_f64(0.1 * f64::from(spread.min(999_999)) / 1_000_000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_stay_below_five_an_hour() {
        for left in [None, Some(HOUR), Some(160 * HOUR), Some(200 * 24 * HOUR)] {
            let mut moment = Duration::ZERO;
            let mut attempts = vec![moment];
            for failures in 1..60 {
                moment += after_order(Failure::Refused, failures, left, 0);
                attempts.push(moment);
            }
            for start in &attempts {
                let within = attempts.iter().filter(|at| (*start..*start + HOUR).contains(*at)).count();
                assert!(within <= 5, "{within} attempts within an hour of {start:?} with {left:?} left");
            }
        }
    }

    #[test]
    fn a_short_certificate_keeps_its_attempts() {
        let mut left = 80 * HOUR;
        let mut attempts = 0;
        for failures in 1.. {
            let wait = after_order(Failure::Refused, failures, Some(left), 999_999);
            let Some(rest) = left.checked_sub(wait) else { break };
            left = rest;
            attempts += 1;
        }
        assert!(attempts >= 12, "{attempts}");
    }

    #[test]
    fn what_the_other_side_asks_for_is_kept() {
        let failure = Failure::RateLimited { retry_after: Some(9 * HOUR) };
        assert_eq!(after_order(failure, 1, Some(HOUR), 0), 9 * HOUR);
        let endless = Failure::RateLimited { retry_after: Some(Duration::MAX) };
        assert_eq!(after_order(endless, 1, None, 0), 7 * 24 * HOUR);
    }

    #[test]
    fn waits_grow_and_end() {
        assert_eq!(after_step(1, None, 0), Duration::from_secs(5));
        assert_eq!(after_step(2, None, 0), Duration::from_secs(10));
        assert_eq!(after_step(u32::MAX, None, 0), HOUR);
        assert_eq!(after_order(Failure::Temporary, 1, None, 0), Duration::from_secs(30));
        assert_eq!(after_order(Failure::Temporary, u32::MAX, None, 0), 6 * HOUR);
    }
}
