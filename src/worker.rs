//! Carries one certificate's actions out, and is the only caller of the hands below.

mod adoption;
mod bundle;
mod comparison;
mod consumers;
mod delivery;
mod dice;
pub mod doctor;
mod jobs;
mod news;
mod order;
mod permission;
pub mod readiness;
mod reading;
pub mod reconcile;
mod renewal;
pub mod timekeeper;
mod withdrawal;

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;
use providers::stores::CertificateStore;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tracing::{debug, error};

use crate::clock::{Clock, Timestamp};
use crate::config::Config;
use crate::dns01::Dns01;
use crate::issuer::Issuer;
use crate::locks::Locks;
use crate::planner::{Action, Decision, decide};
use crate::state::certificate::Standing;
use crate::state::{RenewalRow, State, StateError};
pub use dice::Dice;
use reading::Reading;

/// More actions than this in one turn are a fault of ours: the certificate is put down, so that it harms no other.
const MOST_ACTIONS: usize = 400;

/// What is over is remembered this long.
const REMEMBERED: Duration = Duration::from_secs(90 * 24 * 3600);

/// A CA is asked about so many renewals at the same time.
const QUESTIONS: usize = 8;

/// What the config was made into.
#[derive(Debug)]
pub struct Parts {
    /// The config itself.
    pub config: Arc<Config>,
    /// Accounts and CAs, by name.
    pub issuers: BTreeMap<String, Seats>,
    /// Stores, by name.
    pub stores: BTreeMap<String, Arc<dyn CertificateStore>>,
    /// All DNS instances.
    pub dns01: Arc<Dns01>,
    /// A fingerprint of the secrets that were read for them: another one means that a secret was replaced.
    pub secrets: [u8; 32],
}

impl Parts {
    /// Makes ready what must be there before the first order: private CAs. What cannot be made is said, and tried again
    /// when it is needed.
    pub async fn prepare(&self) {
        for seats in self.issuers.values() {
            if let Err(failure) = seats.issuer.prepare().await {
                error!(issuer = seats.issuer.id(), "not ready: {}", providers::error::chain(&failure));
            }
        }
    }
}

/// An issuer, and as many seats as it works on orders at the same time.
#[derive(Clone)]
pub struct Seats {
    /// The issuer.
    pub issuer: Arc<dyn Issuer>,
    seats: Arc<Semaphore>,
    questions: Arc<Semaphore>,
}

impl Seats {
    /// As many seats as the issuer says.
    #[must_use]
    pub fn of(issuer: Arc<dyn Issuer>) -> Self {
        let seats = Arc::new(Semaphore::new(issuer.parallel_orders()));
        Self { issuer, seats, questions: Arc::new(Semaphore::new(QUESTIONS)) }
    }
}

impl std::fmt::Debug for Seats {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Seats({}, {} free)", self.issuer.id(), self.seats.available_permits())
    }
}

/// What went wrong with the work itself: the certificate was not put down.
#[derive(Debug, thiserror::Error)]
pub enum WorkError {
    /// The state failed.
    #[error("the state failed")]
    State(#[from] StateError),
    /// A key or chain on record cannot be read.
    #[error("what is on record for `{certificate}` cannot be read: {what}")]
    Damaged {
        /// The certificate.
        certificate: String,
        /// What is wrong.
        what: String,
    },
}

/// Works on certificates, one turn at a time each.
#[derive(Debug, Clone)]
pub struct Worker {
    state: State,
    clock: Clock,
    parts: Arc<ArcSwap<Parts>>,
    clock_trusted: Arc<AtomicBool>,
    stamps: Arc<Mutex<HashMap<(String, String), String>>>,
    commands: Arc<Locks>,
    dice: Dice,
}

impl Worker {
    /// Works with these parts, which a reload may swap at any time; a turn goes on with those that it began with.
    #[must_use]
    pub fn new(state: State, clock: Clock, parts: Arc<ArcSwap<Parts>>, clock_trusted: Arc<AtomicBool>) -> Self {
        Self {
            state,
            clock,
            parts,
            clock_trusted,
            stamps: Arc::default(),
            commands: Arc::default(),
            dice: Dice::default(),
        }
    }

    /// Throws these dice instead of the machine's.
    #[must_use]
    pub fn with_dice(self, dice: Dice) -> Self {
        Self { dice, ..self }
    }

