//! The highest time seen: a clock far behind it is not trusted, and nothing new is ordered by it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tracing::{error, info};

use crate::clock::{Clock, Timestamp};
use crate::state::{Result, State};

/// A clock more than this behind the highest time seen is wrong.
pub const TOLERANCE: Duration = Duration::from_secs(3600);

/// The highest time is stored this often.
const STORED: Duration = Duration::from_secs(60);

/// Looks at the clock once, and writes into `trusted`, and answers, whether it can be trusted.
///
/// # Errors
/// Where the database fails.
pub async fn look(state: &State, clock: &Clock, trusted: &AtomicBool) -> Result<bool> {
    let now = clock.now();
    let highest = state.highest_time().await?.unwrap_or(Timestamp::EPOCH);
    if now >= highest.plus(STORED) {
        state.remember_time(now).await?;
    }
    let is_trusted = highest.since(now) <= TOLERANCE;
    let before = trusted.swap(is_trusted, Ordering::Relaxed);
    if before && !is_trusted {
        error!(%now, %highest, "the clock is more than an hour behind a time that renewd has seen: nothing is ordered");
    }
    if !before && is_trusted {
        info!(%now, "the clock is right again");
        state.retry_troubled(now).await?;
    }
    Ok(is_trusted)
}
