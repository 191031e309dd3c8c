//! What an operator's own config would lead to: the same machinery, with their certificates and issuers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::SimulationError;
use super::chance::Chance;
use super::restart::Machine;
use super::script::{Advice, Event, Part, Script};
use super::trouble::{Span, Trouble};
use super::witness::Life;
use crate::clock::Timestamp;
use crate::config::{Config, KeyType, Limits};
use crate::pki::key::PrivateKey;
use crate::state::VersionRow;
use crate::state::version::NewVersion;

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// The kind of all keys: making others would cost more than everything else, and nobody looks.
const KEY: KeyType = KeyType::EcdsaP256;

/// What is supposed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WhatIf {
    /// Decides everything that is left to chance.
    pub seed: u64,
    /// How far to look ahead.
    pub days: u32,
    /// Every certificate lives so long from now on; `None`: as long as it did, or as its CA usually has it.
    pub lifetime: Option<Duration>,
    /// Much goes wrong: each CA has short outages, the first account a long one, the DNS host is down now and then, the
    /// plug is pulled every day, and the first account's CA has half of the certificates renewed at once.
    pub trouble: bool,
}

/// A certificate that there is already.
#[derive(Debug, Clone)]
pub struct Held {
    /// As the state has it.
    pub version: VersionRow,
}

impl Held {
    /// What is simulated has one kind of key: this one is as it should be where it was, and else is not.
    fn with_the_key_of(mut self, config: &Config) -> Self {
        let wanted = config.certificates.get(self.version.certificate.as_str()).map(|wanted| wanted.key);
        let key =
            if wanted.is_some_and(|key| key.as_str() == self.version.key_type) { KEY.as_str() } else { "another" };
        key.clone_into(&mut self.version.key_type);
        self
    }

    /// Puts it into a simulated state, with a key that is nobody's.
    pub(super) async fn put(&self, machine: &Machine, config: &Config) -> Result<(), SimulationError> {
        let version = &self.version;
        let key = PrivateKey::generate(KEY);
        let key = key.map_err(|error| SimulationError::Signing { what: error.to_string() })?;
        let wanted = config.certificates.get(version.certificate.as_str());
        let node = machine.state.node();
        let place = |store: &String| {
            let per_node = config.stores.get(store).is_some_and(|store| store.kind.is_per_node());
            (store.clone(), if per_node { node.to_owned() } else { String::new() })
        };
        let new = NewVersion {
            certificate: &version.certificate,
            issuer: &version.issuer,
            directory_url: version.directory_url.as_deref(),
            order_url: version.order_url.as_deref(),
            profile: version.profile.as_deref(),
            serial: version.serial.clone(),
            names: version.names.clone(),
            key_type: &version.key_type,
            key: &key.to_pkcs8_der(),
            chain: &version.chain,
            not_before: version.not_before,
            not_after: version.not_after,
            jitter: version.jitter,
            number_at_least: version.number,
            stores: wanted.map(|wanted| wanted.stores.iter().map(place).collect()).unwrap_or_default(),
            adopted: true,
        };
        machine.state.add_version(&new, None, machine.clock.now()).await?;
        machine.world.with(|book, _| {
            let life = Life { not_before: version.not_before, not_after: version.not_after };
            book.witness.lives.insert(version.certificate.clone(), life);
            if let Some(authority) = book.authorities.get_mut(&version.issuer) {
                authority.has_issued(&version.serial, life.not_before, life.not_after, version.names.clone());
            }
        });
        Ok(())
    }
}

