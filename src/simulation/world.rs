//! The world outside renewd: CAs, the DNS host, the true time, and a witness to it all.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rand::SeedableRng as _;
use rand::rngs::SmallRng;

use super::SimulationError;
use super::authority::Authority;
use super::host::Host;
use super::plug::{Milestone, Plugs};
use super::script::Script;
use super::trouble::{Refusal, Span};
use super::witness::Witness;
use crate::clock::{Clock, Timestamp};
use crate::state::State;

/// The world. Clones share it.
#[derive(Clone)]
pub(super) struct World(Arc<Inner>);

struct Inner {
    clock: Clock,
    /// How many milliseconds the machine's clock is ahead of the true time.
    skew: AtomicI64,
    book: Mutex<Book>,
}

/// Everything in the world that changes.
pub(super) struct Book {
    pub(super) authorities: BTreeMap<String, Authority>,
    pub(super) host: Host,
    pub(super) witness: Witness,
    pub(super) plugs: Plugs,
    pub(super) random: SmallRng,
    pub(super) lifetimes: BTreeMap<String, Duration>,
    refusals: Vec<Refusal>,
    /// The highest time that the machine's clock showed when renewd looked.
    pub(super) highest: Timestamp,
    /// When renewd could do nothing: the machine slept, or its clock could not be trusted.
    idle: Vec<Span>,
}

impl World {
    /// The world as the script has it at its start.
    pub(super) fn new(script: &Script, clock: Clock) -> Result<Self, SimulationError> {
        let parts = script.authorities.iter().zip(1..);
        let authorities: Result<_, SimulationError> = parts
            .map(|((name, part), index)| Ok((name.clone(), Authority::new(name, index, part.clone(), script.start)?)))
            .collect();
        let book = Book {
            authorities: authorities?,
            host: Host::new(script.host_down.clone(), script.host_fails),
            witness: Witness::new(script.start),
            plugs: Plugs::default(),
            random: SmallRng::seed_from_u64(script.seed),
            lifetimes: script.lifetimes.clone(),
            refusals: script.refusals.clone(),
            highest: script.start,
            idle: Vec::new(),
        };
        Ok(Self(Arc::new(Inner { clock, skew: AtomicI64::new(0), book: Mutex::new(book) })))
    }

    /// The true time.
    pub(super) fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.clock.now().millis() - self.skew())
    }

    /// What the machine's clock shows when the true time is `at`.
    pub(super) fn shown(&self, at: Timestamp) -> Timestamp {
        Timestamp::from_millis(at.millis() + self.skew())
    }

    /// The true time when the machine's clock shows `at`.
    pub(super) fn truly(&self, at: Timestamp) -> Timestamp {
        Timestamp::from_millis(at.millis().saturating_sub(self.skew()))
    }

    /// It is `at`; time never goes back.
    pub(super) fn pass_to(&self, at: Timestamp) {
        self.0.clock.set(self.shown(at.max(self.now())));
    }

    /// Somebody sets the machine's clock.
    pub(super) fn set_skew(&self, skew: i64) {
        let now = self.now();
        self.0.skew.store(skew, Ordering::SeqCst);
        self.0.clock.set(self.shown(now));
    }

    pub(super) fn skew(&self) -> i64 {
        self.0.skew.load(Ordering::SeqCst)
    }

    /// A milestone comes about: where the script has it so, the plug is pulled a few writes later.
    pub(super) fn comes(&self, milestone: Milestone, state: &State) {
        if state.fuse().is_set() {
            return;
        }
        if let Some(writes) = self.with(|book, _| book.plugs.comes(milestone)) {
            state.fuse().set(writes);
        }
    }

    /// Looks into the book, or writes in it, at this instant.
    pub(super) fn with<T>(&self, work: impl FnOnce(&mut Book, Timestamp) -> T) -> T {
        let now = self.now();
        work(&mut self.0.book.lock().unwrap_or_else(PoisonError::into_inner), now)
    }
}

impl fmt::Debug for World {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("World").field("now", &self.now()).finish_non_exhaustive()
    }
}

impl Book {
    /// The names of a certificate are refused now.
    pub(super) fn is_refused(&self, certificate: &str, at: Timestamp) -> bool {
        self.refusals.iter().any(|refusal| refusal.certificate == certificate && refusal.span.holds(at))
    }

    /// Renewd could do nothing from then to then.
    pub(super) fn was_idle(&mut self, span: Span) {
        self.idle.push(span);
    }

    /// Whether a certificate could have been had at an instant from any of these issuers.
    pub(super) fn could_issue(&self, certificate: &str, issuers: &[String], at: Timestamp) -> bool {
        let could = |issuer: &String| {
            let authority = self.authorities.get(issuer);
            authority.is_some_and(|one| one.trouble(at).is_none() && (one.is_private() || !self.host.is_down(at)))
        };
        !self.idle.iter().any(|span| span.holds(at)) && !self.is_refused(certificate, at) && issuers.iter().any(could)
    }

    /// For how long of a span it could have been had, to ten minutes.
    pub(super) fn chances(&self, certificate: &str, issuers: &[String], span: Span) -> Duration {
        const STEP: Duration = Duration::from_secs(600);
        let mut at = span.from;
        let mut chances = Duration::ZERO;
        while at < span.to {
            if self.could_issue(certificate, issuers, at) {
                chances += STEP;
            }
            at = at.plus(STEP);
        }
        chances
    }
}
