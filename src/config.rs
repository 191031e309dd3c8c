//! The config file: TOML in, `Config` out, all errors at once. One file a section.

pub mod account;
pub mod ca;
pub mod certificate;
pub mod dns;
pub mod http;
pub mod limits;
pub mod resolver;
pub mod state;
pub mod store;

pub mod duration;
pub mod load;
pub mod report;

mod gather;
mod include;
mod network;
mod problems;
mod read;
mod secrets;
mod source;
mod suggest;
pub mod window;

use std::collections::BTreeMap;

pub use account::Account;
pub use ca::Ca;
pub use certificate::{Certificate, DeployCommand, KeyType, Profile, RenewPolicy, StartTls, Verify, Window};
pub use dns::{DnsInstance, DnsKind, Propagation};
pub use http::{Http, Listen};
pub use limits::{Limit, Limits};
pub use load::{Loaded, load};
pub use report::{ConfigError, Note, Report};
pub use resolver::Resolver;
pub use state::{Database, StateSettings};
pub use store::{DirectoryStore, Store, StoreKind};

use crate::identifier::CertificateName;

/// A whole config, checked: every name in it leads somewhere, every default is filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// `[state]`.
    pub state: StateSettings,
    /// `[http]`.
    pub http: Http,
    /// `[resolver]`.
    pub resolver: Resolver,
    /// `[account.NAME]`. Accounts and CAs share one namespace: both are issuers.
    pub accounts: BTreeMap<String, Account>,
    /// `[ca.NAME]`.
    pub cas: BTreeMap<String, Ca>,
    /// `[dns.NAME]`.
    pub dns: BTreeMap<String, DnsInstance>,
    /// `[store.NAME.KIND]`.
    pub stores: BTreeMap<String, Store>,
    /// `[certificate.NAME]`, with `[defaults]` merged in.
    pub certificates: BTreeMap<CertificateName, Certificate>,
}