    /// Does what there is to do for one certificate, until it rests.
    ///
    /// # Errors
    /// Where the state fails: nothing was lost, and the same turn can be taken again.
    pub async fn work(&self, name: &str) -> Result<(), WorkError> {
        // The row is read before the config: whatever is written from now on, a reload too, makes another turn.
        let Some(look) = self.state.look(name).await? else { return Ok(()) };
        let (taken_up, parts) = (look.certificate.look_again_at, self.parts.load_full());
        let mut turn = Turn { worker: self, parts, taken_up, seat: None, slept: Duration::ZERO };
        let mut reading = Reading::of(look, self, &turn.parts).await?;
        for _ in 0..MOST_ACTIONS {
            let now = self.clock.now();
            let trusted = self.clock_trusted.load(Ordering::Relaxed);
            let Decision { action, standing } = decide(&reading.certificate(trusted), now);
            debug!(certificate = name, ?action, "decided");
            if action == Action::Rest {
                return Ok(self.state.put_down(name, taken_up, &standing).await?);
            }
            match turn.carry_out(action, &reading).await? {
                Turning::Rests => return Ok(()),
                Turning::IsTold(renewal) => reading.is_told(renewal),
                Turning::GoesOn => {
                    let Some(look) = self.state.look(name).await? else { return Ok(()) };
                    reading = Reading::of(look, self, &turn.parts).await?;
                }
            }
        }
        self.stop_running_in_circles(name).await
    }

    /// Puts a certificate aside whose turn panicked or never ended.
    ///
    /// # Errors
    /// Where the state fails.
    pub async fn put_aside(&self, name: &str, problem: &str) -> Result<(), WorkError> {
        let Some(row) = self.state.certificate(name).await? else { return Ok(()) };
        let look_again_at = self.clock.now().plus(Duration::from_secs(600));
        let (attempts_left, too_few) = (row.attempts_left, false);
        let problem = Some(problem.to_owned());
        let standing = Standing { state: row.state, problem, look_again_at, attempts_left, too_few };
        Ok(self.state.put_down(name, row.look_again_at, &standing).await?)
    }

    /// Forgets orders, withdrawn values and jobs that were over long ago. By a clock that cannot be trusted nothing is
    /// forgotten.
    ///
    /// # Errors
    /// Where the state fails.
    pub async fn sweep(&self) -> Result<(), WorkError> {
        if self.clock_trusted.load(Ordering::Relaxed) {
            self.state.sweep(self.clock.now().minus(REMEMBERED)).await?;
        }
        Ok(())
    }

    async fn stop_running_in_circles(&self, name: &str) -> Result<(), WorkError> {
        error!(certificate = name, "one turn took more than {MOST_ACTIONS} actions: put aside for ten minutes");
        self.put_aside(name, "renewd ran in circles over it: please report this with the log").await
    }
}

/// Whether a turn goes on.
#[derive(Debug)]
enum Turning {
    /// The certificate is looked at again at once.
    GoesOn,
    /// Nothing has changed but this, which the CA said of the current version's renewal.
    IsTold(RenewalRow),
    /// The certificate was put down already.
    Rests,
}

/// One turn of one certificate.
struct Turn<'a> {
    worker: &'a Worker,
    parts: Arc<Parts>,
    /// The certificate's `look_again_at` when the turn began.
    taken_up: Timestamp,
    /// Held from the first step of an order until it is issued, or the turn is over.
    seat: Option<OwnedSemaphorePermit>,
    /// How long it has slept through short waits.
    slept: Duration,
}

impl Turn<'_> {
    async fn carry_out(&mut self, action: Action, reading: &Reading) -> Result<Turning, WorkError> {
        match action {
            Action::Rest => return Ok(Turning::Rests),
            Action::Inspect => self.inspect(reading).await?,
            Action::Order { issuer, reason } => self.order(reading, &issuer, &reason).await?,
            Action::Ask => return self.ask(reading).await,
            Action::Advance => return self.advance(reading).await,
            Action::Abandon { why } => self.abandon(reading, &why).await?,
            Action::Deliver { store, node } => self.deliver(reading, &store, &node).await?,
            Action::Command(command) => self.command(reading, &command).await?,
            Action::Verify(place) => self.verify(reading, &place).await?,
            Action::Withdraw(txts) => self.withdraw(&txts).await?,
            Action::Revoke(job) => self.revoke(reading, &job).await?,
            Action::Redeploy(job) => self.redeploy(reading, &job).await?,
            Action::Begin(job) => self.begin(reading, &job).await?,
            Action::Finish(job, outcome) => self.finish(&job, &outcome).await?,
        }
        Ok(Turning::GoesOn)
    }

    fn state(&self) -> &State {
        &self.worker.state
    }

    fn clock(&self) -> &Clock {
        &self.worker.clock
    }

    /// Leaves the certificate until `wait` has passed, without a verdict.
    async fn leave(&self, reading: &Reading, wait: Duration) -> Result<Turning, WorkError> {
        let look_again_at = self.clock().now().plus(wait);
        let (row, trusted) = (&reading.row, self.worker.clock_trusted.load(Ordering::Relaxed));
        let decided = decide(&reading.certificate(trusted), self.clock().now()).standing;
        let standing = Standing { problem: row.problem.clone(), look_again_at, ..decided };
        self.state().put_down(&reading.row.name, self.taken_up, &standing).await?;
        Ok(Turning::Rests)
    }
}
