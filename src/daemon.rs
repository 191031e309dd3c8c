//! The composition root: config into parts, parts into tasks, and all of it to an end on SIGTERM. Owns every spawn.

mod chores;
mod crl_watch;
mod examination;
mod files;
mod lookout;
mod parts;
mod publication;
mod reload;
mod secrets;
mod supervisor;
mod timekeeper;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::Context as _;
use arc_swap::ArcSwap;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tracing::{error, info};

use crate::ca::Registry;
use crate::ca::client::Clients;
use crate::ca::crl::Crls;
use crate::ca::ocsp::Responders;
use crate::ca::revoke::Revocations;
use crate::clock::Clock;
use crate::config::{self, Loaded};
use crate::http::{App, DoctorRequest, Listeners, ReloadRequest, Status, serve_socket};
use crate::notify::{self, Notifier, Sinks};
use crate::scheduler::Scheduler;
use crate::state::State;
use crate::worker::Worker;
use crate::worker::reconcile::{give_up_unseen, reconcile};
use files::Files;
use parts::Cas;
use reload::Reloader;
use supervisor::Supervisor;
use timekeeper::Timekeeper;

pub use examination::examine;

/// The exit code for a config that is refused (sysexits.h: `EX_CONFIG`): systemd does not restart for it.
const CONFIG_REFUSED: u8 = 78;

/// Runs the daemon until SIGTERM or SIGINT.
///
/// # Errors
/// Where it cannot start, or a part of it that everything else needs has ended.
pub async fn run(path: PathBuf) -> anyhow::Result<ExitCode> {
    let loaded = match config::load(&path) {
        Ok(loaded) => loaded,
        Err(report) => {
            error!("the config is refused:\n{report}");
            return Ok(ExitCode::from(CONFIG_REFUSED));
        }
    };
    let daemon = Daemon::start(path, loaded).await?;
    daemon.run_until_stopped().await
}

/// The running daemon.
struct Daemon {
    tasks: JoinSet<anyhow::Result<()>>,
    reloader: Reloader,
    requests: mpsc::Receiver<ReloadRequest>,
    files: Files,
    supervisor: Supervisor,
    stop: watch::Sender<bool>,
    state: State,
}

impl Daemon {
    async fn start(path: PathBuf, loaded: Loaded) -> anyhow::Result<Self> {
        for note in &loaded.notes {
            info!("config: {note}");
        }
        let clock = Clock::system();
        let config = Arc::new(loaded.config);
        let state = State::open(&config.state).await?;
        let status = Arc::new(Status::new(clock.now()));
        let trusted = Arc::new(AtomicBool::new(true));
        let timekeeper = Timekeeper {
            state: state.clone(),
            clock: clock.clone(),
            trusted: Arc::clone(&trusted),
            status: Arc::clone(&status),
        };
        timekeeper.look().await?;
        reconcile(&config, &state, clock.now()).await?;
        give_up_unseen(&config, &state, clock.now()).await?;
        let registry = Registry::open(state.clone(), clock.clone(), &config);
        let revocations = Revocations::open(&state, &config.state.directory).await?;
        revocations.observe(Arc::new(registry.clone()));
        let cas = Cas { registry: registry.clone(), revocations: Some(revocations.clone()) };
        let parts = Arc::new(ArcSwap::new(parts::build(&config, &cas, &clock, None)));
        parts.load().prepare().await;
        let worker = Worker::new(state.clone(), clock.clone(), Arc::clone(&parts), trusted);
        state.reconcile_sinks(&notify::settings(&config.notify), false).await?;
        let (reload, requests) = mpsc::channel(16);
        let (doctor, examinations) = mpsc::channel(4);
        let shared = Arc::new(ArcSwap::new(Arc::clone(&config)));
        let directory = config.state.directory.clone();
        let app = App {
            crls: Crls::new(&state, directory, Arc::new(registry.clone()), Arc::clone(&shared)),
            config: shared,
            state: state.clone(),
            clock: clock.clone(),
            status: Arc::clone(&status),
            responders: Responders::new(registry.clone(), clock.clone()),
            clients: Clients::new(registry.clone(), revocations.clone()),
            revocations,
            registry,
            sinks: Arc::new(ArcSwap::from_pointee(Sinks::of(&config.notify))),
            reload,
            doctor,
        };
        let mut files = Files::new();
        files.watch(&loaded.files);
        files.read_again();
        let (stop, stopped) = watch::channel(false);
        let supervisor = Supervisor::new(Arc::clone(&status), clock.clone());
        let tasks = tasks(&app, worker, timekeeper, examinations, &stopped).await?;
        let reloader = Reloader { path, parts, app };
        info!(version = env!("CARGO_PKG_VERSION"), certificates = config.certificates.len(), "renewd is up");
        Ok(Self { tasks, reloader, requests, files, supervisor, stop, state })
    }

