//! Which certificates of our CAs sign lists.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::{ListSigner, ListSigners};
use crate::ca::generation::Generation;
use crate::ca::{Authority, CaError, Registry};
use crate::clock::Timestamp;
use crate::state::State;

/// After the last leaf of an older generation has expired its lists are made for so long: an entry stays until a list
/// has shown it after the certificate's end.
const AFTERMATH: Duration = Duration::from_secs(7 * 86_400);

#[async_trait]
impl ListSigners for Registry {
    async fn list_signers(&self, now: Timestamp) -> Result<Vec<ListSigner>, CaError> {
        let mut signers = Vec::new();
        for name in self.names().await? {
            match self.get(&name).await {
                Ok(Some(authority)) => signers.extend(of(&authority, self.state(), now).await?),
                Ok(None) => {}
                // One CA that cannot be opened keeps no other from telling what it has revoked; it is
                // logged where it is opened.
                Err(failure) => {
                    tracing::debug!(ca = name, "no CRL can be signed: {}", providers::error::chain(&failure));
                }
            }
        }
        Ok(signers)
    }
}

/// Everything of a CA that still signs lists.
async fn of(authority: &Authority, state: &State, now: Timestamp) -> Result<Vec<ListSigner>, CaError> {
    let mut signers = Vec::new();
    let generations = authority.generations();
    let newest = generations.last().map(|generation| generation.number);
    for generation in generations.iter() {
        if Some(generation.number) == newest || has_leaves(authority, generation, state, now).await? {
            signers.push(issuing(authority, generation, state).await?);
        }
    }
    let root = authority.open_root().await?;
    signers.extend(root.and_then(|root| root.list_signer(authority.name())));
    Ok(signers.into_iter().filter(|signer| signer.not_after > now).collect())
}

async fn has_leaves(
    authority: &Authority,
    generation: &Arc<Generation>,
    state: &State,
    now: Timestamp,
) -> Result<bool, CaError> {
    let last = state.last_leaf_ends(authority.name(), generation.number).await?;
    Ok(last.is_some_and(|last| last.plus(AFTERMATH) > now))
}

async fn issuing(authority: &Authority, generation: &Generation, state: &State) -> Result<ListSigner, CaError> {
    Ok(ListSigner {
        ca: authority.name().to_owned(),
        generation: generation.number,
        issuer: generation.subject.clone(),
        key_identifier: generation.key_identifier.clone(),
        signer: generation.signer().clone(),
        shards: generation.shards(state, authority.name()).await?,
        not_after: generation.not_after,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use tempfile::TempDir;

    use super::*;
    use crate::ca::{AlternativeName, LeafRequest};
    use crate::clock::Clock;
    use crate::config::{self, Database, StateSettings};
    use crate::pki::key::{KeyType, PrivateKey};

    const DAY: Duration = Duration::from_secs(86_400);

    fn config(directory: &TempDir) -> config::Config {
        let state = StateSettings {
            directory: directory.path().to_owned(),
            socket: directory.path().join("renewd.sock"),
            node: "a".to_owned(),
            database: Database::Sqlite,
            seal_key: None,
        };
        config::Config {
            state,
            http: config::Http::default(),
            resolver: config::Resolver::default(),
            accounts: BTreeMap::new(),
            cas: [("own".to_owned(), config::Ca::new(config::ca::Subject::named("Own")))].into(),
            dns: BTreeMap::new(),
            stores: BTreeMap::new(),
            certificates: BTreeMap::new(),
            notify: BTreeMap::new(),
        }
    }

    #[tokio::test]
    async fn an_old_generation_signs_lists_until_its_last_leaf_has_expired() {
        let directory = TempDir::new().unwrap();
        let config = config(&directory);
        let state = State::open(&config.state).await.unwrap();
        let registry = Registry::open(state, Clock::system(), &config);
        let authority = registry.get("own").await.unwrap().unwrap();
        let now = Clock::system().now();
        let names = vec![AlternativeName::parse("a.example").unwrap()];
        let spki_der = PrivateKey::generate(KeyType::EcdsaP256).unwrap().spki_der();
        let leaf = LeafRequest { lifetime: Some(DAY * 30), ..LeafRequest::server("1", names, spki_der) };
        authority.issue(&leaf, now).await.unwrap();
        authority.rotate(1, now).await.unwrap();
        let signs = async |days: u32| {
            let signers = registry.list_signers(now.plus(DAY * days)).await.unwrap();
            let mut generations: Vec<u32> = signers.iter().map(|signer| signer.generation).collect();
            generations.sort_unstable();
            generations
        };
        assert_eq!(signs(0).await, [0, 1, 2]);
        assert_eq!(signs(36).await, [0, 1, 2], "its entries stand in a list for a while");
        assert_eq!(signs(38).await, [0, 2]);
        authority.export_root(&"gehe1m".into(), now).await.unwrap();
        authority.forget_root().await.unwrap();
        assert_eq!(signs(0).await, [1, 2], "a root elsewhere signs its list there");
    }
}
