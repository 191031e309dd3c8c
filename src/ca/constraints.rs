//! Name constraints (RFC 5280, section 4.2.1.10): written into issuing certificates, and held against leaves before
//! they are signed.

#[cfg(test)]
mod agreement;
mod directory;

use std::net::IpAddr;

use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::FromDer as _;
use x509_parser::x509::X509Name;

use super::CaError;
use super::extension::Extension;
use super::name::AlternativeName;
use crate::config::ca::{NameConstraints, NamePattern};
use crate::pki::{der, leaf};
use directory::{DirectoryName, Likeness};

const NAME_CONSTRAINTS: &str = "2.5.29.30";

/// The constraints that a CA certificate names.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Constraints {
    permitted: Vec<Base>,
    excluded: Vec<Base>,
    /// It has some that cannot be held against leaves: the common name of the certificate, and what is the matter.
    unenforceable: Option<(String, &'static str)>,
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
    /// The beginning of a subject.
    Directory(DirectoryName),
    /// A kind of name that no leaf of ours has.
    Other,
}

impl Constraints {
    /// Those of a certificate. What cannot be read of them lets nothing be issued, and OCSP and CRLs go on.
    pub fn read(certificate: &[u8]) -> Result<Self, CaError> {
        let parsed = leaf::parse(certificate)?;
        let is_ours =
            |extension: &&x509_parser::extensions::X509Extension<'_>| extension.oid.to_id_string() == NAME_CONSTRAINTS;
        let mut found = parsed.extensions().iter().filter(is_ours);
        let Some(extension) = found.next() else { return Ok(Self::default()) };
        let read = match (extension.parsed_extension(), found.next()) {
            (_, Some(_)) => Err("it has name constraints twice"),
            (ParsedExtension::NameConstraints(constraints), None) if has_plain_subtrees(extension.value) => {
                let bases = |trees: &Option<Vec<x509_parser::extensions::GeneralSubtree<'_>>>| {
                    trees.iter().flatten().map(|tree| Base::read(&tree.base)).collect::<Result<Vec<_>, _>>()
                };
                bases(&constraints.permitted_subtrees).and_then(|permitted| {
                    Ok(Self { permitted, excluded: bases(&constraints.excluded_subtrees)?, unenforceable: None })
                })
            }
            _ => Err("its name constraints cannot be read"),
        };
        let unenforceable =
            |what| Self { unenforceable: Some((leaf::common_name(parsed.subject()), what)), ..Self::default() };
        Ok(read.unwrap_or_else(unenforceable))
    }

    /// Those of the config, for certificates from outside, where they do not stand.
    pub fn of_config(constraints: &NameConstraints) -> Self {
        let bases = |patterns: &[NamePattern]| patterns.iter().filter_map(Base::of_pattern).collect();
        Self { permitted: bases(&constraints.permitted), excluded: bases(&constraints.excluded), unenforceable: None }
    }

    /// Why nothing can be issued below it, where that is so.
    pub fn unenforceable(&self) -> Option<&'static str> {
        self.unenforceable.as_ref().map(|(_, what)| *what)
    }

    /// Whether a leaf may bear these names, its common name where verifiers take that for a DNS name with them, and this
    /// subject (a Name in DER).
    pub fn check(&self, names: &[AlternativeName], common_name: Option<&str>, subject: &[u8]) -> Result<(), CaError> {
        if let Some((by, what)) = &self.unenforceable {
            return Err(CaError::Unenforceable { by: by.clone(), what });
        }
        self.check_subject(subject)?;
        names.iter().try_for_each(|name| self.check_one(name))?;
        let has_dns = names.iter().any(|name| matches!(name, AlternativeName::Dns(_)));
        common_name.filter(|_| !has_dns).map_or(Ok(()), |name| self.check_called(name))
    }

    /// Some DNS names alone are permitted: verifiers hold a common name against them where no DNS name stands beside it.
    pub fn permit_dns_names(&self) -> bool {
        self.permitted.iter().any(|base| matches!(base, Base::Dns(_)))
    }

    /// Whether a leaf with no DNS name may be called so.
    fn check_called(&self, name: &str) -> Result<(), CaError> {
        match AlternativeName::parse(name) {
            Ok(parsed @ AlternativeName::Dns(_)) if name.contains('.') => return self.check_one(&parsed),
            _ if !is_taken_for_dns(name) => return Ok(()),
            _ => {}
        }
        let lower = name.to_ascii_lowercase();
        let holds = |base: &&Base| matches!(base, Base::Dns(base) if is_below(&lower, base));
        let refused = |constraint: String| CaError::Constrained { name: name.to_owned(), constraint };
        if let Some(base) = self.excluded.iter().find(holds) {
            return Err(refused(format!("excluded: {}", base.words())));
        }
        if !self.permit_dns_names() || self.permitted.iter().any(|base| holds(&base)) {
            return Ok(());
        }
        Err(refused("verifiers take a common name like this for a DNS name: write another".to_owned()))
    }

    /// Whether a certificate below may have this subject (a Name in DER). One that says nothing is not constrained.
    pub fn check_subject(&self, subject: &[u8]) -> Result<(), CaError> {
        let name = DirectoryName::read(subject).ok_or(leaf::LeafError::Der)?;
        if name.is_empty() {
            return Ok(());
        }
        let refused = |constraint: String| CaError::Constrained { name: subject_words(subject), constraint };
        let excluded = directories(&self.excluded).find(|base| name.is_below(base, Likeness::Possible));
        if let Some(base) = excluded {
            return Err(refused(format!("excluded: {}", directory_words(base))));
        }
        let permitted: Vec<&DirectoryName> = directories(&self.permitted).collect();
        if permitted.is_empty() || permitted.iter().any(|base| name.is_below(base, Likeness::Sure)) {
            return Ok(());
        }
        let permitted: Vec<String> = permitted.into_iter().map(directory_words).collect();
        let which = format!("permitted: subjects that begin with {}", permitted.join(" or "));
        Err(refused(format!("{which}; say so in the profile's `subject`")))
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
    fn read(name: &GeneralName<'_>) -> Result<Self, &'static str> {
        Ok(match name {
            GeneralName::DNSName(name) => Self::Dns(name.trim_start_matches('.').to_ascii_lowercase()),
            GeneralName::RFC822Name(name) => Self::Email(name.to_ascii_lowercase()),
            GeneralName::URI(host) => Self::Uri(host.to_ascii_lowercase()),
            GeneralName::IPAddress(octets) if matches!(octets.len(), 8 | 32) => {
                let (base, mask) = octets.split_at(octets.len() / 2);
                Self::Ip { base: base.to_vec(), mask: mask.to_vec() }
            }
            GeneralName::DirectoryName(name) => {
                let name = DirectoryName::read(name.as_raw());
                Self::Directory(name.ok_or("a subject in its name constraints cannot be read")?)
            }
            GeneralName::OtherName(..) | GeneralName::RegisteredID(_) => Self::Other,
            GeneralName::X400Address(_) | GeneralName::EDIPartyName(_) => Self::Other,
            GeneralName::IPAddress(_) => return Err("its name constraints hold an address without its mask"),
            GeneralName::Invalid(..) => return Err("its name constraints hold names of an unknown form"),
        })
    }

    fn of_pattern(pattern: &NamePattern) -> Option<Self> {
        match pattern {
            NamePattern::Dns(name) => Some(Self::Dns(name.clone())),
            NamePattern::Email(text) | NamePattern::EmailAt(text) => Some(Self::Email(text.to_ascii_lowercase())),
            NamePattern::Network(IpAddr::V4(base), bits) => {
                Some(Self::Ip { base: base.octets().to_vec(), mask: mask(*bits, 4) })
            }
            NamePattern::Network(IpAddr::V6(base), bits) => {
                Some(Self::Ip { base: base.octets().to_vec(), mask: mask(*bits, 16) })
            }
            NamePattern::AnyDns | NamePattern::Below(_) | NamePattern::Uri { .. } => None,
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
            Self::Directory(name) => directory_words(name),
            Self::Other => "names of another kind".to_owned(),
        }
    }
}

fn directories(bases: &[Base]) -> impl Iterator<Item = &DirectoryName> {
    bases.iter().filter_map(|base| if let Base::Directory(name) = base { Some(name) } else { None })
}

fn directory_words(name: &DirectoryName) -> String {
    subject_words(&der::value(der::SEQUENCE, &[&name.content]))
}

/// A Name in DER as people read it.
fn subject_words(name: &[u8]) -> String {
    X509Name::from_der(name).map(|(_, name)| name.to_string()).unwrap_or_default()
}

/// Every subtree is a base alone: RFC 5280 has no use for its other fields, and verifiers refuse what has them.
fn has_plain_subtrees(extension: &[u8]) -> bool {
    let is_plain = |tree: &[u8]| {
        let content = directory::whole(tree, der::SEQUENCE).and_then(directory::values);
        content.is_some_and(|parts| parts.len() == 1)
    };
    let trees = |trees: &[u8]| {
        let content = der::split_first(trees).and_then(|trees| directory::values(trees.content));
        content.is_some_and(|trees| trees.into_iter().all(is_plain))
    };
    let both = directory::whole(extension, der::SEQUENCE).and_then(directory::values);
    both.is_some_and(|both| both.into_iter().all(trees))
}

/// The subject of a certificate that the CA makes for its own work, in DER: as it is called, or where the constraints
/// want another beginning, behind the first that all of them permit.
pub(super) fn own_subject(constraints: &[Constraints], called: &[u8]) -> Vec<u8> {
    let permitted = |name: &[u8]| constraints.iter().all(|held| held.check_subject(name).is_ok());
    let content = directory::whole(called, der::SEQUENCE).unwrap_or_default();
    let bases = constraints.iter().flat_map(|held| directories(&held.permitted));
    let behind = bases.map(|base| der::value(der::SEQUENCE, &[&base.content, content]));
    std::iter::once(called.to_vec()).chain(behind).find(|name| permitted(name)).unwrap_or_else(|| called.to_vec())
}

/// OpenSSL takes a common name for a DNS name that has two labels at least, of letters, digits, `_`, and `-` within:
/// addresses and versions, too.
fn is_taken_for_dns(name: &str) -> bool {
    let is_label = |label: &str| {
        let is_edge = |byte: Option<&u8>| byte.is_some_and(|byte| *byte != b'-');
        let bytes = label.as_bytes();
        is_edge(bytes.first())
            && is_edge(bytes.last())
            && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(byte))
    };
    name.contains('.') && name.split('.').all(is_label)
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

    /// A subject that says nothing.
    const NOBODY: &[u8] = &[0x30, 0];

    #[test]
    fn subtrees_with_other_fields_are_not_plain() {
        // permitted: dNSName "a"; the same with a minimum of 0 that stands there, and with a maximum.
        assert!(has_plain_subtrees(&[0x30, 7, 0xa0, 5, 0x30, 3, 0x82, 1, b'a']));
        assert!(!has_plain_subtrees(&[0x30, 10, 0xa0, 8, 0x30, 6, 0x82, 1, b'a', 0x80, 1, 1]));
        assert!(!has_plain_subtrees(&[0x30, 10, 0xa0, 8, 0x30, 6, 0x82, 1, b'a', 0x81, 1, 3]));
        assert!(!has_plain_subtrees(&[0x30, 3, 0xa0, 5, 0x30]));
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
            unenforceable: None,
        };
        for good in [
            "example.internal",
            "a.example.internal",
            "*.example.internal",
            "10.1.2.3",
            "ann@example.com",
            "https://a.example.com/x",
        ] {
            constraints.check(&names(&[good]), None, NOBODY).unwrap();
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
            assert!(constraints.check(&names(&[bad]), None, NOBODY).is_err(), "{bad}");
        }
        assert!(constraints.check(&[], Some("a.example.com"), NOBODY).is_err(), "verifiers take it for a name");
        assert!(constraints.check(&[], Some("10.1.2.3"), NOBODY).is_err(), "this, too");
        assert!(constraints.check(&names(&["10.1.2.3"]), Some("10.1.2.3"), NOBODY).is_err());
        for free in ["Ann", "gateway-7", "Ann B. Smith", "ann@example.com", "fd00::1", "a.-b", "1.2.example.internal"] {
            constraints.check(&[], Some(free), NOBODY).unwrap();
        }
        constraints.check(&names(&["example.internal"]), Some("a.example.com"), NOBODY).unwrap();
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
