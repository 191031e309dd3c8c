//! Scenarios: how large and how long a run is; the seed makes a script of it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rand::Rng as _;

use super::SimulationError;
use super::chance::Chance;
use super::script::{Advice, Event, Part, Script};
use super::trouble::{Span, Trouble};
use crate::clock::Timestamp;
use crate::config::{
    Account, Certificate, Config, Database, DirectoryStore, Http, KeyType, Limits, RenewPolicy, Resolver,
    StateSettings, Store, StoreKind,
};
use crate::identifier::{CertificateName, Identifier};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// 2026-01-01T00:00:00Z, where every scenario begins.
const START: Timestamp = Timestamp::from_seconds(1_767_225_600);

/// The accounts, in the order in which they are tried.
const ACCOUNTS: [&str; 2] = ["first", "second"];

/// Certificates below one registered domain.
const BELOW: usize = 10;

/// A run with everything that can go wrong in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scenario {
    /// Decides everything that is left to chance.
    pub seed: u64,
    /// How many certificates there are at the start; one in ten more comes later.
    pub certificates: usize,
    /// How long it goes on.
    pub days: u32,
    /// The plug is pulled this often.
    pub crash_every: Duration,
    /// The first CA is out of reach once for so long.
    pub outage: Duration,
    /// The machine's clock is set wrong, and the machine sleeps.
    pub clock_trouble: bool,
    /// Much more goes wrong: outages, refusals, tight limits, odd Retry-Afters.
    pub hostile: bool,
    /// Whatever is due within one stride is done together.
    pub stride: Duration,
}

impl Scenario {
    /// A small one, as many of which can be played.
    #[must_use]
    pub fn short(seed: u64) -> Self {
        let crash_every = HOUR * 12;
        let (outage, stride) = (DAY * 4, MINUTE);
        Self { seed, certificates: 12, days: 30, crash_every, outage, clock_trouble: true, hostile: true, stride }
    }

    /// A large one: a week without the first CA, and a crash every six hours.
    #[must_use]
    pub fn long(certificates: usize, days: u32, seed: u64) -> Self {
        let outage = (DAY * 7).min(DAY * days / 4);
        let (crash_every, clock_trouble, hostile) = (HOUR * 6, false, false);
        Self { seed, certificates, days, crash_every, outage, clock_trouble, hostile, stride: 5 * MINUTE }
    }

    /// The script.
    ///
    /// # Errors
    /// Where it cannot be written: a name of its own is refused.
    pub fn script(&self) -> Result<Script, SimulationError> {
        let mut chance = Chance::new(self.seed, START, self.days);
        let later = self.certificates.div_ceil(10);
        let all: Vec<usize> = (0..self.certificates + later).collect();
        let lifetimes = all.iter().map(|index| (name(*index), chance.lifetime())).collect();
        let limits = ACCOUNTS.map(|_| if self.hostile { chance.limits() } else { Limits::LETS_ENCRYPT });
        let before = Arc::new(config(&all[..self.certificates], limits)?);
        let after = Arc::new(config(&all, limits)?);
        let mut events = self.events(&mut chance);
        events.push((chance.between(30, 60), Event::Config(after)));
        events.sort_by_key(|(at, _)| *at);
        let refused = if self.hostile { 5 } else { 20 };
        let refusals = all.iter().filter_map(|index| chance.refusal(&name(*index), refused)).collect();
        let downs = self.days / if self.hostile { 5 } else { 20 };
        let host_down = chance.spans(downs, 6 * HOUR);
        Ok(Script {
            seed: self.seed,
            start: START,
            end: START.plus(DAY * self.days),
            config: before,
            authorities: self.authorities(limits, &mut chance),
            lifetimes,
            held: Vec::new(),
            events,
            refusals,
            host_down,
            host_fails: if self.hostile { 10 } else { 100 },
            stride: self.stride,
        })
    }

