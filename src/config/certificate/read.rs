//! `[certificate.NAME]` out of TOML, with `[defaults]` merged in.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::super::read::{Section, Value};
use super::super::suggest;
use super::settings::Choice;
use super::{Certificate, KeyType, Settings, Verify};
use crate::identifier::{CertificateName, DnsName, Identifier};

/// Fewer attempts left than this is a failure, unless said.
const ATTEMPTS_LEFT: u32 = 5;

/// What the certificates of a config may refer to.
#[derive(Default)]
pub(in super::super) struct World<'a> {
    /// Accounts (`true`) and CAs (`false`).
    pub(in super::super) issuers: BTreeMap<&'a str, bool>,
    /// DNS instances and their zones; `None` where the instance is not read for its mistakes.
    pub(in super::super) dns: BTreeMap<&'a str, Option<Vec<DnsName>>>,
    /// Stores.
    pub(in super::super) stores: BTreeSet<&'a str>,
}

impl Certificate {
    /// Reads one certificate.
    pub(in super::super) fn read(
        mut section: Section<'_>,
        name: &CertificateName,
        world: &World<'_>,
        defaults: &Settings<'_>,
    ) -> Option<Self> {
        let own = Settings::read(&mut section, world);
        let named = read_names(&mut section, name);
        let names: Vec<Identifier> = named.iter().map(|(name, _)| name.clone()).collect();
        let alias = section.section("alias").map(|section| read_alias(&section, &names)).unwrap_or_default();
        let verify = section.value("verify").and_then(|value| value.list()).unwrap_or_default();
        let verify = verify.iter().filter_map(|value| Verify::read(value.section()?, &names)).collect();
        let settings = Merged { section: &section, own: &own, defaults, world };
        let issuers = settings.issuers();
        let account = issuers.iter().find(|issuer| world.issuers.get(issuer.as_str()) == Some(&true));
        if let Some(account) = account {
            refuse_addresses(&section, &named, account);
        }
        let certificate = Self {
            key: settings.key(account),
            dns: account.map_or_else(|| settings.own_dns(), |_| settings.dns(&names)),
            stores: settings.stores(),
            profile: own.profile.as_ref().or(defaults.profile.as_ref()).cloned(),
            chain: own.chain.as_ref().or(defaults.chain.as_ref()).cloned(),
            renew: own.renew(defaults),
            attempts_left: own.attempts_left.or(defaults.attempts_left).unwrap_or(ATTEMPTS_LEFT),
            deploy: own.deploy.as_ref().or(defaults.deploy.as_ref()).cloned().unwrap_or_default(),
            names,
            issuers,
            alias,
            verify,
        };
        section.finish();
        Some(certificate)
    }
}

/// The names with the place of each; the certificate's own name where none are given.
fn read_names<'a>(section: &mut Section<'a>, own: &CertificateName) -> Vec<(Identifier, Option<Value<'a>>)> {
    let Some(value) = section.value("names") else {
        let name = Identifier::parse(own.as_str());
        if name.is_err() {
            let message = format!("`{own}` is no DNS name, and `names` is missing");
            section.missing("names", message, "write `names = [\"…\"]`");
        }
        return name.ok().map(|name| (name, None)).into_iter().collect();
    };
    let list = value.list().unwrap_or_default();
    if list.is_empty() && value.is_empty_list() {
        value.refuse("names nothing", format!("write `names = [\"{own}\"]`, or leave it out"));
    }
    let mut seen = HashSet::with_capacity(list.len());
    let read = list.into_iter().filter_map(|value| Some((read_identifier(&value)?, value)));
    let mut names = Vec::new();
    for (name, value) in read {
        if seen.insert(name.clone()) {
            names.push((name, Some(value)));
        } else {
            value.note(format!("`{name}` stands here twice"));
        }
    }
    names
}

fn read_identifier(value: &Value<'_>) -> Option<Identifier> {
    let text = value.text()?;
    match Identifier::parse(text) {
        Ok(name) => {
            let normal = name.to_string();
            if normal != text {
                value.note(format!("is read as `{normal}`"));
            }
            Some(name)
        }
        Err(error) => {
            value.refuse(error.to_string(), "");
            None
        }
    }
}

fn refuse_addresses(section: &Section<'_>, names: &[(Identifier, Option<Value<'_>>)], account: &str) {
    for (name, value) in names.iter().filter(|(name, _)| name.dns().is_none()) {
        let message = format!(
            "`{name}` is an IP address, and `{account}` is an ACME account: DNS-01 cannot prove control of an address, and \
             HTTP-01 and TLS-ALPN-01 are not there yet"
        );
        let help = "leave it out, or write `issuers` with a private CA only";
        match value {
            Some(value) => value.refuse(message, help),
            None => section.refuse(message, help),
        }
    }
}

fn read_alias(section: &Section<'_>, names: &[Identifier]) -> BTreeMap<String, DnsName> {
    let bases: BTreeSet<&str> = names.iter().filter_map(Identifier::dns).map(DnsName::base).collect();
    let mut aliases = BTreeMap::new();
    for (key, value) in section.entries() {
        let name = read_alias_key(key, &value, &bases);
        let target = read_alias_target(&value);
        let (Some(name), Some(target)) = (name, target) else { continue };
        if aliases.insert(name.clone(), target).is_some() {
            value.at_key().refuse(format!("`{name}` stands here twice"), "leave one of them out");
        }
    }
    aliases
}

