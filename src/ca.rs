//! Private CAs: a root, issuing certificates below it, and the leaves that they sign.
//!
//! Intent before effect: keys, serials and the octets to be signed are in the database before a signature is made, so
//! that whatever leaves a CA is on record, and a crash anywhere leads to the same certificates.

mod certificate;
pub mod client;
mod constraints;
pub mod crl;
pub mod csr;
mod entered;
mod error;
mod extension;
mod generation;
mod import;
pub mod index;
mod issue;
pub mod key;
mod make;
pub mod name;
pub mod ocsp;
mod offline;
pub mod outside;
mod pending;
pub mod pointers;
mod profile;
mod purposes;
mod registry;
mod request;
pub mod revoke;
mod root;
mod rotate;
pub mod sign;
mod spread;
mod strength;
pub mod token;
mod trial;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use tokio::sync::Mutex;

pub use error::CaError;
pub use generation::{Generation, IssuerHashes};
pub use import::BroughtIn;
pub use key::{Signer, SigningStream};
pub use name::{AlternativeName, LeafSubject};
pub use offline::{RootKey, RootStanding};
pub use outside::OutsideError;
pub use pending::{Pending, pending};
pub use pointers::LeafPointers;
pub use registry::Registry;
pub use sign::Signed;
pub use trial::StrayKey;

use crate::clock::Timestamp;
use crate::config;
use crate::pki::pem::{self, Label};
use crate::state::State;

use generation::{Reader, Root};
use index::Index;
use issue::Queue;
use make::{FIRST, Maker};
use root::OpenRoot;

/// A private CA: all its generations, the newest of which issues.
#[derive(Debug)]
pub struct Authority {
    state: State,
    name: String,
    terms: ArcSwap<Terms>,
    /// Its own root, without the key; `None`: there is none, or it was left unfinished.
    known_root: ArcSwapOption<Root>,
    generations: ArcSwap<Vec<Arc<Generation>>>,
    root: OpenRoot,
    index: Index,
    queue: Queue,
    /// Held while a generation is made.
    rotating: Mutex<()>,
    /// It was said that the next generation has to be signed elsewhere.
    warned: AtomicBool,
}

/// What the config says of a CA.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Terms {
    /// `None`: it was taken out, and issues nothing more.
    pub config: Option<config::Ca>,
    /// Where leaves say that OCSP, CRLs and certificates are.
    pub public_url: Option<String>,
}

/// What a leaf is asked for with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeafRequest {
    /// The order's id: one order, one certificate, however often it is asked for.
    pub order: String,
    /// The profile's name.
    pub profile: String,
    /// Whom it is about, as far as the profile lets whoever asks say so.
    pub subject: LeafSubject,
    /// What it vouches for; the first is its common name where `subject` has none and it is short enough.
    pub names: Vec<AlternativeName>,
    /// The public key: a SubjectPublicKeyInfo in DER.
    pub spki_der: Vec<u8>,
    /// How long it is in force from now on, unless its issuer ends sooner; `None`: as the profile says.
    pub lifetime: Option<Duration>,
}

impl LeafRequest {
    /// For a TLS server.
    #[must_use]
    pub fn server(order: impl Into<String>, names: Vec<AlternativeName>, spki_der: Vec<u8>) -> Self {
        let profile = config::ca::profile::DEFAULT.to_owned();
        Self { order: order.into(), profile, subject: LeafSubject::default(), names, spki_der, lifetime: None }
    }
}

impl Authority {
    /// Opens a CA, and makes its root and its first issuing certificate where they are not there yet. `config` counts
    /// for what is made only: what is there stays as it is. `public_url` is what leaves point to.
    ///
    /// May be called at once by several, and again after a crash at any point: all get the same root.
    ///
    /// # Errors
    /// Where the database fails, holds something damaged, or the config's subject is too long for X.509.
    pub async fn open(
        state: &State,
        name: &str,
        config: &config::Ca,
        public_url: Option<&str>,
        now: Timestamp,
    ) -> Result<Self, CaError> {
        let terms = Terms { config: Some(config.clone()), public_url: public_url.map(str::to_owned) };
        Self::open_with(state, name, terms, now).await
    }

