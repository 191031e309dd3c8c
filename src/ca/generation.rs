//! A CA's own certificates: the root, generation 0, and the issuing ones below it.

use super::profile::{self, Profile};
use super::{CaError, signing};
use crate::clock::Timestamp;
use crate::config;
use crate::pki::key::{KeyType, PrivateKey};
use crate::state::State;
use crate::state::ca::{CaRow, NewCa};

/// The root.
const ROOT: u32 = 0;

/// The first issuing certificate.
const FIRST: u32 = 1;

/// A certificate of the CA with its key.
#[derive(Debug)]
pub(super) struct Generation {
    /// 0 is the root.
    pub number: u32,
    /// Signs what is below it.
    pub key: PrivateKey,
    /// In DER.
    pub certificate: Vec<u8>,
    /// In force from here.
    pub not_before: Timestamp,
    /// In force until here.
    pub not_after: Timestamp,
}

/// Makes what a CA has not got yet.
#[derive(Debug, Clone, Copy)]
pub(super) struct Maker<'a> {
    pub state: &'a State,
    pub name: &'a str,
    pub config: &'a config::Ca,
    pub now: Timestamp,
}

impl Maker<'_> {
    /// The root, made where there is none.
    pub async fn root(&self) -> Result<Generation, CaError> {
        if let Some(root) = existing(self.state, self.name, ROOT).await? {
            return Ok(root);
        }
        let key = generate(self.config.key).await?;
        let profile = profile::root(self.config, self.now)?;
        let to_be_signed = signing::self_to_be_signed(&profile.params, &key)?;
        self.make(ROOT, &key, &profile, &to_be_signed).await
    }

    /// The newest issuing certificate; the first is made where there is none.
    pub async fn newest(&self, root: &Generation) -> Result<Generation, CaError> {
        if let Some(row) = self.state.newest_ca(self.name).await? {
            return complete(self.state, row).await;
        }
        let key = generate(self.config.key).await?;
        let profile = profile::issuing(self.config, FIRST, root, self.now)?;
        let to_be_signed = signing::to_be_signed(&profile.params, &key.spki_der(), root)?;
        self.make(FIRST, &key, &profile, &to_be_signed).await
    }

    /// Writes a generation down and signs it; or takes the one that somebody else has written down meanwhile.
    async fn make(
        &self,
        number: u32,
        key: &PrivateKey,
        profile: &Profile,
        to_be_signed: &[u8],
    ) -> Result<Generation, CaError> {
        let new = NewCa {
            name: self.name,
            generation: number,
            serial: profile.serial.to_string(),
            key_type: self.config.key.as_str(),
            key: &key.to_pkcs8_der(),
            not_before: profile.not_before,
            not_after: profile.not_after,
            to_be_signed,
        };
        self.state.add_ca(&new, self.now).await?;
        existing(self.state, self.name, number).await?.ok_or_else(|| missing(self.name))
    }
}

/// The generation of that number, where it was begun at least.
pub(super) async fn existing(state: &State, name: &str, number: u32) -> Result<Option<Generation>, CaError> {
    match state.ca(name, number).await? {
        Some(row) => complete(state, row).await.map(Some),
        None => Ok(None),
    }
}

/// Signs what was written down, unless that is done, and keeps the first signature.
async fn complete(state: &State, row: CaRow) -> Result<Generation, CaError> {
    let signer = signer(state, &row).await?;
    let mut row = row;
    if row.certificate.is_none() {
        let signed = signing::sign(&row.to_be_signed, &signer)?;
        state.ca_signed(&row.name, row.generation, &signed).await?;
        row = state.ca(&row.name, row.generation).await?.ok_or_else(|| missing(&row.name))?;
    }
    let key = PrivateKey::from_pkcs8_der(&row.key(state)?)?;
    let (number, not_before, not_after) = (row.generation, row.not_before, row.not_after);
    let certificate = row.certificate.ok_or_else(|| missing(&row.name))?;
    Ok(Generation { number, key, certificate, not_before, not_after })
}

/// The root's key: it signs the root and every issuing certificate.
async fn signer(state: &State, row: &CaRow) -> Result<PrivateKey, CaError> {
    let key = match row.generation {
        ROOT => row.key(state)?,
        _ => state.ca(&row.name, ROOT).await?.ok_or_else(|| missing(&row.name))?.key(state)?,
    };
    Ok(PrivateKey::from_pkcs8_der(&key)?)
}

fn missing(name: &str) -> CaError {
    CaError::Damaged { ca: name.to_owned(), what: "a generation that was written or signed is not there" }
}

/// An RSA key takes seconds: off the threads that serve everybody.
async fn generate(key_type: KeyType) -> Result<PrivateKey, CaError> {
    let made = tokio::task::spawn_blocking(move || PrivateKey::generate(key_type)).await;
    Ok(made.map_err(|_| CaError::Interrupted)??)
}
