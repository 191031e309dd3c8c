//! What can go wrong, sorted by what the caller does next.

use std::time::Duration;

use super::RegistrationsError;

/// Why a challenge could not be located, presented, looked for or withdrawn.
#[derive(Debug, thiserror::Error)]
pub enum Dns01Error {
    /// The operator must publish this CNAME; until then the certificate waits.
    #[error("`{name}` must be a CNAME to `{target}`: publish it, and the certificate goes on")]
    CnameMissing {
        /// The CNAME's owner.
        name: String,
        /// Where it must lead.
        target: String,
    },
    /// No instance serves the name: the config must name one.
    #[error(
        "no DNS instance serves `{name}`: give one in the certificate's `dns`, or its zone in an instance's `zones`"
    )]
    NoInstance {
        /// The name after CNAMEs.
        name: String,
    },
    /// The instance is not in the config any more.
    #[error("there is no DNS instance `{instance}`")]
    UnknownInstance {
        /// Its name.
        instance: String,
    },
    /// Two instances have one name.
    #[error("the DNS instance `{instance}` is there twice")]
    DuplicateInstance {
        /// Their name.
        instance: String,
    },
    /// The name lies in no zone below a top-level domain: it is not delegated, or not to be seen by the resolver.
    #[error("`{name}` lies in no zone that the resolver knows")]
    NoZone {
        /// The name after CNAMEs.
        name: String,
    },
    /// CNAMEs lead in a circle, or on and on.
    #[error("the CNAMEs from `{name}` do not end")]
    CnameLoop {
        /// Where they begin.
        name: String,
    },
    /// The text cannot be asked for in DNS.
    #[error("`{name}` is no name that DNS can carry")]
    BadName {
        /// The text.
        name: String,
    },
    /// The host holds only so many values at one name, and they are in use: later there may be room.
    #[error("`{name}` can hold no more than {limit} values at this DNS host, and they are in use")]
    TooManyValues {
        /// The TXT's name.
        name: String,
        /// The host's limit.
        limit: usize,
    },
    /// The DNS host refused or failed.
    #[error("the DNS instance `{instance}` failed")]
    Provider {
        /// The instance.
        instance: String,
        /// The host's words.
        source: providers::Error,
    },
    /// A registration could not be read or kept.
    #[error("the registration of `{name}` at `{instance}` could not be read or kept")]
    Registrations {
        /// The instance.
        instance: String,
        /// The challenge name.
        name: String,
        /// What the state said.
        source: RegistrationsError,
    },
    /// No resolver gave a usable answer.
    #[error("no resolver answers for {kind} of `{name}`: {detail}")]
    Resolver {
        /// The name that was asked for.
        name: String,
        /// The record type that was asked for.
        kind: String,
        /// What each resolver said.
        detail: String,
    },
}

impl Dns01Error {
    /// The same call may succeed later with nothing changed by the operator.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::TooManyValues { .. } | Self::Registrations { .. } | Self::Resolver { .. } => true,
            Self::Provider { source, .. } => {
                matches!(source, providers::Error::RateLimited { .. } | providers::Error::Unavailable { .. })
            }
            _ => false,
        }
    }

    /// How long the DNS host asks to wait, where it says.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Provider { source, .. } => source.retry_after(),
            _ => None,
        }
    }
}
