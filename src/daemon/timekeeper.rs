//! Looking at the clock all along.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use tracing::warn;

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
        let trusted = timekeeper::look(&self.state, &self.clock, &self.trusted).await?;
        self.status.trust_clock(trusted);
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
