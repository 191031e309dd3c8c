//! DNS-01 (RFC 8555, section 8.4) once, for every provider: the zone of a name, present, propagation check, withdraw.
//!
//! `locate` says where the TXT of a name belongs, without changing anything; its answer is stored before `present` is
//! called, so that whatever is presented is on record to be withdrawn. No caching resolver is ever asked for a TXT
//! unless the operator named it for that, nor for anything else at a challenge name while the zone's own servers answer:
//! that the name was not there would be remembered beyond the arrival of the value.

pub mod caa;
mod choose;
mod cname;
mod descent;
pub mod dnssec;
mod error;
mod exchange;
mod name;
mod propagation;
mod recent;
mod recursive;
mod registration;
mod values;
mod zone;

use std::fmt;
use std::sync::Arc;

use providers::dns::{Capabilities, DnsProvider, Registration, TxtRecord};
use tokio::sync::OwnedMutexGuard;

use crate::config;
use crate::identifier::DnsName;
use crate::locks::Locks;

pub use error::Dns01Error;
pub(crate) use name::{is_within, normal};
pub use propagation::Seen;
pub use registration::{Registrations, RegistrationsError};

use cname::End;
use descent::Descent;
use recursive::Recursive;
use values::Values;
use zone::Zones;

/// Seconds that a challenge's TXT may be cached.
const TTL: u32 = 60;

/// What is withdrawn to learn whether a provider hosts a zone: a value that nobody presents.
const PROBE: &str = "renewd-asks-for-the-zone";

/// One DNS instance ready for work: its provider and settings.
#[derive(Debug, Clone)]
pub struct Instance {
    /// `[dns.NAME]`.
    pub name: String,
    /// The zones it serves; empty: whatever a certificate sends to it.
    pub zones: Vec<DnsName>,
    /// How to see that a value has reached the authoritative servers.
    pub propagation: config::Propagation,
    /// The DNS host.
    pub provider: Arc<dyn DnsProvider>,
}

/// Where the TXT of a challenge belongs.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Location {
    /// The instance that publishes it.
    pub instance: String,
    /// The zone as its SOA names it, lower case, without the trailing dot.
    pub zone: String,
    /// The name after all CNAMEs, lower case, without the trailing dot.
    pub name: String,
}

/// One TXT value to be seen by the CA.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Challenge {
    /// Where it belongs, as `locate` said.
    pub location: Location,
    /// The TXT's text (RFC 8555, section 8.4).
    pub value: String,
    /// The name before alias and CNAMEs, as `challenge_name` makes it: what registrations are kept by.
    pub challenge_name: String,
}

/// The name at which a CA looks for the TXT of `base`, an identifier without its `*.`.
#[must_use]
pub fn challenge_name(base: &str) -> String {
    format!("_acme-challenge.{base}")
}

/// Publishes and withdraws challenges at the DNS instances of the config.
pub struct Dns01 {
    instances: Vec<Instance>,
    recursive: Arc<Recursive>,
    zones: Zones,
    descent: Descent,
    authoritative_port: u16,
    registrations: Arc<dyn Registrations>,
    locks: Locks,
    values: Values,
}

impl Dns01 {
    /// Makes ready for these instances. Asks nobody anything yet.
    ///
    /// # Errors
    /// `DuplicateInstance` where two instances have one name.
    pub fn new(
        instances: Vec<Instance>,
        resolver: &config::Resolver,
        registrations: Arc<dyn Registrations>,
    ) -> Result<Self, Dns01Error> {
        for (index, instance) in instances.iter().enumerate() {
            if instances[..index].iter().any(|other| other.name == instance.name) {
                return Err(Dns01Error::DuplicateInstance { instance: instance.name.clone() });
            }
        }
        Ok(Self {
            instances,
            recursive: Arc::new(Recursive::new(resolver.servers.clone())),
            zones: Zones::default(),
            descent: Descent::new(resolver.authoritative_port),
            authoritative_port: resolver.authoritative_port,
            registrations,
            locks: Locks::default(),
            values: Values::default(),
        })
    }