    fn authorities(&self, limits: [Limits; 2], chance: &mut Chance) -> BTreeMap<String, Part> {
        let mut parts = BTreeMap::new();
        let outages = if self.hostile { 4 } else { 1 };
        for (name, limits) in ACCOUNTS.into_iter().zip(limits) {
            let ask_again = if self.hostile { chance.ask_again() } else { Some(12 * HOUR) };
            let (directory_url, troubles) =
                (Some(directory_url(name)), chance.outages(self.days * outages / 10, 12 * HOUR));
            let advice = if self.hostile { chance.advice() } else { Advice::Usual };
            let part = Part { directory_url, limits, troubles, advice, ask_again };
            parts.insert(name.to_owned(), part);
        }
        let long = Trouble { span: Span::of(chance.between(30, 60), self.outage), kind: chance.kind() };
        if let Some(first) = parts.get_mut(ACCOUNTS[0]) {
            first.troubles.push(long);
        }
        parts
    }

    fn events(&self, chance: &mut Chance) -> Vec<(Timestamp, Event)> {
        let issuer = ACCOUNTS[0].to_owned();
        let (permille, window) = (chance.random.random_range(300..=1000), chance.window());
        let mut events = vec![(chance.between(65, 85), Event::MassRevocation { issuer, permille, window })];
        events.extend(chance.crashes(self.crash_every));
        if self.clock_trouble {
            events.extend(chance.clock_trouble());
        }
        events
    }
}

fn directory_url(account: &str) -> String {
    format!("https://{account}.example.com/directory")
}

fn name(index: usize) -> String {
    format!("www{index}.site{}.com", index / BELOW)
}

fn config(indices: &[usize], limits: [Limits; 2]) -> Result<Config, SimulationError> {
    let certificates: Result<BTreeMap<_, _>, _> = indices.iter().map(|index| certificate(*index)).collect();
    let nowhere = PathBuf::from("/nonexistent");
    let directory = DirectoryStore { path: nowhere.clone(), mode: 0o600, owner: None, group: None, keep: 3 };
    let store = Store { kind: StoreKind::Directory(directory), combined: false, pfx_password: None };
    Ok(Config {
        state: StateSettings {
            directory: nowhere.clone(),
            socket: nowhere,
            node: "simulated".to_owned(),
            database: Database::Sqlite,
            seal_key: None,
        },
        http: Http::default(),
        resolver: Resolver::default(),
        accounts: ACCOUNTS
            .into_iter()
            .zip(limits)
            .map(|(name, limits)| (name.to_owned(), account(name, limits)))
            .collect(),
        cas: BTreeMap::new(),
        dns: BTreeMap::new(),
        stores: BTreeMap::from([("shelf".to_owned(), store)]),
        notify: BTreeMap::new(),
        certificates: certificates?,
    })
}

fn account(name: &str, limits: Limits) -> Account {
    Account {
        directory_url: directory_url(name),
        contact: Vec::new(),
        agree_to_terms: true,
        eab: None,
        trusted_roots: None,
        parallel_orders: 16,
        limits,
    }
}

/// One in three has a wildcard beside its name.
fn certificate(index: usize) -> Result<(CertificateName, Certificate), SimulationError> {
    let unusable = |what: String| SimulationError::Script { what };
    let base = name(index);
    let names = [base.clone(), format!("*.{base}")];
    let names = &names[..if index.is_multiple_of(3) { 2 } else { 1 }];
    let names: Result<Vec<_>, _> = names.iter().map(|name| Identifier::parse(name)).collect();
    let certificate = Certificate {
        names: names.map_err(|error| unusable(error.to_string()))?,
        issuers: ACCOUNTS.map(str::to_owned).into(),
        dns: Vec::new(),
        stores: vec!["shelf".to_owned()],
        key: KeyType::EcdsaP256,
        profile: None,
        chain: None,
        renew: RenewPolicy::default(),
        attempts_left: 5,
        alias: BTreeMap::new(),
        deploy: Vec::new(),
        verify: Vec::new(),
    };
    let name = CertificateName::parse(&base).map_err(|error| unusable(error.to_string()))?;
    Ok((name, certificate))
}
