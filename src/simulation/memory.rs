//! What renewd must remember of each failure: until when it leaves a CA alone.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::issuer::IssuerError;
use crate::planner::backoff::Failure;

/// Clocks are set by some seconds now and then.
const TOLERANCE: Duration = Duration::from_secs(20);

/// The last failure of a certificate at a CA.
#[derive(Debug, Clone, Copy)]
struct Failed {
    not_before: Timestamp,
    /// Writes that had got through before: with the next one the failure is on record.
    written: u64,
}

/// By certificate and CA.
#[derive(Debug, Default)]
pub(super) struct Memory {
    failures: BTreeMap<(String, String), Failed>,
}

impl Memory {
    /// A CA failed, or refused.
    pub(super) fn failed(&mut self, name: &str, issuer: &str, error: &IssuerError, now: Timestamp, written: u64) {
        let Some(wait) = least_wait(error) else { return };
        let not_before = now.plus(wait).minus(TOLERANCE);
        self.failures.insert((name.to_owned(), issuer.to_owned()), Failed { not_before, written });
    }

    /// It has issued: what was before is forgiven.
    pub(super) fn forget(&mut self, name: &str, issuer: &str) {
        self.failures.remove(&(name.to_owned(), issuer.to_owned()));
    }

    /// The plug was pulled: nobody can know of what was not on record.
    pub(super) fn crashed(&mut self, written: u64) {
        self.failures.retain(|_, failed| failed.written < written);
    }

    /// No new order before this.
    pub(super) fn not_before(&self, name: &str, issuer: &str) -> Option<Timestamp> {
        self.failures.get(&(name.to_owned(), issuer.to_owned())).map(|failed| failed.not_before)
    }
}

/// The least that a CA is left alone; `None`: an order that is gone may be made anew at once.
fn least_wait(error: &IssuerError) -> Option<Duration> {
    if matches!(error, IssuerError::OrderGone { .. }) {
        return None;
    }
    Some(match error.failure() {
        Failure::Temporary => Duration::from_secs(30),
        Failure::RateLimited { retry_after } => retry_after.unwrap_or(Duration::from_secs(300)),
        Failure::Refused | Failure::Operator => Duration::from_secs(300),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

    #[test]
    fn a_crash_excuses_only_what_was_not_on_record() {
        let mut memory = Memory::default();
        let refused = IssuerError::Refused { detail: "caa".into() };
        memory.failed("a", "ca", &refused, NOW, 7);
        memory.failed("b", "ca", &refused, NOW, 8);
        memory.crashed(8);
        assert_eq!(memory.not_before("a", "ca"), Some(NOW.plus(Duration::from_secs(280))));
        assert_eq!(memory.not_before("b", "ca"), None);
        memory.forget("a", "ca");
        assert_eq!(memory.not_before("a", "ca"), None);
    }
}
