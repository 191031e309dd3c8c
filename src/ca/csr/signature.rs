//! Whether a request was signed by the key that it is for: proof that whoever asks has the private key.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA384_ASN1, ECDSA_P256_SHA512_ASN1, ECDSA_P384_SHA256_ASN1,
    ECDSA_P384_SHA384_ASN1, ECDSA_P384_SHA512_ASN1, ECDSA_P521_SHA256_ASN1, ECDSA_P521_SHA384_ASN1,
    ECDSA_P521_SHA512_ASN1, ED25519, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384,
    RSA_PKCS1_2048_8192_SHA512, UnparsedPublicKey, VerificationAlgorithm,
};
use x509_cert::request::CertReq;

use super::{CsrError, to_be_signed};
use crate::ca::extension::public_key_bits;
use crate::ca::key::Algorithm;

/// Checks the signature of the request in `der`.
///
/// # Errors
/// `CsrError::Algorithm` where it says nothing, SHA-1 with the rest; `CsrError::Signature` where it is wrong.
pub(super) fn verify(der: &[u8], signed: &CertReq, spki_der: &[u8]) -> Result<(), CsrError> {
    let algorithm = signed.algorithm.oid.to_string();
    let key = Algorithm::of(spki_der).ok_or(CsrError::Der)?;
    let is_plain = match &signed.algorithm.parameters {
        Some(parameters) => key == Algorithm::RsaSha256 && parameters.is_null(),
        None => key != Algorithm::RsaSha256,
    };
    let verification = verification(key, &algorithm).filter(|_| is_plain);
    let verification = verification.ok_or(CsrError::Algorithm { algorithm })?;
    let (message, bits) = to_be_signed(der).zip(public_key_bits(spki_der)).ok_or(CsrError::Der)?;
    let signature = signed.signature.as_bytes().ok_or(CsrError::Signature)?;
    UnparsedPublicKey::new(verification, bits).verify(message, signature).map_err(|_| CsrError::Signature)
}

/// Object identifiers of RFC 4055 (RSA), RFC 5758 (ECDSA) and RFC 8410 (Ed25519).
fn verification(key: Algorithm, signature: &str) -> Option<&'static dyn VerificationAlgorithm> {
    match (key, signature) {
        (Algorithm::RsaSha256, "1.2.840.113549.1.1.11") => Some(&RSA_PKCS1_2048_8192_SHA256),
        (Algorithm::RsaSha256, "1.2.840.113549.1.1.12") => Some(&RSA_PKCS1_2048_8192_SHA384),
        (Algorithm::RsaSha256, "1.2.840.113549.1.1.13") => Some(&RSA_PKCS1_2048_8192_SHA512),
        (Algorithm::EcdsaSha256, "1.2.840.10045.4.3.2") => Some(&ECDSA_P256_SHA256_ASN1),
        (Algorithm::EcdsaSha256, "1.2.840.10045.4.3.3") => Some(&ECDSA_P256_SHA384_ASN1),
        (Algorithm::EcdsaSha256, "1.2.840.10045.4.3.4") => Some(&ECDSA_P256_SHA512_ASN1),
        (Algorithm::EcdsaSha384, "1.2.840.10045.4.3.2") => Some(&ECDSA_P384_SHA256_ASN1),
        (Algorithm::EcdsaSha384, "1.2.840.10045.4.3.3") => Some(&ECDSA_P384_SHA384_ASN1),
        (Algorithm::EcdsaSha384, "1.2.840.10045.4.3.4") => Some(&ECDSA_P384_SHA512_ASN1),
        (Algorithm::EcdsaSha512, "1.2.840.10045.4.3.2") => Some(&ECDSA_P521_SHA256_ASN1),
        (Algorithm::EcdsaSha512, "1.2.840.10045.4.3.3") => Some(&ECDSA_P521_SHA384_ASN1),
        (Algorithm::EcdsaSha512, "1.2.840.10045.4.3.4") => Some(&ECDSA_P521_SHA512_ASN1),
        (Algorithm::Ed25519, "1.3.101.112") => Some(&ED25519),
        _ => None,
    }
}
