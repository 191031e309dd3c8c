//! Taking the root's key offline: handing it out, forgetting it here, and taking it back.

use secrecy::SecretString;
use zeroize::Zeroizing;

use super::generation::{Facts, ROOT};
use super::{Authority, CaError};
use crate::clock::Timestamp;
use crate::pki::bundle;
use crate::pki::chain::Chain;
use crate::pki::key::PrivateKey;
use crate::state::ca::CaRow;

/// Where the root's key is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RootKey {
    /// In the database, sealed.
    Here,
    /// In a PKCS#11 token.
    Token,
    /// Somewhere else.
    Elsewhere,
}

impl RootKey {
    /// In one word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Here => "here",
            Self::Token => "token",
            Self::Elsewhere => "elsewhere",
        }
    }
}

/// The CA's own root, as it stands.
#[derive(Debug, Clone)]
pub struct RootStanding {
    /// In DER.
    pub certificate: Vec<u8>,
    /// Its end.
    pub not_after: Timestamp,
    /// Where its key is.
    pub key: RootKey,
    /// The key was handed out then.
    pub exported_at: Option<Timestamp>,
}

impl Authority {
    /// The CA's own root; `None` where it has none, or it was left unfinished.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn root(&self) -> Result<Option<RootStanding>, CaError> {
        let row = self.state.ca(&self.name, ROOT).await?;
        Ok(row.and_then(|row| {
            let key = match (&row.key_uri, row.has_key()) {
                (Some(_), _) => RootKey::Token,
                (None, true) => RootKey::Here,
                (None, false) => RootKey::Elsewhere,
            };
            let (not_after, exported_at) = (row.not_after, row.exported_at);
            Some(RootStanding { certificate: row.certificate?, not_after, key, exported_at })
        }))
    }

    /// The root with its key as PKCS#12 under a password, for a safe place. That it was handed out is noted.
    ///
    /// # Errors
    /// `NoRoot`, `RootKeyElsewhere`, `RootKeyInToken`, and where the database fails.
    pub async fn export_root(&self, password: &SecretString, now: Timestamp) -> Result<Zeroizing<Vec<u8>>, CaError> {
        let row = self.root_row().await?;
        let key = row.key(&self.state)?.ok_or(CaError::RootKeyElsewhere)?;
        let key = PrivateKey::from_pkcs8_der(&key)?;
        let certificate = row.certificate.ok_or_else(|| self.damaged("its root is not signed"))?;
        let chain = Chain::from_ders(vec![certificate])?;
        let (name, password) = (format!("{} root", self.name), password.clone());
        let made = tokio::task::spawn_blocking(move || bundle::pfx(&key, &chain, &name, &password));
        let file = made.await.map_err(|_| CaError::Interrupted)??;
        self.state.root_key_exported(&self.name, now).await?;
        tracing::info!(ca = self.name, "the root's key was handed out");
        Ok(file)
    }

    /// Forgets the root's key. Issuing goes on; the next generation is signed elsewhere, and the root's own
    /// list is made no more.
    ///
    /// # Errors
    /// `NotExported`, `NoRoot`, `RootKeyElsewhere`, `RootKeyInToken`, and where the database fails.
    pub async fn forget_root(&self) -> Result<(), CaError> {
        let _rotating = self.rotating.lock().await;
        if !self.root_row().await?.has_key() {
            return Err(CaError::RootKeyElsewhere);
        }
        if !self.state.forget_root_key(&self.name).await? {
            return Err(CaError::NotExported);
        }
        self.drop_root().await;
        tracing::info!(ca = self.name, "the root's key was forgotten");
        Ok(())
    }

    /// Takes the root's key back.
    ///
    /// # Errors
    /// `OtherKey` where it is that of something else, `NoRoot`, `RootKeyInToken`, and where the database fails.
    pub async fn restore_root(&self, key: &PrivateKey) -> Result<(), CaError> {
        let _rotating = self.rotating.lock().await;
        let row = self.root_row().await?;
        let certificate = row.certificate.ok_or_else(|| self.damaged("its root is not signed"))?;
        if Facts::read(&certificate)?.spki_der != key.spki_der() {
            return Err(CaError::OtherKey);
        }
        self.state.put_root_key(&self.name, &key.to_pkcs8_der()).await?;
        self.state.wake_lists();
        tracing::info!(ca = self.name, "the root's key is here again");
        Ok(())
    }

    async fn root_row(&self) -> Result<CaRow, CaError> {
        let row = self.state.ca(&self.name, ROOT).await?.ok_or(CaError::NoRoot)?;
        if row.key_uri.is_some() { Err(CaError::RootKeyInToken) } else { Ok(row) }
    }
}
