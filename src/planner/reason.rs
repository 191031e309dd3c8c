//! Why something is done: the one value that logs, `plan`, `why`, the API and notifications all print.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;

/// Why a certificate is ordered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Reason {
    /// There is none.
    Missing,
    /// The config names other names than the certificate.
    NamesChanged {
        /// Names that the certificate lacks.
        added: Vec<String>,
        /// Names that it has and should not.
        removed: Vec<String>,
    },
    /// The config wants another kind of key.
    KeyChanged {
        /// What the certificate has.
        from: String,
        /// What the config wants.
        to: String,
    },
    /// It was issued by somebody whom the config no longer names for it.
    IssuerChanged {
        /// Who issued it.
        from: String,
        /// Who is to issue it.
        to: String,
    },
    /// Its time to be renewed has come.
    Expiring {
        /// When it expires.
        #[serde(with = "millis")]
        not_after: Timestamp,
        /// No time within the certificate's own windows came early enough.
        #[serde(default)]
        outside: bool,
    },
    /// The CA suggests to renew it now (RFC 9773).
    RenewalInfo {
        /// The suggested window's start.
        #[serde(with = "millis")]
        start: Timestamp,
        /// Its end.
        #[serde(with = "millis")]
        end: Timestamp,
        /// A page of the CA that tells why.
        explanation: Option<String>,
        /// No time lies within both the suggested window and the certificate's own.
        #[serde(default)]
        outside: bool,
    },
    /// It was revoked.
    Revoked {
        /// RFC 5280's word.
        reason: String,
    },
    /// Somebody asked.
    Requested {
        /// Who.
        by: String,
    },
}

impl Reason {
    /// As the database keeps it.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// From the database's text.
    #[must_use]
    pub fn from_json(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => formatter.write_str("there is no certificate yet"),
            Self::NamesChanged { added, removed } => {
                formatter.write_str("the names changed:")?;
                added.iter().try_for_each(|name| write!(formatter, " +{name}"))?;
                removed.iter().try_for_each(|name| write!(formatter, " -{name}"))
            }
            Self::KeyChanged { from, to } => write!(formatter, "the kind of key changed from {from} to {to}"),
            Self::IssuerChanged { from, to } => write!(formatter, "the issuer changed from `{from}` to `{to}`"),
            Self::Expiring { not_after, outside } => {
                write!(formatter, "it expires at {not_after}")?;
                formatter.write_str(if *outside { ", and `renew.window` has no time before it is late" } else { "" })
            }
            Self::RenewalInfo { start, end, explanation, outside } => {
                write!(formatter, "its CA suggests to renew it between {start} and {end}")?;
                formatter.write_str(if *outside { ", when `renew.window` has no time" } else { "" })?;
                explanation.iter().try_for_each(|url| write!(formatter, ": {url}"))
            }
            Self::Revoked { reason } => write!(formatter, "it was revoked ({reason})"),
            Self::Requested { by } => write!(formatter, "{by} asked for it"),
        }
    }
}

mod millis {
    //! Times as the database keeps them.

    use serde::{Deserialize as _, Deserializer, Serializer};

    use crate::clock::Timestamp;

    pub(super) fn serialize<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(time.millis())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        i64::deserialize(deserializer).map(Timestamp::from_millis)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_survive_the_database() {
        for reason in [
            Reason::Missing,
            Reason::NamesChanged { added: vec!["a".into()], removed: vec![] },
            Reason::Expiring { not_after: Timestamp::from_seconds(7), outside: true },
            Reason::RenewalInfo {
                start: Timestamp::from_seconds(1),
                end: Timestamp::from_seconds(2),
                explanation: Some("https://ca.example/why".into()),
                outside: false,
            },
        ] {
            assert_eq!(Reason::from_json(&reason.to_json()), Some(reason));
        }
    }

    #[test]
    fn a_reason_written_before_windows_were_told_of_is_still_read() {
        let text = r#"{"kind":"expiring","not_after":7000}"#;
        let not_after = Timestamp::from_seconds(7);
        assert_eq!(Reason::from_json(text), Some(Reason::Expiring { not_after, outside: false }));
    }
}
