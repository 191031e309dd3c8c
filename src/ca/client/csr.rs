//! Somebody's own request (PKCS#10, RFC 2986): its signature is checked, and whatever it asks for is held against the
//! profile. What the profile has no room for is refused, not dropped.

use rustls_pki_types::CertificateSigningRequestDer;
use rustls_pki_types::pem::PemObject as _;
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::cri_attributes::ParsedCriAttribute;
use x509_parser::extensions::{ExtendedKeyUsage, GeneralName, KeyUsage, ParsedExtension};
use x509_parser::prelude::FromDer as _;
use x509_parser::x509::X509Name;

use crate::ca::{AlternativeName, CaError};
use crate::config::ca::LeafProfile;

/// As long as a request may be, in octets.
const LONGEST: usize = 32 * 1024;

/// Why a text is no request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CsrError {
    /// Not one in PEM.
    #[error("it is no certificate request in PEM")]
    Pem,
    /// Longer than any honest one.
    #[error("it is longer than 32 KiB")]
    TooLong,
    /// The DER is none, or something stands behind it.
    #[error("it cannot be read")]
    Der,
    /// It was not signed by the key that it is for.
    #[error("its signature is not that of the key which it is for")]
    Signature,
    /// A name in it is none.
    #[error("a subject alternative name in it is of a kind that is not certified")]
    Name,
}

/// A request whose signature is right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The public key: a SubjectPublicKeyInfo in DER.
    pub spki_der: Vec<u8>,
    /// CN.
    pub common_name: Option<String>,
    /// The subject alternative names.
    pub names: Vec<AlternativeName>,
    /// Purposes of an extended key usage, as dotted numbers.
    purposes: Vec<String>,
    /// Something that no leaf may have.
    excess: Option<String>,
}

impl Request {
    /// Reads a request in PEM and checks its signature.
    ///
    /// # Errors
    /// Where it is none, or its signature is wrong.
    pub fn read(text: &str) -> Result<Self, CsrError> {
        if text.len() > LONGEST {
            return Err(CsrError::TooLong);
        }
        let der = CertificateSigningRequestDer::from_pem_slice(text.as_bytes()).map_err(|_| CsrError::Pem)?;
        let (rest, request) = X509CertificationRequest::from_der(&der).map_err(|_| CsrError::Der)?;
        if !rest.is_empty() {
            return Err(CsrError::Der);
        }
        request.verify_signature().map_err(|_| CsrError::Signature)?;
        let info = &request.certification_request_info;
        let mut read = Self {
            spki_der: info.subject_pki.raw.to_vec(),
            common_name: common_name(&info.subject),
            names: Vec::new(),
            purposes: Vec::new(),
            excess: None,
        };
        for attribute in info.iter_attributes() {
            if let ParsedCriAttribute::ExtensionRequest(wanted) = attribute.parsed_attribute() {
                for extension in &wanted.extensions {
                    read.take(extension.parsed_extension(), &extension.oid.to_id_string())?;
                }
            }
        }
        Ok(read)
    }

    fn take(&mut self, extension: &ParsedExtension<'_>, oid: &str) -> Result<(), CsrError> {
        match extension {
            ParsedExtension::SubjectAlternativeName(names) => {
                for name in &names.general_names {
                    self.names.push(alternative_name(name).ok_or(CsrError::Name)?);
                }
            }
            ParsedExtension::ExtendedKeyUsage(usage) => self.purposes.extend(purposes(usage)),
            ParsedExtension::KeyUsage(usage) if !signs_for_others(usage) => {}
            ParsedExtension::BasicConstraints(constraints) if !constraints.ca => {}
            // We make one of our own from the same key.
            ParsedExtension::SubjectKeyIdentifier(_) => {}
            ParsedExtension::BasicConstraints(_) => self.excess = Some("a CA's certificate".to_owned()),
            ParsedExtension::KeyUsage(_) => self.excess = Some("signing certificates or CRLs".to_owned()),
            _ => self.excess = Some(format!("the extension {oid}")),
        }
        Ok(())
    }

    /// Holds what it asks for against a profile and against the names that are to be certified.
    ///
    /// # Errors
    /// `CaError::Profile` with what there is no room for.
    pub fn check(&self, name: &str, profile: &LeafProfile, certified: &[AlternativeName]) -> Result<(), CaError> {
        let refused = |what| Err(CaError::Profile { profile: name.to_owned(), what });
        if let Some(what) = &self.excess {
            return refused(format!("{what}, which the request asks for"));
        }
        let allowed = |oid: &String| profile.purposes.iter().any(|purpose| purpose.0.to_string() == *oid);
        if let Some(oid) = self.purposes.iter().find(|oid| !allowed(oid)) {
            return refused(format!("the purpose {oid}, which the request asks for"));
        }
        match self.names.iter().find(|name| !certified.contains(name)) {
            Some(other) => refused(format!("the {} `{other}`, which the request asks for besides", other.kind())),
            None => Ok(()),
        }
    }
}

