//! What can go wrong at an authority, sorted by what the caller does next.

use std::time::Duration;

use crate::planner::backoff::Failure;
use crate::state::{ObstacleKind, StateError};

/// Why an order did not come further.
#[derive(Debug, thiserror::Error)]
pub enum IssuerError {
    /// The CA could not be reached, or failed by itself (5xx). The order stays.
    #[error("the CA could not be reached: {detail}")]
    Unreachable {
        /// What was seen, with its chain of causes.
        detail: String,
    },
    /// The CA works on the order without an end in sight. The order stays.
    #[error("the CA is slow: {detail}")]
    Slow {
        /// What it has been doing, and for how long.
        detail: String,
    },
    /// The CA asks to come back later (429, 503 with Retry-After). The order stays.
    #[error("the CA asks to come back later: {detail}")]
    RateLimited {
        /// After this long, where it said.
        retry_after: Option<Duration>,
        /// The CA's own words.
        detail: String,
    },
    /// The order would break a limit of the CA after all: it is given up, and the certificate held back, on record.
    #[error("{why}")]
    HeldBack {
        /// By which limit, and until when.
        why: String,
    },
    /// The CA refused the order, or an authorization or the order became invalid: this order is finished.
    #[error("the CA refused: {detail}")]
    Refused {
        /// The CA's own words: type, detail, subproblems.
        detail: String,
    },
    /// The CA no longer knows the order, or it has expired: a new one is made at once.
    #[error("the order is gone: {detail}")]
    OrderGone {
        /// The CA's own words.
        detail: String,
    },
    /// A DNS host or server is in the way. The order stays.
    #[error("DNS: {detail}")]
    Dns {
        /// What was seen, with its chain of causes.
        detail: String,
        /// Where trying again soon may help.
        temporary: bool,
        /// After this long, where the host said.
        retry_after: Option<Duration>,
    },
    /// The account cannot order until the operator does something: the message says what. Another issuer may be able to.
    #[error("{what}")]
    Account {
        /// What to do.
        what: String,
    },
    /// Nothing will work until the operator does something: the message says what.
    #[error("{what}")]
    Operator {
        /// What to do.
        what: String,
    },
    /// The CA delivered something that is not what was ordered: it replaces nothing.
    #[error("the CA delivered a chain that does not fit: {detail}")]
    BadChain {
        /// What was expected and found.
        detail: String,
    },
    /// This authority has no such thing.
    #[error("`{issuer}` {what}")]
    Unsupported {
        /// The authority's name in the config.
        issuer: String,
        /// What it has not.
        what: &'static str,
    },
    /// The state failed.
    #[error("the state failed")]
    State(#[from] StateError),
}

impl IssuerError {
    /// What the caller does next.
    #[must_use]
    pub fn failure(&self) -> Failure {
        match self {
            Self::Unreachable { .. }
            | Self::Slow { .. }
            | Self::State(_)
            | Self::OrderGone { .. }
            | Self::HeldBack { .. } => Failure::Temporary,
            Self::Dns { temporary: true, retry_after: None, .. } => Failure::Temporary,
            Self::RateLimited { retry_after, .. } | Self::Dns { retry_after, temporary: true, .. } => {
                Failure::RateLimited { retry_after: *retry_after }
            }
            Self::Refused { .. } | Self::BadChain { .. } | Self::Dns { temporary: false, .. } => Failure::Refused,
            Self::Account { .. } | Self::Operator { .. } | Self::Unsupported { .. } => Failure::Operator,
        }
    }

    /// What it means for the other issuers of the certificate.
    #[must_use]
    pub const fn obstacle(&self) -> ObstacleKind {
        match self {
            Self::Unreachable { .. }
            | Self::Slow { .. }
            | Self::RateLimited { .. }
            | Self::OrderGone { .. }
            | Self::Account { .. }
            | Self::BadChain { .. }
            | Self::State(_) => ObstacleKind::Unavailable,
            Self::HeldBack { .. } => ObstacleKind::Held,
            Self::Refused { .. } | Self::Dns { .. } => ObstacleKind::Refused,
            Self::Operator { .. } | Self::Unsupported { .. } => ObstacleKind::Operator,
        }
    }

    /// The order cannot go on: the next attempt makes a new one.
    #[must_use]
    pub fn ends_order(&self) -> bool {
        matches!(
            self,
            Self::Refused { .. }
                | Self::OrderGone { .. }
                | Self::HeldBack { .. }
                | Self::BadChain { .. }
                | Self::Unsupported { .. }
        )
    }
}
