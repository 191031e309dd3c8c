//! What the extensions of a request ask for.

use std::net::IpAddr;

use const_oid::ObjectIdentifier;
use der::Decode;
use der::asn1::BitString;
use x509_cert::attr::{Attribute, Attributes};
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::BasicConstraints;
use x509_cert::ext::pkix::name::GeneralName;

use super::{CsrError, MOST_NAMES};
use crate::ca::{AlternativeName, profile};
use crate::config::ca::LeafProfile;

/// extensionRequest (RFC 2985, section 5.4.2).
const EXTENSION_REQUEST: &str = "1.2.840.113549.1.9.14";

/// Microsoft's attribute of the same meaning.
const CERT_EXTENSIONS: &str = "1.3.6.1.4.1.311.2.1.14";

/// The bits of key usage (RFC 5280, section 4.2.1.3).
const KEY_USAGES: [&str; 9] = [
    "digitalSignature",
    "contentCommitment",
    "keyEncipherment",
    "dataEncipherment",
    "keyAgreement",
    "keyCertSign",
    "cRLSign",
    "encipherOnly",
    "decipherOnly",
];

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Wishes {
    /// Subject alternative names.
    pub names: Vec<AlternativeName>,
    /// Bits of key usage, by number.
    key_usage: Vec<u8>,
    /// Purposes of extended key usage.
    purposes: Vec<ObjectIdentifier>,
    /// Something that no leaf may have, in words.
    never: Option<String>,
}

impl Wishes {
    /// Reads the extensions that the attributes ask for. Other attributes, a challenge password for instance, say
    /// nothing of the certificate.
    pub(super) fn read(attributes: &Attributes) -> Result<Self, CsrError> {
        let mut wishes = Self::default();
        let mut found = false;
        for attribute in attributes.iter() {
            match attribute.oid.to_string().as_str() {
                EXTENSION_REQUEST if found => return Err(CsrError::Twice { what: "a request for extensions".into() }),
                EXTENSION_REQUEST => {
                    found = true;
                    wishes.take_all(&extensions(attribute)?)?;
                }
                CERT_EXTENSIONS => wishes.refuse("extensions in the form of Microsoft alone"),
                _ => {}
            }
        }
        Ok(wishes)
    }

    /// The first thing that the profile has no room for.
    pub(super) fn excess(&self, profile: &LeafProfile) -> Option<String> {
        // A key that cannot encipher or agree is asked for with it all the same: the leaf then says what the key can.
        let usages = profile::key_usages(profile);
        let usage = || self.key_usage.iter().find(|bit| !usages.contains(bit));
        let usage = || usage().map(|bit| format!("the key usage {}", usage_word(*bit)));
        let allowed = |oid: &ObjectIdentifier| profile.purposes.iter().any(|purpose| purpose.0 == *oid);
        let purpose = || self.purposes.iter().find(|oid| !allowed(oid)).map(|oid| format!("the purpose {oid}"));
        self.never.clone().or_else(usage).or_else(purpose)
    }

    /// Nothing of it is a CA's: for who checks the checks.
    pub(super) fn is_modest(&self) -> bool {
        const OF_CAS: [&str; 4] = ["1.3.6.1.5.5.7.3.8", "1.3.6.1.5.5.7.3.9", "2.5.29.37.0", "1.3.6.1.4.1.311.20.2.1"];
        let reserved = |oid: &ObjectIdentifier| OF_CAS.contains(&oid.to_string().as_str());
        self.never.is_none() && self.key_usage.iter().all(|bit| *bit < 5) && !self.purposes.iter().any(reserved)
    }

    fn take_all(&mut self, extensions: &[Extension]) -> Result<(), CsrError> {
        for (place, extension) in extensions.iter().enumerate() {
            let oid = extension.extn_id;
            if extensions[..place].iter().any(|other| other.extn_id == oid) {
                return Err(CsrError::Twice { what: format!("the extension {oid}") });
            }
            self.take(extension)?;
        }
        Ok(())
    }

