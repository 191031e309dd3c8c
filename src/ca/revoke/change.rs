//! What asking for a revocation, or for a release, changes: pure.

use super::{Reason, RevocationError, Standing};
use crate::clock::Timestamp;

/// What somebody asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// Revoke it for this reason; `certificateHold` suspends it.
    Revoke(Reason),
    /// End the hold.
    Release,
}

/// What comes of it: how the certificate stands then, and whether that is news.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// How the certificate stands now.
    pub standing: Standing,
    /// It stood otherwise before.
    pub changed: bool,
}

impl Outcome {
    const fn unchanged(standing: Standing) -> Self {
        Self { standing, changed: false }
    }

    const fn changed(standing: Standing) -> Self {
        Self { standing, changed: true }
    }
}

/// How a certificate that stands like `before` stands when what is asked for is done at `now`.
///
/// A revocation is final: whoever asks again gets the same answer, with the first time and the first reason. A hold can
/// be released, or become final; it is then dated back to when the certificate was put on hold (X.509, section 9.5.3.1),
/// since nothing that was signed meanwhile is to be believed.
pub(super) fn decide(before: Standing, asked: Asked, now: Timestamp) -> Result<Outcome, RevocationError> {
    let now = Timestamp::from_seconds(now.seconds());
    match (before, asked) {
        (Standing::Good { .. }, Asked::Revoke(reason)) => {
            Ok(Outcome::changed(Standing::Revoked { at: now, reason, hold_ended: None }))
        }
        (Standing::Revoked { reason: held, at, .. }, Asked::Revoke(reason))
            if !held.is_final() && reason.is_final() =>
        {
            Ok(Outcome::changed(Standing::Revoked { at, reason, hold_ended: Some(now) }))
        }
        (Standing::Revoked { .. }, Asked::Revoke(_)) | (Standing::Good { released: Some(_) }, Asked::Release) => {
            Ok(Outcome::unchanged(before))
        }
        (Standing::Revoked { reason, .. }, Asked::Release) if reason.is_final() => {
            Err(RevocationError::Final { reason })
        }
        (Standing::Revoked { .. }, Asked::Release) => Ok(Outcome::changed(Standing::Good { released: Some(now) })),
        (Standing::Good { released: None }, Asked::Release) => Err(RevocationError::NotOnHold),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: Standing = Standing::Good { released: None };

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    fn revoke(before: Standing, reason: Reason, seconds: i64) -> Outcome {
        decide(before, Asked::Revoke(reason), at(seconds)).unwrap()
    }

    #[test]
    fn a_revocation_is_final_and_said_again_as_it_was() {
        let first = revoke(GOOD, Reason::Superseded, 5);
        let expected = Standing::Revoked { at: at(5), reason: Reason::Superseded, hold_ended: None };
        assert_eq!(first, Outcome { standing: expected, changed: true });
        for reason in Reason::ALL {
            assert_eq!(revoke(expected, reason, 9), Outcome { standing: expected, changed: false });
        }
        let refused = decide(expected, Asked::Release, at(9));
        assert!(matches!(refused, Err(RevocationError::Final { reason: Reason::Superseded })), "{refused:?}");
    }

    #[test]
    fn a_hold_can_be_released_and_put_again() {
        let held = revoke(GOOD, Reason::CertificateHold, 5).standing;
        assert!(!revoke(held, Reason::CertificateHold, 6).changed);
        let released = decide(held, Asked::Release, at(7)).unwrap();
        assert_eq!(released, Outcome { standing: Standing::Good { released: Some(at(7)) }, changed: true });
        assert_eq!(decide(released.standing, Asked::Release, at(8)).unwrap(), Outcome { changed: false, ..released });
        let again = revoke(released.standing, Reason::CertificateHold, 9).standing;
        assert_eq!(again, Standing::Revoked { at: at(9), reason: Reason::CertificateHold, hold_ended: None });
    }

    #[test]
    fn a_hold_that_becomes_final_counts_from_its_beginning() {
        let held = revoke(GOOD, Reason::CertificateHold, 5).standing;
        let last = revoke(held, Reason::KeyCompromise, 7).standing;
        assert_eq!(last, Standing::Revoked { at: at(5), reason: Reason::KeyCompromise, hold_ended: Some(at(7)) });
    }

    #[test]
    fn what_is_not_on_hold_is_not_released() {
        assert!(matches!(decide(GOOD, Asked::Release, at(1)), Err(RevocationError::NotOnHold)));
    }

    #[test]
    fn times_are_whole_seconds_as_a_crl_writes_them() {
        let outcome = decide(GOOD, Asked::Revoke(Reason::Unspecified), Timestamp::from_millis(5_999)).unwrap();
        assert_eq!(outcome.standing, revoke(GOOD, Reason::Unspecified, 5).standing);
    }
}
