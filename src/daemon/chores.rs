//! What is done beside the loop: account jobs, comparing stores, keeping the time, sweeping.

use std::time::Duration;

use tokio::sync::watch;
use tracing::error;

use super::lookout;
use super::timekeeper::Timekeeper;
use crate::http::App;
use crate::state::State;
use crate::worker::Worker;

/// Stores are compared this often.
const COMPARE: Duration = Duration::from_secs(600);

/// Old records are swept out this often.
const SWEEP: Duration = Duration::from_secs(6 * 3600);

/// Runs until `stop` becomes true.
pub(super) async fn run(
    worker: Worker,
    app: App,
    timekeeper: Timekeeper,
    mut stop: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    tokio::select! {
        () = compare(&worker) => {}
        () = accounts(&worker, &app.state) => {}
        () = timekeeper.run() => {}
        () = sweep(&worker) => {}
        () = lookout::run(&app) => {}
        failure = app.state.lock_lost() => return Err(anyhow::Error::new(failure).context("the lock on the database is lost")),
        () = app.responders.run() => {}
        _ = stop.wait_for(|stopped| *stopped) => {}
    }
    Ok(())
}

async fn compare(worker: &Worker) {
    loop {
        if let Err(failure) = worker.compare_stores().await {
            error!("the stores were not compared: {}", providers::error::chain(&failure));
        }
        tokio::time::sleep(COMPARE).await;
    }
}

async fn sweep(worker: &Worker) {
    loop {
        tokio::time::sleep(SWEEP).await;
        if let Err(failure) = worker.sweep().await {
            error!("old records were not swept out: {}", providers::error::chain(&failure));
        }
    }
}

async fn accounts(worker: &Worker, state: &State) {
    loop {
        let woken = state.woken();
        tokio::pin!(woken);
        woken.as_mut().enable();
        if let Err(failure) = worker.work_on_accounts().await {
            error!("jobs on accounts were not done: {}", providers::error::chain(&failure));
            tokio::time::sleep(Duration::from_secs(10)).await;
        }
        woken.await;
    }
}
