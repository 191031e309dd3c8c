//! DNS hosts: publishing and withdrawing one TXT value.

use std::fmt;

use async_trait::async_trait;
use secrecy::SecretString;

use crate::Error;

pub mod acme_dns;
pub mod cloudflare;
pub mod exec;
pub mod powerdns;
pub mod rfc2136;
#[cfg(feature = "aws")]
pub mod route53;
pub mod txt;

/// A DNS host that can publish and withdraw one TXT value. Both calls are idempotent and touch only the value given: a
/// wildcard and its apex share one name.
#[async_trait]
pub trait DnsProvider: Send + Sync + fmt::Debug {
    /// What this host can and cannot do.
    fn capabilities(&self) -> Capabilities;

    /// Adds the value to those at the name. Succeeds where the value is there already.
    async fn append_txt(&self, record: &TxtRecord, registration: Option<&Registration>) -> Result<(), Error>;

    /// Takes this value, and no other, from the name. Succeeds where it is not there.
    async fn delete_txt(&self, record: &TxtRecord, registration: Option<&Registration>) -> Result<(), Error>;

    /// Credentials for one name, from hosts that hand them out a name (acme-dns). `None`: this host has no such thing.
    ///
    /// Each call that answers `Some` makes a new registration: the caller keeps the first.
    async fn register(&self, name: &str) -> Result<Option<Registration>, Error> {
        let _ = name;
        Ok(None)
    }
}

/// One TXT value at one name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TxtRecord {
    /// The zone as its SOA names it, lower case, without the trailing dot: `example.com`.
    pub zone: String,
    /// The full name, lower case, without the trailing dot: `_acme-challenge.www.example.com`.
    pub name: String,
    /// The text, unquoted.
    pub value: String,
    /// Seconds.
    pub ttl: u32,
}

impl TxtRecord {
    /// The name within its zone: `_acme-challenge.www`, and `@` for the zone's own name.
    #[must_use]
    pub fn relative_name(&self) -> &str {
        match self.name.strip_suffix(&self.zone) {
            Some("") => "@",
            Some(rest) => rest.strip_suffix('.').unwrap_or(&self.name),
            None => &self.name,
        }
    }
}

/// What a DNS host can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    /// Values can be withdrawn. Without it the host overwrites old values by itself (acme-dns).
    pub delete: bool,
    /// Adding a value cannot lose one that someone else adds at the same moment. Without it the caller serialises.
    pub atomic_append: bool,
    /// How many values one name can hold, where the host has a limit.
    pub values_per_name: Option<usize>,
    /// `register` hands out credentials for each name, and the name must be a CNAME to `Registration::target`.
    pub registers: bool,
}

impl Capabilities {
    /// A host without limits of note.
    pub const FULL: Self = Self { delete: true, atomic_append: true, values_per_name: None, registers: false };
}

/// Credentials that a host handed out for one name.
#[derive(Debug, Clone)]
pub struct Registration {
    /// The name that a CNAME of the challenge name must lead to, lower case, without the trailing dot.
    pub target: String,
    /// What the host wants to see with each call: opaque to the caller, who seals and keeps it.
    pub secret: SecretString,
}
