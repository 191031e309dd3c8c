//! CRLs are made: in time, after each revocation, and when there is something new to have a list.

use std::time::Duration;

use tokio::sync::watch;
use tracing::{debug, error};

use crate::ca::crl::CrlError;
use crate::clock::{Clock, TEST_CLOCK, Timestamp};
use crate::http::App;

/// Whoever makes work for us wakes us, and what is due by the clock is waited for. What neither tells of, such as a file
/// that somebody deleted, is found this late.
const LOOK: Duration = Duration::from_secs(600);

/// After a failure it is tried again so soon.
const AGAIN: Duration = Duration::from_secs(10);

/// It is looked this often whether the clock was set back, …
const STRIDE: Duration = Duration::from_secs(30);

/// … and with a clock that a test moves, this often.
const TEST_STRIDE: Duration = Duration::from_millis(100);

/// Clocks are set right by less than this all the time.
const SET_RIGHT: Duration = Duration::from_secs(60);

/// Runs until `stop` becomes true.
pub(super) async fn run(app: App, mut stop: watch::Receiver<bool>) -> anyhow::Result<()> {
    tokio::select! {
        () = publish(&app) => {}
        _ = stop.wait_for(|stopped| *stopped) => {}
    }
    Ok(())
}

async fn publish(app: &App) {
    loop {
        let changed = app.revocations.changed();
        tokio::pin!(changed);
        changed.as_mut().enable();
        let next = turn(app).await;
        debug!(%next, "CRLs were looked after");
        tokio::select! {
            () = app.clock.sleep_until(next) => {}
            () = changed => {}
            () = app.state.woken_for_lists() => {}
            () = set_back(&app.clock) => {}
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

/// When there is something to do by the clock.
async fn turn(app: &App) -> Timestamp {
    let outcome: Result<Timestamp, CrlError> = app.crls.turn(app.clock.now()).await;
    let soon = app.clock.now().plus(AGAIN);
    match outcome {
        // Nobody tells when a CA that could not be opened can be.
        Ok(next) if app.registry.troubled() > 0 => next.min(soon),
        Ok(next) => next,
        Err(failure) => {
            error!("CRLs were not looked after: {}", providers::error::chain(&failure));
            soon
        }
    }
}

/// Returns when the clock was set back: a list from the future is made anew at once.
async fn set_back(clock: &Clock) {
    let stride = if std::env::var_os(TEST_CLOCK).is_some() { TEST_STRIDE } else { STRIDE };
    let mut before = clock.now();
    loop {
        tokio::time::sleep(stride).await;
        let now = clock.now();
        if now.plus(SET_RIGHT) < before {
            return;
        }
        before = now;
    }
}
