//! Certificates that somebody else signed: whether one may be an issuing certificate of ours, and what is above it.

use x509_parser::certificate::X509Certificate;
use x509_parser::error::X509Error;

use super::constraints::Constraints;
use crate::clock::Timestamp;
use crate::pki::chain::{same_name, verify};
use crate::pki::leaf::{self, LeafError, common_name};

/// Certificates between a leaf and its root, at the most.
const LONGEST_PATH: usize = 8;

/// Why a certificate cannot be an issuing certificate of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OutsideError {
    /// The text holds something else.
    #[error("certificate {position} of those given cannot be read")]
    Unreadable {
        /// Which one, from 1.
        position: usize,
        /// What is wrong with it.
        source: LeafError,
    },
    /// No certificate in it.
    #[error("there is no certificate in what was given: PEM or DER is read")]
    Empty,
    /// All are for other keys.
    #[error("no certificate of those given is for the key")]
    Key,
    /// No CA's.
    #[error("`{subject}` is no CA's certificate: its basic constraints do not say CA:TRUE")]
    NotCa {
        /// Its common name.
        subject: String,
    },
    /// A CA's, but not for signing certificates.
    #[error("`{subject}` may not sign certificates: its key usage has no keyCertSign")]
    MayNotSign {
        /// Its common name.
        subject: String,
    },
    /// Not in force yet.
    #[error("`{subject}` is in force from {not_before} only")]
    NotYetValid {
        /// Its common name.
        subject: String,
        /// Its begin.
        not_before: Timestamp,
    },
    /// No longer in force.
    #[error("`{subject}` expired at {not_after}")]
    Expired {
        /// Its common name.
        subject: String,
        /// Its end.
        not_after: Timestamp,
    },
    /// The path does not lead to a root.
    #[error("`{subject}` was issued by `{issuer}`, whose certificate was not given: give everything up to the root")]
    NoIssuer {
        /// Its common name.
        subject: String,
        /// Its issuer's.
        issuer: String,
    },
    /// The name is the issuer's, the key is not.
    #[error("`{subject}` was not signed by the key of the `{issuer}` that was given")]
    Signature {
        /// Its common name.
        subject: String,
        /// Its issuer's.
        issuer: String,
    },
    /// Path length.
    #[error("`{subject}` allows no CA below it: its path length is {length}")]
    PathLength {
        /// Its common name.
        subject: String,
        /// What it says.
        length: u32,
    },
    /// Name constraints that we cannot hold leaves against.
    #[error("nothing could be issued below `{subject}`: {what}")]
    Constraints {
        /// Its common name.
        subject: String,
        /// What is the matter with them.
        what: &'static str,
    },
    /// No end of it.
    #[error("more than {LONGEST_PATH} certificates are above it")]
    TooLong,
    /// It is one of ours already.
    #[error("it is generation {generation} of the CA already")]
    Known {
        /// Which one.
        generation: u32,
    },
    /// OCSP could not tell two generations with one key apart.
    #[error("its key is that of generation {generation} already: give the CA a new key")]
    KeyKnown {
        /// Which one.
        generation: u32,
    },
}

/// An issuing certificate that somebody else signed, looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Outside {
    /// In DER.
    pub certificate: Vec<u8>,
    /// What is to be signed of it, in DER.
    pub to_be_signed: Vec<u8>,
    /// Everything above it in DER, the root last; empty where it is a root.
    pub above: Vec<Vec<u8>>,
    /// Lower-case hex.
    pub serial: String,
    /// In force from here.
    pub not_before: Timestamp,
    /// In force until here.
    pub not_after: Timestamp,
}

impl Outside {
    /// The certificate for a key (a SubjectPublicKeyInfo in DER) among those given in any order, and the path from it to
    /// its root.
    pub fn find(given: &[Vec<u8>], spki_der: &[u8], now: Timestamp) -> Result<Self, OutsideError> {
        let read = |(index, der): (usize, &Vec<u8>)| match leaf::parse(der) {
            Ok(_) => Ok(()),
            Err(source) => Err(OutsideError::Unreadable { position: index + 1, source }),
        };
        given.iter().enumerate().try_for_each(read)?;
        let pool: Vec<X509Certificate<'_>> = given.iter().filter_map(|der| leaf::parse(der).ok()).collect();
        if pool.is_empty() {
            return Err(OutsideError::Empty);
        }
        let mut fitting = pool.iter().filter(|certificate| certificate.public_key().raw == spki_der);
        let certificate = fitting.next().ok_or(OutsideError::Key)?;
        check(certificate, now)?;
        let above = path(certificate, &pool, now)?;
        let validity = certificate.validity();
        Ok(Self {
            certificate: certificate.as_raw().to_vec(),
            to_be_signed: certificate.tbs_certificate.as_ref().to_vec(),
            above: above.into_iter().map(|certificate| certificate.as_raw().to_vec()).collect(),
            serial: hex::encode(certificate.raw_serial()),
            not_before: Timestamp::from_seconds(validity.not_before.timestamp()),
            not_after: Timestamp::from_seconds(validity.not_after.timestamp()),
        })
    }
}

