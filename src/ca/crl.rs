//! CRLs (RFC 5280, section 5): one for each shard of each generation, with a delta CRL, and one over the whole of a
//! generation for people; made in time whether something was revoked or not, written to disk, and served from there.
//!
//! A number is on record before the list that bears it is made, and only ever rises: it is at least the time in
//! milliseconds, and above that of the list in place, so that a database from a backup gives none out twice.

mod armour;
mod encode;
mod error;
mod folder;
mod head;
mod inspection;
mod making;
pub mod schedule;
mod signers;
mod spool;
mod standing;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;
use tracing::{error, info};

pub use error::CrlError;
pub use folder::{Folder, Kind};
pub use head::Head;
pub use inspection::{Amiss, inspect};
pub use schedule::{Freshness, Rhythm};
pub use standing::{CaLists, Listed, Lists};

use super::generation::ROOT;
use super::key::Signer;
use super::{CaError, pointers};
use crate::clock::Timestamp;
use crate::config::Config;
use crate::state::crl::{CrlName, CrlRow};
use crate::state::{State, StateError};
use making::Making;

/// After a failure it is tried again so soon.
const AGAIN: Duration = Duration::from_secs(10);

/// How often lists of a CA are made that the config does not name any more.
const RETIRED: Rhythm = Rhythm { validity: Duration::from_secs(7 * 86_400), refresh: Duration::from_secs(86_400) };

/// Who signs lists: a CA's root or an issuing certificate of it.
#[derive(Debug, Clone)]
pub struct ListSigner {
    /// The CA's name in the config.
    pub ca: String,
    /// 0 is the root.
    pub generation: u32,
    /// The subject of its certificate: a Name in DER, octet by octet.
    pub issuer: Vec<u8>,
    /// The key, as certificates name it.
    pub key_identifier: Vec<u8>,
    /// The key.
    pub signer: Signer,
    /// It has so many shards: 0 to this, exclusive.
    pub shards: u32,
    /// When its certificate ends.
    pub not_after: Timestamp,
}

/// Knows who signs lists.
#[async_trait]
pub trait ListSigners: Send + Sync {
    /// All that still sign lists: roots whose key is here, newest generations, and older ones until their last leaf has
    /// expired.
    ///
    /// # Errors
    /// Where the state fails.
    async fn list_signers(&self, now: Timestamp) -> Result<Vec<ListSigner>, CaError>;
}

/// Makes lists and knows where they are. Cloning shares it.
#[derive(Clone)]
pub struct Crls(Arc<Inner>);

struct Inner {
    state: State,
    folder: Folder,
    signers: Arc<dyn ListSigners>,
    config: Arc<ArcSwap<Config>>,
    makings: Mutex<BTreeMap<CrlName, schedule::Making>>,
    /// Of the lists in their places.
    heads: Mutex<BTreeMap<CrlName, Head>>,
    lists: ArcSwap<Lists>,
    amiss: Mutex<BTreeMap<CrlName, Amiss>>,
    published: Notify,
}

impl Crls {
    /// Lists below `crl` in the state directory.
    #[must_use]
    pub fn new(
        state: &State,
        mut state_directory: PathBuf,
        signers: Arc<dyn ListSigners>,
        config: Arc<ArcSwap<Config>>,
    ) -> Self {
        state_directory.push("crl");
        Self(Arc::new(Inner {
            state: state.clone(),
            folder: Folder::new(state_directory),
            signers,
            config,
            makings: Mutex::default(),
            heads: Mutex::default(),
            lists: ArcSwap::default(),
            amiss: Mutex::default(),
            published: Notify::new(),
        }))
    }

    /// Where the lists are.
    #[must_use]
    pub fn folder(&self) -> &Folder {
        &self.0.folder
    }

    /// How all lists stand, as of the last look.
    #[must_use]
    pub fn lists(&self) -> Arc<Lists> {
        self.0.lists.load_full()
    }

    /// Has everything looked at now.
    pub fn look(&self) {
        self.0.state.wake_lists();
    }

