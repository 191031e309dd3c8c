//! What a CA calls one of its certificates when it is asked about renewal (RFC 9773, section 4.1).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use super::leaf;

/// The CertID of a chain's leaf: its authority key identifier and the content octets of its serial's DER, a leading 00
/// among them, both in base64url. `None` where there is no certificate that can be read, or it names no issuer's key.
#[must_use]
pub fn cert_id(chain_pem: &str) -> Option<String> {
    let der = CertificateDer::from_pem_slice(chain_pem.as_bytes()).ok()?;
    let certificate = leaf::parse(&der).ok()?;
    let authority = leaf::authority_key_identifier(&certificate).filter(|identifier| !identifier.is_empty())?;
    let serial = URL_SAFE_NO_PAD.encode(certificate.raw_serial());
    Some(format!("{}.{serial}", URL_SAFE_NO_PAD.encode(authority)))
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, Issuer, KeyIdMethod, KeyPair};

    use super::*;

    /// RFC 9773, appendix A.
    const SPECIMEN: &str = "\
-----BEGIN CERTIFICATE-----
MIIBQzCB66ADAgECAgUAh2VDITAKBggqhkjOPQQDAjAVMRMwEQYDVQQDEwpFeGFt
cGxlIENBMCIYDzAwMDEwMTAxMDAwMDAwWhgPMDAwMTAxMDEwMDAwMDBaMBYxFDAS
BgNVBAMTC2V4YW1wbGUuY29tMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEeBZu
7cbpAYNXZLbbh8rNIzuOoqOOtmxA1v7cRm//AwyMwWxyHz4zfwmBhcSrf47NUAFf
qzLQ2PPQxdTXREYEnKMjMCEwHwYDVR0jBBgwFoAUaYhba4dGQEHhs3uEe6CuLN4B
yNQwCgYIKoZIzj0EAwIDRwAwRAIge09+S5TZAlw5tgtiVvuERV6cT4mfutXIlwTb
+FYN/8oCIClDsqBklhB9KAelFiYt9+6FDj3z4KGVelYM5MdsO3pK
-----END CERTIFICATE-----
";

    #[test]
    fn the_rfc_s_own_certificate_has_the_rfc_s_own_identifier() {
        assert_eq!(cert_id(SPECIMEN).as_deref(), Some("aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE"));
    }

    /// A leaf with this serial, certified by a CA with this key identifier.
    fn leaf(serial: &[u8], identifier: Option<&[u8]>) -> String {
        let mut ca = CertificateParams::default();
        ca.key_identifier_method = KeyIdMethod::PreSpecified(identifier.unwrap_or_default().to_vec());
        let mut params = CertificateParams::new(["example.com".to_owned()]).unwrap();
        params.serial_number = Some(serial.to_vec().into());
        params.use_authority_key_identifier_extension = identifier.is_some();
        let (key, ca_key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        params.signed_by(&key, &Issuer::new(ca, ca_key)).unwrap().pem()
    }

    #[test]
    fn serials_are_taken_as_der_writes_them() {
        let identifier = Some(&[1, 2, 3][..]);
        for (serial, encoded) in [
            (&[0x01][..], "AQ"),
            (&[0x7f, 0xff], "f_8"),
            (&[0x80], "AIA"),
            (&[0xff, 0xff, 0xff], "AP___w"),
            (&[0x00, 0x8a, 0xbc], "AIq8"),
        ] {
            assert_eq!(cert_id(&leaf(serial, identifier)), Some(format!("AQID.{encoded}")), "{serial:x?}");
        }
        let two = leaf(&[0x05], identifier) + &leaf(&[0x06], identifier);
        assert_eq!(cert_id(&two).as_deref(), Some("AQID.BQ"), "the leaf is the first");
    }

    #[test]
    fn what_names_no_issuer_s_key_has_none() {
        assert_eq!(cert_id(&leaf(&[1], None)), None);
        assert_eq!(cert_id(&leaf(&[1], Some(&[]))), None);
        for text in ["", "certificate", "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n"] {
            assert_eq!(cert_id(text), None, "{text}");
        }
    }
}
