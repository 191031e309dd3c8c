//! Somebody's own request (PKCS#10, RFC 2986): read strictly, its signature checked, and whatever it asks for held
//! against the profile. What the profile has no room for is refused, not dropped; and nothing is copied from a request
//! into a certificate but its public key, which has one form only, and names and attributes that were read.

mod extension;
pub mod fuzzing;
mod signature;
mod subject;

use aws_lc_rs::digest;
use der::Decode as _;
use rustls_pki_types::CertificateSigningRequestDer;
use rustls_pki_types::pem::PemObject as _;
use x509_cert::request::CertReq;

use super::profile::{self, Naming};
use super::{AlternativeName, CaError, LeafSubject, strength};
use crate::config::ca::LeafProfile;
use crate::pki::der as octets;
use extension::Wishes;

/// As long as a request may be, in octets.
pub const LONGEST: usize = 32 * 1024;

/// As many names as one certificate may carry.
const MOST_NAMES: usize = 100;

/// Why a text is no request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CsrError {
    /// Not one in PEM.
    #[error("it is no certificate request in PEM")]
    Pem,
    /// More than one.
    #[error("the file holds several requests: give them one by one")]
    Several,
    /// Longer than any honest one.
    #[error("it is longer than 32 KiB")]
    TooLong,
    /// The DER is none, or something stands behind it.
    #[error("it cannot be read")]
    Der,
    /// The key is of a kind that is not certified, or too weak.
    #[error("its public key cannot be certified: {reason}")]
    Key {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// It is signed in a way that proves nothing, or that we do not know.
    #[error("it is signed with an algorithm that is not accepted, `{algorithm}`")]
    Algorithm {
        /// The object identifier.
        algorithm: String,
    },
    /// It was not signed by the key that it is for.
    #[error("its signature is not that of the key which it is for")]
    Signature,
    /// An attribute of the subject cannot be read.
    #[error("the {attribute} in its subject cannot be read")]
    Subject {
        /// Which one.
        attribute: &'static str,
    },
    /// Something stands there twice that may stand there once.
    #[error("{what} stands in it twice")]
    Twice {
        /// What it is.
        what: String,
    },
    /// An extension cannot be read.
    #[error("the extension {oid} in it cannot be read")]
    Extension {
        /// The object identifier.
        oid: String,
    },
    /// More than anybody needs.
    #[error("{found} names stand in it, and {MOST_NAMES} may")]
    TooManyNames {
        /// How many there are.
        found: usize,
    },
    /// A name is of a kind that no leaf has.
    #[error("a subject alternative name in it is {kind}, which is not certified")]
    Kind {
        /// What it is.
        kind: &'static str,
    },
    /// A name is not of the kind that it says.
    #[error("`{name}`, a subject alternative name in it, is no {kind}")]
    Name {
        /// The name.
        name: String,
        /// What it says that it is.
        kind: &'static str,
    },
}

/// A request whose signature is right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The public key: a SubjectPublicKeyInfo in DER.
    pub spki_der: Vec<u8>,
    /// What of the subject a leaf may have: the first of each attribute.
    pub subject: LeafSubject,
    /// The subject alternative names.
    pub names: Vec<AlternativeName>,
    /// SHA-256 of the request, in hex.
    pub fingerprint: String,
    wishes: Wishes,
}

impl Request {
    /// Reads a request in PEM and checks its signature.
    ///
    /// # Errors
    /// Where it is none, its key cannot be certified, or its signature is wrong.
    pub fn read(text: &str) -> Result<Self, CsrError> {
        if text.len() > LONGEST {
            return Err(CsrError::TooLong);
        }
        // Older programs call it so.
        let text = text.replace("NEW CERTIFICATE REQUEST-----", "CERTIFICATE REQUEST-----");
        if text.matches("-----BEGIN CERTIFICATE REQUEST-----").count() > 1 {
            return Err(CsrError::Several);
        }
        let der = CertificateSigningRequestDer::from_pem_slice(text.as_bytes()).map_err(|_| CsrError::Pem)?;
        Self::from_der(&der)
    }

    /// As `read`, of DER.
    ///
    /// # Errors
    /// As `read`.
    pub fn from_der(der: &[u8]) -> Result<Self, CsrError> {
        let (request, signed) = Self::unverified(der)?;
        signature::verify(der, &signed, &request.spki_der)?;
        Ok(request)
    }

    /// What it says, whoever has signed it.
    fn unverified(der: &[u8]) -> Result<(Self, CertReq), CsrError> {
        if der.len() > LONGEST {
            return Err(CsrError::TooLong);
        }
        let signed = CertReq::from_der(der).map_err(|_| CsrError::Der)?;
        let spki_der = public_key(der).ok_or(CsrError::Der)?.to_vec();
        strength::check(&spki_der).map_err(|error| match error {
            CaError::PublicKey { reason } => CsrError::Key { reason },
            _ => CsrError::Der,
        })?;
        let mut wishes = Wishes::read(&signed.info.attributes)?;
        let request = Self {
            spki_der,
            subject: subject::read(&signed.info.subject)?,
            names: std::mem::take(&mut wishes.names),
            fingerprint: hex::encode(digest::digest(&digest::SHA256, der)),
            wishes,
        };
        Ok((request, signed))
    }

    /// Holds what it asks for against a profile, and against the names that are to be certified. The names themselves,
    /// and the key, are held against the profile when the leaf is made, as those of every leaf.
    ///
    /// # Errors
    /// `CaError::Profile` with what there is no room for.
    pub fn check(&self, name: &str, profile: &LeafProfile, certified: &[AlternativeName]) -> Result<(), CaError> {
        match self.excess(profile, certified) {
            Some(what) => {
                let what = format!("{what}, which the request asks for");
                Err(CaError::Profile { profile: name.to_owned(), what })
            }
            None => Ok(()),
        }
    }

    fn excess(&self, profile: &LeafProfile, certified: &[AlternativeName]) -> Option<String> {
        let other = || self.names.iter().find(|name| !certified.contains(name));
        let other = || other().map(|name| format!("the {} `{name}`", name.kind()));
        self.wishes.excess(profile).or_else(other)
    }

    /// The names to certify under a profile. Where it is not for people, the common name is one of them, as requests of
    /// old have it.
    ///
    /// # Errors
    /// `CaError::Profile` where the common name is none there.
    pub(super) fn certified(&self, name: &str, profile: &LeafProfile) -> Result<Vec<AlternativeName>, CaError> {
        let mut names: Vec<AlternativeName> = Vec::with_capacity(self.names.len());
        for name in &self.names {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
        let Some(common_name) = self.subject.common_name.as_deref() else { return Ok(names) };
        match profile::naming(profile, common_name) {
            Naming::Free => {}
            Naming::Name(common_name) if names.contains(&common_name) => {}
            Naming::Name(common_name) => names.insert(0, common_name),
            Naming::Refused => {
                let what = format!("the common name `{common_name}`, which is no DNS name nor address");
                return Err(CaError::Profile { profile: name.to_owned(), what });
            }
        }
        Ok(names)
    }
}

/// The SubjectPublicKeyInfo of a request, octet by octet.
fn public_key(der: &[u8]) -> Option<&[u8]> {
    let version = octets::split_first(octets::split_first(to_be_signed(der)?)?.content)?;
    let subject = octets::split_first(version.rest)?;
    Some(octets::split_first(subject.rest)?.whole)
}

/// The CertificationRequestInfo of a request.
fn to_be_signed(der: &[u8]) -> Option<&[u8]> {
    Some(octets::split_first(octets::split_first(der)?.content)?.whole)
}

#[cfg(test)]
mod tests;
