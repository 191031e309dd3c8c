//! Kinds of events, and how bad each is.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What kind of event it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// A certificate was issued for the first time.
    Issued,
    /// A certificate was replaced by a new version.
    Renewed,
    /// A certificate was replaced because its CA suggests it (RFC 9773).
    AriReplaced,
    /// An order failed.
    Failed,
    /// A certificate nears its end, or has expired, and was not renewed.
    Expiring,
    /// A deploy command failed.
    DeployFailed,
    /// A new version is not served where it should be.
    NotServed,
    /// A store did not take a version.
    StoreFailed,
    /// The edited config file is refused.
    ConfigRefused,
    /// A CA, or our account at it, orders nothing until somebody does something.
    IssuerTrouble,
    /// A CRL of our own is late, or is not what is found where leaves say that it is.
    CrlTrouble,
    /// A certificate was revoked.
    Revoked,
    /// The clock cannot be trusted.
    ClockWrong,
    /// What was told of before is well again.
    Recovered,
    /// Somebody asked for a test.
    Test,
}

/// How bad an event is; the last is the worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Nobody need do anything.
    Info,
    /// Somebody should look at it.
    Warning,
    /// Somebody must look at it.
    Error,
}

impl EventKind {
    /// All of them.
    pub const ALL: [Self; 15] = [
        Self::Issued,
        Self::Renewed,
        Self::AriReplaced,
        Self::Failed,
        Self::Expiring,
        Self::DeployFailed,
        Self::NotServed,
        Self::StoreFailed,
        Self::ConfigRefused,
        Self::IssuerTrouble,
        Self::CrlTrouble,
        Self::Revoked,
        Self::ClockWrong,
        Self::Recovered,
        Self::Test,
    ];

    /// As config, database and receivers write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Issued => "issued",
            Self::Renewed => "renewed",
            Self::AriReplaced => "ari_replaced",
            Self::Failed => "failed",
            Self::Expiring => "expiring",
            Self::DeployFailed => "deploy_failed",
            Self::NotServed => "not_served",
            Self::StoreFailed => "store_failed",
            Self::ConfigRefused => "config_refused",
            Self::IssuerTrouble => "issuer_trouble",
            Self::CrlTrouble => "crl_trouble",
            Self::Revoked => "revoked",
            Self::ClockWrong => "clock_wrong",
            Self::Recovered => "recovered",
            Self::Test => "test",
        }
    }

    /// From that word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }

    /// How bad it is.
    #[must_use]
    pub const fn severity(self) -> Severity {
        match self {
            Self::Issued | Self::Renewed | Self::Recovered | Self::Test => Severity::Info,
            Self::AriReplaced | Self::ConfigRefused | Self::Revoked => Severity::Warning,
            Self::Failed
            | Self::Expiring
            | Self::DeployFailed
            | Self::NotServed
            | Self::StoreFailed
            | Self::IssuerTrouble
            | Self::CrlTrouble
            | Self::ClockWrong => Severity::Error,
        }
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl Severity {
    /// As receivers write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_one_word_everywhere() {
        for kind in EventKind::ALL {
            assert_eq!(EventKind::parse(kind.as_str()), Some(kind));
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
            assert_eq!(serde_json::to_value(kind.severity()).unwrap(), kind.severity().as_str());
        }
    }
}
