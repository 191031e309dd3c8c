//! Name constraints (RFC 5280, section 4.2.1.10): written into issuing certificates, and held against leaves before
//! they are signed.

use std::net::IpAddr;

use x509_parser::extensions::{GeneralName, GeneralSubtree, ParsedExtension};

use super::CaError;
use super::extension::Extension;
use super::name::AlternativeName;
use crate::config::ca::{NameConstraints, NamePattern};
use crate::pki::{der, leaf};

/// The constraints that a CA certificate names.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Constraints {
    permitted: Vec<Base>,
    excluded: Vec<Base>,
}

/// The base of a subtree.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Base {
    Dns(String),
    Email(String),
    Uri(String),
    Ip {
        base: Vec<u8>,
        mask: Vec<u8>,
    },
    /// A kind of name that no leaf of ours has.
    Other,
}

impl Constraints {
    /// Those of a certificate.
    pub fn read(certificate: &[u8]) -> Result<Self, CaError> {
        let parsed = leaf::parse(certificate)?;
        let found = parsed.extensions().iter().find_map(|extension| match extension.parsed_extension() {
            ParsedExtension::NameConstraints(constraints) => Some(constraints),
            _ => None,
        });
        let bases = |trees: &Option<Vec<GeneralSubtree<'_>>>| {
            trees.iter().flatten().map(|tree| Base::read(&tree.base)).collect()
        };
        Ok(found
            .map(|found| Self {
                permitted: bases(&found.permitted_subtrees),
                excluded: bases(&found.excluded_subtrees),
            })
            .unwrap_or_default())
    }

    /// Whether a leaf may bear these names, its common name where verifiers take that for a DNS name with them.
    pub fn check(&self, names: &[AlternativeName], common_name: Option<&str>) -> Result<(), CaError> {
        names.iter().try_for_each(|name| self.check_one(name))?;
        let has_dns = names.iter().any(|name| matches!(name, AlternativeName::Dns(_)));
        match common_name.filter(|name| !has_dns && name.contains('.')).map(AlternativeName::parse) {
            Some(Ok(name @ AlternativeName::Dns(_))) => self.check_one(&name),
            _ => Ok(()),
        }
    }

    fn check_one(&self, name: &AlternativeName) -> Result<(), CaError> {
        let refused = |constraint: String| CaError::Constrained { name: name.to_string(), constraint };
        if let Some(base) = self.excluded.iter().find(|base| base.holds(name)) {
            return Err(refused(format!("excluded: {}", base.words())));
        }
        let same_kind: Vec<&Base> = self.permitted.iter().filter(|base| base.is_of_kind(name)).collect();
        if same_kind.is_empty() || same_kind.iter().any(|base| base.holds(name)) {
            return Ok(());
        }
        let permitted: Vec<String> = same_kind.iter().map(|base| base.words()).collect();
        Err(refused(format!("permitted: {}", permitted.join(", "))))
    }
}

impl Base {
    fn read(name: &GeneralName<'_>) -> Self {
        match name {
            GeneralName::DNSName(name) => Self::Dns(name.trim_start_matches('.').to_ascii_lowercase()),
            GeneralName::RFC822Name(name) => Self::Email(name.to_ascii_lowercase()),
            GeneralName::URI(host) => Self::Uri(host.to_ascii_lowercase()),
            GeneralName::IPAddress(octets) if matches!(octets.len(), 8 | 32) => {
                let (base, mask) = octets.split_at(octets.len() / 2);
                Self::Ip { base: base.to_vec(), mask: mask.to_vec() }
            }
            _ => Self::Other,
        }
    }

    const fn is_of_kind(&self, name: &AlternativeName) -> bool {
        matches!(
            (self, name),
            (Self::Dns(_), AlternativeName::Dns(_))
                | (Self::Email(_), AlternativeName::Email(_))
                | (Self::Uri(_), AlternativeName::Uri(_))
                | (Self::Ip { .. }, AlternativeName::Ip(_))
        )
    }

