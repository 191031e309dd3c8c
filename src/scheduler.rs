//! The loop: what is due, hand it out, sleep until woken.
//!
//! A tick costs in proportion to what is due, not to what exists: the database answers from an index. The loop registers
//! for wake-up before it reads, so that no write is missed.

use std::collections::HashMap;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{Id, JoinError, JoinSet};
use tracing::{error, info};

use crate::clock::{Clock, Timestamp};
use crate::state::{Result, State};
use crate::worker::{WorkError, Worker};

/// Certificates worked on at the same time.
const SLOTS: usize = 256;

/// The loop turns at least this often, so that a watchdog sees it turn.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// A certificate whose turn could not be put down is left alone this long.
const BENCH: Duration = Duration::from_secs(5);

/// How long the turns under way may go on after the daemon was told to stop.
const DRAIN: Duration = Duration::from_secs(20);

type Outcome = Result<(), WorkError>;

/// Hands due certificates out.
pub struct Scheduler {
    state: State,
    clock: Clock,
    worker: Worker,
    beat: Box<dyn Fn(Timestamp) + Send + Sync>,
    turns: JoinSet<Outcome>,
    running: HashMap<Id, String>,
    benched: HashMap<String, Timestamp>,
}

impl Scheduler {
    /// A loop that tells `beat` the time of each of its turns.
    #[must_use]
    pub fn new(state: State, clock: Clock, worker: Worker, beat: impl Fn(Timestamp) + Send + Sync + 'static) -> Self {
        let (turns, running, benched) = Default::default();
        Self { state, clock, worker, beat: Box::new(beat), turns, running, benched }
    }

    /// Runs until `stop` becomes true, and then until the turns under way are over.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let state = self.state.clone();
        while !*stop.borrow() {
            let woken = state.woken();
            tokio::pin!(woken);
            woken.as_mut().enable();
            let next = self.turn().await;
            let clock = self.clock.clone();
            tokio::select! {
                () = woken => {}
                () = clock.sleep_until(next) => {}
                () = tokio::time::sleep(HEARTBEAT) => {}
                Some(ended) = self.turns.join_next_with_id() => self.ended(ended).await,
                _ = stop.changed() => {}
            }
        }
        self.drain().await;
    }

    /// Hands out what is due and tells when the next is.
    async fn turn(&mut self) -> Timestamp {
        let now = self.clock.now();
        (self.beat)(now);
        self.benched.retain(|_, until| *until > now);
        match self.hand_out(now).await {
            Ok(next) => next,
            Err(failure) => {
                error!("the loop cannot read what is due: {}", providers::error::chain(&failure));
                now.plus(BENCH)
            }
        }
    }

    async fn hand_out(&mut self, now: Timestamp) -> Result<Timestamp> {
        let taken = self.running.len() + self.benched.len();
        if self.running.len() >= SLOTS {
            return Ok(Timestamp::NEVER);
        }
        let limit = u32::try_from(SLOTS + taken).unwrap_or(u32::MAX);
        for name in self.state.due(now, limit).await? {
            if self.running.len() >= SLOTS {
                return Ok(Timestamp::NEVER);
            }
            if !self.benched.contains_key(&name) && !self.running.values().any(|running| *running == name) {
                self.start(name);
            }
        }
        let benched = self.benched.values().min().copied().unwrap_or(Timestamp::NEVER);
        Ok(self.state.next_due(now).await?.unwrap_or(Timestamp::NEVER).min(benched))
    }

    fn start(&mut self, name: String) {
        let (worker, certificate) = (self.worker.clone(), name.clone());
        let handle = self.turns.spawn(async move { worker.work(&certificate).await });
        self.running.insert(handle.id(), name);
    }

    /// One certificate's failure, or panic, touches no other.
    async fn ended(&mut self, ended: std::result::Result<(Id, Outcome), JoinError>) {
        let (id, outcome) = match ended {
            Ok((id, outcome)) => (id, Ok(outcome)),
            Err(failure) => (failure.id(), Err(failure)),
        };
        let Some(name) = self.running.remove(&id) else { return };
        match outcome {
            Ok(Ok(())) => {}
            Ok(Err(failure)) => {
                error!(certificate = %name, "{}", providers::error::chain(&failure));
                self.bench(name);
            }
            Err(panic) => {
                error!(certificate = %name, "the work on it panicked: {panic}");
                let _ = self.worker.put_aside(&name, "renewd failed inside: please report this with the log").await;
                self.bench(name);
            }
        }
    }

    fn bench(&mut self, name: String) {
        self.benched.insert(name, self.clock.now().plus(BENCH));
    }

    async fn drain(mut self) {
        if !self.running.is_empty() {
            info!(turns = self.running.len(), "stopping: waiting for the work under way");
        }
        let deadline = tokio::time::sleep(DRAIN);
        tokio::pin!(deadline);
        loop {
            tokio::select! {
                ended = self.turns.join_next_with_id() => match ended {
                    Some(ended) => self.ended(ended).await,
                    None => return,
                },
                () = &mut deadline => break,
            }
        }
        // What is cut off here goes on at the next start: each step was written down before it was taken.
        info!(turns = self.running.len(), "stopping without waiting for the rest: it goes on at the next start");
        self.turns.shutdown().await;
    }
}