/// The script of a config, from now on.
#[must_use]
pub fn forecast(config: &Config, held: Vec<Held>, what_if: &WhatIf, now: Timestamp) -> Script {
    let held: Vec<Held> = held.into_iter().map(|held| held.with_the_key_of(config)).collect();
    let config = Arc::new(harmless(config));
    let mut chance = Chance::new(what_if.seed, now, what_if.days);
    let lives: BTreeMap<&str, Duration> =
        held.iter().map(|held| (held.version.certificate.as_str(), life(&held.version))).collect();
    let lifetime = |name: &str, issuers: &[String]| {
        let known = what_if.lifetime.or_else(|| lives.get(name).copied());
        known.unwrap_or_else(|| usual(&config, issuers))
    };
    let named = config.certificates.iter();
    let lifetimes =
        named.map(|(name, one)| (name.as_str().to_owned(), lifetime(name.as_str(), &one.issuers))).collect();
    let end = now.plus(DAY * what_if.days);
    Script {
        seed: what_if.seed,
        start: now,
        end,
        authorities: authorities(&config, what_if, &mut chance),
        lifetimes,
        events: if what_if.trouble { events(&config, &mut chance) } else { Vec::new() },
        config,
        held,
        refusals: Vec::new(),
        host_down: if what_if.trouble { chance.spans(what_if.days / 20, 6 * HOUR) } else { Vec::new() },
        host_fails: if what_if.trouble { 50 } else { 0 },
        stride: Duration::from_secs(60),
    }
}

/// Nothing that reaches out of the simulation: no command, no look at what is served, no secret.
fn harmless(config: &Config) -> Config {
    let mut config = config.clone();
    config.notify.clear();
    for certificate in config.certificates.values_mut() {
        certificate.deploy.clear();
        certificate.verify.clear();
        certificate.key = KEY;
    }
    for store in config.stores.values_mut() {
        store.combined = false;
        store.pfx_password = None;
    }
    config
}

fn life(version: &VersionRow) -> Duration {
    version.not_after.since(version.not_before)
}

/// As long as leaves of the private CA, or as most public CAs' certificates.
fn usual(config: &Config, issuers: &[String]) -> Duration {
    let private = issuers.first().and_then(|issuer| config.cas.get(issuer));
    private.map_or(90 * DAY, |ca| ca.leaf_lifetime)
}

fn authorities(config: &Config, what_if: &WhatIf, chance: &mut Chance) -> BTreeMap<String, Part> {
    let mut parts = BTreeMap::new();
    for (name, account) in &config.accounts {
        let (limits, directory_url) = (account.limits, Some(account.directory_url.clone()));
        let troubles = if what_if.trouble { chance.outages(what_if.days / 10, 12 * HOUR) } else { Vec::new() };
        let part = Part { directory_url, limits, troubles, advice: Advice::Usual, ask_again: Some(6 * HOUR) };
        parts.insert(name.clone(), part);
    }
    for name in config.cas.keys() {
        let limits = Limits { orders: None, domain: None, names: None, failures: None };
        let (troubles, advice) = (Vec::new(), Advice::None);
        parts.insert(name.clone(), Part { directory_url: None, limits, troubles, advice, ask_again: None });
    }
    if let (true, Some(part)) = (what_if.trouble, first_account(config).and_then(|first| parts.get_mut(first))) {
        let length = (DAY * 7).min(DAY * what_if.days / 4);
        part.troubles.push(Trouble { span: Span::of(chance.between(30, 60), length), kind: chance.kind() });
    }
    parts
}

/// The account that is tried first for most certificates.
fn first_account(config: &Config) -> Option<&String> {
    let mut counts: BTreeMap<&String, usize> = BTreeMap::new();
    let firsts = config.certificates.values().filter_map(|one| one.issuers.first());
    firsts
        .filter(|first| config.accounts.contains_key(*first))
        .for_each(|first| *counts.entry(first).or_default() += 1);
    counts.into_iter().max_by_key(|(_, count)| *count).map(|(first, _)| first)
}

fn events(config: &Config, chance: &mut Chance) -> Vec<(Timestamp, Event)> {
    let revocation = |issuer: &String, chance: &mut Chance| {
        let (issuer, window) = (issuer.clone(), chance.window());
        (chance.between(65, 85), Event::MassRevocation { issuer, permille: 500, window })
    };
    let mut events: Vec<_> = first_account(config).map(|first| revocation(first, chance)).into_iter().collect();
    events.extend(chance.crashes(DAY));
    events.sort_by_key(|(at, _)| *at);
    events
}