    /// Where the TXT for `base` (an identifier without its `*.`) belongs: follows the certificate's alias and CNAMEs from
    /// `_acme-challenge.<base>`, picks the instance and finds the zone.
    ///
    /// The instance with the longest matching zone serves the name. Where none matches, the certificate's instances are
    /// asked in order whether they host the zone, which changes nothing there.
    ///
    /// # Errors
    /// See the variants of `Dns01Error`; `CnameMissing` where the operator has to publish a CNAME first.
    pub async fn locate(&self, certificate: &config::Certificate, base: &str) -> Result<Location, Dns01Error> {
        let challenge_name = challenge_name(base);
        let start = certificate.alias.get(base).map_or(challenge_name.as_str(), DnsName::base);
        let start = normal(start);
        let end = cname::follow(&self.descent, &self.recursive, &self.zones, &start).await?;
        let from = Start { challenge_name: &challenge_name, start: &start };
        match choose::by_zone(&self.instances, &start, &end.name, &certificate.dns) {
            Some(instance) => self.place(instance, &from, &end).await,
            None => self.place_in_order(&certificate.dns, &from, &end).await,
        }
    }

    /// Publishes the value beside whatever else is at the name. Succeeds where it is there already.
    ///
    /// # Errors
    /// `UnknownInstance`, `TooManyValues`, `CnameMissing`, `Registrations` or `Provider`.
    pub async fn present(&self, challenge: &Challenge) -> Result<(), Dns01Error> {
        let location = &challenge.location;
        let instance = self.instance(&location.instance)?;
        let registration = self.registration_to_present(instance, challenge).await?;
        let Capabilities { delete, values_per_name, .. } = instance.provider.capabilities();
        let is_new = self.values.claim(location, &challenge.value, values_per_name)?;
        if !is_new && !delete {
            // Sent again, it would take a second place there and push out another value.
            return Ok(());
        }
        let _alone = self.alone(instance, location).await;
        let appended = instance.provider.append_txt(&record(location, &challenge.value), registration.as_ref()).await;
        appended.map_err(|source| {
            self.values.release(location, &challenge.value);
            instance.error(source)
        })
    }

    /// Takes this value, and no other, from the name. Succeeds where it is not there, and where the host overwrites old
    /// values by itself.
    ///
    /// # Errors
    /// `UnknownInstance`, `Registrations` or `Provider`: the value is still owed a withdrawal.
    pub async fn withdraw(&self, challenge: &Challenge) -> Result<(), Dns01Error> {
        let location = &challenge.location;
        let instance = self.instance(&location.instance)?;
        if instance.provider.capabilities().delete {
            let registration = self.registration_on_record(instance, &challenge.challenge_name).await?;
            let record = record(location, &challenge.value);
            let _alone = self.alone(instance, location).await;
            let deleted = instance.provider.delete_txt(&record, registration.as_ref()).await;
            deleted.map_err(|source| instance.error(source))?;
        }
        self.values.release(location, &challenge.value);
        Ok(())
    }

    /// Asks every authoritative server of each zone directly, once, whether it shows all these values.
    ///
    /// # Errors
    /// `UnknownInstance`; `Resolver` where a zone's servers could not be learnt.
    pub async fn propagated(&self, challenges: &[Challenge]) -> Result<Seen, Dns01Error> {
        let lookout = propagation::Lookout { recursive: &self.recursive, port: self.authoritative_port };
        let sought = propagation::group(challenges);
        let settings = |name: &str| self.instance(name).map(|instance| &instance.propagation);
        lookout.look(&sought, settings).await
    }

    /// Asks every authoritative server of the zone directly, once, whether the value is gone; names those that show it.
    ///
    /// # Errors
    /// `UnknownInstance`; `Resolver` where the zone's servers could not be learnt.
    pub async fn still_shown(&self, challenge: &Challenge) -> Result<Vec<String>, Dns01Error> {
        let lookout = propagation::Lookout { recursive: &self.recursive, port: self.authoritative_port };
        let settings = &self.instance(&challenge.location.instance)?.propagation;
        lookout.still_shown(&challenge.location.zone, &challenge.location.name, &challenge.value, settings).await
    }

    /// The zone that holds a name, as its SOA names it.
    ///
    /// # Errors
    /// `NoZone`; `Resolver` where nobody could be asked.
    pub async fn zone(&self, name: &str) -> Result<String, Dns01Error> {
        self.zones.find(&self.recursive, &normal(name)).await
    }

    /// What the host of an instance can do; `None` where the config has no such instance.
    #[must_use]
    pub fn capabilities(&self, instance: &str) -> Option<Capabilities> {
        self.instance(instance).ok().map(|instance| instance.provider.capabilities())
    }

