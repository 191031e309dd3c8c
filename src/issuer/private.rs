//! Our own CA as an issuer: an order is a leaf, signed at once.

use std::fmt;

use async_trait::async_trait;
use tokio::sync::OnceCell;

use crate::ca::{Authority, CaError, LeafRequest};
use crate::clock::Clock;
use crate::config;
use crate::crash::{self, Point};
use crate::identifier::{Identifier, NameError};
use crate::issuer::{Issuer, IssuerError, Progress, RevocationReason};
use crate::pki::chain::Chain;
use crate::pki::key::PrivateKey;
use crate::state::{OrderRow, State, StateError, VersionRow};

/// Leaves signed at the same time: there is nobody to be polite to.
const PARALLEL_ORDERS: usize = 16;

/// A private CA. It makes and reads nothing before its first use.
pub struct Private {
    name: String,
    config: config::Ca,
    state: State,
    clock: Clock,
    public_url: Option<String>,
    authority: OnceCell<Authority>,
}

impl Private {
    /// An issuer over `[ca.NAME]`. `public_url` is what leaves say about where the CA's own certificate can be fetched.
    #[must_use]
    pub fn new(name: String, config: config::Ca, state: State, clock: Clock, public_url: Option<String>) -> Self {
        Self { name, config, state, clock, public_url, authority: OnceCell::new() }
    }

    /// The CA, made on first use and kept.
    ///
    /// # Errors
    /// Where the CA cannot be opened or made; the next call tries again.
    pub async fn authority(&self) -> Result<&Authority, IssuerError> {
        let open = || async {
            let public_url = self.public_url.as_deref();
            Authority::open(&self.state, &self.name, &self.config, public_url, self.clock.now()).await
        };
        self.authority.get_or_try_init(open).await.map_err(|error| self.error(error))
    }

    async fn issue(&self, order: &OrderRow) -> Result<Chain, IssuerError> {
        let key = order.key(&self.state)?;
        let key = PrivateKey::from_pkcs8_der(&key).map_err(|error| damaged(order, &error))?;
        let names: Result<Vec<_>, NameError> = order.names.iter().map(|name| Identifier::parse(name)).collect();
        let names = names.map_err(|error| damaged(order, &error))?;
        let spki = key.spki_der();
        let request =
            LeafRequest { order: &order.id, names: &names, spki_der: &spki, lifetime: self.config.leaf_lifetime };
        let now = self.clock.now();
        let chain = self.authority().await?.issue(&request, now).await.map_err(|error| self.error(error))?;
        let unfit = |error| IssuerError::BadChain { detail: providers::error::chain(&error) };
        chain.check(&spki, &names, now).map_err(unfit)?;
        Ok(chain)
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
        let ours = self.authority().await.map(Authority::issuing_der);
        directory_url.is_none() && ours.is_ok_and(|ours| chain.ders().get(1).is_some_and(|der| der == ours))
    }

    async fn advance(&self, order: &OrderRow, _: &config::Certificate) -> Result<Progress, IssuerError> {
        if order.chain.is_some() {
            return Ok(Progress::Issued);
        }
        let chain = self.issue(order).await?;
        crash::point(Point::Downloaded);
        self.state.order_issued(&order.id, &chain.fullchain_pem(), self.clock.now()).await?;
        crash::point(Point::ChainWritten);
        Ok(Progress::Issued)
    }

    async fn revoke(&self, _: &VersionRow, _: RevocationReason) -> Result<(), IssuerError> {
        let what = "cannot revoke yet: nobody would learn of it, since this CA publishes no CRL and answers no OCSP";
        Err(IssuerError::Unsupported { issuer: self.name.clone(), what })
    }

    async fn rotate_key(&self) -> Result<(), IssuerError> {
        let what = "is a private CA and has no account whose key could change";
        Err(IssuerError::Unsupported { issuer: self.name.clone(), what })
    }
}

impl fmt::Debug for Private {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Private")
            .field("name", &self.name)
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

fn damaged(order: &OrderRow, error: &(dyn std::error::Error + 'static)) -> IssuerError {
    let what = providers::error::chain(error);
    StateError::Damaged { table: "acme_order", row: order.id.clone(), what }.into()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use tempfile::TempDir;

    use super::*;
    use crate::config::ca::Subject;
    use crate::config::{Database, KeyType, RenewPolicy, StateSettings};
    use crate::state::order::NewOrder;

    const DAY: Duration = Duration::from_secs(86_400);

    async fn state(directory: &TempDir) -> State {
        let settings = StateSettings {
            directory: directory.path().to_owned(),
            socket: directory.path().join("renewd.sock"),
            node: "a".to_owned(),
            database: Database::Sqlite,
            seal_key: None,
        };
        State::open(&settings).await.unwrap()
    }

    fn private(state: &State) -> Private {
        let subject =
            Subject { common_name: "Example".to_owned(), organization: None, organizational_unit: None, country: None };
        let config = config::Ca {
            subject,
            key: KeyType::EcdsaP256,
            lifetime: DAY * 7300,
            issuing_lifetime: DAY * 3650,
            leaf_lifetime: DAY * 90,
        };
        Private::new("internal".to_owned(), config, state.clone(), Clock::system(), None)
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
