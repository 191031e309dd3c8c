//! Draining the outbox into the providers' sinks.
//!
//! Each sink is drained by itself, one event after the other: one that hangs or fails holds up no other. An event is sent
//! until the sink has taken it, for a week at the most, and is marked afterwards: it arrives at least once.

mod sinks;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use providers::sinks::{Event, EventKind, Sink};
use tokio::sync::watch;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::timeout;
use tracing::{debug, error, warn};

pub use sinks::{Sinks, settings};

use crate::clock::{Clock, Timestamp};
use crate::state::outbox::{Due, Run};
use crate::state::{NewEvent, Result, State};

/// As long as one event may take to be sent.
const PATIENCE: Duration = Duration::from_secs(40);

/// An event is given up when it is older than this, and was tried.
const GIVE_UP: Duration = Duration::from_secs(7 * 24 * 3600);

/// Events that are read at once.
const PAGE: u32 = 20;

/// How long the database is left alone when it fails.
const BENCH: Duration = Duration::from_secs(5);

/// As long as what is being sent may take after the daemon was told to stop.
const DRAIN: Duration = Duration::from_secs(5);

/// Sends what is due.
#[derive(Debug)]
pub struct Notifier {
    state: State,
    clock: Clock,
    sinks: Arc<ArcSwap<Sinks>>,
    turns: JoinSet<Result<()>>,
    running: HashMap<Id, String>,
}

impl Notifier {
    /// Sends into these sinks, which a reload may swap at any time.
    #[must_use]
    pub fn new(state: State, clock: Clock, sinks: Arc<ArcSwap<Sinks>>) -> Self {
        Self { state, clock, sinks, turns: JoinSet::new(), running: HashMap::new() }
    }

    /// Runs until `stop` becomes true.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let (state, clock) = (self.state.clone(), self.clock.clone());
        while !*stop.borrow() {
            let woken = state.woken_to_notify();
            tokio::pin!(woken);
            woken.as_mut().enable();
            let next = self.hand_out().await;
            tokio::select! {
                () = woken => {}
                () = clock.sleep_until(next) => {}
                Some(ended) = self.turns.join_next_with_id() => self.ended(ended).await,
                _ = stop.changed() => {}
            }
        }
        let _ = timeout(DRAIN, async { while self.turns.join_next().await.is_some() {} }).await;
        // What is cut off here was not marked as sent, and is sent again.
        self.turns.shutdown().await;
    }

    /// Begins to drain what is due, and tells when the next is.
    async fn hand_out(&mut self) -> Timestamp {
        let now = self.clock.now();
        let due = match self.state.sinks_due().await {
            Ok(due) => due,
            Err(failure) => {
                error!("notifications cannot be read: {}", providers::error::chain(&failure));
                return now.plus(BENCH);
            }
        };
        let sinks = self.sinks.load_full();
        let running: BTreeSet<String> = self.running.values().cloned().collect();
        let mut next = Timestamp::NEVER;
        for (name, at) in due.into_iter().filter(|(name, _)| !running.contains(name)) {
            match sinks.get(&name) {
                Some(sink) if at <= now => self.start(name, Arc::clone(sink)),
                Some(_) => next = next.min(at),
                None => {}
            }
        }
        next
    }

    fn start(&mut self, name: String, sink: Arc<dyn Sink>) {
        let turn = Turn { state: self.state.clone(), clock: self.clock.clone(), name: name.clone(), sink };
        let handle = self.turns.spawn(async move { turn.drain().await });
        self.running.insert(handle.id(), name);
    }

    async fn ended(&mut self, ended: std::result::Result<(Id, Result<()>), JoinError>) {
        let (id, failure) = match ended {
            Ok((id, outcome)) => (id, outcome.err().map(|failure| providers::error::chain(&failure))),
            Err(panic) => (panic.id(), Some(panic.to_string())),
        };
        let name = self.running.remove(&id).unwrap_or_default();
        if let Some(words) = failure {
            error!(sink = %name, "notifications were not sent: {words}");
            tokio::time::sleep(BENCH).await;
        }
    }
}

