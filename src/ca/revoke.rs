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

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::futures::Notified;
use tokio::sync::oneshot::error::RecvError;
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
    answer: oneshot::Sender<Answer>,
}

type Answer = Result<Outcome, RevocationError>;

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
            // Without an answer, whoever had it in hand was dropped half-way: asking again does no harm.
            if let Ok(outcome) = self.answered(answered).await {
                return outcome;
            }
        }
    }

    /// Waits for the answer, or for a turn, whichever comes first: who has been answered is to leave the turn to those
    /// who have not, else each would find no more than one or two in the queue.
    async fn answered(&self, mut answered: oneshot::Receiver<Answer>) -> Result<Answer, RecvError> {
        tokio::select! {
            biased;
            answer = &mut answered => return answer,
            merged = self.0.turn.lock() => self.take_turn(merged).await,
        }
        answered.await
    }

    /// Does everything that waits, unless whoever had the turn before has done it.
    async fn take_turn(&self, mut merged: tokio::sync::MutexGuard<'_, u64>) {
        // Those who were answered just now ask for their next ones: they go with this one.
        tokio::task::yield_now().await;
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

    async fn carry_out(&self, merged: &mut u64, batch: &[Waiting]) -> Result<Vec<Answer>, WriteError> {
        self.merge(merged).await?;
        let mut rows = self.rows(batch.iter().map(|waiting| (waiting.ca.as_str(), waiting.serial.as_str()))).await?;
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

    /// How certificates stand, by CA and serial: those that are on record. One question for many of a CA.
    async fn rows<'a>(&self, wanted: impl Iterator<Item = (&'a str, &'a str)>) -> Result<Rows, WriteError> {
        let mut serials = BTreeMap::<&str, BTreeSet<&str>>::new();
        for (ca, serial) in wanted {
            serials.entry(ca).or_default().insert(serial);
        }
        let mut rows = Rows::new();
        for (ca, serials) in serials {
            let serials: Vec<&str> = serials.into_iter().collect();
            let found = self.0.state.ca_statuses(ca, &serials).await?;
            rows.extend(found.into_iter().map(|row| ((row.ca.clone(), row.serial.clone()), row)));
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
            let news = self.news(read.lines).await?;
            if !news.is_empty() {
                info!(lines = news.len(), "the log of revocations knows more than the database: merging");
            }
            self.write(news, read.mark, merged).await?;
        }
    }

    /// What the database does not know yet.
    async fn news(&self, lines: Vec<Line>) -> Result<Vec<Line>, WriteError> {
        let serials: Vec<String> = lines.iter().map(|line| line.serial.to_string()).collect();
        let wanted = lines.iter().zip(&serials).map(|(line, serial)| (line.ca.as_str(), serial.as_str()));
        let rows = self.rows(wanted).await?;
        let both = lines.into_iter().zip(serials);
        let news = both.filter(|(line, serial)| is_news(line, rows.get(&(line.ca.clone(), serial.clone()))));
        Ok(news.map(|(line, _)| line).collect())
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

/// How certificates stand, by CA and serial: those that are on record.
type Rows = BTreeMap<(String, String), CaStatusRow>;

/// The database does not know it, nor anything later. What it holds for final stays final.
fn is_news(line: &Line, row: Option<&CaStatusRow>) -> bool {
    let Some(row) = row else { return true };
    let known = Standing::of(row);
    let outdone = known.is_final() || row.changed_at().is_some_and(|changed| changed > line.at);
    known != line.standing && !outdone
}

/// What comes of one request, after those before it in the batch.
fn apply(waiting: &Waiting, rows: &mut Rows, lines: &mut Vec<Line>) -> Result<Outcome, RevocationError> {
    let unknown = || RevocationError::Unknown { ca: waiting.ca.clone(), serial: waiting.serial.clone() };
    let key = (waiting.ca.clone(), waiting.serial.clone());
    let row = rows.get_mut(&key).ok_or_else(unknown)?;
    let outcome = change::decide(Standing::of(row), waiting.asked, waiting.now)?;
    if outcome.changed {
        outcome.standing.write_to(row);
        lines.push(Line::of(row, outcome.standing, waiting.now).ok_or_else(unknown)?);
    }
    Ok(outcome)
}

#[cfg(test)]
mod tests;
