//! CRLs are made: in time, after each revocation, and when the config changed.

use std::time::Duration;

use tokio::sync::watch;
use tracing::error;

use crate::ca::crl::CrlError;
use crate::clock::Timestamp;
use crate::http::App;

/// Leaves may have opened a shard meanwhile, whose first list is due: somebody looks this often.
const LOOK: Duration = Duration::from_secs(5);

/// After a failure it is tried again so soon.
const AGAIN: Duration = Duration::from_secs(10);

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
        tokio::select! {
            () = app.clock.sleep_until(next) => {}
            () = changed => {}
            () = app.crls.looked_for() => {}
        }
    }
}

/// When to look again.
async fn turn(app: &App) -> Timestamp {
    let outcome: Result<Timestamp, CrlError> = app.crls.turn(app.clock.now()).await;
    let now = app.clock.now();
    match outcome {
        Ok(next) => next.min(now.plus(LOOK)),
        Err(failure) => {
            error!("CRLs were not looked after: {}", providers::error::chain(&failure));
            now.plus(AGAIN)
        }
    }
}