fn common_name(subject: &X509Name<'_>) -> Option<String> {
    let name = subject.iter_common_name().next()?.as_str().ok()?.trim();
    (!name.is_empty()).then(|| name.to_owned())
}

fn alternative_name(name: &GeneralName<'_>) -> Option<AlternativeName> {
    match name {
        GeneralName::DNSName(text) | GeneralName::RFC822Name(text) | GeneralName::URI(text) => {
            AlternativeName::parse(text).ok()
        }
        GeneralName::IPAddress(octets) => match <[u8; 4]>::try_from(*octets) {
            Ok(four) => Some(AlternativeName::Ip(four.into())),
            Err(_) => Some(AlternativeName::Ip(<[u8; 16]>::try_from(*octets).ok()?.into())),
        },
        _ => None,
    }
}

fn signs_for_others(usage: &KeyUsage) -> bool {
    usage.key_cert_sign() || usage.crl_sign()
}

fn purposes(usage: &ExtendedKeyUsage<'_>) -> Vec<String> {
    let known = [
        (usage.any, "2.5.29.37.0"),
        (usage.server_auth, "1.3.6.1.5.5.7.3.1"),
        (usage.client_auth, "1.3.6.1.5.5.7.3.2"),
        (usage.code_signing, "1.3.6.1.5.5.7.3.3"),
        (usage.email_protection, "1.3.6.1.5.5.7.3.4"),
        (usage.time_stamping, "1.3.6.1.5.5.7.3.8"),
        (usage.ocsp_signing, "1.3.6.1.5.5.7.3.9"),
    ];
    let known = known.into_iter().filter(|(wanted, _)| *wanted).map(|(_, oid)| oid.to_owned());
    known.chain(usage.other.iter().map(|oid| oid.to_id_string())).collect()
}

#[cfg(test)]
mod tests {
    use rcgen::{
        BasicConstraints, CertificateParams, CustomExtension, DnType, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose,
        SanType,
    };

    use super::*;
    use crate::config::ca::profile::built_in;
    use crate::pki::key::{KeyType, PrivateKey};

    fn pem(change: impl FnOnce(&mut CertificateParams)) -> String {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, "Ann");
        change(&mut params);
        let key = PrivateKey::generate(KeyType::EcdsaP256).unwrap();
        params.serialize_request(key.signing_key()).unwrap().pem().unwrap()
    }

    fn held(change: impl FnOnce(&mut CertificateParams)) -> Result<(), String> {
        let request = Request::read(&pem(change)).unwrap();
        let certified = [AlternativeName::parse("ann@example.com").unwrap()];
        request.check("client", &built_in()["client"], &certified).map_err(|error| error.to_string())
    }

    #[test]
    fn a_plain_request_is_read() {
        let request = Request::read(&pem(|_| {})).unwrap();
        assert_eq!((request.common_name.as_deref(), request.names.len()), (Some("Ann"), 0));
    }

    #[test]
    fn a_foreign_signature_and_garbage_are_refused() {
        let text = pem(|_| {});
        assert_eq!(Request::read("").unwrap_err(), CsrError::Pem);
        assert_eq!(Request::read(&"x".repeat(LONGEST + 1)).unwrap_err(), CsrError::TooLong);
        let mut der = CertificateSigningRequestDer::from_pem_slice(text.as_bytes()).unwrap().to_vec();
        let end = der.len() - 1;
        der[end] ^= 1;
        let encode = |der: &[u8]| crate::pki::pem::encode(crate::pki::pem::Label::CertificateRequest, der);
        assert_eq!(Request::read(&encode(&der)).unwrap_err(), CsrError::Signature);
        der.push(0);
        assert_eq!(Request::read(&encode(&der)).unwrap_err(), CsrError::Der);
        assert_eq!(Request::read(&encode(&der[..9])).unwrap_err(), CsrError::Der);
    }

    #[test]
    fn what_a_profile_allows_may_be_asked_for() {
        let asked = held(|params| {
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
            params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
            params.subject_alt_names = vec![SanType::Rfc822Name("ann@example.com".try_into().unwrap())];
        });
        assert_eq!(asked, Ok(()));
    }

    #[test]
    fn whatever_else_is_smuggled_in_is_refused() {
        let smuggled: [(fn(&mut CertificateParams), &str); 5] = [
            (|params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained), "a CA's certificate"),
            (|params| params.key_usages = vec![KeyUsagePurpose::KeyCertSign], "signing certificates"),
            (|params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth], "1.3.6.1.5.5.7.3.1"),
            (|params| params.subject_alt_names = vec![SanType::DnsName("a.example".try_into().unwrap())], "a.example"),
            (
                |params| params.custom_extensions = vec![CustomExtension::from_oid_content(&[1, 2, 3], vec![5, 0])],
                "the extension 1.2.3",
            ),
        ];
        for (change, told) in smuggled {
            let refused = held(change).unwrap_err();
            assert!(refused.contains(told), "{refused}");
        }
    }
}
