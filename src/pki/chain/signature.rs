//! Verifying a certificate's signature: what x509-parser does, and the ECDSA that it leaves out (P-521, SHA-512).

use aws_lc_rs::signature::{
    ECDSA_P256_SHA512_ASN1, ECDSA_P384_SHA512_ASN1, ECDSA_P521_SHA256_ASN1, ECDSA_P521_SHA384_ASN1,
    ECDSA_P521_SHA512_ASN1, EcdsaVerificationAlgorithm, UnparsedPublicKey,
};
use x509_parser::certificate::X509Certificate;
use x509_parser::error::X509Error;
use x509_parser::x509::SubjectPublicKeyInfo;

/// Whether the key `issuer` signed `certificate`.
pub(crate) fn verify(certificate: &X509Certificate<'_>, issuer: &SubjectPublicKeyInfo<'_>) -> Result<(), X509Error> {
    match certificate.verify_signature(Some(issuer)) {
        Err(X509Error::SignatureUnsupportedAlgorithm) => verify_ecdsa(certificate, issuer),
        verdict => verdict,
    }
}

fn verify_ecdsa(certificate: &X509Certificate<'_>, issuer: &SubjectPublicKeyInfo<'_>) -> Result<(), X509Error> {
    let algorithm = ecdsa(certificate, issuer).ok_or(X509Error::SignatureUnsupportedAlgorithm)?;
    UnparsedPublicKey::new(algorithm, &issuer.subject_public_key.data)
        .verify(certificate.tbs_certificate.as_ref(), &certificate.signature_value.data)
        .map_err(|_| X509Error::SignatureVerificationError)
}

fn ecdsa(
    certificate: &X509Certificate<'_>,
    issuer: &SubjectPublicKeyInfo<'_>,
) -> Option<&'static EcdsaVerificationAlgorithm> {
    let curve = issuer.algorithm.parameters.as_ref()?.as_oid().ok()?.to_id_string();
    let signature = certificate.signature_algorithm.algorithm.to_id_string();
    // Object identifiers of RFC 5480 (curves) and RFC 5758 (ecdsa-with-SHA2).
    match (curve.as_str(), signature.as_str()) {
        ("1.2.840.10045.3.1.7", "1.2.840.10045.4.3.4") => Some(&ECDSA_P256_SHA512_ASN1),
        ("1.3.132.0.34", "1.2.840.10045.4.3.4") => Some(&ECDSA_P384_SHA512_ASN1),
        ("1.3.132.0.35", "1.2.840.10045.4.3.2") => Some(&ECDSA_P521_SHA256_ASN1),
        ("1.3.132.0.35", "1.2.840.10045.4.3.3") => Some(&ECDSA_P521_SHA384_ASN1),
        ("1.3.132.0.35", "1.2.840.10045.4.3.4") => Some(&ECDSA_P521_SHA512_ASN1),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;
    use crate::pki::key::PrivateKey;
    use crate::pki::leaf;
    use crate::pki::testing::{openssl, openssl_text};

    /// A self-signed certificate by openssl.
    fn self_signed(curve: &str, digest: &str) -> Vec<u8> {
        let key = openssl_text(&["ecparam", "-name", curve, "-genkey", "-noout"], b"");
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(key.as_bytes()).unwrap();
        let path = file.path().to_str().unwrap();
        openssl(&["req", "-x509", "-key", path, digest, "-subj", "/CN=x", "-outform", "DER"], b"")
    }

    #[test]
    fn ecdsa_of_every_size_is_verified() {
        let stranger = PrivateKey::from_pem(&openssl_text(&["ecparam", "-name", "secp521r1", "-genkey"], b"")).unwrap();
        let stranger = stranger.spki_der();
        let (_, stranger) = x509_parser::prelude::FromDer::from_der(&stranger).unwrap();
        for curve in ["prime256v1", "secp384r1", "secp521r1"] {
            for digest in ["-sha256", "-sha384", "-sha512"] {
                let der = self_signed(curve, digest);
                let certificate = leaf::parse(&der).unwrap();
                assert_eq!(verify(&certificate, certificate.public_key()), Ok(()), "{curve} {digest}");
                let refused = verify(&certificate, &stranger);
                assert_eq!(refused, Err(X509Error::SignatureVerificationError), "{curve} {digest}");
            }
        }
    }
}
