//! From the config to the parts that work: providers, stores, issuers.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use providers::dns::acme_dns::{AcmeDns, AcmeDnsCredentials, AcmeDnsSettings};
use providers::dns::cloudflare::{Cloudflare, CloudflareSettings};
use providers::dns::exec::{Exec, ExecSettings};
use providers::dns::powerdns::{PowerDns, PowerDnsSettings};
use providers::dns::rfc2136::{Rfc2136, Rfc2136Settings, TsigAlgorithm};
use providers::dns::route53::{Route53, Route53Settings};
use providers::dns::{DnsProvider, Registration, TxtRecord};
use providers::stores::CertificateStore;
use providers::stores::directory::{Directory, DirectorySettings};

use super::secrets;
use crate::ca::Registry;
use crate::ca::revoke::Revocations;
use crate::clock::Clock;
use crate::config::{self, Config, DnsKind, StoreKind};
use crate::crash;
use crate::dns01::{Dns01, Instance, Registrations, RegistrationsError};
use crate::issuer::Issuer;
use crate::issuer::acme::{Acme, AcmeSettings};
use crate::issuer::private::Private;
use crate::secret::SecretRef;
use crate::state::State;
use crate::worker::{Parts, Seats};

/// Our own CAs, and what revokes for them.
#[derive(Debug, Clone)]
pub(super) struct Cas {
    pub(super) registry: Registry,
    /// `None`: nothing is revoked here, since no daemon runs.
    pub(super) revocations: Option<Revocations>,
}

/// Makes the parts. What is the same as before (an account with its session, a CA) is taken over.
///
/// A secret that cannot be read fails nothing here: the provider that needs it says so when it is asked, and the rest
/// works.
pub(super) fn build(config: &Arc<Config>, cas: &Cas, clock: &Clock, before: Option<&Parts>) -> Arc<Parts> {
    let state = cas.registry.state();
    let secrets = secrets::fingerprint(config);
    let before = before.filter(|parts| parts.secrets == secrets);
    let same_dns = before.filter(|parts| parts.config.dns == config.dns && parts.config.resolver == config.resolver);
    let dns01 = match same_dns {
        Some(parts) => Arc::clone(&parts.dns01),
        None => Arc::new(dns01(config, state, clock)),
    };
    let builder = Builder { config, cas, state, clock, dns01: &dns01, before, same_dns: same_dns.is_some() };
    let issuers = builder.issuers();
    let stores = config.stores.iter().map(|(name, store)| (name.clone(), open_store(store))).collect();
    Arc::new(Parts { config: Arc::clone(config), issuers, stores, dns01, secrets })
}

struct Builder<'a> {
    config: &'a Config,
    cas: &'a Cas,
    state: &'a State,
    clock: &'a Clock,
    dns01: &'a Arc<Dns01>,
    before: Option<&'a Parts>,
    same_dns: bool,
}

impl Builder<'_> {
    fn issuers(&self) -> BTreeMap<String, Seats> {
        let accounts = self.config.accounts.iter().map(|(name, account)| (name.clone(), self.account(name, account)));
        let cas = self.config.cas.iter().map(|(name, ca)| (name.clone(), self.ca(name, ca)));
        accounts.chain(cas).collect()
    }

    fn account(&self, name: &str, account: &config::Account) -> Seats {
        let same = self.before.filter(|parts| self.same_dns && parts.config.accounts.get(name) == Some(account));
        if let Some(seats) = same.and_then(|parts| parts.issuers.get(name)) {
            return seats.clone();
        }
        let settings = AcmeSettings { name: name.to_owned(), account: account.clone() };
        seats(Acme::new(settings, self.state.clone(), Arc::clone(self.dns01), self.clock.clone()))
    }

    fn ca(&self, name: &str, ca: &config::Ca) -> Seats {
        let same = self.before.filter(|parts| parts.config.cas.get(name) == Some(ca));
        if let Some(seats) = same.and_then(|parts| parts.issuers.get(name)) {
            return seats.clone();
        }
        seats(Private::new(
            name.to_owned(),
            self.clock.clone(),
            self.cas.registry.clone(),
            self.cas.revocations.clone(),
        ))
    }
}

fn seats(issuer: impl Issuer + 'static) -> Seats {
    Seats::of(Arc::new(issuer))
}