    async fn run_until_stopped(mut self) -> anyhow::Result<ExitCode> {
        let mut signals = Signals::new()?;
        self.supervisor.ready();
        let outcome = loop {
            tokio::select! {
                signal = signals.next() => match signal {
                    Asked::Stop(name) => {
                        info!("{name}: stopping");
                        break Ok(ExitCode::SUCCESS);
                    }
                    Asked::Reload => drop(self.reloader.reload(&mut self.files, "SIGHUP").await),
                },
                () = self.files.changed() => drop(self.reloader.reload(&mut self.files, "the file changed").await),
                Some(request) = self.requests.recv() => {
                    let answer = self.reloader.reload(&mut self.files, "asked for").await;
                    let _ = request.answer.send(answer);
                }
                () = self.supervisor.watchdog() => {}
                Some(ended) = self.tasks.join_next() => break Err(unexpected(ended)),
            }
        };
        self.shut_down().await;
        outcome
    }

    /// Ends everything in time: turns under way are waited for, connections are closed.
    async fn shut_down(mut self) {
        self.supervisor.stopping();
        let _ = self.stop.send(true);
        while let Some(ended) = self.tasks.join_next().await {
            if let Ok(Err(failure)) = ended {
                error!("{failure:#}");
            }
        }
        self.state.close().await;
        info!("stopped");
    }
}

/// Everything that runs side by side.
async fn tasks(
    app: &App,
    worker: Worker,
    timekeeper: Timekeeper,
    examinations: mpsc::Receiver<DoctorRequest>,
    stopped: &watch::Receiver<bool>,
) -> anyhow::Result<JoinSet<anyhow::Result<()>>> {
    let mut tasks = JoinSet::new();
    let socket = app.config.load().state.socket.clone();
    let socket = serve_socket(app.clone(), &socket, stopped.clone()).context("the local socket cannot be opened")?;
    tasks.spawn(async move { Ok(socket.await?) });
    let mut listeners = Listeners::new(app.clone());
    listeners.open().await;
    let stop = stopped.clone();
    tasks.spawn(async move {
        listeners.run(stop).await;
        Ok(())
    });
    let status = Arc::clone(&app.status);
    let scheduler = Scheduler::new(app.state.clone(), app.clock.clone(), worker.clone(), move |now| status.beat(now));
    let stop = stopped.clone();
    tasks.spawn(async move {
        scheduler.run(stop).await;
        Ok(())
    });
    let notifier = Notifier::new(app.state.clone(), app.clock.clone(), Arc::clone(&app.sinks));
    let stop = stopped.clone();
    tasks.spawn(async move {
        notifier.run(stop).await;
        Ok(())
    });
    tasks.spawn(examination::run(worker.clone(), app.clone(), examinations, stopped.clone()));
    tasks.spawn(publication::run(app.clone(), stopped.clone()));
    tasks.spawn(chores::run(worker, app.clone(), timekeeper, stopped.clone()));
    Ok(tasks)
}

fn unexpected(ended: Result<anyhow::Result<()>, tokio::task::JoinError>) -> anyhow::Error {
    match ended {
        Ok(Ok(())) => anyhow::anyhow!("a part of renewd has ended by itself"),
        Ok(Err(failure)) => failure,
        Err(panic) => anyhow::Error::new(panic).context("a part of renewd failed inside"),
    }
}

enum Asked {
    Stop(&'static str),
    Reload,
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn new() -> anyhow::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.terminate.recv() => Asked::Stop("SIGTERM"),
            _ = self.interrupt.recv() => Asked::Stop("SIGINT"),
            _ = self.hangup.recv() => Asked::Reload,
        }
    }
}
