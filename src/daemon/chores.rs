//! What is done beside the loop: account jobs, comparing stores, keeping the time, sweeping.

use std::time::Duration;

use tokio::sync::watch;
use tracing::error;

use super::timekeeper::Timekeeper;
use super::{crl_watch, lookout};
use crate::ca::client::ClientError;
use crate::clock::Timestamp;
use crate::http::App;
use crate::state::State;
use crate::worker::Worker;

/// Stores are compared this often.
const COMPARE: Duration = Duration::from_secs(600);

/// Old records are swept out this often.
const SWEEP: Duration = Duration::from_secs(6 * 3600);

/// Client certificates are looked after this often, and whenever something was written.
const LOOK_AT_CLIENTS: Duration = Duration::from_secs(60);

/// Between two such looks at least.
const PAUSE: Duration = Duration::from_secs(1);

/// What was begun this short a while ago is in somebody's hands.
const UNDER_WAY: Duration = Duration::from_secs(45);

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
        () = crl_watch::run(&app) => {}
        () = app.responders.run() => {}
        () = clients(&app) => {}
        failure = app.state.lock_lost() => return Err(anyhow::Error::new(failure).context("the lock on the database is lost")),
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

/// Finishes client certificates that somebody began and left, and renews those whose time has come.
async fn clients(app: &App) {
    if let Err(failure) = app.clients.let_orphans_rest().await {
        error!("clients of CAs that are gone are still renewed: {}", providers::error::chain(&failure));
    }
    loop {
        let woken = app.state.woken();
        tokio::pin!(woken);
        woken.as_mut().enable();
        let next = match work_on_clients(app).await {
            Ok(next) => next,
            Err(failure) => {
                error!("client certificates were not looked after: {}", providers::error::chain(&failure));
                None
            }
        };
        let now = app.clock.now();
        let latest = now.plus(LOOK_AT_CLIENTS);
        // Not at once even where something is due: what could be done was done.
        let next = next.map_or(latest, |next| next.min(latest)).max(now.plus(PAUSE));
        tokio::select! {
            () = app.clock.sleep_until(next) => {}
            () = woken => tokio::time::sleep(PAUSE).await,
        }
    }
}

/// When the next renewal is due, or something is to be told.
async fn work_on_clients(app: &App) -> Result<Option<Timestamp>, ClientError> {
    let now = app.clock.now();
    let mut after = Some(String::new());
    while let Some(last) = after {
        after = app.clients.finish_some(&last, now.minus(UNDER_WAY), now).await?;
    }
    // A clock that is not trusted makes no new certificates.
    while app.status.clock_trusted() && app.clients.renew_due(app.clock.now()).await? > 0 {}
    let news = app.state.tell_client_news(app.clock.now()).await?;
    let renewal = app.state.next_client_renewal().await?;
    Ok(news.into_iter().chain(renewal).min())
}
