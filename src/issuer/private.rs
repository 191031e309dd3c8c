//! Our own CA as an issuer: an order is a leaf, signed at once.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use crate::ca::revoke::Revocations;
use crate::ca::{Authority, CaError, LeafRequest, Registry};
use crate::clock::Clock;
use crate::config;
use crate::crash::{self, Point};
use crate::identifier::{Identifier, NameError};
use crate::issuer::{Issuer, IssuerError, Progress, RevocationReason};
use crate::pki::chain::Chain;
use crate::pki::key::PrivateKey;
use crate::pki::serial::Serial;
use crate::state::{OrderRow, State, StateError, VersionRow};

/// Leaves signed at the same time: there is nobody to be polite to.
const PARALLEL_ORDERS: usize = 16;

/// A private CA. It makes and reads nothing before its first use.
pub struct Private {
    name: String,
    state: State,
    clock: Clock,
    registry: Registry,
    revocations: Option<Revocations>,
}

impl Private {
    /// An issuer over `[ca.NAME]`, one of the CAs of `registry`. Without `revocations` it revokes nothing.
    #[must_use]
    pub fn new(name: String, clock: Clock, registry: Registry, revocations: Option<Revocations>) -> Self {
        Self { name, state: registry.state().clone(), clock, registry, revocations }
    }

    /// The CA, made on first use and kept.
    ///
    /// # Errors
    /// Where the CA cannot be opened or made; the next call tries again.
    pub async fn authority(&self) -> Result<Arc<Authority>, IssuerError> {
        let found = self.registry.get(&self.name).await.map_err(|error| self.error(error))?;
        found.ok_or_else(|| self.error(CaError::Retired))
    }

    async fn issue(&self, order: &OrderRow, wanted: &config::Certificate) -> Result<Chain, IssuerError> {
        let key = order.key(&self.state)?;
        let key = PrivateKey::from_pkcs8_der(&key).map_err(|error| damaged(order, &error))?;
        let names: Result<Vec<_>, NameError> = order.names.iter().map(|name| Identifier::parse(name)).collect();
        let names = names.map_err(|error| damaged(order, &error))?;
        let spki = key.spki_der();
        let (authority, now) = (self.authority().await?, self.clock.now());
        let alternative = names.iter().cloned().map(Into::into).collect();
        let profile = profile(wanted.profile.as_ref(), &authority);
        let request = LeafRequest { profile, ..LeafRequest::server(&order.id, alternative, spki.clone()) };
        let chain = authority.issue(&request, now).await.map_err(|error| self.error(error))?;
        let unfit = |error| IssuerError::BadChain { detail: providers::error::chain(&error) };
        chain.check(&spki, &names, now).map_err(unfit)?;
        Ok(chain)
    }

    fn not_revoked(&self, error: &(dyn std::error::Error + 'static)) -> IssuerError {
        IssuerError::Operator { what: format!("CA `{}`: {}", self.name, providers::error::chain(error)) }
    }

    fn error(&self, error: CaError) -> IssuerError {
        match error {
            CaError::State(error) => error.into(),
            other => IssuerError::Operator { what: format!("CA `{}`: {}", self.name, providers::error::chain(&other)) },
        }
    }
}

#[async_trait]
impl Issuer for Private {
    fn id(&self) -> &str {
        &self.name
    }

    fn directory_url(&self) -> Option<&str> {
        None
    }

    fn parallel_orders(&self) -> usize {
        PARALLEL_ORDERS
    }

    async fn prepare(&self) -> Result<(), IssuerError> {
        self.authority().await.map(drop)
    }

    /// Our own issuing certificate signed it: a CA of the same name whose key was lost is another CA.
    async fn has_issued(&self, chain: &Chain, directory_url: Option<&str>) -> bool {
        let (Ok(authority), Some(issuing)) = (self.authority().await, chain.ders().get(1)) else { return false };
        directory_url.is_none() && authority.generations().iter().any(|ours| ours.certificate == *issuing)
    }

    async fn advance(&self, order: &OrderRow, wanted: &config::Certificate) -> Result<Progress, IssuerError> {
        if order.chain.is_some() {
            return Ok(Progress::Issued);
        }
        let chain = self.issue(order, wanted).await?;
        crash::point(Point::Downloaded);
        self.state.order_issued(&order.id, &chain.fullchain_pem(), self.clock.now()).await?;
        crash::point(Point::ChainWritten);
        Ok(Progress::Issued)
    }

