//! The CAs of a daemon: those in the config, and those that were and still answer for their leaves.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::Mutex;

use super::index::SerialKey;
use super::revoke::{Observer, Standing};
use super::{Authority, CaError, Terms};
use crate::clock::Clock;
use crate::config::{self, Config};
use crate::pki::serial::Serial;
use crate::state::State;

/// The CAs of a daemon, each opened when it is first asked for. Cloning shares them.
#[derive(Debug, Clone)]
pub struct Registry(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    state: State,
    clock: Clock,
    settings: ArcSwap<Settings>,
    open: ArcSwap<HashMap<String, Arc<Authority>>>,
    /// Held while one is opened: it is made once. Holds the names on record, once they were read.
    opening: Mutex<Option<BTreeSet<String>>>,
    /// Why CAs cannot be opened, by name.
    troubles: ArcSwap<BTreeMap<String, String>>,
}

#[derive(Debug)]
struct Settings {
    cas: BTreeMap<String, config::Ca>,
    public_url: Option<String>,
}

impl Settings {
    fn new(config: &Config) -> Self {
        Self { cas: config.cas.clone(), public_url: config.http.public_url.clone() }
    }

    fn terms(&self, name: &str) -> Terms {
        Terms { config: self.cas.get(name).cloned(), public_url: self.public_url.clone() }
    }
}

impl Registry {
    /// The CAs of a state under a config. Nothing is read or made yet.
    #[must_use]
    pub fn open(state: State, clock: Clock, config: &Config) -> Self {
        Self(Arc::new(Inner {
            state,
            clock,
            settings: ArcSwap::from_pointee(Settings::new(config)),
            open: ArcSwap::default(),
            opening: Mutex::default(),
            troubles: ArcSwap::default(),
        }))
    }

    /// The CA of that name, made where it is in the config and not there yet; `None` where it is neither in the config
    /// nor on record. A CA taken out of the config issues nothing more, and goes on answering for its leaves.
    ///
    /// # Errors
    /// Where it cannot be opened or made; the next call tries again.
    pub async fn get(&self, name: &str) -> Result<Option<Arc<Authority>>, CaError> {
        if let Some(open) = self.0.open.load().get(name) {
            return Ok(Some(Arc::clone(open)));
        }
        let mut on_record = self.0.opening.lock().await;
        if let Some(open) = self.0.open.load().get(name) {
            return Ok(Some(Arc::clone(open)));
        }
        let terms = self.0.settings.load().terms(name);
        if terms.config.is_none() && !self.is_on_record(&mut on_record, name).await? {
            return Ok(None);
        }
        let opened = Authority::open_with(&self.0.state, name, terms, self.0.clock.now()).await;
        self.note(name, opened.as_ref().err());
        let opened = Arc::new(opened?);
        self.0.open.rcu(|open| {
            let mut open = HashMap::clone(open);
            open.insert(name.to_owned(), Arc::clone(&opened));
            open
        });
        // A reload may have come in between.
        opened.set_terms(self.0.settings.load().terms(name));
        self.0.state.wake_lists();
        Ok(Some(opened))
    }

    /// Remembers why a CA cannot be opened; news are logged.
    fn note(&self, name: &str, failure: Option<&CaError>) {
        let words = failure.map(|failure| providers::error::chain(failure));
        let before = self.0.troubles.load();
        if before.get(name) == words.as_ref() {
            return;
        }
        match &words {
            Some(words) => tracing::error!(ca = name, "the CA cannot be opened: {words}"),
            None => tracing::info!(ca = name, "the CA can be opened again"),
        }
        let mut troubles = BTreeMap::clone(&before);
        match words {
            Some(words) => troubles.insert(name.to_owned(), words),
            None => troubles.remove(name),
        };
        self.0.troubles.store(Arc::new(troubles));
    }

    /// How many CAs cannot be opened, or have keys in a token that failed when they were used last.
    #[must_use]
    pub fn troubled(&self) -> usize {
        let failing = self.0.open.load().values().filter(|authority| authority.is_failing()).count();
        self.0.troubles.load().len() + failing
    }

    /// The CA of that name, where it was asked for before.
    #[must_use]
    pub fn opened(&self, name: &str) -> Option<Arc<Authority>> {
        self.0.open.load().get(name).cloned()
    }

    /// Every CA, in the config or on record, by name.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn names(&self) -> Result<Vec<String>, CaError> {
        let mut names: BTreeSet<String> = self.0.state.ca_names().await?.into_iter().collect();
        names.extend(self.0.settings.load().cas.keys().cloned());
        Ok(names.into_iter().collect())
    }

    /// The names of those in the config: the others issue nothing more.
    #[must_use]
    pub fn configured(&self) -> Vec<String> {
        self.0.settings.load().cas.keys().cloned().collect()
    }

    /// Puts an edited config in force.
    pub fn reload(&self, config: &Config) {
        self.0.settings.store(Arc::new(Settings::new(config)));
        for (name, authority) in self.0.open.load().iter() {
            authority.set_terms(self.0.settings.load().terms(name));
        }
    }

    /// Where the CAs keep what they remember.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.0.state
    }

    async fn is_on_record(&self, known: &mut Option<BTreeSet<String>>, name: &str) -> Result<bool, CaError> {
        if known.is_none() {
            *known = Some(self.0.state.ca_names().await?.into_iter().collect());
        }
        Ok(known.as_ref().is_some_and(|known| known.contains(name)))
    }
}

/// A CA's index learns at once how its certificates stand. That of a CA which nobody asked for yet is read from the
/// database, which knows already.
impl Observer for Registry {
    fn changed(&self, ca: &str, generation: u32, serial: &Serial, standing: Standing) {
        let (Some(authority), Some(key)) = (self.opened(ca), SerialKey::from_be_bytes(&serial.to_be_bytes())) else {
            return;
        };
        match standing {
            Standing::Revoked { at, reason, .. } => authority.index().revoked(key, generation, at, reason.code()),
            Standing::Good { .. } => authority.index().released(key),
        }
    }
}