fn read_alias_key(key: &str, value: &Value<'_>, bases: &BTreeSet<&str>) -> Option<String> {
    let name = match DnsName::parse(key) {
        Ok(name) => name,
        Err(error) => {
            value.clone().at_key().refuse(error.to_string(), "");
            return None;
        }
    };
    if name.is_wildcard() {
        let help = format!("write \"{}\", which serves the wildcard as well", name.base());
        value.clone().at_key().refuse("an alias is for a name without its wildcard", help);
    } else if !bases.contains(name.as_str()) {
        let help = suggest::instead(name.as_str(), bases.iter().copied());
        value.clone().at_key().refuse_reference(format!("`{name}` is none of the certificate's names"), help);
    }
    Some(name.to_string())
}

fn read_alias_target(value: &Value<'_>) -> Option<DnsName> {
    match DnsName::parse(value.text()?) {
        Ok(name) if name.is_wildcard() => value.refuse("a TXT record is published under one name, not a wildcard", ""),
        Ok(name) => return Some(name),
        Err(error) => value.refuse(error.to_string(), ""),
    }
    None
}

/// A certificate's own settings before the defaults.
struct Merged<'m, 'a, 'd> {
    section: &'m Section<'a>,
    own: &'m Settings<'a>,
    defaults: &'m Settings<'d>,
    world: &'m World<'m>,
}

impl Merged<'_, '_, '_> {
    /// Those that are named, or else the only one.
    fn issuers(&self) -> Vec<String> {
        if let Some(names) = chosen(self.own.issuers.as_ref(), self.defaults.issuers.as_ref()) {
            return names.to_vec();
        }
        let mut issuers = self.world.issuers.keys();
        match (issuers.next(), issuers.next()) {
            (Some(only), None) => return vec![(*only).to_owned()],
            (None, _) => self.section.missing("issuers", "there is no issuer", "add [account.NAME] or [ca.NAME]"),
            (Some(_), Some(_)) => self.ambiguous("issuers", "issuers", self.world.issuers.keys()),
        }
        Vec::new()
    }

    fn stores(&self) -> Vec<String> {
        if let Some(names) = chosen(self.own.stores.as_ref(), self.defaults.stores.as_ref()) {
            return names.to_vec();
        }
        let mut stores = self.world.stores.iter();
        match (stores.next(), stores.next()) {
            (only, None) => only.map(|only| (*only).to_owned()).into_iter().collect(),
            _ => {
                self.ambiguous("stores", "stores", self.world.stores.iter());
                Vec::new()
            }
        }
    }

    /// For private CAs only: nothing is proved by DNS, so only what is named here is taken.
    fn own_dns(&self) -> Vec<String> {
        self.own.dns.as_ref().map(|choice| choice.names.clone()).unwrap_or_default()
    }

    /// Those that are named, or else the only one, or else those whose zones hold the names.
    fn dns(&self, names: &[Identifier]) -> Vec<String> {
        if let Some(choice) = self.own.dns.as_ref().or(self.defaults.dns.as_ref()) {
            if choice.value.is_empty_list() {
                choice.value.refuse("names no dns instance, and an ACME account wants DNS-01", "write its name");
            }
            return choice.names.clone();
        }
        let mut instances = self.world.dns.keys();
        match (instances.next(), instances.next()) {
            (Some(only), None) => vec![(*only).to_owned()],
            (None, _) => {
                let message = "there is no dns instance, and an ACME account wants DNS-01";
                self.section.missing("dns", message, "add [dns.NAME] with a provider");
                Vec::new()
            }
            (Some(_), Some(_)) => self.dns_by_zone(names),
        }
    }

    fn dns_by_zone(&self, names: &[Identifier]) -> Vec<String> {
        if self.world.dns.values().any(Option::is_none) {
            return Vec::new();
        }
        let mut found: Vec<String> = Vec::new();
        for name in names.iter().filter_map(Identifier::dns) {
            let Some(instance) = self.instance_of(name.base()) else {
                self.ambiguous("dns", "dns instances", self.world.dns.keys());
                break;
            };
            if !found.iter().any(|other| other == instance) {
                found.push(instance.to_owned());
            }
        }
        found
    }

    /// The instance with the longest zone that holds the name.
    fn instance_of(&self, name: &str) -> Option<&str> {
        let zones = self
            .world
            .dns
            .iter()
            .flat_map(|(instance, zones)| zones.iter().flatten().map(move |zone| (*instance, zone)));
        let holding = zones.filter(|(_, zone)| holds(zone.as_str(), name));
        holding.max_by_key(|(_, zone)| zone.as_str().len()).map(|(instance, _)| instance)
    }

    fn ambiguous<'n>(&self, key: &str, what: &str, names: impl Iterator<Item = &'n &'n str>) {
        let names: Vec<_> = names.take(8).map(|name| format!("`{name}`")).collect();
        let message = format!("there are several {what}, and none is named");
        let help = format!("set `{key}` here or in [defaults]: {}", names.join(", "));
        self.section.missing(key, message, help);
    }

    fn key(&self, account: Option<&String>) -> KeyType {
        let Some((key, value)) = self.own.key.as_ref().or(self.defaults.key.as_ref()) else {
            return KeyType::default();
        };
        if let Some(account) = account.filter(|_| *key == KeyType::Ed25519) {
            value.refuse(
                format!("`ed25519` is for private CAs only, and `{account}` is an ACME account"),
                "write \"ecdsa-p256\", or `issuers` with a private CA only",
            );
        }
        *key
    }
}

fn chosen<'c>(own: Option<&'c Choice<'_>>, defaults: Option<&'c Choice<'_>>) -> Option<&'c [String]> {
    own.map(|choice| choice.names.as_slice()).or_else(|| defaults.map(|choice| choice.names.as_slice()))
}

fn holds(zone: &str, name: &str) -> bool {
    name.strip_suffix(zone).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}
