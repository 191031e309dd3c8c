//! Issuing: what is to be signed is written down, then it is signed, then the signature is kept. Many at a time: those
//! that are asked for together share the two transactions, and are signed on all cores.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;
use tokio::sync::oneshot::error::RecvError;

use super::certificate;
use super::generation::Generation;
use super::index::SerialKey;
use super::profile::{self, LeafDraft, Plan};
use super::spread::{FEW, spread};
use super::{Authority, CaError, LeafRequest, Terms};
use crate::clock::Timestamp;
use crate::crash::{self, Point};
use crate::pki::chain::Chain;
use crate::state::ca::{CaCertificateRow, NewCaCertificate};

/// As many leaves as share a transaction: others, who revoke for instance, wait no longer than for these.
const MOST_AT_ONCE: usize = 1_000;

/// Who waits for a leaf; whose turn it is to issue.
#[derive(Default)]
pub(super) struct Queue {
    waiting: Mutex<Vec<Waiting>>,
    turn: tokio::sync::Mutex<()>,
}

/// Somebody who waits for an answer.
struct Waiting {
    asked: Asked,
    answer: oneshot::Sender<Answer>,
}

/// What is asked for, and when.
#[derive(Debug, Clone)]
struct Asked {
    request: LeafRequest,
    now: Timestamp,
}

/// `None`: whoever waits is to do it alone.
type Answer = Option<Result<Chain, CaError>>;

/// What has come of a batch so far, by order.
#[derive(Debug, Default)]
struct Batch {
    rows: HashMap<String, CaCertificateRow>,
    refused: HashMap<String, CaError>,
}

impl Authority {
    /// Issues a leaf: the same chain, octet by octet, each time that the same order asks, whatever else it asks for.
    ///
    /// # Errors
    /// Where the database fails, the issuing certificate has expired, or the profile has no room for what is asked.
    pub async fn issue(&self, request: &LeafRequest, now: Timestamp) -> Result<Chain, CaError> {
        loop {
            let (answer, answered) = oneshot::channel();
            let asked = Asked { request: request.clone(), now };
            self.queue.waiting().push(Waiting { asked, answer });
            match self.answered(answered).await {
                Ok(Some(outcome)) => return outcome,
                Ok(None) => return self.issue_alone(request, now).await,
                // Whoever had it in hand was dropped half-way: asking again leads to the same leaf.
                Err(_) => {}
            }
        }
    }

    /// Waits for the answer, or for a turn, whichever comes first: who has been answered is to leave the turn to those
    /// who have not, else each would find no more than one or two in the queue.
    async fn answered(&self, mut answered: oneshot::Receiver<Answer>) -> Result<Answer, RecvError> {
        tokio::select! {
            biased;
            answer = &mut answered => return answer,
            turn = self.queue.turn.lock() => self.take_turn(turn).await,
        }
        answered.await
    }

    /// Issues leaves, each as by itself: the answers stand in the order of the requests. What one asks for and cannot
    /// have harms no other.
    ///
    /// # Errors
    /// Where the database fails. What was written down by then is finished when the same orders ask again.
    pub async fn issue_many(
        &self,
        requests: &[LeafRequest],
        now: Timestamp,
    ) -> Result<Vec<Result<Chain, CaError>>, CaError> {
        let mut outcomes = Vec::with_capacity(requests.len());
        for part in requests.chunks(MOST_AT_ONCE) {
            let asked = part.iter().map(|request| Asked { request: request.clone(), now }).collect();
            let answers = match self.carry_out(asked).await {
                Ok(answers) => answers,
                Err(CaError::State(error)) => return Err(error.into()),
                // Each learns by itself what is wrong.
                Err(_) => part.iter().map(|_| None).collect(),
            };
            for (request, answer) in part.iter().zip(answers) {
                outcomes.push(match answer {
                    Some(outcome) => outcome,
                    None => self.issue_alone(request, now).await,
                });
            }
        }
        Ok(outcomes)
    }

    async fn issue_alone(&self, request: &LeafRequest, now: Timestamp) -> Result<Chain, CaError> {
        let mut answers = self.carry_out(vec![Asked { request: request.clone(), now }]).await?;
        answers.pop().flatten().ok_or(CaError::Interrupted)?
    }

    /// Issues everything that waits, unless whoever had the turn before has done it.
    async fn take_turn(&self, turn: tokio::sync::MutexGuard<'_, ()>) {
        let (asked, answers): (Vec<_>, Vec<_>) =
            std::mem::take(&mut *self.queue.waiting()).into_iter().map(|one| (one.asked, one.answer)).unzip();
        if asked.is_empty() {
            return;
        }
        // What fails as a whole may fail because of one: each learns by itself what is wrong.
        let outcomes = self.carry_out(asked).await.unwrap_or_default();
        let outcomes = outcomes.into_iter().chain(std::iter::repeat_with(|| None));
        for (answer, outcome) in answers.into_iter().zip(outcomes) {
            // Who does not wait any more needs no answer.
            let _ = answer.send(outcome);
        }
        drop(turn);
    }

