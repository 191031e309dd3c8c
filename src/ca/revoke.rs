//! Revocation: what it changes, and how it is never lost.
//!
//! A revocation is a line in `revocations.log` in the state directory first, synced to the disk; then it is in the
//! database, and only then it is answered. A database that is restored from a backup learns from the log what was
//! revoked since: nothing is ever un-revoked by a restore. Those that arrive together share one sync and one
//! transaction.

mod change;
mod error;
mod line;
mod log;
mod standing;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::futures::Notified;
use tokio::sync::{Notify, oneshot};
use tracing::info;

pub use change::{Asked, Outcome};
pub use error::{RevocationError, WriteError};
pub use standing::Standing;

pub use crate::pki::reason::Reason;

use crate::clock::Timestamp;
use crate::crash::{self, Point};
use crate::pki::serial::Serial;
use crate::state::{CaStatusRow, State};
use line::Line;
use log::Log;

/// Lines of the log that are merged into the database at a time.
const MERGED_AT_ONCE: usize = 2_000;

/// Learns at once how certificates stand: an index in memory, for instance.
pub trait Observer: Send + Sync {
    /// A certificate stands so now; the database knows it already.
    fn changed(&self, ca: &str, generation: u32, serial: &Serial, standing: Standing);
}

/// Revokes and releases certificates of all private CAs. Cloning shares it; there is one for each state directory.
#[derive(Clone)]
pub struct Revocations(Arc<Inner>);

struct Inner {
    state: State,
    log: Arc<Mutex<Log>>,
    queue: Mutex<Vec<Waiting>>,
    /// Whose turn it is to write; how many octets of the log the database knows.
    turn: tokio::sync::Mutex<u64>,
    changed: Notify,
    observers: Mutex<Vec<Arc<dyn Observer>>>,
}

/// Somebody who waits for an answer.
struct Waiting {
    ca: String,
    serial: String,
    asked: Asked,
    now: Timestamp,
    answer: oneshot::Sender<Result<Outcome, RevocationError>>,
}

impl Revocations {
    /// Opens `revocations.log` in this directory and merges what the database does not know yet.
    ///
    /// # Errors
    /// Where the log or the database cannot be read or written.
    pub async fn open(state: &State, directory: &Path) -> Result<Self, WriteError> {
        let log = Log::open(directory)?;
        let known = state.revocations_mark().await?;
        let merged = log.known(known.as_deref());
        let inner = Inner {
            state: state.clone(),
            log: Arc::new(Mutex::new(log)),
            queue: Mutex::default(),
            turn: tokio::sync::Mutex::new(merged),
            changed: Notify::new(),
            observers: Mutex::default(),
        };
        let opened = Self(Arc::new(inner));
        opened.merge(&mut *opened.0.turn.lock().await).await?;
        Ok(opened)
    }

    /// Tells this one of every change from now on.
    pub fn observe(&self, observer: Arc<dyn Observer>) {
        self.0.observers.lock().unwrap_or_else(PoisonError::into_inner).push(observer);
    }

    /// Revokes a certificate, or puts it on hold. Who asks again gets the first time and the first reason, but for a hold
    /// that becomes final.
    ///
    /// # Errors
    /// `Unknown` where the CA has issued no such serial; `NotWritten` where it could not be kept: then it may count or
    /// not, and asking again is right.
    pub async fn revoke(
        &self,
        ca: &str,
        serial: &Serial,
        reason: Reason,
        now: Timestamp,
    ) -> Result<Outcome, RevocationError> {
        self.submit(ca, serial, Asked::Revoke(reason), now).await
    }

    /// Ends a hold. Who asks again gets the same answer.
    ///
    /// # Errors
    /// As `revoke`; `NotOnHold` or `Final` where there is no hold to end.
    pub async fn release(&self, ca: &str, serial: &Serial, now: Timestamp) -> Result<Outcome, RevocationError> {
        self.submit(ca, serial, Asked::Release, now).await
    }

