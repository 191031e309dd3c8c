//! Trouble: what is in the way, and from when to when.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::issuer::IssuerError;

/// From an instant to another, the second not included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// It begins here …
    pub from: Timestamp,
    /// … and is over here.
    pub to: Timestamp,
}

impl Span {
    /// So long from an instant on.
    #[must_use]
    pub fn of(from: Timestamp, length: Duration) -> Self {
        Self { from, to: from.plus(length) }
    }

    /// It is on.
    #[must_use]
    pub fn holds(&self, at: Timestamp) -> bool {
        self.from <= at && at < self.to
    }
}

/// How a CA is in trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TroubleKind {
    /// Nobody answers.
    Unreachable,
    /// It answers 500.
    Failing,
    /// It answers 429, and names an hour.
    Busy,
    /// It has paused the account.
    Paused,
}

impl TroubleKind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Unreachable, Self::Failing, Self::Busy, Self::Paused];

    /// As the issuer tells the worker.
    pub(super) fn error(self) -> IssuerError {
        match self {
            Self::Unreachable => IssuerError::Unreachable { detail: "connection refused".to_owned() },
            Self::Failing => IssuerError::Unreachable { detail: "500 serverInternal".to_owned() },
            Self::Busy => IssuerError::RateLimited {
                retry_after: Some(Duration::from_secs(3600)),
                detail: "429 rateLimited: service busy".to_owned(),
            },
            Self::Paused => IssuerError::RateLimited { retry_after: None, detail: "the account is paused".to_owned() },
        }
    }
}

/// A CA is in trouble for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trouble {
    /// How long.
    pub span: Span,
    /// How.
    pub kind: TroubleKind,
}

/// The names of one certificate are refused for a while (CAA, unauthorized), whoever is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Whose.
    pub certificate: String,
    /// How long.
    pub span: Span,
}
