//! Answers for one CA, all its generations.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;

use super::answer::{Answer, Kept, Said};
use super::cache::{Cache, Key};
use super::cert_id::CertId;
use super::desk::{Desk, Issuer};
use super::request::{Asked, Request};
use super::response::{Content, ErrorStatus, Single, successful};
use super::signer::Maker;
use crate::ca::generation::ROOT;
use crate::ca::index::{Entry, Index, SerialKey, Status, narrow};
use crate::ca::{Authority, CaError};
use crate::clock::Timestamp;
use crate::state::ca_index::CaIndexRow;
use crate::state::{Backend, State, StateError};

/// An answer that says of nothing but unknown certificates lasts this long: they may become known.
const UNKNOWN_LASTS: Duration = Duration::from_secs(300);

/// What other nodes wrote is looked for from so long ago on: their clocks may differ from ours.
const OTHER_CLOCKS: Duration = Duration::from_secs(60);

/// Steps that one request may wait for: a generation, a look into the database, a responder.
const MOST_STEPS: usize = 4;

/// Answers for one CA.
#[derive(Debug)]
pub struct Responder {
    state: State,
    authority: Arc<Authority>,
    /// What tells this CA's answers from those of others in the cache.
    number: u32,
    cache: Arc<Cache>,
    /// Of the generations, the oldest first, and then of the root.
    desks: ArcSwap<Vec<Arc<Desk>>>,
    /// The index holds all that the database held when it was read.
    is_loaded: AtomicBool,
    /// Held while the database is read into the index; the time up to which other nodes' changes were seen.
    reading: tokio::sync::Mutex<Option<Timestamp>>,
    counts: [AtomicU64; Said::ALL.len()],
}

/// What has to happen before a request can be answered.
enum Need {
    /// An issuer that is not at its desk yet.
    Issuers,
    /// A look into the database: the index may not know yet.
    Look(Vec<SerialKey>),
    /// A responder.
    Signer(Arc<Desk>),
}

impl Responder {
    pub(super) fn new(state: &State, authority: Arc<Authority>, number: u32, cache: Arc<Cache>) -> Self {
        let responder = Self {
            state: state.clone(),
            authority,
            number,
            cache,
            desks: ArcSwap::default(),
            is_loaded: AtomicBool::new(false),
            reading: tokio::sync::Mutex::default(),
            counts: Default::default(),
        };
        responder.take_up_issuers();
        responder
    }

    /// How many answers said this, since the daemon started.
    #[must_use]
    pub fn count(&self, said: Said) -> u64 {
        self.counts[said.place()].load(Ordering::Relaxed)
    }

