//! What client certificates need of the CAs.

use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;

use crate::ca::CaError;
use crate::clock::Timestamp;
use crate::pki::chain::Chain;
use crate::state::client::ClientSubject;

/// A certificate that is to be signed.
#[derive(Debug, Clone)]
pub struct ClientLeaf {
    /// Its id: asked for again under the same one, the same certificate is answered.
    pub order: String,
    /// The CA's profile.
    pub profile: String,
    /// Who it is for.
    pub subject: ClientSubject,
    /// Further subject alternative names.
    pub names: Vec<String>,
    /// Whose public key it certifies.
    pub key: LeafKey,
    /// How long it is in force.
    pub lifetime: Duration,
}

/// A public key to be certified.
#[derive(Debug, Clone)]
pub enum LeafKey {
    /// A SubjectPublicKeyInfo in DER, of a key that was made here.
    Own(Vec<u8>),
    /// Somebody's request in PEM: its signature is checked, and it is held against the profile.
    Request(String),
}

/// What changes in how a certificate stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatusChange {
    /// Revoked, for this reason of RFC 5280 (section 5.3.1); 6 puts it on hold.
    Revoke(u8),
    /// A hold ends.
    Release,
}

/// CAs, by their names in the config.
#[async_trait]
pub trait Certifier: Debug + Send + Sync {
    /// The config has this CA.
    fn knows(&self, ca: &str) -> bool;

    /// Whether the CA would issue this, before anything is written down.
    ///
    /// # Errors
    /// Why it would not.
    async fn check(&self, ca: &str, leaf: &ClientLeaf) -> Result<(), CaError>;

    /// Signs all of them, each by itself: the answers stand in the order of the leaves.
    async fn issue(&self, ca: &str, leaves: &[ClientLeaf], now: Timestamp) -> Vec<Result<Chain, CaError>>;

    /// Changes how a certificate stands; done before, it is done.
    ///
    /// # Errors
    /// Where the CA does not do so.
    async fn change(&self, ca: &str, serial: &str, change: StatusChange, now: Timestamp) -> Result<(), CaError>;
}