    /// `None` for one whose order was refused to another of the same order.
    async fn carry_out(&self, asked: Vec<Asked>) -> Result<Vec<Answer>, CaError> {
        let orders: Vec<String> = asked.iter().map(|one| one.request.order.clone()).collect();
        let mut batch = Batch::default();
        self.read(&mut batch, &orders).await?;
        let mut seen = HashSet::new();
        let is_fresh = |one: &Asked| !batch.rows.contains_key(&one.request.order);
        let fresh = asked.into_iter().filter(|one| is_fresh(one) && seen.insert(one.request.order.clone()));
        let fresh = fresh.collect();
        self.intend(&mut batch, fresh).await?;
        self.complete(&mut batch).await?;
        self.chains(batch, orders).await
    }

    async fn read(&self, batch: &mut Batch, orders: &[String]) -> Result<(), CaError> {
        let orders: Vec<&str> = orders.iter().map(String::as_str).collect();
        let rows = self.state.ca_certificates_of(&self.name, &orders).await?;
        batch.rows.extend(rows.into_iter().map(|row| (row.order_id.clone(), row)));
        Ok(())
    }

    /// Writes down what is going to be signed.
    async fn intend(&self, batch: &mut Batch, asked: Vec<Asked>) -> Result<(), CaError> {
        let Some(now) = asked.iter().map(|one| one.now).max() else { return Ok(()) };
        let terms = self.terms.load_full();
        let Some(config) = &terms.config else {
            batch.refused.extend(asked.into_iter().map(|one| (one.request.order, CaError::Retired)));
            return Ok(());
        };
        let issuing = self.fresh(config, now).await?;
        let desk = Desk { ca: self.name.clone(), terms: Arc::clone(&terms), issuing: Arc::clone(&issuing) };
        let drafted = self.draft(batch, desk, asked).await?;
        if drafted.is_empty() {
            return Ok(());
        }
        let written = self.write(&issuing, &drafted).await?;
        crash::point(Point::LeafWritten);
        let (ours, others): (Vec<_>, Vec<_>) =
            drafted.into_iter().partition(|one| written.contains(&one.leaf.draft.serial.to_string()));
        batch
            .rows
            .extend(ours.into_iter().map(|one| (one.asked.request.order.clone(), one.into_row(&self.name, &issuing))));
        // Somebody else was quicker to write for these orders: only what is on record is told of.
        let others: Vec<String> = others.into_iter().map(|one| one.asked.request.order).collect();
        self.read(batch, &others).await?;
        batch.rows.values().for_each(|row| self.tell_index(row));
        Ok(())
    }

    /// What may be signed, each in the CRL that would name it; what may not is refused.
    async fn draft(&self, batch: &mut Batch, desk: Desk, asked: Vec<Asked>) -> Result<Vec<Drafted>, CaError> {
        let at = desk.clone();
        let planned = spread(FEW, asked, move |asked| {
            let plan = at.plan(&asked);
            (asked, plan)
        })
        .await?;
        let mut good = Vec::with_capacity(planned.len());
        for (asked, plan) in planned {
            match plan {
                Ok(plan) => good.push((asked, plan)),
                Err(refused) => drop(batch.refused.insert(asked.request.order, refused)),
            }
        }
        // Places in CRLs are for those only that will be.
        let shards = desk.issuing.take_shards(&self.state, &self.name, good.len()).await?;
        let good = good.into_iter().zip(shards).collect();
        let drafted = spread(FEW, good, move |((asked, plan), shard)| desk.draft(asked, plan, shard)).await?;
        drafted.into_iter().collect()
    }

    async fn write(&self, issuing: &Generation, drafted: &[Drafted]) -> Result<HashSet<String>, CaError> {
        let names: Vec<Vec<String>> = drafted.iter().map(Drafted::names).collect();
        let new =
            drafted.iter().zip(&names).map(|(one, names)| (one.to_new(&self.name, issuing, names), one.asked.now));
        Ok(self.state.add_ca_certificates(&new.collect::<Vec<_>>()).await?)
    }

    /// Signs what was written down, unless that is done, and keeps the first signature of each.
    async fn complete(&self, batch: &mut Batch) -> Result<(), CaError> {
        let mut open = Vec::new();
        for row in batch.rows.values().filter(|row| row.certificate.is_none()) {
            match (self.generation(row.generation), &row.to_be_signed) {
                (Some(issuing), Some(octets)) => {
                    open.push(Open { order: row.order_id.clone(), octets: octets.clone(), issuing });
                }
                _ => drop(batch.refused.insert(row.order_id.clone(), self.damaged("a leaf cannot be signed"))),
            }
        }
        if open.is_empty() {
            return Ok(());
        }
        let mut signed = HashMap::with_capacity(open.len());
        let is_slow = open.iter().any(|one| one.issuing.signer().is_slow());
        for (order, certificate) in spread(if is_slow { 0 } else { FEW }, open, Open::sign).await? {
            match certificate {
                Ok(certificate) => drop(signed.insert(order, certificate)),
                Err(failed) => drop(batch.refused.insert(order, failed)),
            }
        }
        crash::point(Point::LeafSigned);
        self.keep(batch, signed).await
    }

