//! The script of a run: who is there, what they want, and what happens when.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::forecast::Held;
use super::plug::Milestone;
use super::trouble::{Refusal, Span, Trouble};
use crate::clock::Timestamp;
use crate::config::{Config, Limits};
use crate::state::VersionRow;

/// Everything that a run needs to know beforehand.
#[derive(Debug, Clone)]
pub struct Script {
    /// Everything that is left to chance is thrown with it.
    pub seed: u64,
    /// The first instant.
    pub start: Timestamp,
    /// No trouble after this; what is under way has two days more to come to an end.
    pub end: Timestamp,
    /// The config at the start.
    pub config: Arc<Config>,
    /// The issuers of the config, by name.
    pub authorities: BTreeMap<String, Part>,
    /// How long each certificate lives, by name.
    pub lifetimes: BTreeMap<String, Duration>,
    /// What the state holds already.
    pub held: Vec<Held>,
    /// What happens, in order.
    pub events: Vec<(Timestamp, Event)>,
    /// Names that are refused.
    pub refusals: Vec<Refusal>,
    /// The DNS host is down.
    pub host_down: Vec<Span>,
    /// One write in so many fails at the DNS host, at random; 0: none.
    pub host_fails: u32,
    /// Whatever is due within one stride is done together: longer is faster and less exact.
    pub stride: Duration,
}

impl Script {
    /// Nothing goes wrong, and no CA tells when to renew: what a test wants of either it puts in.
    #[must_use]
    pub fn in_peace(mut self) -> Self {
        self.events.clear();
        self.refusals.clear();
        self.host_down.clear();
        self.host_fails = 0;
        for part in self.authorities.values_mut() {
            part.troubles.clear();
            part.advice = Advice::None;
        }
        self
    }

    /// The state holds a certificate already, in force from then to then, which its first issuer has issued.
    pub fn hold(&mut self, certificate: &str, not_before: Timestamp, not_after: Timestamp) {
        let Some(wanted) = self.config.certificates.get(certificate) else { return };
        let names: Vec<String> = wanted.names.iter().map(ToString::to_string).collect();
        let number = self.held.len() + 1;
        let mut version = VersionRow::without_key(certificate, &names, not_before, not_after);
        version.issuer = wanted.issuers.first().cloned().unwrap_or_default();
        version.serial = format!("{number:032x}");
        self.held.push(Held { version });
    }
}

/// The part that one issuer plays.
#[derive(Debug, Clone)]
pub struct Part {
    /// Its ACME directory; `None`: a private CA, which asks for no proof and tells of no renewal.
    pub directory_url: Option<String>,
    /// What it allows.
    pub limits: Limits,
    /// When it is in trouble.
    pub troubles: Vec<Trouble>,
    /// What its renewal information (RFC 9773) says.
    pub advice: Advice,
    /// The Retry-After of its renewal information; `None`: it has none.
    pub ask_again: Option<Duration>,
}

/// What a CA's renewal information says of a certificate that nothing is wrong with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Advice {
    /// It has none.
    None,
    /// To renew in good time.
    Usual,
    /// To renew when the certificate has expired.
    TooLate,
    /// To renew before the certificate was issued.
    Over,
}

/// What happens at an instant.
#[derive(Debug, Clone)]
pub enum Event {
    /// The plug is pulled after so many writes more; after none, and with nothing to wait for, at once.
    Crash {
        /// Writes are counted from when this has come about; `None`: from now on.
        after: Option<Milestone>,
        /// Writes that still get through.
        writes: u32,
    },
    /// Somebody sets the machine's clock so many milliseconds away from the true time.
    Clock {
        /// Negative: it is slow.
        skew: i64,
    },
    /// The machine sleeps.
    Suspend(Duration),
    /// A CA tells those whom it must revoke to renew.
    MassRevocation {
        /// Which CA.
        issuer: String,
        /// How many of a thousand certificates.
        permille: u32,
        /// The window, from now on; zero: it lies in the past already.
        window: Duration,
    },
    /// The operator edits the config.
    Config(Arc<Config>),
}
