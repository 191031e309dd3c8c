//! A state, a BIND behind RFC 2136 and orders, for an account at Pebble.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use providers::dns::Registration;
use providers::dns::rfc2136::{Rfc2136, Rfc2136Settings, TsigAlgorithm};
use renewd::clock::Clock;
use renewd::config::Limits;
use renewd::config::account::Eab;
use renewd::config::{
    Account, Certificate, Database, KeyType, Profile, Propagation, RenewPolicy, Resolver, StateSettings,
};
use renewd::dns01::{Challenge, Dns01, Instance, Location, Registrations, RegistrationsError};
use renewd::identifier::Identifier;
use renewd::issuer::{Acme, AcmeSettings, Issuer, IssuerError, Progress};
use renewd::pki::chain::Chain;
use renewd::pki::key::PrivateKey;
use renewd::state::order::NewOrder;
use renewd::state::version::NewVersion;
use renewd::state::{OrderRow, State, VersionRow};
use secrecy::SecretString;
use tempfile::TempDir;

use crate::peers::bind::Bind;
use crate::peers::openssl;
use crate::peers::pebble::{Pebble, PebbleOptions};

/// The zone of every test.
pub const ZONE: &str = "example.com";

/// Longer than anything takes that is not broken.
const DEADLINE: Duration = Duration::from_secs(60);

/// BIND and Pebble, an account's settings, and a state directory.
pub struct World {
    pub bind: Bind,
    pub pebble: Pebble,
    pub account: Account,
    pub propagation: Propagation,
    directory: TempDir,
}

impl World {
    /// Starts both servers; Pebble asks BIND.
    pub fn start(options: PebbleOptions) -> Self {
        Self::start_asking(None, options)
    }

    /// The same, but Pebble asks another name server.
    pub fn start_asking(other: Option<SocketAddr>, options: PebbleOptions) -> Self {
        let bind = Bind::start(&[ZONE]);
        let pebble = Pebble::start(PebbleOptions { dns: other.unwrap_or(bind.address()), ..options });
        let account = account(&pebble.directory_url(), Some(pebble.tls_root()));
        let propagation = Propagation { timeout: Duration::from_secs(20), servers: Vec::new(), recursive: false };
        Self { bind, pebble, account, propagation, directory: TempDir::new().unwrap() }
    }

    /// Opens the state, which is made at the first time.
    pub async fn state(&self) -> State {
        open_state(&self.directory).await
    }

    /// DNS-01 over this BIND.
    pub fn dns01(&self) -> Arc<Dns01> {
        let settings = Rfc2136Settings {
            server: self.bind.address().to_string(),
            tsig_key: self.bind.tsig_key().to_owned(),
            tsig_algorithm: TsigAlgorithm::HmacSha256,
            tsig_secret: SecretString::from(self.bind.tsig_secret().to_owned()),
        };
        let provider = Arc::new(Rfc2136::new(settings).unwrap());
        let propagation = self.propagation.clone();
        let main = Instance { name: "main".to_owned(), zones: Vec::new(), propagation, provider };
        let port = self.bind.address().port();
        let resolver = Resolver { servers: vec![self.bind.address()], authoritative_port: port };
        Arc::new(Dns01::new(vec![main], &resolver, Arc::new(NoRegistrations)).unwrap())
    }

    /// The account as the daemon would hold it after a start.
    pub fn acme(&self, state: &State) -> Acme {
        let settings = AcmeSettings { name: "main".to_owned(), account: self.account.clone() };
        Acme::new(settings, state.clone(), self.dns01(), Clock::system())
    }

    /// Gets a certificate for these names and verifies it: the order's row.
    pub async fn obtain(&self, acme: &Acme, state: &State, names: &[&str]) -> OrderRow {
        let wanted = certificate(names, None);
        let id = order(state, &wanted).await;
        finish(acme, state, &wanted).await.unwrap();
        let order = row(state, &wanted, &id).await;
        self.verify(&order);
        self.withdraw(state, &wanted).await;
        order
    }

    /// The order's chain is what was asked for, by openssl's judgement.
    pub fn verify(&self, order: &OrderRow) {
        let chain = Chain::from_pem(order.chain.as_deref().expect("it is issued")).unwrap();
        openssl::verify(&self.pebble.root_pem(), &chain.chain_pem(), &chain.certificate_pem()).unwrap();
        let (mut found, mut wanted) = (openssl::names(&chain.certificate_pem()), order.names.clone());
        found.sort();
        wanted.sort();
        assert_eq!(found, wanted);
    }