    async fn revoke(&self, version: &VersionRow, reason: RevocationReason) -> Result<(), IssuerError> {
        let Some(revocations) = &self.revocations else {
            let what = "revokes nothing where no daemon runs";
            return Err(IssuerError::Unsupported { issuer: self.name.clone(), what });
        };
        let serial = Serial::parse_hex(&version.serial);
        let serial = serial.map_err(|error| self.not_revoked(&error))?;
        let revoked = revocations.revoke(&self.name, &serial, reason.into(), self.clock.now()).await;
        revoked.map(drop).map_err(|error| self.not_revoked(&error))
    }

    async fn rotate_key(&self) -> Result<(), IssuerError> {
        let what = "is a private CA and has no account whose key could change";
        Err(IssuerError::Unsupported { issuer: self.name.clone(), what })
    }
}

impl fmt::Debug for Private {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Private").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The profile that a certificate asks for; one that it only prefers, and the CA has not got, is no obstacle.
fn profile(wanted: Option<&config::Profile>, authority: &Authority) -> String {
    let default = config::ca::profile::DEFAULT;
    let known = |name: &str| authority.config().is_some_and(|config| config.profiles.contains_key(name));
    match wanted {
        Some(config::Profile::Required(name)) => name.clone(),
        Some(config::Profile::Preferred(name)) if known(name) => name.clone(),
        _ => default.to_owned(),
    }
}

fn damaged(order: &OrderRow, error: &(dyn std::error::Error + 'static)) -> IssuerError {
    let what = providers::error::chain(error);
    StateError::Damaged { table: "acme_order", row: order.id.clone(), what }.into()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    use tempfile::TempDir;

    use super::*;
    use crate::config::{Database, KeyType, RenewPolicy, StateSettings};
    use crate::state::order::NewOrder;

    async fn state(directory: &TempDir) -> State {
        State::open(&settings(directory.path())).await.unwrap()
    }

    fn private(state: &State) -> Private {
        let subject = config::ca::Subject::named("Example");
        let config = config::Config {
            state: settings(Path::new("/nonexistent")),
            http: config::Http::default(),
            resolver: config::Resolver::default(),
            accounts: BTreeMap::new(),
            cas: [("internal".to_owned(), config::Ca::new(subject))].into(),
            dns: BTreeMap::new(),
            stores: BTreeMap::new(),
            certificates: BTreeMap::new(),
            notify: BTreeMap::new(),
        };
        let registry = Registry::open(state.clone(), Clock::system(), &config);
        Private::new("internal".to_owned(), Clock::system(), registry, None)
    }

    fn settings(directory: &Path) -> StateSettings {
        StateSettings {
            directory: directory.to_owned(),
            socket: directory.join("renewd.sock"),
            node: "a".to_owned(),
            database: Database::Sqlite,
            seal_key: None,
        }
    }

    fn wanted() -> config::Certificate {
        config::Certificate {
            names: vec![Identifier::parse("demo.internal").unwrap()],
            issuers: vec!["internal".to_owned()],
            dns: Vec::new(),
            stores: Vec::new(),
            key: KeyType::EcdsaP256,
            profile: None,
            renew: RenewPolicy::default(),
            chain: None,
            attempts_left: 5,
            alias: BTreeMap::new(),
            deploy: Vec::new(),
            verify: Vec::new(),
        }
    }

    async fn add_order(state: &State) {
        let new = NewOrder {
            certificate: "demo.internal",
            issuer: "internal",
            reason: "{}",
            names: vec!["demo.internal".to_owned()],
            key_type: "ecdsa-p256",
            key: &PrivateKey::generate(KeyType::EcdsaP256).unwrap().to_pkcs8_der(),
            profile: None,
            replaces: None,
        };
        state.add_order(&new, &[], Clock::system().now()).await.unwrap();
    }

    async fn open_order(state: &State) -> OrderRow {
        state.open_order("demo.internal").await.unwrap().unwrap()
    }

    #[tokio::test]
    async fn an_order_is_issued_at_once_and_only_once() {
        let directory = TempDir::new().unwrap();
        let state = state(&directory).await;
        add_order(&state).await;
        let before = open_order(&state).await;
        assert!(matches!(private(&state).advance(&before, &wanted()).await, Ok(Progress::Issued)));
        let issued = open_order(&state).await.chain.unwrap();
        let leaf = Chain::from_pem(&issued).unwrap().leaf().clone();
        assert_eq!(leaf.names, [Identifier::parse("demo.internal").unwrap()]);
        // As after a crash before the chain was written.
        assert!(matches!(private(&state).advance(&before, &wanted()).await, Ok(Progress::Issued)));
        assert_eq!(open_order(&state).await.chain.unwrap(), issued);
    }

    #[tokio::test]
    async fn what_it_cannot_do_it_says() {
        let directory = TempDir::new().unwrap();
        let state = state(&directory).await;
        let error = private(&state).rotate_key().await.unwrap_err();
        assert_eq!(error.to_string(), "`internal` is a private CA and has no account whose key could change");
    }
}
