//! The highest time seen: a clock far behind it is not trusted, and nothing new is ordered by it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tracing::{error, info, warn};

use super::lookout;
use crate::clock::{Clock, Timestamp};
use crate::http::Status;
use crate::state::{Result, State};

/// A clock more than this behind the highest time seen is wrong.
pub(super) const TOLERANCE: Duration = Duration::from_secs(3600);

/// The clock is looked at this often.
const STRIDE: Duration = Duration::from_secs(5);

/// The highest time is stored this often.
const STORED: Duration = Duration::from_secs(60);

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
        let now = self.clock.now();
        let highest = self.state.highest_time().await?.unwrap_or(Timestamp::EPOCH);
        if now >= highest.plus(STORED) {
            self.state.remember_time(now).await?;
        }
        let trusted = highest.since(now) <= TOLERANCE;
        let before = self.trusted.swap(trusted, Ordering::Relaxed);
        self.status.trust_clock(trusted);
        if before && !trusted {
            error!(%now, %highest, "the clock is more than an hour behind a time that renewd has seen: nothing is ordered");
            self.state.alert(&lookout::clock(now), now).await?;
        }
        if !before && trusted {
            info!(%now, "the clock is right again");
            self.state.recovered(&lookout::clock_right(now), now).await?;
            self.state.retry_troubled(now).await?;
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
