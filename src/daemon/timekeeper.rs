//! Looking at the clock all along.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tracing::warn;

use super::lookout;
use crate::clock::Clock;
use crate::http::Status;
use crate::state::{Result, State};
use crate::worker::timekeeper;

/// The clock is looked at this often.
const STRIDE: Duration = Duration::from_secs(5);

/// Looks at the clock, and tells the worker and `/health` whether it can be trusted.
#[derive(Debug, Clone)]
pub(super) struct Timekeeper {
    pub(super) state: State,
    pub(super) clock: Clock,
    pub(super) trusted: Arc<AtomicBool>,
    pub(super) status: Arc<Status>,
}

impl Timekeeper {
    /// Looks once.
    pub(super) async fn look(&self) -> Result<()> {
        let before = self.trusted.load(Ordering::Relaxed);
        let trusted = timekeeper::look(&self.state, &self.clock, &self.trusted).await?;
        self.status.trust_clock(trusted);
        let now = self.clock.now();
        if before && !trusted {
            self.state.alert(&lookout::clock(now), now).await?;
        }
        if !before && trusted {
            self.state.recovered(&lookout::clock_right(now), now).await?;
        }
        Ok(())
    }

    /// Looks again and again.
    pub(super) async fn run(self) {
        loop {
            tokio::time::sleep(STRIDE).await;
            if let Err(failure) = self.look().await {
                warn!("the time cannot be stored: {}", providers::error::chain(&failure));
            }
        }
    }
}