    fn holds(&self, name: &AlternativeName) -> bool {
        match (self, name) {
            (Self::Dns(base), AlternativeName::Dns(name)) => is_below(name.base(), base),
            (Self::Email(base), AlternativeName::Email(address)) => holds_address(base, &address.to_ascii_lowercase()),
            (Self::Uri(base), AlternativeName::Uri(uri)) => host(uri).is_some_and(|host| holds_host(base, &host)),
            (Self::Ip { base, mask }, AlternativeName::Ip(address)) => holds_ip(base, mask, *address),
            _ => false,
        }
    }

    fn words(&self) -> String {
        match self {
            Self::Dns(text) | Self::Email(text) | Self::Uri(text) => text.clone(),
            Self::Ip { base, mask } => {
                let bits: u32 = mask.iter().map(|octet| octet.count_ones()).sum();
                let v4 = <[u8; 4]>::try_from(base.as_slice()).map(IpAddr::from);
                let v6 = || <[u8; 16]>::try_from(base.as_slice()).map(IpAddr::from);
                v4.or_else(|_| v6()).map_or_else(|_| "addresses".to_owned(), |base| format!("{base}/{bits}"))
            }
            Self::Other => "names of another kind".to_owned(),
        }
    }
}

fn is_below(name: &str, base: &str) -> bool {
    base.is_empty() || name == base || name.strip_suffix(base).is_some_and(|rest| rest.ends_with('.'))
}

/// A constraint on mail is a mailbox, a host, or with a dot in front every host below.
fn holds_address(base: &str, address: &str) -> bool {
    let host = address.rsplit_once('@').map_or("", |(_, host)| host);
    if base.contains('@') { address == base } else { holds_host(base, host) }
}

fn holds_host(base: &str, host: &str) -> bool {
    if base.starts_with('.') { host.ends_with(base) } else { host == base }
}

fn host(uri: &str) -> Option<String> {
    reqwest::Url::parse(uri).ok()?.host_str().map(str::to_ascii_lowercase)
}

fn holds_ip(base: &[u8], mask: &[u8], address: IpAddr) -> bool {
    let octets = match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    };
    let masked = |octets: &[u8]| octets.iter().zip(mask).map(|(octet, mask)| octet & mask).collect::<Vec<_>>();
    octets.len() == base.len() && masked(&octets) == masked(base)
}

/// The extension for the config's constraints; `None` where there are none.
pub(super) fn extension(constraints: &NameConstraints) -> Option<Extension> {
    let bases = |patterns: &[NamePattern]| patterns.iter().filter_map(general_name).collect::<Vec<_>>();
    let (permitted, excluded) = (bases(&constraints.permitted), bases(&constraints.excluded));
    (!constraints.is_empty()).then(|| Extension::name_constraints(&permitted, &excluded))
}

/// A GeneralName in DER as a subtree has it: addresses carry their mask.
fn general_name(pattern: &NamePattern) -> Option<Vec<u8>> {
    match pattern {
        NamePattern::Dns(name) => Some(der::value(0x82, &[name.as_bytes()])),
        NamePattern::Email(text) | NamePattern::EmailAt(text) => Some(der::value(0x81, &[text.as_bytes()])),
        NamePattern::Network(base, bits) => {
            let (base, length) = match base {
                IpAddr::V4(base) => (base.octets().to_vec(), 4),
                IpAddr::V6(base) => (base.octets().to_vec(), 16),
            };
            Some(der::value(0x87, &[&base, &mask(*bits, length)]))
        }
        NamePattern::AnyDns | NamePattern::Below(_) | NamePattern::Uri { .. } => None,
    }
}

fn mask(bits: u8, length: usize) -> Vec<u8> {
    let octet = |index: usize| (usize::from(bits)).saturating_sub(index * 8).min(8);
    (0..length).map(|index| !(0xff_u16 >> octet(index)) as u8).collect()
}

