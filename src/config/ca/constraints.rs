//! Patterns of names: what may stand below an issuing certificate, and what a profile allows.

use std::fmt;
use std::net::IpAddr;

use crate::config::network;
use crate::config::read::{Section, Value};
use crate::identifier::DnsName;

/// Name constraints of issuing certificates (RFC 5280, section 4.2.1.10).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NameConstraints {
    /// Where a kind of name is here, no other name of that kind may be.
    pub permitted: Vec<NamePattern>,
    /// Names that may not be, permitted or not.
    pub excluded: Vec<NamePattern>,
}

/// Some names of one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NamePattern {
    /// Any DNS name: `*`.
    AnyDns,
    /// One DNS name: `a.example.internal`.
    Dns(String),
    /// Every DNS name below: `*.example.internal`.
    Below(String),
    /// Addresses: `10.0.0.0/8`.
    Network(IpAddr, u8),
    /// One mail address: `ann@example.com`.
    Email(String),
    /// Every mail address of a domain: `*@example.com`.
    EmailAt(String),
    /// URIs that begin so: `spiffe://example.com/*`; one without the star is that URI alone.
    Uri {
        /// The beginning, or the whole.
        text: String,
        /// More may follow.
        prefix: bool,
    },
}

impl NameConstraints {
    /// Nothing is constrained.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.permitted.is_empty() && self.excluded.is_empty()
    }

    pub(super) fn read(mut section: Section<'_>) -> Self {
        let permitted = section.value("permitted").map(|value| read_constraints(&value)).unwrap_or_default();
        let excluded = section.value("excluded").map(|value| read_constraints(&value)).unwrap_or_default();
        section.finish();
        Self { permitted, excluded }
    }
}

/// In a certificate a DNS name stands for itself and everything below it, and a URI for its host: other patterns have
/// no form there.
fn read_constraints(value: &Value<'_>) -> Vec<NamePattern> {
    let read = |value: &Value<'_>| {
        let pattern = NamePattern::read(value)?;
        match pattern {
            NamePattern::AnyDns | NamePattern::Below(_) | NamePattern::Uri { .. } => {
                let help = "write a domain (which stands for itself and all below it), a network or mail addresses";
                value.refuse("has no form in name constraints", help);
                None
            }
            pattern => Some(pattern),
        }
    };
    value.list().unwrap_or_default().iter().filter_map(read).collect()
}

impl NamePattern {
    /// Reads a list of patterns.
    pub(super) fn read_list(value: &Value<'_>) -> Vec<Self> {
        value.list().unwrap_or_default().iter().filter_map(Self::read).collect()
    }

    fn read(value: &Value<'_>) -> Option<Self> {
        let text = value.text()?;
        let help = "write for instance \"*.example.internal\", \"10.0.0.0/8\", \"*@example.com\" or \"spiffe://example.com/*\"";
        if text.contains("://") || text.starts_with("urn:") {
            let (text, prefix) = text.strip_suffix('*').map_or((text, false), |text| (text, true));
            return Some(Self::Uri { text: text.to_owned(), prefix });
        }
        let parsed = match text.rsplit_once('@') {
            Some((local, domain)) => email(local, domain),
            None if text == "*" => Some(Self::AnyDns),
            None if text.contains('/') => return network::network(value).map(|(base, bits)| Self::Network(base, bits)),
            None => plain(text),
        };
        if parsed.is_none() {
            value.refuse("is no pattern of names", help);
        }
        parsed
    }
}

fn email(local: &str, domain: &str) -> Option<NamePattern> {
    let domain = DnsName::parse(domain).ok().filter(|domain| !domain.is_wildcard())?;
    match local {
        "*" => Some(NamePattern::EmailAt(domain.to_string())),
        "" => None,
        local => Some(NamePattern::Email(format!("{local}@{domain}"))),
    }
}

fn plain(text: &str) -> Option<NamePattern> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(NamePattern::Network(address, if address.is_ipv4() { 32 } else { 128 }));
    }
    let name = DnsName::parse(text).ok()?;
    Some(if name.is_wildcard() {
        NamePattern::Below(name.base().to_owned())
    } else {
        NamePattern::Dns(name.to_string())
    })
}

impl fmt::Display for NamePattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AnyDns => formatter.write_str("*"),
            Self::Dns(name) | Self::Email(name) => formatter.write_str(name),
            Self::Below(name) => write!(formatter, "*.{name}"),
            Self::Network(base, bits) => write!(formatter, "{base}/{bits}"),
            Self::EmailAt(domain) => write!(formatter, "*@{domain}"),
            Self::Uri { text, prefix } => write!(formatter, "{text}{}", if *prefix { "*" } else { "" }),
        }
    }
}