    async fn keep(&self, batch: &mut Batch, signed: HashMap<String, Vec<u8>>) -> Result<(), CaError> {
        let serial = |order: &String| batch.rows.get(order).map(|row| row.serial.as_str());
        let all = signed.iter().filter_map(|(order, der)| Some((serial(order)?, der.as_slice())));
        let kept = self.state.ca_certificates_signed(&self.name, &all.collect::<Vec<_>>()).await?;
        let mut others = Vec::new();
        for (order, certificate) in signed {
            match batch.rows.get_mut(&order).filter(|row| kept.contains(&row.serial)) {
                Some(row) => row.certificate = Some(certificate),
                None => others.push(order),
            }
        }
        // Somebody else has signed at the same time: theirs are on record, then.
        self.read(batch, &others).await
    }

    async fn chains(&self, mut batch: Batch, orders: Vec<String>) -> Result<Vec<Answer>, CaError> {
        let mut found = Vec::with_capacity(orders.len());
        for order in orders {
            found.push(match batch.refused.remove(&order) {
                Some(refused) => Some(Err(refused)),
                None => batch.rows.get(&order).map(|row| self.ders(row)),
            });
        }
        let read = |ders: Vec<Vec<u8>>| Chain::from_ders(ders).map_err(CaError::from);
        spread(FEW, found, move |found| found.map(|ders| ders.and_then(read))).await
    }

    fn ders(&self, row: &CaCertificateRow) -> Result<Vec<Vec<u8>>, CaError> {
        let issuing = self.generation(row.generation);
        let issuing = issuing.ok_or_else(|| self.damaged("a leaf's issuing certificate is not there"))?;
        let certificate = row.certificate.clone().ok_or_else(|| self.damaged("a leaf is not signed"))?;
        Ok([vec![certificate], issuing.chain()].concat())
    }

    /// OCSP knows it from now on: nothing is signed that it would call unknown.
    fn tell_index(&self, row: &CaCertificateRow) {
        if let Some(serial) = SerialKey::from_hex(&row.serial) {
            self.index.issued(serial, row.generation);
        }
    }
}

impl Queue {
    fn waiting(&self) -> MutexGuard<'_, Vec<Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Queue {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Queue({})", self.waiting().len())
    }
}

/// Where leaves are drafted.
#[derive(Clone)]
struct Desk {
    ca: String,
    terms: Arc<Terms>,
    issuing: Arc<Generation>,
}

impl Desk {
    fn terms(&self, now: Timestamp) -> Result<profile::Terms<'_>, CaError> {
        Ok(profile::Terms {
            ca: &self.ca,
            config: self.terms.config.as_ref().ok_or(CaError::Retired)?,
            public_url: self.terms.public_url.as_deref(),
            issuing: &self.issuing,
            now,
        })
    }

    fn plan(&self, asked: &Asked) -> Result<Plan, CaError> {
        profile::plan(&asked.request, &self.terms(asked.now)?)
    }

    fn draft(&self, asked: Asked, plan: Plan, shard: u32) -> Result<Drafted, CaError> {
        let leaf = plan.draft(&asked.request, shard, &self.terms(asked.now)?)?;
        Ok(Drafted { asked, shard, leaf })
    }
}

/// A leaf to be written down.
struct Drafted {
    asked: Asked,
    shard: u32,
    leaf: LeafDraft,
}

impl Drafted {
    fn names(&self) -> Vec<String> {
        self.asked.request.names.iter().map(ToString::to_string).collect()
    }

    fn to_new<'a>(&'a self, ca: &'a str, issuing: &Generation, names: &'a [String]) -> NewCaCertificate<'a> {
        NewCaCertificate {
            ca,
            serial: self.leaf.draft.serial.to_string(),
            generation: issuing.number,
            order_id: &self.asked.request.order,
            names,
            profile: &self.asked.request.profile,
            subject: &self.leaf.common_name,
            shard: self.shard,
            not_before: self.leaf.draft.not_before,
            not_after: self.leaf.draft.not_after,
            to_be_signed: &self.leaf.draft.to_be_signed,
        }
    }

    fn into_row(self, ca: &str, issuing: &Generation) -> CaCertificateRow {
        CaCertificateRow {
            ca: ca.to_owned(),
            serial: self.leaf.draft.serial.to_string(),
            generation: issuing.number,
            order_id: self.asked.request.order,
            to_be_signed: Some(self.leaf.draft.to_be_signed),
            certificate: None,
        }
    }
}

/// A leaf that is on record and not signed.
struct Open {
    order: String,
    octets: Vec<u8>,
    issuing: Arc<Generation>,
}

impl Open {
    fn sign(self) -> (String, Result<Vec<u8>, CaError>) {
        let signer = self.issuing.signer();
        let assemble =
            |signature: Vec<u8>| certificate::assemble(&self.octets, signer.algorithm_identifier_der(), &signature);
        let signed = signer.sign(&self.octets).map(assemble);
        (self.order, signed)
    }
}

#[cfg(test)]
mod tests;