/// One sink that is being drained.
struct Turn {
    state: State,
    clock: Clock,
    name: String,
    sink: Arc<dyn Sink>,
}

impl Turn {
    /// Sends what is due, oldest first, until there is no more or the receiver takes nothing.
    async fn drain(&self) -> Result<()> {
        for due in self.state.due_to(&self.name, self.clock.now(), PAGE).await? {
            if !self.send(due).await? {
                break;
            }
        }
        Ok(())
    }

    /// Sends one event; whether the receiver may be sent others.
    async fn send(&self, due: Due) -> Result<bool> {
        let now = self.clock.now();
        let Due { mut event, failures } = due;
        (event.attempt, event.sent_at) = (failures + 1, now.to_datetime());
        let outcome = timeout(PATIENCE, self.sink.notify(&event)).await;
        let failed = match outcome {
            Ok(Ok(())) => {
                self.state.notified(&self.name, &event.id, self.clock.now()).await?;
                debug!(sink = %self.name, event = %event.id, kind = %event.kind, "told");
                return Ok(true);
            }
            Ok(Err(error)) => error,
            Err(_) => providers::Error::Unavailable { detail: format!("no answer within {} s", PATIENCE.as_secs()) },
        };
        self.failed(&event, failures, &failed).await
    }

    async fn failed(&self, event: &Event, failures: u32, error: &providers::Error) -> Result<bool> {
        let (now, words) = (self.clock.now(), providers::error::chain(error));
        let alone = matches!(error, providers::Error::Rejected { .. });
        let row = self.state.sink_failures(&self.name).await?;
        let wait = wait(if alone { failures } else { row }, error.retry_after());
        if alone {
            self.state.not_notified(&self.name, &event.id, &words, now, wait).await?;
        } else {
            self.state.sink_failed(&self.name, &event.id, &words, now, wait).await?;
        }
        warn!(
            sink = %self.name, event = %event.id, kind = %event.kind, retry_at = %now.plus(wait),
            attempts = failures + 1, "not told: {words}",
        );
        if now.since(Timestamp::from_datetime(event.at)) > GIVE_UP {
            error!(sink = %self.name, event = %event.id, kind = %event.kind, "given up after a week: {words}");
            self.state.give_up(&self.name, &event.id).await?;
        }
        Ok(alone)
    }
}

/// 5 s, 10 s, 20 s … up to an hour after so many earlier failures; what the receiver asks for is kept, up to a day.
fn wait(earlier: u32, asked: Option<Duration>) -> Duration {
    let doubled = Duration::from_secs(5).saturating_mul(2_u32.saturating_pow(earlier.min(20)));
    doubled.min(Duration::from_secs(3600)).max(asked.unwrap_or_default().min(Duration::from_secs(24 * 3600)))
}

/// Sends a test to one sink at once; what the receiver answers is the answer.
///
/// # Errors
/// As the receiver refused, or could not be reached.
pub async fn test(sink: &dyn Sink, node: &str, now: Timestamp) -> std::result::Result<(), providers::Error> {
    let text = "This is a test of renewd's notifications. Nothing has happened.";
    let event = NewEvent::new(EventKind::Test, "A test", text).to_event(node, Run::ONCE, now);
    let late = || providers::Error::Unavailable { detail: format!("no answer within {} s", PATIENCE.as_secs()) };
    timeout(PATIENCE, sink.notify(&event)).await.map_err(|_| late())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_widen_to_an_hour() {
        let seconds: Vec<u64> = [0, 1, 2, 9, 10, u32::MAX].map(|earlier| wait(earlier, None).as_secs()).to_vec();
        assert_eq!(seconds, [5, 10, 20, 2560, 3600, 3600]);
        assert_eq!(wait(0, Some(Duration::from_secs(90))), Duration::from_secs(90));
        assert_eq!(wait(0, Some(Duration::MAX)), Duration::from_secs(86_400));
    }
}
