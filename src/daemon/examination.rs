//! Looking at everything live: when somebody asks (`renewd doctor`), and at the issuers from time to time.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use arc_swap::ArcSwap;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tokio::sync::{mpsc, watch};
use tracing::error;

use super::parts::{self, Cas};
use crate::ca::Registry;
use crate::clock::{Clock, Timestamp};
use crate::config::{Config, Database};
use crate::http::{App, DoctorRequest};
use crate::report::{Examination, Finding, Group};
use crate::state::{State, StateError, new_id};
use crate::worker::Worker;
use crate::worker::doctor::Standing;

/// The issuers are first looked at this long after the start: what is due then comes first.
const FIRST_LOOK: Duration = Duration::from_secs(30);

/// How long after a new config.
const AFTER_RELOAD: Duration = Duration::from_secs(5);

/// How often, where all of them could issue …
const READY: Duration = Duration::from_secs(6 * 3600);

/// … and where one could not.
const NOT_READY: Duration = Duration::from_secs(600);

/// What an examination left behind is looked for this often.
const LEFT_BEHIND: Duration = Duration::from_secs(60);

/// Runs until `stop` becomes true.
pub(super) async fn run(
    worker: Worker,
    app: App,
    requests: mpsc::Receiver<DoctorRequest>,
    mut stop: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    tokio::select! {
        () = answer(&worker, requests) => {}
        () = look_at_issuers(&worker, &app) => {}
        () = tidy_up(&worker) => {}
        _ = stop.wait_for(|stopped| *stopped) => {}
    }
    Ok(())
}

/// Several may be asked for; they run side by side.
async fn answer(worker: &Worker, mut requests: mpsc::Receiver<DoctorRequest>) {
    const MOST: usize = 4;
    let mut running = FuturesUnordered::new();
    loop {
        tokio::select! {
            Some(request) = requests.recv(), if running.len() < MOST => running.push(examine_for(worker, request)),
            Some(()) = running.next() => {}
        }
    }
}

async fn examine_for(worker: &Worker, request: DoctorRequest) {
    if let Some(examination) = worker.examine(request.certificate.as_deref(), Standing::Own).await {
        // Whoever asked may have gone meanwhile.
        let _ = request.answer.send(examination);
    }
}

async fn look_at_issuers(worker: &Worker, app: &App) {
    let mut next = app.clock.now().plus(FIRST_LOOK);
    loop {
        let changed = app.status.config_changed();
        tokio::pin!(changed);
        changed.as_mut().enable();
        tokio::select! {
            () = app.clock.sleep_until(next) => {}
            () = &mut changed => {
                next = next.min(app.clock.now().plus(AFTER_RELOAD));
                continue;
            }
        }
        worker.look_at_readiness(app.status.readiness()).await;
        next = app.clock.now().plus(until_next_look(app));
    }
}

fn until_next_look(app: &App) -> Duration {
    let all_ready = app.status.readiness().last().is_none_or(|looked| looked.count().1 == 0);
    if all_ready { READY } else { NOT_READY }
}

async fn tidy_up(worker: &Worker) {
    loop {
        if let Err(failure) = worker.withdraw_probes().await {
            error!("what an examination left behind was not withdrawn: {}", providers::error::chain(&failure));
        }
        tokio::time::sleep(LEFT_BEHIND).await;
    }
}

/// Looks at everything, or what concerns one certificate, without a daemon. `None`: the config has no such certificate.
///
/// # Errors
/// Where not even a makeshift state can be made.
pub async fn examine(config: Config, name: Option<&str>) -> anyhow::Result<Option<Examination>> {
    let clock = Clock::system();
    match open(&config).await {
        Ok(state) => {
            let worker = assemble(config, &state, &clock).await;
            worker.withdraw_probes().await?;
            let examination = worker.examine(name, Standing::Own).await;
            state.close().await;
            Ok(examination)
        }
        Err(error) => {
            let makeshift = Makeshift::new();
            let mut elsewhere = config;
            elsewhere.state = makeshift.settings(&elsewhere);
            let state = State::open(&elsewhere.state).await?;
            let examination = assemble(elsewhere, &state, &clock).await.examine(name, Standing::Makeshift).await;
            state.close().await;
            Ok(examination.map(|examination| with_state(examination, &error)))
        }
    }
}

/// The state, where there is one: none is made, since the daemon makes it as the user that it runs as.
async fn open(config: &Config) -> Result<State, StateError> {
    State::open_to_look(&config.state).await?.close().await;
    State::open(&config.state).await
}

async fn assemble(config: Config, state: &State, clock: &Clock) -> Worker {
    let registry = Registry::open(state.clone(), clock.clone(), &config);
    let config = Arc::new(config);
    let parts = Arc::new(ArcSwap::new(parts::build(&config, &Cas { registry, revocations: None }, clock, None)));
    let highest = state.highest_time().await.ok().flatten().unwrap_or(Timestamp::EPOCH);
    let trusted = highest.since(clock.now()) <= crate::worker::timekeeper::TOLERANCE;
    Worker::new(state.clone(), clock.clone(), parts, Arc::new(AtomicBool::new(trusted)))
}

/// Says why the own state was not used.
fn with_state(mut examination: Examination, error: &StateError) -> Examination {
    let words = providers::error::chain(error);
    let finding = match error {
        StateError::Absent { .. } => {
            Finding::warning("database", words, "start renewd: accounts, DNS credentials and CAs are looked at then")
        }
        _ => Finding::error("database", words, "mend this first: what needs the state was not looked at"),
    };
    examination.groups.retain(|group| group.about != "state");
    examination.begin_with(Group::new("state", None, vec![finding]));
    examination
}

/// A folder for a state that nobody keeps, gone when dropped.
struct Makeshift(PathBuf);

impl Makeshift {
    fn new() -> Self {
        Self(std::env::temp_dir().join(format!("renewd-doctor-{}", new_id())))
    }

    fn settings(&self, config: &Config) -> crate::config::StateSettings {
        let folder: &Path = &self.0;
        crate::config::StateSettings {
            directory: folder.to_owned(),
            socket: folder.join("renewd.sock"),
            database: Database::Sqlite,
            seal_key: None,
            ..config.state.clone()
        }
    }
}

impl Drop for Makeshift {
    fn drop(&mut self) {
        // What cannot be removed holds nothing of worth.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
