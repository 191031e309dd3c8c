//! Private CAs: a root, an issuing certificate below it, and the leaves that it signs.
//!
//! Intent before effect: keys, serials and the octets to be signed are in the database before a signature is made, so
//! that whatever leaves a CA is on record, and a crash anywhere leads to the same certificates.

pub mod client;
mod error;
mod generation;
mod profile;
mod signing;

use std::time::Duration;

pub use error::CaError;

use crate::clock::Timestamp;
use crate::config;
use crate::identifier::Identifier;
use crate::pki::chain::Chain;
use crate::pki::pem::{self, Label};
use crate::state::State;
use crate::state::ca::{CaCertificateRow, NewCaCertificate};

use generation::{Generation, Maker};

/// A private CA, ready to issue.
#[derive(Debug)]
pub struct Authority {
    state: State,
    name: String,
    public_url: Option<String>,
    root: Vec<u8>,
    issuing: Generation,
}

/// What a leaf is asked for with.
#[derive(Debug, Clone, Copy)]
pub struct LeafRequest<'a> {
    /// The order's id: one order, one certificate, however often it is asked for.
    pub order: &'a str,
    /// What the leaf vouches for; the first is its common name, where it is short enough.
    pub names: &'a [Identifier],
    /// The public key: a SubjectPublicKeyInfo in DER.
    pub spki_der: &'a [u8],
    /// How long it is in force from now on, unless its issuer ends sooner.
    pub lifetime: Duration,
}

impl Authority {
    /// Opens a CA, and makes its root and its first issuing certificate where they are not there yet. `config` counts
    /// for what is made only: what is there stays as it is. `public_url` is where leaves say that the issuing
    /// certificate can be fetched.
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
        let maker = Maker { state, name, config, now };
        let root = maker.root().await?;
        let issuing = maker.newest(&root).await?;
        Ok(Self {
            state: state.clone(),
            name: name.to_owned(),
            public_url: public_url.map(|url| url.trim_end_matches('/').to_owned()),
            root: root.certificate,
            issuing,
        })
    }

    /// Issues a leaf: the same chain, octet by octet, each time that the same order asks, whatever else it asks for.
    ///
    /// # Errors
    /// Where the database fails, the issuing certificate has expired, or the key is of a kind that we do not certify.
    pub async fn issue(&self, request: &LeafRequest<'_>, now: Timestamp) -> Result<Chain, CaError> {
        let row = match self.leaf_of(request.order).await? {
            Some(row) => row,
            None => self.intend(request, now).await?,
        };
        match self.generation_of(&row).await? {
            Some(issuing) => self.complete(row, &issuing).await,
            None => self.complete(row, &self.issuing).await,
        }
    }

    /// Writes down what is going to be signed.
    async fn intend(&self, request: &LeafRequest<'_>, now: Timestamp) -> Result<CaCertificateRow, CaError> {
        let leaf = profile::leaf(request, &self.issuing, self.issuing_url().as_deref(), now)?;
        let to_be_signed = signing::to_be_signed(&leaf.params, request.spki_der, &self.issuing)?;
        let new = NewCaCertificate {
            ca: &self.name,
            serial: leaf.serial.to_string(),
            generation: self.issuing.number,
            order_id: request.order,
            names: request.names,
            not_before: leaf.not_before,
            not_after: leaf.not_after,
            to_be_signed: &to_be_signed,
        };
        self.state.add_ca_certificate(&new, now).await?;
        self.reread(request.order).await
    }

    /// Signs what was written down, unless that is done, and keeps the first signature.
    async fn complete(&self, mut row: CaCertificateRow, issuing: &Generation) -> Result<Chain, CaError> {
        if let (None, Some(to_be_signed)) = (&row.certificate, &row.to_be_signed) {
            let signed = signing::sign(to_be_signed, &issuing.key)?;
            self.state.ca_certificate_signed(&self.name, &row.serial, &signed).await?;
            // Somebody else may have signed at the same time: theirs is the one that is on record, then.
            row = self.reread(&row.order_id).await?;
        }
        let certificate = row.certificate.ok_or_else(|| self.damaged("a leaf without anything to sign"))?;
        Ok(Chain::from_ders(vec![certificate, issuing.certificate.clone()])?)
    }

    async fn leaf_of(&self, order: &str) -> Result<Option<CaCertificateRow>, CaError> {
        Ok(self.state.ca_certificate_of(&self.name, order).await?)
    }

    async fn reread(&self, order: &str) -> Result<CaCertificateRow, CaError> {
        self.leaf_of(order).await?.ok_or_else(|| self.damaged("a leaf that was written is not there"))
    }

    /// The issuing certificate of an older leaf; `None` where that is the current one.
    async fn generation_of(&self, row: &CaCertificateRow) -> Result<Option<Generation>, CaError> {
        if row.generation == self.issuing.number {
            return Ok(None);
        }
        let found = generation::existing(&self.state, &self.name, row.generation).await?;
        found.map(Some).ok_or_else(|| self.damaged("a leaf's issuing certificate is not there"))
    }

    fn damaged(&self, what: &'static str) -> CaError {
        CaError::Damaged { ca: self.name.clone(), what }
    }

    /// Where the issuing certificate can be fetched.
    fn issuing_url(&self) -> Option<String> {
        let url = self.public_url.as_ref()?;
        Some(format!("{url}/ca/{}/{}.crt", self.name, self.issuing.number))
    }

    /// The CA's name in the config.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The generation that issues.
    #[must_use]
    pub const fn generation(&self) -> u32 {
        self.issuing.number
    }

    /// When the issuing certificate, and so every leaf, ends.
    #[must_use]
    pub const fn not_after(&self) -> Timestamp {
        self.issuing.not_after
    }

    /// The root in PEM: what verifiers trust.
    #[must_use]
    pub fn root_pem(&self) -> String {
        pem::encode(Label::Certificate, &self.root)
    }

    /// The newest issuing certificate in PEM.
    #[must_use]
    pub fn issuing_pem(&self) -> String {
        pem::encode(Label::Certificate, &self.issuing.certificate)
    }

    /// The newest issuing certificate in PEM and then the root.
    #[must_use]
    pub fn chain_pem(&self) -> String {
        self.issuing_pem() + &self.root_pem()
    }

    /// The newest issuing certificate in DER.
    #[must_use]
    pub fn issuing_der(&self) -> &[u8] {
        &self.issuing.certificate
    }

    /// An issuing certificate in DER, of this generation or an older one; `None` where there is no such generation.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn generation_der(&self, generation: u32) -> Result<Option<Vec<u8>>, CaError> {
        match generation {
            0 => Ok(None),
            _ => Ok(self.state.ca(&self.name, generation).await?.and_then(|row| row.certificate)),
        }
    }
}

#[cfg(test)]
mod tests;
