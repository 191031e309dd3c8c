//! An order as a simulated CA keeps it (RFC 8555, section 7.1.3).

use std::collections::BTreeSet;

use crate::clock::Timestamp;

/// Where an order stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    /// Control of its names is not proved.
    Pending,
    /// The CA works on it.
    Processing { until: Timestamp },
    /// The certificate is there.
    Valid,
    /// A proof failed.
    Invalid,
}

/// One order.
#[derive(Debug, Clone)]
pub(super) struct Order {
    pub(super) names: Vec<String>,
    /// The serial of what it replaces.
    pub(super) replaces: Option<String>,
    pub(super) status: Status,
    /// (base name, value): what the CA wants to see.
    pub(super) challenges: Vec<(String, String)>,
    pub(super) expires: Timestamp,
    pub(super) chain: Option<String>,
}

impl Order {
    /// It may still become something.
    pub(super) fn is_open(&self, now: Timestamp) -> bool {
        matches!(self.status, Status::Pending | Status::Processing { .. }) && now < self.expires
    }
}

/// What the CA wants next.
#[derive(Debug)]
pub(super) enum Step {
    /// These values, by base name, in DNS.
    Prove(Vec<(String, String)>),
    /// Patience.
    Wait(Timestamp),
    /// Nothing: the chain, in PEM.
    Download(String),
}

/// Names without `*.`, each once: a wildcard and its apex prove the same.
pub(super) fn bases(names: &[String]) -> BTreeSet<&str> {
    names.iter().map(|name| name.strip_prefix("*.").unwrap_or(name)).collect()
}

/// The same for the same names in any order.
pub(super) fn exact_set(names: &[String]) -> String {
    let mut names = names.to_vec();
    names.sort_unstable();
    names.join(" ")
}

/// By the public suffix list.
pub(super) fn registered_domains(names: &[String]) -> BTreeSet<String> {
    bases(names).into_iter().map(|name| psl::domain_str(name).unwrap_or(name).to_owned()).collect()
}
