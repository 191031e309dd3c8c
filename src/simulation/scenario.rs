//! Scenarios: how large and how long a run is; the seed makes a script of it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};

use super::SimulationError;
use super::script::{Advice, Event, Part, Script};
use super::trouble::{Refusal, Span, Trouble, TroubleKind};
use crate::clock::Timestamp;
use crate::config::{
    Account, Certificate, Config, Database, DirectoryStore, Http, KeyType, Limit, Limits, RenewPolicy, Resolver,
    StateSettings, Store, StoreKind,
};
use crate::identifier::{CertificateName, Identifier};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// 2026-01-01T00:00:00Z, where every scenario begins.
const START: Timestamp = Timestamp::from_seconds(1_767_225_600);

/// Lifetimes in hours, and how many of a hundred certificates have them.
const LIFETIMES: [(u32, u32); 7] =
    [(160, 10), (6 * 24, 10), (10 * 24, 10), (45 * 24, 20), (64 * 24, 15), (90 * 24, 25), (200 * 24, 10)];

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
        let (outage, stride) = (DAY * 4, Duration::from_secs(20));
        Self { seed, certificates: 12, days: 30, crash_every, outage, clock_trouble: true, hostile: true, stride }
    }

    /// A large one: a week without the first CA, and a crash every six hours.
    #[must_use]
    pub fn long(certificates: usize, days: u32, seed: u64) -> Self {
        let outage = (DAY * 7).min(DAY * days / 4);
        let (crash_every, clock_trouble, hostile) = (HOUR * 6, false, false);
        Self { seed, certificates, days, crash_every, outage, clock_trouble, hostile, stride: MINUTE }
    }

    /// The script.
    ///
    /// # Errors
    /// Where it cannot be written: a name of its own is refused.
    pub fn script(&self) -> Result<Script, SimulationError> {
        let mut chance = Chance { random: SmallRng::seed_from_u64(self.seed ^ 0x5ce7_a810), days: self.days };
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
        let refusals = all.iter().filter_map(|index| chance.refusal(*index, refused)).collect();
        let downs = self.days / if self.hostile { 5 } else { 20 };
        let host_down = (0..=downs).map(|_| Span::of(chance.between(0, 95), chance.length(6 * HOUR))).collect();
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
            stride: self.stride,
        })
    }

    fn authorities(&self, limits: [Limits; 2], chance: &mut Chance) -> BTreeMap<String, Part> {
        let mut parts = BTreeMap::new();
        for (name, limits) in ACCOUNTS.into_iter().zip(limits) {
            let ask_again = if self.hostile { chance.ask_again() } else { Some(12 * HOUR) };
            let (directory_url, troubles) = (Some(directory_url(name)), self.troubles(chance));
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

    /// Short outages, three a month or twelve.
    fn troubles(&self, chance: &mut Chance) -> Vec<Trouble> {
        let mut one =
            || Trouble { span: Span::of(chance.between(0, 95), chance.length(12 * HOUR)), kind: chance.kind() };
        (0..=self.days * if self.hostile { 4 } else { 1 } / 10).map(|_| one()).collect()
    }

    fn events(&self, chance: &mut Chance) -> Vec<(Timestamp, Event)> {
        let issuer = ACCOUNTS[0].to_owned();
        let (permille, window) = (chance.random.random_range(300..=1000), chance.window());
        let mut events = vec![(chance.between(65, 85), Event::MassRevocation { issuer, permille, window })];
        let crashes = (DAY * self.days).as_secs() / self.crash_every.as_secs().max(1);
        for index in 1..u32::try_from(crashes).unwrap_or(u32::MAX) {
            let at = START.plus(self.crash_every * index).plus(chance.length(self.crash_every / 2));
            events.push((at, Event::Crash { writes: chance.random.random_range(1..=12) }));
        }
        if self.clock_trouble {
            events.extend(chance.clock_trouble());
        }
        events
    }
}

/// What is left to chance.
struct Chance {
    random: SmallRng,
    days: u32,
}

impl Chance {
    /// An instant between two hundredths of the run.
    fn between(&mut self, from: u64, to: u64) -> Timestamp {
        let length = (DAY * self.days).as_secs();
        START.plus(Duration::from_secs(self.random.random_range(length * from / 100..length * to / 100)))
    }

    /// From ten minutes to this.
    fn length(&mut self, longest: Duration) -> Duration {
        Duration::from_secs(self.random.random_range(600..longest.as_secs().max(601)))
    }

    fn kind(&mut self) -> TroubleKind {
        TroubleKind::ALL[self.random.random_range(0..TroubleKind::ALL.len())]
    }

    fn lifetime(&mut self) -> Duration {
        let mut throw = self.random.random_range(0..100);
        for (hours, share) in LIFETIMES {
            if throw < share {
                return HOUR * hours;
            }
            throw -= share;
        }
        90 * DAY
    }

    /// In the past already, a day, or five.
    fn window(&mut self) -> Duration {
        [Duration::ZERO, DAY, 5 * DAY][self.random.random_range(0..3)]
    }

    /// As most CAs, or with little room for anybody.
    fn limits(&mut self) -> Limits {
        let orders = Limit { most: self.random.random_range(4..12), within: 3 * HOUR };
        let domain = Limit { most: self.random.random_range(12..20), within: 7 * DAY };
        let tight = Limits { orders: Some(orders), domain: Some(domain), ..Limits::LETS_ENCRYPT };
        if self.random.random() { tight } else { Limits::LETS_ENCRYPT }
    }

    fn advice(&mut self) -> Advice {
        [Advice::None, Advice::Usual, Advice::Usual, Advice::TooLate][self.random.random_range(0..4)]
    }

    fn ask_again(&mut self) -> Option<Duration> {
        [None, Some(6 * HOUR), Some(12 * HOUR), Some(365 * DAY)][self.random.random_range(0..4)]
    }

    /// One certificate in so many is refused for a while.
    fn refusal(&mut self, index: usize, in_so_many: u32) -> Option<Refusal> {
        let refused = self.random.random_ratio(1, in_so_many);
        let span = Span::of(self.between(0, 90), self.length(3 * DAY));
        refused.then(|| Refusal { certificate: name(index), span })
    }

    /// A day ahead or behind for two hours, a small step, and a sleep of up to three days.
    fn clock_trouble(&mut self) -> Vec<(Timestamp, Event)> {
        let day = [86_400_000, -86_400_000][self.random.random_range(0..2)];
        let wrong = self.between(5, 60);
        let step = self.between(5, 90);
        let skew = self.random.random_range(-5000..5000);
        vec![
            (wrong, Event::Clock { skew: day }),
            (wrong.plus(2 * HOUR), Event::Clock { skew: 0 }),
            (step, Event::Clock { skew }),
            (step.plus(HOUR), Event::Clock { skew: 0 }),
            (self.between(5, 90), Event::Suspend(self.length(3 * DAY))),
        ]
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
