//! What an operator's own config would lead to: the same machinery, with their certificates and issuers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::SimulationError;
use super::restart::Machine;
use super::script::{Advice, Part, Script};
use super::trouble::{Span, Trouble, TroubleKind};
use super::witness::Life;
use crate::clock::Timestamp;
use crate::config::{Config, KeyType, Limits};
use crate::pki::key::PrivateKey;
use crate::state::VersionRow;
use crate::state::version::NewVersion;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// The Retry-After of Let's Encrypt's renewal information.
const SIX_HOURS: Duration = Duration::from_secs(6 * 3600);

/// What is supposed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WhatIf {
    /// Decides everything that is left to chance.
    pub seed: u64,
    /// How far to look ahead.
    pub days: u32,
    /// Every certificate lives so long from now on; `None`: as long as it did, or as its CA usually has it.
    pub lifetime: Option<Duration>,
    /// The first account is out of reach for so long, from a tenth of the time on.
    pub outage: Option<Duration>,
}

/// A certificate that there is already.
#[derive(Debug, Clone)]
pub struct Held {
    /// As the state has it.
    pub version: VersionRow,
}

impl Held {
    /// Puts it into a simulated state, with a key that is nobody's.
    pub(super) async fn put(&self, machine: &Machine, config: &Config) -> Result<(), SimulationError> {
        let version = &self.version;
        let key = PrivateKey::generate(KeyType::EcdsaP256);
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
    let config = Arc::new(harmless(config));
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
        authorities: authorities(&config, what_if, now),
        lifetimes,
        config,
        held,
        events: Vec::new(),
        refusals: Vec::new(),
        host_down: Vec::new(),
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
        // Whatever key they have: making them would cost more than everything else, and nobody looks.
        certificate.key = KeyType::EcdsaP256;
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

fn authorities(config: &Config, what_if: &WhatIf, now: Timestamp) -> BTreeMap<String, Part> {
    let account = |(name, account): (&String, &crate::config::Account)| {
        let directory_url = Some(account.directory_url.clone());
        let (limits, troubles) = (account.limits, Vec::new());
        (name.clone(), Part { directory_url, limits, troubles, advice: Advice::Usual, ask_again: Some(SIX_HOURS) })
    };
    let ca = |name: &String| {
        let limits = Limits { orders: None, domain: None, names: None, failures: None };
        let troubles = Vec::new();
        (name.clone(), Part { directory_url: None, limits, troubles, advice: Advice::None, ask_again: None })
    };
    let mut parts: BTreeMap<_, _> = config.accounts.iter().map(account).chain(config.cas.keys().map(ca)).collect();
    let first = config.certificates.values().find_map(|one| one.issuers.first());
    if let (Some(length), Some(part)) = (what_if.outage, first.and_then(|first| parts.get_mut(first))) {
        let from = now.plus(DAY * what_if.days / 10);
        part.troubles.push(Trouble { span: Span::of(from, length), kind: TroubleKind::Unreachable });
    }
    parts
}