    /// Waits for the next list that is published. Register (create the future and `enable` it) before looking.
    pub fn published(&self) -> Notified<'_> {
        self.0.published.notified()
    }

    /// Where leaves say that a list is; `None`: none names it.
    #[must_use]
    pub fn url(&self, name: &CrlName) -> Option<String> {
        let config = self.0.config.load();
        Some(pointers::crl_url(config.http.public_url.as_ref()?, &name.ca, name.generation, name.shard?))
    }

    /// Who signs lists now.
    ///
    /// # Errors
    /// Where the state fails.
    pub async fn signers(&self, now: Timestamp) -> Result<Vec<ListSigner>, CaError> {
        self.0.signers.list_signers(now).await
    }

    /// Somebody has looked at a list's published URL: what is amiss there, or (`None`) all is well. Whether that is news.
    pub fn seen(&self, name: &CrlName, amiss: Option<&Amiss>) -> bool {
        let mut known = self.0.amiss.lock().unwrap_or_else(PoisonError::into_inner);
        let before = match amiss {
            Some(amiss) => known.insert(name.clone(), amiss.clone()),
            None => known.remove(name),
        };
        before.as_ref() != amiss
    }

    /// What is amiss at published URLs, as far as somebody has looked.
    #[must_use]
    pub fn amiss(&self) -> BTreeMap<CrlName, Amiss> {
        let known = self.0.amiss.lock().unwrap_or_else(PoisonError::into_inner);
        let lists = self.lists();
        let named = |list: &Listed| known.get(&list.name).map(|amiss| (list.name.clone(), amiss.clone()));
        lists.all().filter_map(named).collect()
    }

    /// Makes every list that is due, and says when to look again. A list that fails holds up no other.
    ///
    /// # Errors
    /// Where the state fails.
    pub async fn turn(&self, now: Timestamp) -> Result<Timestamp, CrlError> {
        let signers = self.0.signers.list_signers(now).await?;
        let mut rows: BTreeMap<CrlName, CrlRow> =
            self.0.state.crls().await?.into_iter().map(|row| (row.name.clone(), row)).collect();
        let mut again = Timestamp::NEVER;
        let mut lists = Vec::new();
        for signer in &signers {
            for name in self.names(signer).await? {
                again = again.min(self.attend(signer, &name, rows.remove(&name), now).await?);
                let (head, rhythm) = (self.head(&name), self.rhythm(&name.ca));
                lists.push(Listed::new(name, head, rhythm));
            }
        }
        lists.extend(rows.into_keys().filter_map(|name| self.left_behind(name)));
        self.0.lists.store(Arc::new(Lists::new(lists)));
        self.0.published.notify_waiters();
        Ok(again.max(now))
    }

    /// The list of a root whose key is elsewhere: nobody here makes it any more, and it must not lapse unseen.
    fn left_behind(&self, name: CrlName) -> Option<Listed> {
        let head = self.head(&name).filter(|_| name.generation == ROOT)?;
        let validity = head.next_update.since(head.this_update);
        Some(Listed::new(name, Some(head), Rhythm { validity, refresh: validity / 2 }))
    }

    /// Makes the lists of a signer whose key is about to go: they last that long, unless its certificate ends sooner.
    ///
    /// # Errors
    /// Where a list cannot be made.
    pub async fn publish_last(&self, signer: &ListSigner, validity: Duration, now: Timestamp) -> Result<(), CrlError> {
        for name in self.names(signer).await? {
            let row = self.0.state.crl(&name).await?;
            let rhythm = Rhythm { validity, refresh: validity / 2 };
            let made = Making { rhythm, ..self.making(signer, &name, row, now) }.publish().await?;
            info!(ca = name.ca, number = made.number, "the last CRL of a key that goes was published");
            self.remember(&name, made.took, now);
        }
        Ok(())
    }

    /// Makes one list where it is due: when to look at it again.
    async fn attend(
        &self,
        signer: &ListSigner,
        name: &CrlName,
        row: Option<CrlRow>,
        now: Timestamp,
    ) -> Result<Timestamp, CrlError> {
        let due = self.due_at(signer, name, row.as_ref(), now);
        if due > now {
            return Ok(due);
        }
        let path = self.0.folder.path(name, Kind::Full);
        match self.making(signer, name, row, now).publish().await {
            Ok(made) => {
                info!(ca = name.ca, list = %path.display(), number = made.number, octets = made.octets, "CRL published");
                self.remember(name, made.took, now);
                let row = self.0.state.crl(name).await?;
                Ok(self.due_at(signer, name, row.as_ref(), now))
            }
            Err(failure) => {
                error!(ca = name.ca, list = %path.display(), "no CRL was made: {}", providers::error::chain(&failure));
                Ok(now.plus(AGAIN))
            }
        }
    }

    fn due_at(&self, signer: &ListSigner, name: &CrlName, row: Option<&CrlRow>, now: Timestamp) -> Timestamp {
        let (rhythm, last) = (self.rhythm(&name.ca), self.last_making(name));
        if self.is_elsewhere(name) {
            return Timestamp::EPOCH;
        }
        schedule::due_at(row, self.0.folder.has(name), last, rhythm, signer.not_after, now)
    }

    /// New leaves name another distribution point than the list in its place: verifiers would not take it for theirs.
    fn is_elsewhere(&self, name: &CrlName) -> bool {
        let is_named = name.generation != ROOT && name.shard.is_some();
        let Some(url) = self.url(name).filter(|_| is_named) else { return false };
        self.head(name).is_some_and(|head| !head.points.contains(&url))
    }

    fn making<'a>(
        &'a self,
        signer: &'a ListSigner,
        name: &'a CrlName,
        before: Option<CrlRow>,
        now: Timestamp,
    ) -> Making<'a> {
        let (state, folder, rhythm) = (&self.0.state, &self.0.folder, self.rhythm(&name.ca));
        let public_url = self.0.config.load().http.public_url.clone();
        Making { state, folder, signer, name, rhythm, public_url, url: self.url(name), before, now }
    }

    /// The lists of a generation: that of all of it, and those of its shards, as long as leaves may name them.
    async fn names(&self, signer: &ListSigner) -> Result<Vec<CrlName>, StateError> {
        let named = self.0.config.load().http.public_url.is_some();
        let name = |shard| CrlName { ca: signer.ca.clone(), generation: signer.generation, shard };
        let shards = (0..making::shards(&self.0.state, signer).await?).map(|shard| name(Some(shard)));
        // Leaves from before `public_url` was taken away still name theirs.
        Ok(shards.filter(|list| named || self.0.folder.has(list)).chain([name(None)]).collect())
    }

    fn rhythm(&self, ca: &str) -> Rhythm {
        let config = self.0.config.load();
        let of = |ca: &crate::config::Ca| Rhythm { validity: ca.crl_validity, refresh: ca.crl_refresh };
        config.cas.get(ca).map_or(RETIRED, of)
    }

    fn last_making(&self, name: &CrlName) -> Option<schedule::Making> {
        self.makings().get(name).copied()
    }

    fn remember(&self, name: &CrlName, took: Duration, now: Timestamp) {
        self.makings().insert(name.clone(), schedule::Making { ended: now.plus(took), took });
        self.heads().remove(name);
    }

    /// What stands in the list that is in its place, beside its entries: read once.
    fn head(&self, name: &CrlName) -> Option<Head> {
        let mut heads = self.heads();
        if let Some(head) = heads.get(name) {
            return Some(head.clone());
        }
        let head = self.0.folder.head(name, Kind::Full)?;
        heads.insert(name.clone(), head.clone());
        Some(head)
    }

    fn heads(&self) -> std::sync::MutexGuard<'_, BTreeMap<CrlName, Head>> {
        self.0.heads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn makings(&self) -> std::sync::MutexGuard<'_, BTreeMap<CrlName, schedule::Making>> {
        self.0.makings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Crls {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Crls").field("folder", &self.0.folder).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