    /// The propagation settings of an instance: how long to wait is the caller's business.
    #[must_use]
    pub fn propagation(&self, instance: &str) -> Option<&config::Propagation> {
        self.instance(instance).ok().map(|instance| &instance.propagation)
    }

    fn instance(&self, name: &str) -> Result<&Instance, Dns01Error> {
        let unknown = || Dns01Error::UnknownInstance { instance: name.to_owned() };
        self.instances.iter().find(|instance| instance.name == name).ok_or_else(unknown)
    }

    async fn place(&self, instance: &Instance, from: &Start<'_>, end: &End) -> Result<Location, Dns01Error> {
        if instance.provider.capabilities().registers {
            let registration = self.registration(instance, from.challenge_name).await?;
            registration::check_target(&registration, from.start, &end.name)?;
        }
        self.at(instance, end)
    }

    /// The end of the CNAMEs, as this instance would publish there.
    fn at(&self, instance: &Instance, end: &End) -> Result<Location, Dns01Error> {
        let zone = end.zone()?.to_owned();
        self.refuse_top_level(&zone, &end.name)?;
        Ok(Location { instance: instance.name.clone(), zone, name: end.name.clone() })
    }

    /// The first of these instances that hosts the zone. The last one is not asked: `present` will say.
    async fn place_in_order(&self, names: &[String], from: &Start<'_>, end: &End) -> Result<Location, Dns01Error> {
        let instances: Vec<&Instance> = names.iter().filter_map(|name| self.instance(name).ok()).collect();
        let Some((last, others)) = instances.split_last() else {
            return Err(Dns01Error::NoInstance { name: end.name.clone() });
        };
        for instance in others {
            if self.hosts(instance, end).await? {
                return self.place(instance, from, end).await;
            }
        }
        self.place(last, from, end).await
    }

    /// Withdraws a value that nobody presents: a host that does not know the zone says so, and any other does nothing.
    async fn hosts(&self, instance: &Instance, end: &End) -> Result<bool, Dns01Error> {
        let capabilities = instance.provider.capabilities();
        if capabilities.registers || !capabilities.delete {
            return Ok(true);
        }
        let location = self.at(instance, end)?;
        let _alone = self.alone(instance, &location).await;
        match instance.provider.delete_txt(&record(&location, PROBE), None).await {
            Ok(()) => Ok(true),
            Err(providers::Error::ZoneNotFound { .. }) => Ok(false),
            Err(source) => Err(instance.error(source)),
        }
    }

    /// A top-level zone is nobody's but a registry's, unless the config says that it is served here.
    fn refuse_top_level(&self, zone: &str, name: &str) -> Result<(), Dns01Error> {
        let ours = || self.instances.iter().flat_map(|instance| &instance.zones).any(|listed| listed.base() == zone);
        if zone.contains('.') || ours() {
            return Ok(());
        }
        Err(Dns01Error::NoZone { name: name.to_owned() })
    }

    /// Keeps other writers of ours from the name, where the host would lose one of two values added at a time.
    async fn alone(&self, instance: &Instance, location: &Location) -> Option<OwnedMutexGuard<()>> {
        if instance.provider.capabilities().atomic_append {
            return None;
        }
        Some(self.locks.lock(&[&location.instance, &location.zone, &location.name]).await)
    }

    async fn registration_to_present(
        &self,
        instance: &Instance,
        challenge: &Challenge,
    ) -> Result<Option<Registration>, Dns01Error> {
        if !instance.provider.capabilities().registers {
            return Ok(None);
        }
        let registration = self.registration(instance, &challenge.challenge_name).await?;
        registration::check_target(&registration, &challenge.challenge_name, &challenge.location.name)?;
        Ok(Some(registration))
    }
}

impl fmt::Debug for Dns01 {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Dns01").field("instances", &self.instances).finish_non_exhaustive()
    }
}

impl Instance {
    fn error(&self, source: providers::Error) -> Dns01Error {
        Dns01Error::Provider { instance: self.name.clone(), source }
    }
}

/// Where the way to a name began.
struct Start<'a> {
    /// What registrations are kept by.
    challenge_name: &'a str,
    /// Its alias, where it has one, else itself: the owner of the first CNAME.
    start: &'a str,
}

fn record(location: &Location, value: &str) -> TxtRecord {
    TxtRecord { zone: location.zone.clone(), name: location.name.clone(), value: value.to_owned(), ttl: TTL }
}
