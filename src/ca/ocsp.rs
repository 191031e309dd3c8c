//! The OCSP responder (RFC 6960, with the profile of RFC 5019 and the nonces of RFC 9654).
//!
//! What a request asks about is looked up in an index in memory (`ca::index`), never in the database, unless the index
//! cannot know yet. Answers without a nonce are kept as octets, and given out as long as the index says what they say.
//! They are signed by delegated responders, which are replaced at half of their life.

mod answer;
mod cache;
mod cert_id;
mod desk;
pub mod fuzzing;
mod reader;
mod request;
mod responder;
mod response;
pub(in crate::ca) mod signer;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;

pub use answer::{Answer, Kept, Said};
pub use cache::MOST_OCTETS;
pub use cert_id::{CertId, HashAlgorithm, IssuerHashes};
pub use request::{Asked, LONGEST_NONCE, MOST_CERT_IDS, Malformed, Request};
pub use responder::Responder;
pub use response::ErrorStatus;

use super::{CaError, Registry};
use crate::clock::{Clock, Timestamp};
use cache::Cache;

/// Responders are looked at this often.
const REVIEW: Duration = Duration::from_secs(60);

/// What other nodes have changed is read this often.
const CATCH_UP: Duration = Duration::from_secs(2);

/// The responders of all CAs. Cloning shares them.
#[derive(Debug, Clone)]
pub struct Responders(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    registry: Registry,
    clock: Clock,
    cache: Arc<Cache>,
    open: ArcSwap<HashMap<String, Arc<Responder>>>,
    /// Held while one is added: the number of the next.
    opening: Mutex<u32>,
}

impl Responders {
    /// Responders for the CAs of a registry. Nothing is read or made before it is asked for.
    #[must_use]
    pub fn new(registry: Registry, clock: Clock) -> Self {
        Self(Arc::new(Inner {
            registry,
            clock,
            cache: Arc::new(Cache::new(MOST_OCTETS)),
            open: ArcSwap::default(),
            opening: Mutex::default(),
        }))
    }

    /// The responder of a CA that was asked before.
    #[must_use]
    pub fn opened(&self, ca: &str) -> Option<Arc<Responder>> {
        self.0.open.load().get(ca).cloned()
    }

    /// The responder of a CA; `None` where there is no such CA.
    ///
    /// # Errors
    /// Where the CA cannot be opened.
    pub async fn get(&self, ca: &str) -> Result<Option<Arc<Responder>>, CaError> {
        if let Some(open) = self.opened(ca) {
            return Ok(Some(open));
        }
        let Some(authority) = self.0.registry.get(ca).await? else { return Ok(None) };
        let mut next = self.0.opening.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = self.opened(ca) {
            return Ok(Some(open));
        }
        let responder = Responder::new(self.0.registry.state(), authority, *next, Arc::clone(&self.0.cache));
        let responder = Arc::new(responder);
        *next += 1;
        let mut open = HashMap::clone(&self.0.open.load());
        open.insert(ca.to_owned(), Arc::clone(&responder));
        self.0.open.store(Arc::new(open));
        Ok(Some(responder))
    }

    /// Those that are open, by name.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Responder>> {
        let mut all: Vec<_> = self.0.open.load().values().cloned().collect();
        all.sort_by(|a, b| a.name().cmp(b.name()));
        all
    }

    /// How many CAs have a root whose responder ends soon, or has ended, and could not be replaced.
    #[must_use]
    pub fn late_roots(&self) -> usize {
        let now = self.now();
        self.all().iter().filter(|responder| responder.is_root_late(now)).count()
    }

    /// The time by which answers are made.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    /// Opens every CA's responder, reads the indexes, and replaces responders before they end, until dropped.
    pub async fn run(&self) {
        tokio::join!(self.review(), self.follow());
    }

    async fn review(&self) {
        loop {
            match self.0.registry.names().await {
                Ok(names) => self.review_all(&names).await,
                Err(failure) => tracing::error!("OCSP knows no CA: {}", providers::error::chain(&failure)),
            }
            tokio::time::sleep(REVIEW).await;
        }
    }

    async fn review_all(&self, names: &[String]) {
        for name in names {
            // A CA that cannot be opened is told of by whoever is to issue.
            let Ok(Some(responder)) = self.get(name).await else { continue };
            responder.prepare(self.now()).await;
            if let Err(failure) = responder.load(self.now()).await {
                tracing::error!(ca = name, "the index is not read: {}", providers::error::chain(&failure));
            }
        }
    }

    async fn follow(&self) {
        loop {
            tokio::time::sleep(CATCH_UP).await;
            for responder in self.all() {
                if let Err(failure) = responder.catch_up(self.now()).await {
                    let failure = providers::error::chain(&failure);
                    tracing::error!(ca = responder.name(), "the index does not follow: {failure}");
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
