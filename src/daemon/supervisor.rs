//! Talking to systemd: ready, still turning, stopping.

use std::sync::Arc;
use std::time::Duration;

use sd_notify::NotifyState;

use crate::clock::Clock;
use crate::http::Status;

/// The service manager, where there is one.
pub(super) struct Supervisor {
    status: Arc<Status>,
    clock: Clock,
    interval: Option<Duration>,
}

impl Supervisor {
    /// Asks whether a watchdog waits.
    pub(super) fn new(status: Arc<Status>, clock: Clock) -> Self {
        let interval = sd_notify::watchdog_enabled().map(|limit| limit / 3);
        Self { status, clock, interval }
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
    pub(super) async fn watchdog(&self) {
        let Some(interval) = self.interval else { return std::future::pending().await };
        tokio::time::sleep(interval).await;
        if !self.status.loop_stuck(self.clock.now()) {
            let _ = sd_notify::notify(&[NotifyState::Watchdog]);
        }
    }
}
