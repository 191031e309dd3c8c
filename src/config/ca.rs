//! `[ca.NAME]`: a private CA.

use std::time::Duration;

use super::certificate::KeyType;

/// A private CA. `subject`, `key` and the CA's own lifetimes take effect when a generation is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ca {
    /// The subject; the root adds ` Root` to the common name, issuing certificates their generation.
    pub subject: Subject,
    /// The algorithm of the CA's own keys.
    pub key: KeyType,
    /// Of the root.
    pub lifetime: Duration,
    /// Of issuing certificates.
    pub issuing_lifetime: Duration,
    /// Of leaves.
    pub leaf_lifetime: Duration,
}

/// A distinguished name, as far as the config tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// CN.
    pub common_name: String,
    /// O.
    pub organization: Option<String>,
    /// OU.
    pub organizational_unit: Option<String>,
    /// C, two letters.
    pub country: Option<String>,
}
