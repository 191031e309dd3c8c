//! Talking to systemd: ready, still turning, stopping.

use std::sync::Arc;
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::time::{Instant, Interval, interval_at};

use crate::clock::Clock;
use crate::http::Status;

/// The service manager, where there is one.
pub(super) struct Supervisor {
    status: Arc<Status>,
    clock: Clock,
    rhythm: Option<Interval>,
}

impl Supervisor {
    /// Asks whether a watchdog waits.
    pub(super) fn new(status: Arc<Status>, clock: Clock) -> Self {
        let rhythm = |limit: Duration| interval_at(Instant::now() + limit / 3, limit / 3);
        Self { status, clock, rhythm: sd_notify::watchdog_enabled().map(rhythm) }
    }

    /// The listeners are open, the loop turns.
    pub(super) fn ready(&self) {
        let _ = sd_notify::notify(&[NotifyState::Ready]);
    }

    /// The daemon ends.
    pub(super) fn stopping(&self) {
        let _ = sd_notify::notify(&[NotifyState::Stopping]);
    }

    /// Waits for the next time and then feeds the watchdog, unless the loop is stuck. Without a watchdog it never ends.
    /// May be dropped and called again: what happens meanwhile does not put it off.
    pub(super) async fn watchdog(&mut self) {
        let Some(rhythm) = &mut self.rhythm else { return std::future::pending().await };
        rhythm.tick().await;
        if !self.status.loop_stuck(self.clock.now()) {
            let _ = sd_notify::notify(&[NotifyState::Watchdog]);
        }
    }
}
