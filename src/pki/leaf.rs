//! What we want to know of an end-entity certificate.

use std::net::IpAddr;

use aws_lc_rs::digest;
use x509_parser::prelude::{FromDer as _, GeneralName, ParsedExtension, X509Certificate};
use x509_parser::x509::X509Name;

use super::serial::{Serial, SerialError};
use crate::clock::Timestamp;
use crate::identifier::{DnsName, Identifier, NameError};

/// Why a certificate cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LeafError {
    /// The octets are no X.509 certificate.
    #[error("not an X.509 certificate in DER")]
    Der,
    /// Something stands behind the certificate.
    #[error("{octets} octets too many behind the certificate")]
    TrailingData {
        /// How many.
        octets: usize,
    },
    /// The serial is no positive integer.
    #[error("the serial number is unusable")]
    Serial(#[source] SerialError),
    /// A name is no name.
    #[error("a subject alternative name is unusable")]
    Name(#[source] NameError),
    /// The subject alternative name cannot be decoded, or an address has neither 4 nor 16 octets.
    #[error("the subject alternative name is malformed")]
    AlternativeName,
}

/// An end-entity certificate, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaf {
    /// The serial number.
    pub serial: Serial,
    /// In force from this second on.
    pub not_before: Timestamp,
    /// In force up to and with this second.
    pub not_after: Timestamp,
    /// DNS names and addresses of the subject alternative name, in its order, normalised.
    pub names: Vec<Identifier>,
    /// The public key: a SubjectPublicKeyInfo in DER.
    pub spki_der: Vec<u8>,
    /// The key identifier that names the issuer's key; RFC 9773 asks with it.
    pub authority_key_identifier: Option<Vec<u8>>,
    /// The issuer's common name, or its whole name where it has none.
    pub issuer_common_name: String,
    /// SHA-256 of the certificate in DER, in lower-case hex.
    pub sha256: String,
}

impl Leaf {
    /// Reads a certificate.
    ///
    /// # Errors
    /// Where it is none, or a part that we need is unusable.
    pub fn from_der(der: &[u8]) -> Result<Self, LeafError> {
        let certificate = parse(der)?;
        let validity = certificate.validity();
        Ok(Self {
            serial: Serial::from_be_bytes(certificate.raw_serial()).map_err(LeafError::Serial)?,
            not_before: Timestamp::from_seconds(validity.not_before.timestamp()),
            not_after: Timestamp::from_seconds(validity.not_after.timestamp()),
            names: names(&certificate)?,
            spki_der: certificate.public_key().raw.to_vec(),
            authority_key_identifier: authority_key_identifier(&certificate),
            issuer_common_name: common_name(certificate.issuer()),
            sha256: hex::encode(digest::digest(&digest::SHA256, der)),
        })
    }
}

/// Reads exactly one certificate.
///
/// # Errors
/// `Der` or `TrailingData`.
pub fn parse(der: &[u8]) -> Result<X509Certificate<'_>, LeafError> {
    let (rest, certificate) = X509Certificate::from_der(der).map_err(|_| LeafError::Der)?;
    match rest.len() {
        0 => Ok(certificate),
        octets => Err(LeafError::TrailingData { octets }),
    }
}

fn names(certificate: &X509Certificate<'_>) -> Result<Vec<Identifier>, LeafError> {
    let extension = certificate.subject_alternative_name().map_err(|_| LeafError::AlternativeName)?;
    let general_names = extension.map(|extension| extension.value.general_names.as_slice()).unwrap_or_default();
    general_names.iter().filter_map(identifier).collect()
}

/// `None` for kinds of names that we never ask for, such as mail addresses.
fn identifier(name: &GeneralName<'_>) -> Option<Result<Identifier, LeafError>> {
    match name {
        GeneralName::DNSName(text) => Some(DnsName::parse(text).map(Identifier::Dns).map_err(LeafError::Name)),
        GeneralName::IPAddress(octets) => Some(address(octets).map(Identifier::Ip).ok_or(LeafError::AlternativeName)),
        GeneralName::Invalid(..) => Some(Err(LeafError::AlternativeName)),
        _ => None,
    }
}

fn address(octets: &[u8]) -> Option<IpAddr> {
    let v4 = || <[u8; 4]>::try_from(octets).map(IpAddr::from).ok();
    let v6 = || <[u8; 16]>::try_from(octets).map(IpAddr::from).ok();
    v4().or_else(v6)
}

pub(super) fn authority_key_identifier(certificate: &X509Certificate<'_>) -> Option<Vec<u8>> {
    certificate.extensions().iter().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::AuthorityKeyIdentifier(authority) => Some(authority.key_identifier.as_ref()?.0.to_vec()),
        _ => None,
    })
}

pub(crate) fn common_name(name: &X509Name<'_>) -> String {
    let common_name = name.iter_common_name().next().and_then(|name| name.as_str().ok());
    common_name.map_or_else(|| name.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::testing::{Pki, names as identifiers, openssl_text};

    #[test]
    fn what_openssl_says_is_what_we_read() {
        let pki = Pki::new(&["Example.com", "192.0.2.1", "2001:db8::1"]);
        let leaf = Leaf::from_der(&pki.leaf).unwrap();
        let arguments = ["x509", "-inform", "DER", "-noout", "-serial", "-fingerprint", "-sha256"];
        let said = openssl_text(&arguments, &pki.leaf).to_lowercase().replace(':', "");
        assert!(said.contains(&format!("serial={}", leaf.serial)), "{said}");
        assert!(said.contains(&leaf.sha256), "{said}");
        assert_eq!(leaf.names, identifiers(&["example.com", "192.0.2.1", "2001:db8::1"]));
        assert_eq!(leaf.spki_der, pki.key.spki_der());
        assert_eq!(leaf.issuer_common_name, "Test Issuing");
        assert_eq!((leaf.not_before, leaf.not_after), (Pki::not_before(), Pki::not_after()));
        let identifier = hex::encode_upper(leaf.authority_key_identifier.unwrap());
        let text = openssl_text(&["x509", "-inform", "DER", "-noout", "-text"], &pki.leaf).replace(':', "");
        assert!(text.contains(&identifier), "{text}");
    }

    #[test]
    fn garbage_and_trailing_octets_are_refused() {
        let pki = Pki::new(&["example.com"]);
        assert_eq!(Leaf::from_der(b"certificate"), Err(LeafError::Der));
        assert_eq!(Leaf::from_der(&pki.leaf[..pki.leaf.len() - 1]), Err(LeafError::Der));
        let longer = [pki.leaf.as_slice(), &[0; 3]].concat();
        assert_eq!(Leaf::from_der(&longer), Err(LeafError::TrailingData { octets: 3 }));
    }
}