/// Whether a pattern of a profile holds a name.
pub(super) fn pattern_holds(pattern: &NamePattern, name: &AlternativeName) -> bool {
    match (pattern, name) {
        (NamePattern::AnyDns, AlternativeName::Dns(_)) => true,
        (NamePattern::Dns(wanted), AlternativeName::Dns(name)) => name.as_str() == wanted,
        (NamePattern::Below(base), AlternativeName::Dns(name)) => match name.is_wildcard() {
            true => is_below(name.base(), base),
            false => name.as_str() != base && is_below(name.as_str(), base),
        },
        (NamePattern::Network(base, bits), AlternativeName::Ip(address)) => match base {
            IpAddr::V4(base) => holds_ip(&base.octets(), &mask(*bits, 4), *address),
            IpAddr::V6(base) => holds_ip(&base.octets(), &mask(*bits, 16), *address),
        },
        (NamePattern::Email(wanted), AlternativeName::Email(address)) => address.eq_ignore_ascii_case(wanted),
        (NamePattern::EmailAt(domain), AlternativeName::Email(address)) => {
            address.rsplit_once('@').is_some_and(|(_, host)| host.eq_ignore_ascii_case(domain))
        }
        (NamePattern::Uri { text, prefix: true }, AlternativeName::Uri(uri)) => uri.starts_with(text.as_str()),
        (NamePattern::Uri { text, prefix: false }, AlternativeName::Uri(uri)) => uri == text,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(texts: &[&str]) -> Vec<AlternativeName> {
        texts.iter().map(|text| AlternativeName::parse(text).unwrap()).collect()
    }

    #[test]
    fn masks_are_whole() {
        assert_eq!(mask(0, 4), [0, 0, 0, 0]);
        assert_eq!(mask(12, 4), [255, 240, 0, 0]);
        assert_eq!(mask(32, 4), [255; 4]);
    }

    #[test]
    fn names_are_held_against_subtrees() {
        let constraints = Constraints {
            permitted: vec![
                Base::Dns("example.internal".into()),
                Base::Ip { base: vec![10, 0, 0, 0], mask: vec![255, 0, 0, 0] },
                Base::Email("example.com".into()),
                Base::Uri(".example.com".into()),
            ],
            excluded: vec![Base::Dns("secret.example.internal".into())],
        };
        for good in [
            "example.internal",
            "a.example.internal",
            "*.example.internal",
            "10.1.2.3",
            "ann@example.com",
            "https://a.example.com/x",
        ] {
            constraints.check(&names(&[good]), None).unwrap();
        }
        for bad in [
            "badexample.internal",
            "example.com",
            "secret.example.internal",
            "x.secret.example.internal",
            "11.0.0.1",
            "ann@a.example.com",
            "https://example.com/x",
            "urn:x:y",
        ] {
            assert!(constraints.check(&names(&[bad]), None).is_err(), "{bad}");
        }
        assert!(constraints.check(&[], Some("a.example.com")).is_err(), "verifiers take it for a name");
        constraints.check(&[], Some("Ann")).unwrap();
        constraints.check(&names(&["example.internal"]), Some("a.example.com")).unwrap();
    }

    #[test]
    fn patterns_hold_what_they_say() {
        let below = NamePattern::Below("example.internal".into());
        for (name, held) in [("a.example.internal", true), ("example.internal", false), ("*.example.internal", true)] {
            assert_eq!(pattern_holds(&below, &AlternativeName::parse(name).unwrap()), held, "{name}");
        }
        let uri = NamePattern::Uri { text: "spiffe://example.com/".into(), prefix: true };
        assert!(pattern_holds(&uri, &AlternativeName::parse("spiffe://example.com/a").unwrap()));
        assert!(!pattern_holds(&uri, &AlternativeName::parse("spiffe://example.com.evil/a").unwrap()));
    }
}