fn open_store(store: &config::Store) -> Arc<dyn CertificateStore> {
    match &store.kind {
        StoreKind::Directory(directory) => Arc::new(Directory::new(DirectorySettings {
            key_mode: directory.mode,
            owner: directory.owner.clone(),
            group: directory.group.clone(),
            keep: directory.keep,
            checkpoint: crash::named,
            ..DirectorySettings::at(&directory.path)
        })),
    }
}

fn dns01(config: &Config, state: &State, clock: &Clock) -> Dns01 {
    let instances = config.dns.iter().map(|(name, instance)| Instance {
        name: name.clone(),
        zones: instance.zones.clone(),
        propagation: instance.propagation.clone(),
        provider: provider(&instance.kind),
    });
    let kept = Arc::new(Kept { state: state.clone(), clock: clock.clone() });
    Dns01::new(instances.collect(), &config.resolver, kept).expect("names in a map are distinct")
}

/// The provider, or one that tells why there is none.
fn provider(kind: &DnsKind) -> Arc<dyn DnsProvider> {
    match make_provider(kind) {
        Ok(provider) => provider,
        Err(error) => Arc::new(Unready { error }),
    }
}

fn make_provider(kind: &DnsKind) -> Result<Arc<dyn DnsProvider>, providers::Error> {
    Ok(match kind.clone() {
        DnsKind::Rfc2136 { server, tsig_key, tsig_algorithm, tsig_secret } => {
            let tsig_algorithm = match tsig_algorithm {
                config::dns::TsigAlgorithm::HmacSha256 => TsigAlgorithm::HmacSha256,
                config::dns::TsigAlgorithm::HmacSha512 => TsigAlgorithm::HmacSha512,
            };
            let tsig_secret = secret(&tsig_secret)?;
            Arc::new(Rfc2136::new(Rfc2136Settings { server, tsig_key, tsig_algorithm, tsig_secret })?)
        }
        DnsKind::Cloudflare { api_token, api_url } => {
            Arc::new(Cloudflare::new(CloudflareSettings { api_token: secret(&api_token)?, api_url })?)
        }
        DnsKind::Route53 { region, profile, access_key_id, secret_access_key, hosted_zone_id, endpoint_url } => {
            let secret_access_key = secret_access_key.as_ref().map(secret).transpose()?;
            let settings =
                Route53Settings { region, profile, access_key_id, secret_access_key, hosted_zone_id, endpoint_url };
            Arc::new(Route53::new(settings)?)
        }
        DnsKind::PowerDns { api_url, api_key, server_id } => {
            Arc::new(PowerDns::new(PowerDnsSettings { api_url, api_key: secret(&api_key)?, server_id })?)
        }
        DnsKind::AcmeDns { api_url, credentials } => {
            let credentials = credentials.map(acme_dns_credentials).transpose()?;
            Arc::new(AcmeDns::new(AcmeDnsSettings { api_url, credentials })?)
        }
        DnsKind::Exec { command, timeout, environment } => {
            Arc::new(Exec::new(ExecSettings { command, timeout, environment })?)
        }
    })
}

fn acme_dns_credentials(given: config::dns::AcmeDnsCredentials) -> Result<AcmeDnsCredentials, providers::Error> {
    let password = secret(&given.password)?;
    Ok(AcmeDnsCredentials { username: given.username, password, subdomain: given.subdomain })
}

fn secret(reference: &SecretRef) -> Result<secrecy::SecretString, providers::Error> {
    reference.read().map_err(|error| providers::Error::Unauthorized { detail: providers::error::chain(&error) })
}

/// A provider that cannot be made: each call says why.
#[derive(Debug)]
struct Unready {
    error: providers::Error,
}

#[async_trait]
impl DnsProvider for Unready {
    fn capabilities(&self) -> providers::dns::Capabilities {
        providers::dns::Capabilities::FULL
    }

    async fn append_txt(&self, _: &TxtRecord, _: Option<&Registration>) -> Result<(), providers::Error> {
        Err(self.error.clone())
    }

    async fn delete_txt(&self, _: &TxtRecord, _: Option<&Registration>) -> Result<(), providers::Error> {
        Err(self.error.clone())
    }
}

/// Registrations live in the state, sealed.
struct Kept {
    state: State,
    clock: Clock,
}

#[async_trait]
impl Registrations for Kept {
    async fn find(&self, instance: &str, name: &str) -> Result<Option<Registration>, RegistrationsError> {
        Ok(self.state.registration(instance, name).await?)
    }

    async fn keep(&self, instance: &str, name: &str, registration: &Registration) -> Result<(), RegistrationsError> {
        Ok(self.state.add_registration(instance, name, registration, self.clock.now()).await?)
    }
}
