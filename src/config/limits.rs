//! `limits` of an account: how much a CA gives to each of its customers.

use std::time::Duration;

use super::read::{Section, Value};
use super::{duration, network};

/// What a CA gives. A limit that is `None` is not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// New orders of the account.
    pub orders: Option<Limit>,
    /// Certificates for new sets of names below one registered domain.
    pub domain: Option<Limit>,
    /// Certificates for exactly the same names.
    pub names: Option<Limit>,
    /// Failed authorizations of one name.
    pub failures: Option<Limit>,
}

/// So much within so long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// No more than this …
    pub most: u32,
    /// … within any span of this length.
    pub within: Duration,
}

const HOUR: u64 = 3600;
const WEEK: u64 = 7 * 24 * HOUR;

impl Limits {
    /// What Let's Encrypt gives (letsencrypt.org/docs/rate-limits).
    pub const LETS_ENCRYPT: Self = Self {
        orders: Some(Limit::of(300, 3 * HOUR)),
        domain: Some(Limit::of(50, WEEK)),
        names: Some(Limit::of(5, WEEK)),
        failures: Some(Limit::of(5, HOUR)),
    };

    /// A CA of one's own: nothing is held back but names whose authorization goes on failing.
    pub const OWN: Self = Self { orders: None, domain: None, names: None, failures: Some(Limit::of(5, HOUR)) };

    const NONE: Self = Self { orders: None, domain: None, names: None, failures: None };

    /// What is kept where the config says nothing: Let's Encrypt's limits at whatever CA has a public name, none at a CA
    /// of one's own.
    #[must_use]
    pub fn of_directory(url: &str) -> Self {
        if is_own(url) { Self::OWN } else { Self::LETS_ENCRYPT }
    }

    /// Reads `limits`, of which each key that is left out is at its default.
    pub(super) fn read(value: &Value<'_>, defaults: Self) -> Self {
        if !value.is_table() {
            return match value.quoted_text("\"none\", or a table like { orders = \"300 per 3h\" }") {
                Some("none") => Self::NONE,
                Some(_) => {
                    value.refuse("is no set of limits", "write \"none\", or { orders = \"300 per 3h\" }");
                    defaults
                }
                None => defaults,
            };
        }
        let Some(mut section) = value.section() else { return defaults };
        let limits = Self {
            orders: read_limit(&mut section, "orders", defaults.orders),
            domain: read_limit(&mut section, "domain", defaults.domain),
            names: read_limit(&mut section, "names", defaults.names),
            failures: read_limit(&mut section, "failures", defaults.failures),
        };
        section.finish();
        limits
    }
}

impl Limit {
    const fn of(most: u32, seconds: u64) -> Self {
        Self { most, within: Duration::from_secs(seconds) }
    }

    fn parse(text: &str) -> Option<Self> {
        let (most, within) = text.split_once(" per ")?;
        let (most, within) = (most.trim().parse().ok()?, duration::parse(within.trim())?);
        (most > 0 && !within.is_zero()).then_some(Self { most, within })
    }
}

impl std::fmt::Display for Limit {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} per {}", self.most, duration::in_words(self.within))
    }
}

fn read_limit(section: &mut Section<'_>, key: &'static str, default: Option<Limit>) -> Option<Limit> {
    let Some(value) = section.value(key) else { return default };
    match value.text()? {
        "none" => None,
        text => {
            let limit = Limit::parse(text);
            if limit.is_none() {
                value.refuse("is no limit", "write for instance \"300 per 3h\", or \"none\"");
            }
            limit.or(default)
        }
    }
}

/// A directory that no public CA can have: an address that is not routed, a name without a public suffix.
fn is_own(url: &str) -> bool {
    let authority = url.split_once("://").map_or(url, |(_, rest)| rest).split('/').next().unwrap_or_default();
    let host = network::split_host_port(authority).map_or(authority, |(host, _)| host).trim_matches(['[', ']']);
    if let Ok(address) = host.parse::<std::net::IpAddr>() {
        return is_private(address);
    }
    let known = psl::suffix(host.as_bytes()).is_some_and(|suffix| suffix.is_known());
    host == "localhost" || !known
}

fn is_private(address: std::net::IpAddr) -> bool {
    match address {
        std::net::IpAddr::V4(address) => address.is_loopback() || address.is_private() || address.is_link_local(),
        std::net::IpAddr::V6(address) => {
            address.is_loopback() || address.is_unique_local() || address.is_unicast_link_local()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ca_of_ones_own_has_no_limits() {
        for url in ["https://127.0.0.1:14000/dir", "https://[::1]/dir", "https://10.1.2.3/d", "https://localhost/d"] {
            assert_eq!(Limits::of_directory(url), Limits::OWN, "{url}");
        }
        assert_eq!(Limits::of_directory("https://ca.corp.internal/acme/directory"), Limits::OWN);
        assert_eq!(Limits::of_directory("https://acme-v02.api.letsencrypt.org/directory"), Limits::LETS_ENCRYPT);
        assert_eq!(Limits::of_directory("https://ca.example.com:8443/acme"), Limits::LETS_ENCRYPT);
    }

    #[test]
    fn limits_are_read_as_people_write_them() {
        assert_eq!(Limit::parse("300 per 3h"), Some(Limit::of(300, 3 * HOUR)));
        assert_eq!(Limit::parse("5 per 1w").map(|limit| limit.to_string()), Some("5 per 7d".to_owned()));
        for wrong in ["300", "300 per", "0 per 3h", "-1 per 3h", "300 per 0h", "300/3h"] {
            assert_eq!(Limit::parse(wrong), None, "{wrong}");
        }
    }
}
