//! `[certificate.NAME]` and `[defaults]`.

mod definition;
mod read;
mod served;
mod settings;

use std::collections::BTreeMap;
use std::time::Duration;

pub(super) use read::World;
pub(super) use settings::Settings;

use super::read::Value;
use super::suggest;
use crate::identifier::{DnsName, Identifier};

pub use crate::pki::key::KeyType;

/// A certificate as the config wants it, defaults merged in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// What it vouches for, in the config's order, without repetition; never empty.
    pub names: Vec<Identifier>,
    /// Accounts and CAs, in the order in which they are tried; never empty.
    pub issuers: Vec<String>,
    /// DNS instances, in the order in which they are tried where no instance's zones say which.
    pub dns: Vec<String>,
    /// Stores; may be empty.
    pub stores: Vec<String>,
    /// The key's algorithm.
    pub key: KeyType,
    /// The CA's profile (draft-ietf-acme-profiles).
    pub profile: Option<Profile>,
    /// The chain that is preferred where the CA offers several: the common name that it ends at or leads through.
    pub chain: Option<String>,
    /// When to renew.
    pub renew: RenewPolicy,
    /// Fewer attempts left than this before expiry is a failure shown on `/health/renewals`.
    pub attempts_left: u32,
    /// Where the challenge TXT of a name goes instead of `_acme-challenge.<name>`; keys are base names.
    pub alias: BTreeMap<String, DnsName>,
    /// Commands run after a new version is stored.
    pub deploy: Vec<DeployCommand>,
    /// Addresses where the certificate must be served.
    pub verify: Vec<Verify>,
}

/// Reads the name of an algorithm.
pub(super) fn read_key_type(value: &Value<'_>) -> Option<KeyType> {
    let text = value.text()?;
    let key = KeyType::parse(text);
    if key.is_none() {
        value.refuse("is not an algorithm of keys", suggest::instead(text, KeyType::ALL.map(KeyType::as_str)));
    }
    key
}

/// The profile asked of the CA.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Profile {
    /// `profile = "x"`: where the CA offers it, else without.
    Preferred(String),
    /// `profile = { require = "x" }`.
    Required(String),
}

impl Profile {
    /// The profile's name at the CA.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Preferred(name) | Self::Required(name) => name,
        }
    }
}

/// When to renew.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RenewPolicy {
    /// This long before expiry, in place of the fraction of the lifetime; at most 2/3 of the lifetime counts.
    pub before: Option<Duration>,
    /// Only within one of these, as long as that ends before expiry.
    pub windows: Vec<Window>,
}

/// A weekly window: `Mon-Fri 02:00-05:00 Europe/Berlin`. One that ends before it begins runs past midnight.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// The days on which it begins; Monday first.
    pub days: [bool; 7],
    /// Minutes since midnight.
    pub from: u16,
    /// Minutes since midnight.
    pub to: u16,
    /// IANA time zone: `UTC` unless said.
    pub zone: String,
}

/// A command that tells consumers of a new version.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DeployCommand {
    /// Program and arguments: no shell.
    pub command: Vec<String>,
    /// Once a certificate, rather than once for all that came together.
    pub each: bool,
    /// Killed after this.
    pub timeout: Duration,
}

/// A place where the certificate must be served.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Verify {
    /// `host:port`.
    pub address: String,
    /// The name sent as SNI: the certificate's first DNS name unless said; `None` where it has none.
    pub server_name: Option<String>,
    /// What is spoken before TLS.
    pub starttls: Option<StartTls>,
}

/// A protocol that begins in the clear.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StartTls {
    /// RFC 3207.
    Smtp,
    /// RFC 9051, section 6.2.1.
    Imap,
    /// PostgreSQL's SSLRequest.
    Postgres,
}
