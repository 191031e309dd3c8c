//! Looking whether a CA's keys in a token sign, before a signature is wanted, and what lies there beside them.

use std::path::PathBuf;

use super::generation::ROOT;
use super::token::TokenKey;
use super::{Authority, CaError};

/// What is signed to see whether a key signs: nothing that could be taken for a certificate, a list or an answer.
const OF_NO_USE: &[u8] = b"renewd looks whether this key signs";

/// A key in a token that bears a CA's name and is on no record: what a power cut left between its making and the record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StrayKey {
    /// What people find there.
    pub label: String,
    /// CKA_ID, in lower-case hex.
    pub id: String,
    /// The token's label.
    pub token: String,
    /// The library.
    pub module: PathBuf,
}

impl Authority {
    /// Has every key that is in a token sign something of no use, and answers how many there are. A token that failed
    /// before and signs now is failing no longer.
    ///
    /// # Errors
    /// Where one of them does not sign.
    pub async fn try_keys(&self) -> Result<usize, CaError> {
        let root = self.open_root().await?.and_then(|root| root.signer.clone());
        let generations = self.generations();
        let issuing = generations.iter().map(|generation| generation.signer().clone());
        let mut tried = 0;
        for signer in issuing.chain(root).filter(|signer| signer.token_uri().is_some()) {
            signer.sign_aside(OF_NO_USE).await?;
            tried += 1;
        }
        Ok(tried)
    }

    /// Keys in the CA's token that are called as ours are and are on no record. They are left alone: they may be those of
    /// another renewd.
    ///
    /// # Errors
    /// Where the token or the database fails.
    pub async fn stray_keys(&self) -> Result<Vec<StrayKey>, CaError> {
        let Some(token) = self.config().and_then(|config| config.token) else { return Ok(Vec::new()) };
        let known = self.key_ids().await?;
        let (asked, prefix) = (token.clone(), format!("renewd {} ", self.name));
        let found = tokio::task::spawn_blocking(move || TokenKey::labelled(&asked, &prefix)).await;
        let found = found.map_err(|_| CaError::Interrupted)??;
        let stray = found.into_iter().filter(|key| !known.contains(&key.id)).map(|key| StrayKey {
            label: key.label,
            id: hex::encode(key.id),
            token: token.label.clone(),
            module: token.module.clone(),
        });
        Ok(stray.collect())
    }

    /// Of all keys in tokens that are on record for it.
    async fn key_ids(&self) -> Result<Vec<Vec<u8>>, CaError> {
        let mut uris: Vec<Option<String>> = vec![self.state.ca_request(&self.name).await?.and_then(|row| row.key_uri)];
        uris.push(self.state.ca(&self.name, ROOT).await?.and_then(|row| row.key_uri));
        uris.extend(self.state.ca_generations(&self.name).await?.into_iter().map(|row| row.key_uri));
        Ok(uris.into_iter().flatten().filter_map(|uri| TokenKey::id_in(&uri)).collect())
    }
}
