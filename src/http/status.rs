//! How the daemon itself stands: its config, its loop, its clock, its listeners.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use crate::clock::Timestamp;
use crate::config::{Listen, Report};
use crate::worker::readiness::Readiness;

/// A loop that has not turned for this long is stuck.
const STUCK: Duration = Duration::from_secs(60);

/// How the daemon stands: written by the daemon and its tasks, read by `/health` and the local socket.
#[derive(Debug)]
pub struct Status {
    started_at: Timestamp,
    config: ArcSwap<ConfigStatus>,
    heartbeat: AtomicI64,
    clock_trusted: AtomicBool,
    listeners: ArcSwap<BTreeMap<Listen, ListenerState>>,
    changed: Notify,
    readiness: Readiness,
}

/// What became of the last reload.
#[derive(Debug, Clone)]
pub enum ConfigStatus {
    /// The file is in force.
    Ok {
        /// Since when.
        since: Timestamp,
    },
    /// The file was refused: an older one is in force.
    Refused {
        /// Every reason.
        report: Box<Report>,
        /// Since when.
        since: Timestamp,
    },
}

/// What a listener does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListenerState {
    /// It answers.
    Open,
    /// It waits for its certificate.
    Waiting,
    /// Its address cannot be bound.
    Failed {
        /// Why.
        error: String,
    },
}

impl ListenerState {
    /// In one word.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Waiting => "waiting",
            Self::Failed { .. } => "failed",
        }
    }
}

impl Status {
    /// A daemon that starts now with a good config and a clock that nobody has found fault with.
    #[must_use]
    pub fn new(now: Timestamp) -> Self {
        Self {
            started_at: now,
            config: ArcSwap::from_pointee(ConfigStatus::Ok { since: now }),
            heartbeat: AtomicI64::new(now.millis()),
            clock_trusted: AtomicBool::new(true),
            listeners: ArcSwap::default(),
            changed: Notify::new(),
            readiness: Readiness::default(),
        }
    }

    /// When the daemon started.
    #[must_use]
    pub const fn started_at(&self) -> Timestamp {
        self.started_at
    }

    /// What became of the last reload.
    #[must_use]
    pub fn config(&self) -> Arc<ConfigStatus> {
        self.config.load_full()
    }

    /// A config was taken: the listeners look at it.
    pub fn config_taken(&self, now: Timestamp) {
        self.config.store(Arc::new(ConfigStatus::Ok { since: now }));
        self.changed.notify_waiters();
    }

    /// A config was refused; the time is kept where the one before it was refused, too.
    pub fn config_refused(&self, report: Report, now: Timestamp) {
        let since = match *self.config.load_full() {
            ConfigStatus::Refused { since, .. } => since,
            ConfigStatus::Ok { .. } => now,
        };
        self.config.store(Arc::new(ConfigStatus::Refused { report: Box::new(report), since }));
    }

    /// Waits until the next config is taken.
    pub fn config_changed(&self) -> Notified<'_> {
        self.changed.notified()
    }

    /// The loop has turned.
    pub fn beat(&self, now: Timestamp) {
        self.heartbeat.store(now.millis(), Ordering::Relaxed);
    }

    /// When the loop last turned.
    #[must_use]
    pub fn heartbeat(&self) -> Timestamp {
        Timestamp::from_millis(self.heartbeat.load(Ordering::Relaxed))
    }

    /// The loop has not turned for a minute.
    #[must_use]
    pub fn loop_stuck(&self, now: Timestamp) -> bool {
        now.since(self.heartbeat()) > STUCK
    }

    /// The clock may be trusted, or may not.
    pub fn trust_clock(&self, trusted: bool) {
        self.clock_trusted.store(trusted, Ordering::Relaxed);
    }

    /// The clock may be trusted.
    #[must_use]
    pub fn clock_trusted(&self) -> bool {
        self.clock_trusted.load(Ordering::Relaxed)
    }

    /// Whether each issuer could issue, as far as somebody has looked.
    #[must_use]
    pub const fn readiness(&self) -> &Readiness {
        &self.readiness
    }

    /// What each listener does.
    #[must_use]
    pub fn listeners(&self) -> Arc<BTreeMap<Listen, ListenerState>> {
        self.listeners.load_full()
    }

    pub(super) fn set_listeners(&self, listeners: BTreeMap<Listen, ListenerState>) {
        self.listeners.store(Arc::new(listeners));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_seconds(1_000_000);

    #[test]
    fn a_loop_that_does_not_turn_is_stuck_after_a_minute() {
        let status = Status::new(START);
        let later = START.plus(Duration::from_secs(61));
        assert!(!status.loop_stuck(START.plus(STUCK)));
        assert!(status.loop_stuck(later));
        status.beat(later);
        assert!(!status.loop_stuck(later));
    }

    #[test]
    fn a_config_stays_refused_since_the_first_time() {
        let status = Status::new(START);
        status.config_refused(Report::default(), START);
        status.config_refused(Report::default(), START.plus(STUCK));
        assert!(matches!(*status.config(), ConfigStatus::Refused { since: START, .. }));
        status.config_taken(START.plus(STUCK));
        assert!(matches!(*status.config(), ConfigStatus::Ok { .. }));
    }
}