    /// Waits for the next change. Register (create the future and `enable` it) before reading how things stand.
    pub fn changed(&self) -> Notified<'_> {
        self.0.changed.notified()
    }

    async fn submit(
        &self,
        ca: &str,
        serial: &Serial,
        asked: Asked,
        now: Timestamp,
    ) -> Result<Outcome, RevocationError> {
        loop {
            let (answer, answered) = oneshot::channel();
            let waiting = Waiting { ca: ca.to_owned(), serial: serial.to_string(), asked, now, answer };
            self.queue().push(waiting);
            self.take_turn().await;
            // Without an answer, whoever had it in hand was dropped half-way: asking again does no harm.
            if let Ok(outcome) = answered.await {
                return outcome;
            }
        }
    }

    /// Does everything that waits, unless whoever had the turn before has done it.
    async fn take_turn(&self) {
        let mut merged = self.0.turn.lock().await;
        let batch = std::mem::take(&mut *self.queue());
        if batch.is_empty() {
            return;
        }
        match self.carry_out(&mut merged, &batch).await {
            Ok(outcomes) => {
                for (waiting, outcome) in batch.into_iter().zip(outcomes) {
                    // Who does not wait any more needs no answer.
                    let _ = waiting.answer.send(outcome);
                }
            }
            Err(failure) => {
                let failure = Arc::new(failure);
                for waiting in batch {
                    let _ = waiting.answer.send(Err(RevocationError::NotWritten(Arc::clone(&failure))));
                }
            }
        }
    }

    async fn carry_out(
        &self,
        merged: &mut u64,
        batch: &[Waiting],
    ) -> Result<Vec<Result<Outcome, RevocationError>>, WriteError> {
        self.merge(merged).await?;
        let mut rows = self.rows(batch).await?;
        let mut lines = Vec::new();
        let outcomes = batch.iter().map(|waiting| apply(waiting, &mut rows, &mut lines)).collect();
        if lines.is_empty() {
            return Ok(outcomes);
        }
        let mark = self.append(&lines).await?;
        crash::point(Point::RevocationLogged);
        self.write(lines, mark, merged).await?;
        crash::point(Point::RevocationWritten);
        Ok(outcomes)
    }

    /// How the certificates of a batch stand, by CA and serial.
    async fn rows(&self, batch: &[Waiting]) -> Result<Rows, WriteError> {
        let mut rows = Rows::new();
        for waiting in batch {
            let key = (waiting.ca.clone(), waiting.serial.clone());
            if let Entry::Vacant(place) = rows.entry(key) {
                place.insert(self.0.state.ca_status(&waiting.ca, &waiting.serial).await?);
            }
        }
        Ok(rows)
    }

    /// Writes lines into the log and has them synced.
    async fn append(&self, lines: &[Line]) -> Result<log::Mark, WriteError> {
        let text: String = lines.iter().map(Line::to_string).collect();
        let log = Arc::clone(&self.0.log);
        let appended =
            tokio::task::spawn_blocking(move || log.lock().unwrap_or_else(PoisonError::into_inner).append(&text));
        appended.await.map_err(|_| WriteError::Interrupted)?
    }

    /// Writes into the database what the log says already.
    async fn write(&self, lines: Vec<Line>, mark: log::Mark, merged: &mut u64) -> Result<(), WriteError> {
        let rows: BTreeMap<_, _> = lines.iter().map(|line| ((&line.ca, &line.serial), line)).collect();
        let rows: Vec<CaStatusRow> = rows.into_values().map(Line::to_row).collect();
        self.0.state.write_ca_statuses(&rows, &mark.to_string()).await?;
        *merged = mark.offset;
        for line in &lines {
            self.tell(line);
        }
        self.0.changed.notify_waiters();
        Ok(())
    }

    fn tell(&self, line: &Line) {
        let observers = self.0.observers.lock().unwrap_or_else(PoisonError::into_inner);
        for observer in observers.iter() {
            observer.changed(&line.ca, line.generation, &line.serial, line.standing);
        }
    }

    /// Brings the database up to what the log says: after a restore, or a crash or a failure between the two.
    async fn merge(&self, merged: &mut u64) -> Result<(), WriteError> {
        loop {
            let read = {
                let log = self.0.log.lock().unwrap_or_else(PoisonError::into_inner);
                if *merged >= log.length() {
                    return Ok(());
                }
                log.read(*merged, MERGED_AT_ONCE)?
            };
            let mut news = Vec::new();
            for line in read.lines {
                if self.is_news(&line).await? {
                    news.push(line);
                }
            }
            if !news.is_empty() {
                info!(lines = news.len(), "the log of revocations knows more than the database: merging");
            }
            self.write(news, read.mark, merged).await?;
        }
    }

    /// The database does not know it, nor anything later. What it holds for final stays final.
    async fn is_news(&self, line: &Line) -> Result<bool, WriteError> {
        let row = self.0.state.ca_status(&line.ca, &line.serial.to_string()).await?;
        let Some(row) = row else { return Ok(true) };
        let known = Standing::of(&row);
        let outdone = known.is_final() || row.changed_at().is_some_and(|changed| changed > line.at);
        Ok(known != line.standing && !outdone)
    }

    fn queue(&self) -> std::sync::MutexGuard<'_, Vec<Waiting>> {
        self.0.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Revocations {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Revocations").finish_non_exhaustive()
    }
}

/// How certificates stand, by CA and serial; `None`: not on record.
type Rows = BTreeMap<(String, String), Option<CaStatusRow>>;

/// What comes of one request, after those before it in the batch.
fn apply(waiting: &Waiting, rows: &mut Rows, lines: &mut Vec<Line>) -> Result<Outcome, RevocationError> {
    let unknown = || RevocationError::Unknown { ca: waiting.ca.clone(), serial: waiting.serial.clone() };
    let key = (waiting.ca.clone(), waiting.serial.clone());
    let row = rows.get_mut(&key).and_then(Option::as_mut).ok_or_else(unknown)?;
    let outcome = change::decide(Standing::of(row), waiting.asked, waiting.now)?;
    if outcome.changed {
        outcome.standing.write_to(row);
        lines.push(Line::of(row, outcome.standing, waiting.now).ok_or_else(unknown)?);
    }
    Ok(outcome)
}

#[cfg(test)]
mod tests;