    /// Withdraws what is owed, as the worker does: nothing may be left in the zone.
    pub async fn withdraw(&self, state: &State, wanted: &Certificate) {
        let (dns01, rows) = (self.dns01(), state.owed_txts(&certificate_name(wanted)).await.unwrap());
        for row in &rows {
            let location = Location { instance: row.instance.clone(), zone: row.zone.clone(), name: row.name.clone() };
            let (value, challenge_name) = (row.value.clone(), row.challenge_name.clone());
            dns01.withdraw(&Challenge { location, value, challenge_name }).await.unwrap();
        }
        let ids: Vec<_> = rows.into_iter().map(|row| row.id).collect();
        state.txts_withdrawn(&ids, Clock::system().now()).await.unwrap();
        assert_eq!(self.bind.all_txt(ZONE), []);
    }

    /// Makes the order's chain a version, as the worker does.
    pub async fn version(&self, state: &State, order: &OrderRow) -> VersionRow {
        let chain = order.chain.as_deref().expect("it is issued");
        let leaf = Chain::from_pem(chain).unwrap().leaf().clone();
        let new = NewVersion {
            certificate: &order.certificate,
            issuer: &order.issuer,
            directory_url: order.directory_url.as_deref(),
            order_url: order.url.as_deref(),
            profile: None,
            serial: leaf.serial.to_string(),
            names: order.names.clone(),
            key_type: &order.key_type,
            key: &order.key(state).unwrap(),
            chain,
            not_before: leaf.not_before,
            not_after: leaf.not_after,
            jitter: 0,
            number_at_least: 1,
            stores: Vec::new(),
            adopted: false,
        };
        let id = state.add_version(&new, Some(order), Clock::system().now()).await.unwrap();
        state.version(&id).await.unwrap().expect("it was written")
    }
}

/// Opens the state in this directory.
pub async fn open_state(directory: &TempDir) -> State {
    let settings = StateSettings {
        directory: directory.path().to_owned(),
        socket: directory.path().join("renewd.sock"),
        node: "a".to_owned(),
        database: Database::Sqlite,
        seal_key: None,
    };
    State::open(&settings).await.unwrap()
}

/// An account at this directory.
pub fn account(directory_url: &str, tls_root: Option<&std::path::Path>) -> Account {
    Account {
        directory_url: directory_url.to_owned(),
        contact: vec!["mailto:ops@example.com".to_owned()],
        agree_to_terms: true,
        eab: None::<Eab>,
        trusted_roots: tls_root.map(ToOwned::to_owned),
        parallel_orders: 4,
        limits: Limits::OWN,
    }
}

/// A certificate as the config wants it.
pub fn certificate(names: &[&str], profile: Option<Profile>) -> Certificate {
    Certificate {
        names: names.iter().map(|name| Identifier::parse(name).unwrap()).collect(),
        issuers: vec!["main".to_owned()],
        dns: vec!["main".to_owned()],
        stores: Vec::new(),
        key: KeyType::default(),
        profile,
        renew: RenewPolicy::default(),
        chain: None,
        attempts_left: 5,
        alias: BTreeMap::new(),
        deploy: Vec::new(),
        verify: Vec::new(),
    }
}

/// Its name: its first name's.
pub fn certificate_name(wanted: &Certificate) -> String {
    wanted.names[0].to_string()
}

/// Writes an order down, as the worker does: its id.
pub async fn order(state: &State, wanted: &Certificate) -> String {
    let new = NewOrder {
        certificate: &certificate_name(wanted),
        issuer: "main",
        reason: "{}",
        names: wanted.names.iter().map(ToString::to_string).collect(),
        key_type: wanted.key.as_str(),
        key: &PrivateKey::generate(wanted.key).unwrap().to_pkcs8_der(),
        profile: None,
        replaces: None,
    };
    state.add_order(&new, &[], Clock::system().now()).await.unwrap().id().unwrap()
}

/// The order's row as it is now.
pub async fn row(state: &State, wanted: &Certificate, id: &str) -> OrderRow {
    let rows = state.orders(&certificate_name(wanted), 10).await.unwrap();
    rows.into_iter().find(|row| row.id == id).expect("it is on record")
}

/// Advances the open order as often as it takes.
pub async fn finish(acme: &Acme, state: &State, wanted: &Certificate) -> Result<(), IssuerError> {
    let started = Instant::now();
    loop {
        assert!(started.elapsed() < DEADLINE, "the order does not come to an end");
        let order = state.open_order(&certificate_name(wanted)).await.unwrap().expect("it is open");
        match acme.advance(&order, wanted).await? {
            Progress::Issued => return Ok(()),
            Progress::Wait { until, .. } => Clock::system().sleep_until(until).await,
        }
    }
}

/// No host hands out credentials.
pub struct NoRegistrations;

#[async_trait]
impl Registrations for NoRegistrations {
    async fn find(&self, _: &str, _: &str) -> Result<Option<Registration>, RegistrationsError> {
        Ok(None)
    }

    async fn keep(&self, _: &str, _: &str, _: &Registration) -> Result<(), RegistrationsError> {
        Err("there are none".into())
    }
}