    fn take(&mut self, extension: &Extension) -> Result<(), CsrError> {
        match extension.extn_id.to_string().as_str() {
            // We make one of our own from the same key.
            "2.5.29.14" => {}
            "2.5.29.15" => {
                let bits: BitString = value(extension)?;
                self.key_usage = (0..=u8::MAX).zip(bits.bits()).filter_map(|(bit, set)| set.then_some(bit)).collect();
            }
            "2.5.29.17" => {
                let names: Vec<GeneralName> = value(extension)?;
                if names.len() > MOST_NAMES {
                    return Err(CsrError::TooManyNames { found: names.len() });
                }
                self.names = names.iter().map(alternative_name).collect::<Result<_, _>>()?;
            }
            "2.5.29.19" => match value::<BasicConstraints>(extension)? {
                BasicConstraints { ca: false, path_len_constraint: None } => {}
                _ => self.refuse("a CA's certificate"),
            },
            "2.5.29.37" => self.purposes = value(extension)?,
            oid => {
                let critical = if extension.critical { "critical " } else { "" };
                self.refuse(&format!("the {critical}extension {oid}"));
            }
        }
        Ok(())
    }

    fn refuse(&mut self, what: &str) {
        self.never.get_or_insert_with(|| what.to_owned());
    }
}

fn usage_word(bit: u8) -> String {
    KEY_USAGES.get(usize::from(bit)).map_or_else(|| bit.to_string(), |word| (*word).to_owned())
}

/// The one value of the attribute.
fn extensions(attribute: &Attribute) -> Result<Vec<Extension>, CsrError> {
    match attribute.values.as_slice() {
        [one] => one.decode_as::<Vec<Extension>>().map_err(|_| CsrError::Extension { oid: attribute.oid.to_string() }),
        _ => Err(CsrError::Twice { what: "a request for extensions".into() }),
    }
}

fn value<'a, T: Decode<'a>>(extension: &'a Extension) -> Result<T, CsrError> {
    let unreadable = |_| CsrError::Extension { oid: extension.extn_id.to_string() };
    T::from_der(extension.extn_value.as_bytes()).map_err(unreadable)
}

/// A name of a kind that leaves have, in the form that leaves have it in.
fn alternative_name(name: &GeneralName) -> Result<AlternativeName, CsrError> {
    let other = |kind| Err(CsrError::Kind { kind });
    match name {
        GeneralName::DnsName(text) => named(text.as_ref(), "DNS name"),
        GeneralName::Rfc822Name(text) => named(text.as_ref(), "mail address"),
        GeneralName::UniformResourceIdentifier(text) => named(text.as_ref(), "URI"),
        GeneralName::IpAddress(octets) => address(octets.as_bytes()),
        GeneralName::OtherName(_) => other("an otherName"),
        GeneralName::DirectoryName(_) => other("a directoryName"),
        GeneralName::EdiPartyName(_) => other("an ediPartyName"),
        GeneralName::RegisteredId(_) => other("a registeredID"),
    }
}

/// Nothing passes for a name of another kind than it is: `10.0.0.1` is no DNS name.
fn named(text: &str, kind: &'static str) -> Result<AlternativeName, CsrError> {
    let name = AlternativeName::parse(text).ok().filter(|name| name.kind() == kind);
    name.ok_or_else(|| CsrError::Name { name: text.chars().take(253).collect(), kind })
}

fn address(octets: &[u8]) -> Result<AlternativeName, CsrError> {
    let four = <[u8; 4]>::try_from(octets).map(IpAddr::from);
    let address = four.or_else(|_| <[u8; 16]>::try_from(octets).map(IpAddr::from));
    address.map(AlternativeName::Ip).map_err(|_| CsrError::Name { name: hex::encode(octets), kind: "IP address" })
}
