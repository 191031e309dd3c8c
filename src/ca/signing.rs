//! Signing in two steps: the octets to be signed first, the signature when they are on record.

use std::cell::RefCell;

use rcgen::{CertificateParams, Issuer, KeyPair, PublicKeyData, SignatureAlgorithm, SigningKey, SubjectPublicKeyInfo};
use rustls_pki_types::CertificateDer;

use super::CaError;
use super::generation::Generation;
use crate::pki::der::{self, BIT_STRING, SEQUENCE};
use crate::pki::key::PrivateKey;
use crate::pki::leaf;

/// Takes the place of a CA's key and keeps what it is asked to sign.
struct Recorder<'a> {
    key: &'a KeyPair,
    message: RefCell<Vec<u8>>,
}

impl PublicKeyData for Recorder<'_> {
    fn der_bytes(&self) -> &[u8] {
        self.key.der_bytes()
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        self.key.algorithm()
    }
}

impl SigningKey for Recorder<'_> {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        *self.message.borrow_mut() = message.to_vec();
        Ok(Vec::new())
    }
}

impl<'a> Recorder<'a> {
    fn new(key: &'a PrivateKey) -> Self {
        Self { key: key.signing_key(), message: RefCell::default() }
    }
}

/// The TBSCertificate (RFC 5280, section 4.1) of a certificate that its own key signs.
pub(super) fn self_to_be_signed(params: &CertificateParams, key: &PrivateKey) -> Result<Vec<u8>, CaError> {
    let recorder = Recorder::new(key);
    params.self_signed(&recorder)?;
    Ok(recorder.message.into_inner())
}

/// The TBSCertificate of a certificate for `spki` (SubjectPublicKeyInfo, DER) that this issuer signs.
pub(super) fn to_be_signed(params: &CertificateParams, spki: &[u8], issuer: &Generation) -> Result<Vec<u8>, CaError> {
    let subject_key = SubjectPublicKeyInfo::from_der(spki).map_err(CaError::PublicKey)?;
    let certificate = CertificateDer::from(issuer.certificate.as_slice());
    let by_issuer = Issuer::from_ca_cert_der(&certificate, Recorder::new(&issuer.key))?;
    params.signed_by(&subject_key, &by_issuer)?;
    let to_be_signed = by_issuer.key().message.take();
    // The encoder has read the issuer's name and written it anew, and loses repeated attributes on the way. A
    // certificate whose issuer is not its issuer's subject octet by octet chains nowhere.
    if issuer_name(&to_be_signed) != Some(leaf::parse(&issuer.certificate)?.subject().as_raw()) {
        return Err(CaError::IssuerName);
    }
    Ok(to_be_signed)
}

/// The certificate: what is to be signed, with its signature.
pub(super) fn sign(to_be_signed: &[u8], key: &PrivateKey) -> Result<Vec<u8>, CaError> {
    let algorithm = algorithm(to_be_signed).ok_or(rcgen::Error::CouldNotParseCertificate)?;
    let signature = key.signing_key().sign(to_be_signed)?;
    const NO_UNUSED_BITS: &[u8] = &[0];
    Ok(der::value(SEQUENCE, &[to_be_signed, algorithm, &der::value(BIT_STRING, &[NO_UNUSED_BITS, &signature])]))
}

/// The AlgorithmIdentifier that a TBSCertificate names, behind its version and its serial number: the signature must
/// repeat it.
fn algorithm(to_be_signed: &[u8]) -> Option<&[u8]> {
    Some(algorithm_and_rest(to_be_signed)?.whole)
}

fn issuer_name(to_be_signed: &[u8]) -> Option<&[u8]> {
    Some(der::split_first(algorithm_and_rest(to_be_signed)?.rest)?.whole)
}

fn algorithm_and_rest(to_be_signed: &[u8]) -> Option<der::Value<'_>> {
    let version = der::split_first(der::split_first(to_be_signed)?.content)?;
    let serial = der::split_first(version.rest)?;
    der::split_first(serial.rest)
}