    /// The CA's name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.authority.name()
    }

    /// Answers a request (an OCSPRequest in DER) without waiting, where that can be done: nearly always.
    #[must_use]
    pub fn answer_at_once(&self, der: &[u8], now: Timestamp) -> Option<Answer> {
        let answer = match Request::read(der) {
            Ok(request) => self.attempt(&request, now, false).ok()?,
            Err(_) => Answer::error(ErrorStatus::MalformedRequest),
        };
        Some(self.counted(answer))
    }

    /// Answers a request (an OCSPRequest in DER), and waits for the database where it must.
    pub async fn answer(&self, der: &[u8], now: Timestamp) -> Answer {
        let answer = match Request::read(der) {
            Ok(request) => self.work_on(&request, now).await,
            Err(_) => Answer::error(ErrorStatus::MalformedRequest),
        };
        self.counted(answer)
    }

    fn counted(&self, answer: Answer) -> Answer {
        self.counts[answer.said().place()].fetch_add(1, Ordering::Relaxed);
        answer
    }

    async fn work_on(&self, request: &Request<'_>, now: Timestamp) -> Answer {
        let mut looked = false;
        for _ in 0..MOST_STEPS {
            let done = match self.attempt(request, now, looked) {
                Ok(answer) => return answer,
                Err(Need::Issuers) => {
                    self.take_up_issuers();
                    Ok(())
                }
                Err(Need::Look(serials)) => {
                    looked = true;
                    self.look_up(&serials).await
                }
                Err(Need::Signer(desk)) => self.seat(&desk, now).await,
            };
            if let Err(status) = done {
                return Answer::error(status);
            }
        }
        Answer::error(ErrorStatus::TryLater)
    }

    /// Answers from what is in memory. `looked`: what is not in the index is not in the database either.
    fn attempt(&self, request: &Request<'_>, now: Timestamp, looked: bool) -> Result<Answer, Need> {
        let desks = self.desks.load();
        let Some(desk) = desk_for(&desks, request) else {
            if self.issuers() > desks.len() {
                return Err(Need::Issuers);
            }
            return Ok(Answer::error(ErrorStatus::Unauthorized));
        };
        if request.is_plain() {
            return self.plain(desk, &request.first.id, now, looked);
        }
        let statuses = self.statuses(desk, request, looked)?;
        let singles: Vec<_> = request
            .asked()
            .zip(&statuses)
            .map(|(asked, status)| Single { id: asked.id.der, status: *status })
            .collect();
        let answer = self.sign(desk, &singles, request.nonce, now)?;
        Ok(answer.fresh(statuses[0]))
    }

    /// One certificate, no nonce: the answer may be one that was given before.
    fn plain(&self, desk: &Arc<Desk>, id: &CertId<'_>, now: Timestamp, looked: bool) -> Result<Answer, Need> {
        let Some((serial, key)) =
            id.serial_key().and_then(|it| Some((it, Key::new(self.number, desk.number, id, it)?)))
        else {
            return self.unknown(desk, id, now);
        };
        // Read before the index is: what changes meanwhile is seen by the next who asks.
        let changes = self.index().changes(serial);
        let status = || self.index().find(serial).map(|entry| entry.status);
        if let Some(kept) = self.cache.find(&key, now, changes, status) {
            return Ok(Answer::Kept(kept));
        }
        let Some((_, status)) = self.find(desk, id, looked).map_err(|serial| Need::Look(vec![serial]))? else {
            return self.unknown(desk, id, now);
        };
        let signed = self.sign(desk, &[Single { id: id.der, status: Some(status) }], None, now)?;
        let Signed { der: Some(der), this_update, next_update } = signed else { return Ok(signed.fresh(Some(status))) };
        let kept = Arc::new(Kept::new(der, status, this_update, next_update));
        self.cache.keep(key, Arc::clone(&kept), changes);
        Ok(Answer::Kept(kept))
    }

    fn unknown(&self, desk: &Arc<Desk>, id: &CertId<'_>, now: Timestamp) -> Result<Answer, Need> {
        Ok(self.sign(desk, &[Single { id: id.der, status: None }], None, now)?.fresh(None))
    }

    /// How all certificates that are asked about stand; others' are unknown.
    fn statuses(&self, desk: &Desk, request: &Request<'_>, looked: bool) -> Result<Vec<Option<Status>>, Need> {
        let mut missing = Vec::new();
        let mut status = |asked: &Asked<'_>| {
            if !desk.is_meant_by(&asked.id) {
                return None;
            }
            let found = self.find(desk, &asked.id, looked);
            found
                .unwrap_or_else(|serial| {
                    missing.push(serial);
                    None
                })
                .map(|(_, status)| status)
        };
        let statuses = request.asked().map(&mut status).collect();
        if missing.is_empty() { Ok(statuses) } else { Err(Need::Look(missing)) }
    }

    /// How a certificate of this issuer stands: `None` where it never issued it, an error where the
    /// database must be asked.
    fn find(&self, desk: &Desk, id: &CertId<'_>, looked: bool) -> Result<Option<(SerialKey, Status)>, SerialKey> {
        let Some(serial) = id.serial_key() else { return Ok(None) };
        match self.index().find(serial) {
            Some(entry) if entry.generation == desk.number => Ok(Some((serial, entry.status))),
            Some(_) => Ok(None),
            None if looked || self.knows_all() => Ok(None),
            None => Err(serial),
        }
    }

    /// What is not in the index is nowhere: it was read to its end, and nobody else writes.
    fn knows_all(&self) -> bool {
        self.is_loaded.load(Ordering::Acquire) && self.state.backend() == Backend::Sqlite
    }

    fn index(&self) -> &Index {
        self.authority.index()
    }

    fn sign(
        &self,
        desk: &Arc<Desk>,
        singles: &[Single<'_>],
        nonce: Option<&[u8]>,
        now: Timestamp,
    ) -> Result<Signed, Need> {
        let Some(signer) = desk.usable(now) else { return Err(Need::Signer(Arc::clone(desk))) };
        let unknown = singles.iter().all(|single| single.status.is_none());
        let validity = self.authority.ocsp_validity();
        let validity = if unknown { validity.min(UNKNOWN_LASTS) } else { validity };
        let this_update = Timestamp::from_seconds(now.seconds());
        let next_update = this_update.plus(validity).min(signer.not_after);
        let content = Content { responder_key_hash: &signer.key_hash, this_update, next_update, singles, nonce };
        let to_be_signed = content.to_be_signed();
        let der = match signer.sign(&to_be_signed) {
            Ok((signature, algorithm)) => Some(successful(&to_be_signed, algorithm, &signature, &signer.certificate)),
            Err(failure) => {
                tracing::error!(
                    ca = self.name(),
                    "an OCSP answer was not signed: {}",
                    providers::error::chain(&failure)
                );
                None
            }
        };
        Ok(Signed { der, this_update, next_update })
    }

    /// How many have certified something.
    fn issuers(&self) -> usize {
        self.authority.generations().len() + usize::from(self.authority.known_root().is_some())
    }

    /// Gives every issuer its desk.
    fn take_up_issuers(&self) {
        let generations = self.authority.generations();
        let issuers = generations.iter().cloned().map(Issuer::Generation);
        let issuers: Vec<Issuer> = issuers.chain(self.authority.known_root().map(Issuer::Root)).collect();
        self.desks.rcu(|desks| {
            let there = |issuer: &Issuer| desks.iter().find(|desk| desk.issuer.number() == issuer.number());
            let desk = |issuer: &Issuer| there(issuer).cloned().unwrap_or_else(|| Desk::new(issuer.clone()));
            issuers.iter().map(desk).collect::<Vec<_>>()
        });
    }

    /// Puts a fresh responder at a desk.
    async fn seat(&self, desk: &Desk, now: Timestamp) -> Result<(), ErrorStatus> {
        let _making = desk.making.lock().await;
        if desk.usable(now).is_some() {
            return Ok(());
        }
        if desk.issuer.not_after() <= now {
            // Nothing that it issued is in force any more.
            return Err(ErrorStatus::Unauthorized);
        }
        if desk.is_blocked(now) {
            return Err(desk.refusal());
        }
        let maker = self.maker(desk, now);
        match maker.fresh().await {
            Ok(signer) => desk.seat(signer),
            Err(failure) => self.make_do(desk, &maker, &failure, now).await?,
        }
        Ok(())
    }

    fn maker<'a>(&'a self, desk: &'a Desk, now: Timestamp) -> Maker<'a> {
        Maker { state: &self.state, authority: &self.authority, issuer: &desk.issuer, now }
    }

    /// Where no fresh responder can be made, the one before goes on while it is in force.
    async fn make_do(
        &self,
        desk: &Desk,
        maker: &Maker<'_>,
        failure: &CaError,
        now: Timestamp,
    ) -> Result<(), ErrorStatus> {
        let (is_away, generation) = (desk.failed(failure, now), desk.issuer.number());
        if !is_away {
            tracing::error!(ca = self.name(), generation, "no OCSP responder: {}", providers::error::chain(failure));
        }
        if desk.usable(now).is_some() {
            return Ok(());
        }
        if let Ok(Some(before)) = maker.in_force().await {
            desk.seat(before);
            return Ok(());
        }
        desk.vacate(maker.had_one().await.unwrap_or(false));
        Err(desk.refusal())
    }

    /// Makes the responder that is to answer for issuing certificates while the root's key is away: it lasts a year.
    ///
    /// # Errors
    /// Where there is no such key here, or no responder can be made.
    pub async fn outlast_root_key(&self, now: Timestamp) -> Result<(), CaError> {
        self.take_up_issuers();
        let Some(desk) = self.root_desk() else { return Ok(()) };
        let _making = desk.making.lock().await;
        desk.seat(self.maker(&desk, now).anew().await?);
        Ok(())
    }

    fn root_desk(&self) -> Option<Arc<Desk>> {
        self.desks.load().last().filter(|desk| desk.issuer.number() == ROOT).cloned()
    }

    /// Until when issuing certificates are answered for, whether or not the root's key is here; `None`: they are not.
    #[must_use]
    pub fn root_ends(&self, now: Timestamp) -> Option<Timestamp> {
        self.root_desk()?.ends(now)
    }

    /// The responder that answers for issuing certificates ends soon, or has ended, and could not be replaced.
    #[must_use]
    pub fn is_root_late(&self, now: Timestamp) -> bool {
        self.root_desk().is_some_and(|desk| desk.is_late(now))
    }

    /// Reads these certificates from the database into the index.
    async fn look_up(&self, serials: &[SerialKey]) -> Result<(), ErrorStatus> {
        for serial in serials {
            let found = self.state.ca_index_row(self.name(), &serial.to_hex()).await.map_err(|failure| {
                tracing::error!(ca = self.name(), "OCSP asks in vain: {}", providers::error::chain(&failure));
                ErrorStatus::TryLater
            })?;
            if let Some((serial, entry)) = found.as_ref().and_then(read_row) {
                self.index().found(serial, entry);
            }
        }
        Ok(())
    }

    fn take_in(&self, row: &CaIndexRow) {
        if let Some((serial, entry)) = read_row(row) {
            self.index().read(serial, entry);
        }
    }

    /// Reads all certificates into the index, once; until then each request looks into the database for itself.
    ///
    /// # Errors
    /// Where the database fails; the next call begins anew.
    pub async fn load(&self, now: Timestamp) -> Result<(), StateError> {
        let mut seen = self.reading.lock().await;
        if self.is_loaded.load(Ordering::Acquire) {
            return Ok(());
        }
        self.index().begin_reading();
        let read = self.read_pages().await;
        self.index().end_reading();
        read?;
        *seen = Some(now);
        self.is_loaded.store(true, Ordering::Release);
        tracing::info!(ca = self.name(), certificates = self.index().len(), "all certificates on record were read");
        Ok(())
    }

    async fn read_pages(&self) -> Result<(), StateError> {
        let mut last = None;
        loop {
            let mut page = self.state.ca_index_page(self.name(), last.as_ref()).await?;
            page.iter().for_each(|row| self.take_in(row));
            match page.pop() {
                Some(row) => last = Some(row),
                None => return Ok(()),
            }
        }
    }

    /// Reads what other nodes have changed since the last time. Nobody else writes to SQLite.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn catch_up(&self, now: Timestamp) -> Result<(), StateError> {
        let mut seen = self.reading.lock().await;
        let Some(since) = seen.filter(|_| self.state.backend() == Backend::Postgres) else { return Ok(()) };
        self.index().begin_reading();
        let read = self.state.ca_index_since(self.name(), since.minus(OTHER_CLOCKS)).await;
        if let Ok(rows) = &read {
            rows.iter().for_each(|row| self.take_in(row));
            *seen = Some(now);
        }
        self.index().end_reading();
        read.map(drop)
    }

    /// Sees to it that responders are there before somebody asks: for the root, whose key may be taken away, for the
    /// newest generation, and for those that were asked about.
    pub async fn prepare(&self, now: Timestamp) {
        self.take_up_issuers();
        let newest = self.authority.generations().last().map(|generation| generation.number);
        for desk in self.desks.load_full().iter() {
            let number = desk.issuer.number();
            let wanted = number == ROOT || Some(number) == newest || desk.signer.load().is_some();
            if wanted && desk.usable(now).is_none() && desk.issuer.not_after() > now {
                // What failed is in the log.
                let _ = self.seat(desk, now).await;
            }
        }
    }
}

/// What was signed, if it could be.
struct Signed {
    der: Option<Vec<u8>>,
    this_update: Timestamp,
    next_update: Timestamp,
}

impl Signed {
    /// For whoever asked alone.
    fn fresh(self, first: Option<Status>) -> Answer {
        match self.der {
            Some(der) => Answer::Fresh { der: Bytes::from(der), said: first.into() },
            None => Answer::error(ErrorStatus::InternalError),
        }
    }
}

/// A row as the index keeps it.
fn read_row(row: &CaIndexRow) -> Option<(SerialKey, Entry)> {
    let status = Status::from_columns(row.revoked_at, row.reason);
    Some((SerialKey::from_hex(&row.serial)?, Entry { generation: narrow(row.generation), status }))
}

/// The desk of the issuer of the first certificate that is ours.
fn desk_for<'a>(desks: &'a [Arc<Desk>], request: &Request<'_>) -> Option<&'a Arc<Desk>> {
    request.asked().find_map(|asked| desks.iter().find(|desk| desk.is_meant_by(&asked.id)))
}
