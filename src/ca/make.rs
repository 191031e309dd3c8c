//! Making what a CA has not got yet: its root, and its next issuing certificate.

use zeroize::Zeroizing;

use super::generation::{ROOT, Reader, Root};
use super::key::Signer;
use super::profile::{self, Draft, IssuingPointers};
use super::{CaError, pointers};
use crate::clock::Timestamp;
use crate::config;
use crate::config::ca::Token;
use crate::crash;
use crate::pki::key::{KeyType, PrivateKey};
use crate::state::ca::{KeyPlace, NewCa};

/// The first issuing certificate.
pub(super) const FIRST: u32 = 1;

/// All that a root has certified stands in one list.
const ROOT_SHARD: u32 = 0;

/// Makes what a CA has not got yet. Several may do so at once: the first to write something down has made it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Maker<'a> {
    pub reader: Reader<'a>,
    pub config: &'a config::Ca,
    /// What distribution points begin with.
    pub public_url: Option<&'a str>,
    pub now: Timestamp,
}

/// A new key.
pub(super) struct NewKey {
    pub signer: Signer,
    pub key_type: KeyType,
    kept: Kept,
}

enum Kept {
    Sealed(Zeroizing<Vec<u8>>),
    Token(String),
}

impl NewKey {
    /// Where it is kept.
    pub fn place(&self) -> KeyPlace<'_> {
        match &self.kept {
            Kept::Sealed(der) => KeyPlace::Sealed(der),
            Kept::Token(uri) => KeyPlace::Token(uri),
        }
    }
}

impl NewKey {
    /// Makes one, in the token where the config names one. `label` is what people find there.
    pub async fn make(config: &config::Ca, label: String) -> Result<Self, CaError> {
        match &config.token {
            Some(token) => Self::in_token(token.clone(), config.key, label).await,
            None => Self::sealed(config.key).await,
        }
    }

    async fn in_token(token: Token, key_type: KeyType, label: String) -> Result<Self, CaError> {
        let made = tokio::task::spawn_blocking(move || Signer::generate_in(&token, key_type, &label));
        let signer = made.await.map_err(|_| CaError::Interrupted)??;
        crash::named("token_key_made");
        let uri = signer.token_uri().ok_or(CaError::Signing)?;
        Ok(Self { signer, key_type, kept: Kept::Token(uri) })
    }

    /// Off the threads that serve everybody: an RSA key takes seconds.
    async fn sealed(key_type: KeyType) -> Result<Self, CaError> {
        let made = tokio::task::spawn_blocking(move || PrivateKey::generate(key_type).map(|key| key.to_pkcs8_der()));
        let der = made.await.map_err(|_| CaError::Interrupted)??;
        Ok(Self { signer: Signer::from_pkcs8_der(&der)?, key_type, kept: Kept::Sealed(der) })
    }
}

impl Maker<'_> {
    /// The root, made where there is none.
    pub async fn root(&self) -> Result<Root, CaError> {
        if let Some(root) = self.reader.root().await? {
            return Ok(root);
        }
        let key = NewKey::make(self.config, format!("renewd {} root", self.reader.name)).await?;
        let draft = profile::root(self.config, &key.signer, self.now)?;
        self.write(ROOT, &key, &draft, None).await?;
        let missing = || CaError::Damaged { ca: self.reader.name.to_owned(), what: "its root is not there" };
        self.reader.root().await?.ok_or_else(missing)
    }

    /// An issuing certificate of that number, written down; whoever opens the CA next signs it where this does not.
    /// `above` is what stands above it where that is not the CA's own root.
    pub async fn issuing(&self, number: u32, by: &Root, above: Option<&[Vec<u8>]>) -> Result<(), CaError> {
        if by.signer.is_none() {
            return Err(CaError::RootKeyElsewhere);
        }
        let key = NewKey::make(self.config, format!("renewd {} {number}", self.reader.name)).await?;
        let pointers = self.pointers(above.is_none());
        let draft = profile::issuing(self.config, number, by, &pointers, key.signer.spki_der(), self.now)?;
        self.write(number, &key, &draft, above).await?;
        crash::named("generation_written");
        Ok(())
    }

    /// We answer for whatever we certify, and our own root has a list of it; an imported root's is that of its leaves.
    fn pointers(&self, below_own_root: bool) -> IssuingPointers {
        let name = self.reader.name;
        let crl_url = |url| pointers::crl_url(url, name, ROOT, ROOT_SHARD);
        IssuingPointers {
            ocsp_url: self.public_url.map(|url| pointers::ocsp_url(url, name)),
            crl_url: self.public_url.filter(|_| below_own_root).map(crl_url),
        }
    }

    async fn write(
        &self,
        generation: u32,
        key: &NewKey,
        draft: &Draft,
        above: Option<&[Vec<u8>]>,
    ) -> Result<(), CaError> {
        let new = NewCa {
            name: self.reader.name,
            generation,
            serial: draft.serial.to_string(),
            key_type: key.key_type.as_str(),
            key: key.place(),
            not_before: draft.not_before,
            not_after: draft.not_after,
            to_be_signed: &draft.to_be_signed,
            certificate: None,
            above,
            shard_size: self.config.crl_shard_size,
        };
        Ok(self.reader.state.add_ca(&new, self.now).await?)
    }
}