/// Everything above a certificate, the root last.
fn path<'a, 'der>(
    certificate: &'a X509Certificate<'der>,
    pool: &'a [X509Certificate<'der>],
    now: Timestamp,
) -> Result<Vec<&'a X509Certificate<'der>>, OutsideError> {
    let mut above: Vec<&X509Certificate<'der>> = Vec::new();
    let mut current = certificate;
    while !is_root(current) {
        if above.len() == LONGEST_PATH {
            return Err(OutsideError::TooLong);
        }
        let issuer = issuer(current, pool)?;
        check(issuer, now)?;
        check_length(issuer, above.len())?;
        above.push(issuer);
        current = issuer;
    }
    Ok(above)
}

fn issuer<'a, 'der>(
    certificate: &X509Certificate<'_>,
    pool: &'a [X509Certificate<'der>],
) -> Result<&'a X509Certificate<'der>, OutsideError> {
    let (subject, issuer) = (common_name(certificate.subject()), common_name(certificate.issuer()));
    let named = |other: &&X509Certificate<'_>| {
        other.as_raw() != certificate.as_raw() && same_name(other.subject(), certificate.issuer())
    };
    if !pool.iter().any(|other| named(&other)) {
        return Err(OutsideError::NoIssuer { subject, issuer });
    }
    let found = pool.iter().filter(named).find(|other| verify(certificate, other.public_key()).is_ok());
    found.ok_or(OutsideError::Signature { subject, issuer })
}

/// It bears its issuer's name, and its own key signed it, as far as we can verify that: what a root's signature is worth
/// is nothing, and old ones have signatures that nobody verifies any more.
fn is_root(certificate: &X509Certificate<'_>) -> bool {
    certificate.subject().as_raw() == certificate.issuer().as_raw()
        && matches!(
            verify(certificate, certificate.public_key()),
            Ok(()) | Err(X509Error::SignatureUnsupportedAlgorithm)
        )
}

/// It may sign certificates now.
fn check(certificate: &X509Certificate<'_>, now: Timestamp) -> Result<(), OutsideError> {
    let subject = || common_name(certificate.subject());
    if !certificate.is_ca() {
        return Err(OutsideError::NotCa { subject: subject() });
    }
    let usage = certificate.key_usage().ok().flatten();
    if usage.is_some_and(|usage| !usage.value.key_cert_sign()) {
        return Err(OutsideError::MayNotSign { subject: subject() });
    }
    let constraints = Constraints::read(certificate.as_raw()).unwrap_or_default();
    if let Some(what) = constraints.unenforceable() {
        return Err(OutsideError::Constraints { subject: subject(), what });
    }
    let validity = certificate.validity();
    let not_before = Timestamp::from_seconds(validity.not_before.timestamp());
    let not_after = Timestamp::from_seconds(validity.not_after.timestamp());
    if not_before > now {
        return Err(OutsideError::NotYetValid { subject: subject(), not_before });
    }
    if not_after <= now {
        return Err(OutsideError::Expired { subject: subject(), not_after });
    }
    Ok(())
}

/// How many CAs a certificate allows below it; `None`: any (RFC 5280, section 4.2.1.9).
pub(super) fn path_length(certificate: &X509Certificate<'_>) -> Option<u32> {
    certificate.basic_constraints().ok().flatten().and_then(|constraints| constraints.value.path_len_constraint)
}

/// It allows one issuing certificate below it, and those between.
pub(super) fn check_length(certificate: &X509Certificate<'_>, between: usize) -> Result<(), OutsideError> {
    match path_length(certificate) {
        Some(length) if (length as usize) <= between => {
            Err(OutsideError::PathLength { subject: common_name(certificate.subject()), length })
        }
        _ => Ok(()),
    }
}

/// What does not keep it from issuing, and is to be known.
pub(super) fn remarks(certificate: &[u8]) -> Vec<String> {
    let Ok(certificate) = leaf::parse(certificate) else { return Vec::new() };
    let mut remarks = Vec::new();
    if certificate.key_usage().ok().flatten().is_some_and(|usage| !usage.value.crl_sign()) {
        remarks.push("it may not sign CRLs (its key usage has no cRLSign): verifiers will refuse them".to_owned());
    }
    if certificate.extended_key_usage().ok().flatten().is_some_and(|usage| !usage.value.any) {
        remarks.push("its extended key usage bounds what its leaves are good for".to_owned());
    }
    remarks
}
