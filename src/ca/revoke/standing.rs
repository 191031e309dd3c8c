//! How a certificate stands with its CA.

use super::Reason;
use crate::clock::Timestamp;
use crate::state::CaStatusRow;

/// How a certificate stands with its CA. Times are whole seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is not revoked.
    Good {
        /// When a hold of it ended, if there was one.
        released: Option<Timestamp>,
    },
    /// It is revoked, or on hold.
    Revoked {
        /// Since when.
        at: Timestamp,
        /// Why.
        reason: Reason,
        /// When a hold became this revocation; `at` is when the hold began, then.
        hold_ended: Option<Timestamp>,
    },
}

impl Standing {
    /// As a row tells it.
    #[must_use]
    pub fn of(row: &CaStatusRow) -> Self {
        match row.revoked_at {
            None => Self::Good { released: row.released_at },
            Some(at) => {
                // A code that is none cannot have been written by us: it stays a revocation.
                let reason = row.reason.and_then(Reason::from_code).unwrap_or(Reason::Unspecified);
                Self::Revoked { at, reason, hold_ended: row.released_at }
            }
        }
    }

    /// It cannot change any more.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Revoked { reason, .. } if reason.is_final())
    }

    /// Puts it into a row.
    pub(super) fn write_to(self, row: &mut CaStatusRow) {
        let (revoked_at, reason, released_at) = match self {
            Self::Good { released } => (None, None, released),
            Self::Revoked { at, reason, hold_ended } => (Some(at), Some(reason.code()), hold_ended),
        };
        row.revoked_at = revoked_at;
        row.reason = reason;
        row.released_at = released_at;
    }
}
