//! Names: whom a certificate is about, and what it vouches for.

use std::fmt;
use std::net::IpAddr;

use super::CaError;
use crate::config::ca::Subject;
use crate::identifier::{DnsName, Identifier};
use crate::pki::der::{self, SEQUENCE, SET};

const UTF8_STRING: u8 = 0x0c;
const PRINTABLE_STRING: u8 = 0x13;
const OBJECT_IDENTIFIER: u8 = 0x06;

/// Longest common name, organization, unit (RFC 5280, appendix A.1), in characters.
const LONGEST_NAME: usize = 64;

/// Longest locality and state.
const LONGEST_PLACE: usize = 128;

/// A subject alternative name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AlternativeName {
    /// dNSName, a wildcard perhaps.
    Dns(DnsName),
    /// iPAddress.
    Ip(IpAddr),
    /// rfc822Name, ASCII.
    Email(String),
    /// uniformResourceIdentifier, ASCII with a scheme.
    Uri(String),
}

/// Why a text is no name of any kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no DNS name, IP address, mail address or URI")]
pub struct NameError {
    /// The text.
    pub text: String,
}

impl AlternativeName {
    /// Reads a name as people write it; the kind shows in its form: a URI has `:` behind its scheme, a mail address `@`.
    ///
    /// # Errors
    /// Where it is none of the four.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let refused = || NameError { text: text.chars().take(253).collect() };
        if let Ok(name) = Identifier::parse(text) {
            return Ok(name.into());
        }
        let plain = text.bytes().all(|byte| byte.is_ascii_graphic()) && text.len() <= 2048;
        if plain && is_uri(text) {
            return Ok(Self::Uri(text.to_owned()));
        }
        if plain && let Some((local, domain)) = text.rsplit_once('@') {
            let domain = DnsName::parse(domain).ok().filter(|domain| !domain.is_wildcard()).ok_or_else(refused)?;
            let sound = !local.is_empty() && local.len() <= 64 && !local.contains(['@', '<', '>', ',', ';', '"']);
            return sound.then(|| Self::Email(format!("{local}@{domain}"))).ok_or_else(refused);
        }
        Err(refused())
    }

    /// As a GeneralName (RFC 5280, section 4.2.1.6) in DER.
    #[must_use]
    pub fn to_der(&self) -> Vec<u8> {
        match self {
            Self::Email(address) => der::value(0x81, &[address.as_bytes()]),
            Self::Dns(name) => der::value(0x82, &[name.as_str().as_bytes()]),
            Self::Uri(uri) => der::value(0x86, &[uri.as_bytes()]),
            Self::Ip(IpAddr::V4(address)) => der::value(0x87, &[&address.octets()]),
            Self::Ip(IpAddr::V6(address)) => der::value(0x87, &[&address.octets()]),
        }
    }

    /// The kind, in the word that people are told.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Dns(_) => "DNS name",
            Self::Ip(_) => "IP address",
            Self::Email(_) => "mail address",
            Self::Uri(_) => "URI",
        }
    }
}

fn is_uri(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else { return false };
    let scheme_is_sound = scheme.bytes().next().is_some_and(|first| first.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    scheme_is_sound
        && (rest.starts_with("//") && rest.len() > 2 || scheme.eq_ignore_ascii_case("urn") && !rest.is_empty())
}

impl From<Identifier> for AlternativeName {
    fn from(name: Identifier) -> Self {
        match name {
            Identifier::Dns(name) => Self::Dns(name),
            Identifier::Ip(address) => Self::Ip(address),
        }
    }
}

impl fmt::Display for AlternativeName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(name) => name.fmt(formatter),
            Self::Ip(address) => address.fmt(formatter),
            Self::Email(text) | Self::Uri(text) => formatter.write_str(text),
        }
    }
}

/// The subject of a leaf. What is left out is not there; all of it left out is the empty name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LeafSubject {
    /// CN.
    pub common_name: Option<String>,
    /// O.
    pub organization: Option<String>,
    /// OU.
    pub organizational_unit: Option<String>,
    /// L.
    pub locality: Option<String>,
    /// ST.
    pub state: Option<String>,
    /// C, two letters.
    pub country: Option<String>,
}

impl LeafSubject {
    /// A common name alone.
    #[must_use]
    pub fn named(common_name: impl Into<String>) -> Self {
        Self { common_name: Some(common_name.into()), ..Self::default() }
    }

    /// Nothing stands in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// As a Name (RFC 5280, section 4.1.2.4) in DER.
    ///
    /// # Errors
    /// Where an attribute is empty or too long.
    pub fn to_der(&self) -> Result<Vec<u8>, CaError> {
        let attributes = [
            attribute("country", 6, self.country.as_deref())?,
            attribute("state", 8, self.state.as_deref())?,
            attribute("locality", 7, self.locality.as_deref())?,
            attribute("organization", 10, self.organization.as_deref())?,
            attribute("organizational_unit", 11, self.organizational_unit.as_deref())?,
            attribute("common_name", 3, self.common_name.as_deref())?,
        ];
        Ok(der::value(SEQUENCE, &[&attributes.concat()]))
    }
}

/// The Name of a CA's certificate, in DER: the config's subject, with a word behind its common name.
pub(super) fn authority(subject: &Subject, suffix: &str) -> Result<Vec<u8>, CaError> {
    let subject = subject.clone();
    let whole = LeafSubject {
        common_name: Some(format!("{} {suffix}", subject.common_name)),
        organization: subject.organization,
        organizational_unit: subject.organizational_unit,
        locality: subject.locality,
        state: subject.state,
        country: subject.country,
    };
    whole.to_der()
}

/// A RelativeDistinguishedName with one attribute of id-at, or nothing.
fn attribute(key: &'static str, id_at: u8, value: Option<&str>) -> Result<Vec<u8>, CaError> {
    let Some(value) = value else { return Ok(Vec::new()) };
    let refused = |bound| CaError::Subject { attribute: key, bound, found: value.to_owned() };
    let tag = match key {
        "country" => {
            let letters = value.len() == 2 && value.bytes().all(|byte| byte.is_ascii_alphabetic());
            letters.then_some(PRINTABLE_STRING).ok_or_else(|| refused("two letters"))?
        }
        _ => UTF8_STRING,
    };
    let (longest, bound) = match key {
        "locality" | "state" => (LONGEST_PLACE, "1 to 128 characters long"),
        _ => (LONGEST_NAME, "1 to 64 characters long"),
    };
    if !(1..=longest).contains(&value.chars().count()) {
        return Err(refused(bound));
    }
    let oid = der::value(OBJECT_IDENTIFIER, &[&[0x55, 0x04, id_at]]);
    let value = der::value(tag, &[value.as_bytes()]);
    Ok(der::value(SET, &[&der::value(SEQUENCE, &[&oid, &value])]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_of_a_name_tells_its_kind() {
        for (text, kind) in [
            ("a.example", "DNS name"),
            ("*.a.example", "DNS name"),
            ("192.0.2.1", "IP address"),
            ("2001:db8::1", "IP address"),
            ("ann@example.com", "mail address"),
            ("spiffe://example.com/a", "URI"),
            ("urn:uuid:1", "URI"),
        ] {
            let name = AlternativeName::parse(text).unwrap();
            assert_eq!((name.kind(), name.to_string().as_str()), (kind, text));
        }
        for text in ["", "a b", "ann@", "@example.com", "ann@*.example.com", "urn:", "http://", "a@b@example.com"] {
            assert!(AlternativeName::parse(text).is_err(), "{text}");
        }
    }
}