    pub(crate) async fn open_with(state: &State, name: &str, terms: Terms, now: Timestamp) -> Result<Self, CaError> {
        let token = terms.config.as_ref().and_then(|config| config.token.as_ref());
        let reader = Reader { state, name, token };
        // In this order: somebody else may make both at the same time, the root first.
        let begun = state.newest_ca(name).await?.is_some();
        let mut root = reader.root().await?;
        let mut generations = if begun { reader.generations(root.as_ref()).await? } else { Vec::new() };
        if let (true, Some(config)) = (generations.is_empty(), &terms.config) {
            let maker = Maker { reader, config, public_url: terms.public_url.as_deref(), now };
            let made = maker.root().await?;
            maker.issuing(FIRST, &made, None).await?;
            generations = reader.generations(Some(&made)).await?;
            root = Some(made);
        }
        let generations: Vec<_> = generations.into_iter().map(Arc::new).collect();
        entered::enter(state, name, root.as_ref(), &generations).await?;
        Ok(Self {
            state: state.clone(),
            name: name.to_owned(),
            terms: ArcSwap::from_pointee(terms),
            known_root: ArcSwapOption::from_pointee(root.map(|root| root.known())),
            generations: ArcSwap::from_pointee(generations),
            root: OpenRoot::default(),
            index: Index::default(),
            queue: Queue::default(),
            rotating: Mutex::default(),
            warned: AtomicBool::new(false),
        })
    }

    pub(crate) fn set_terms(&self, terms: Terms) {
        if let Some(token) = terms.config.as_ref().and_then(|config| config.token.as_ref()) {
            self.generations.load().iter().for_each(|generation| generation.signer().reach(token));
        }
        self.terms.store(Arc::new(terms));
    }

    fn damaged(&self, what: &'static str) -> CaError {
        CaError::Damaged { ca: self.name.clone(), what }
    }

    fn reader<'a>(&'a self, terms: &'a Terms) -> Reader<'a> {
        let token = terms.config.as_ref().and_then(|config| config.token.as_ref());
        Reader { state: &self.state, name: &self.name, token }
    }

    /// A key of it is in a token that failed when it was used last.
    #[must_use]
    pub fn is_failing(&self) -> bool {
        self.generations.load().iter().any(|generation| generation.signer().is_failing())
    }

    /// The CA's name in the config.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the config says of it; `None`: it was taken out.
    #[must_use]
    pub fn config(&self) -> Option<config::Ca> {
        self.terms.load().config.clone()
    }

    /// What leaves, CRLs and their distribution points begin with.
    #[must_use]
    pub fn public_url(&self) -> Option<String> {
        self.terms.load().public_url.clone()
    }

    /// How its certificates stand, as far as it was read or told.
    #[must_use]
    pub const fn index(&self) -> &Index {
        &self.index
    }

    /// An OCSP answer lasts this long.
    #[must_use]
    pub fn ocsp_validity(&self) -> Duration {
        self.terms.load().config.as_ref().map_or(config::ca::OCSP_VALIDITY, |config| config.ocsp_validity)
    }

    /// All issuing certificates, the oldest first; empty where the CA was left unfinished.
    #[must_use]
    pub fn generations(&self) -> Arc<Vec<Arc<Generation>>> {
        self.generations.load_full()
    }

    /// Its own root, without the key.
    pub(in crate::ca) fn known_root(&self) -> Option<Arc<Root>> {
        self.known_root.load_full()
    }

    /// The issuing certificate of that number.
    #[must_use]
    pub fn generation(&self, number: u32) -> Option<Arc<Generation>> {
        self.generations.load().iter().find(|generation| generation.number == number).cloned()
    }

    /// The issuing certificate that signs new leaves.
    ///
    /// # Errors
    /// `CaError::NoGeneration`.
    pub fn newest(&self) -> Result<Arc<Generation>, CaError> {
        let newest = self.generations.load().last().cloned();
        newest.ok_or_else(|| CaError::NoGeneration { ca: self.name.clone() })
    }

    /// The newest issuing certificate in PEM and then everything above it, the root last.
    ///
    /// # Errors
    /// `CaError::NoGeneration`.
    pub fn chain_pem(&self) -> Result<String, CaError> {
        let newest = self.newest()?;
        let ders = std::iter::once(&newest.certificate).chain(&newest.above);
        Ok(ders.map(|der| pem::encode(Label::Certificate, der)).collect())
    }

    /// The root of the newest generation in PEM: what verifiers trust.
    ///
    /// # Errors
    /// `CaError::NoGeneration`.
    pub fn root_pem(&self) -> Result<String, CaError> {
        Ok(pem::encode(Label::Certificate, self.newest()?.root()))
    }
}

#[cfg(test)]
mod tests;
