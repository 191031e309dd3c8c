//! Certificates in a PKCS #7 envelope without content and without signatures (RFC 2315, RFC 5652): `.p7b`.

use crate::pki::der::{self, SEQUENCE, SET, context};

/// `id-data`, 1.2.840.113549.1.7.1, and `id-signedData`, 1.2.840.113549.1.7.2, as DER.
const DATA: &[u8] = &[0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01];
const SIGNED_DATA: &[u8] = &[0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02];

/// INTEGER 1.
const VERSION: &[u8] = &[0x02, 0x01, 0x01];

/// The envelope, in DER, with certificates given in DER and kept in their order.
pub(super) fn certificates_only(certificates: &[Vec<u8>]) -> Vec<u8> {
    let certificates: Vec<&[u8]> = certificates.iter().map(Vec::as_slice).collect();
    let nothing = der::value(SET, &[]);
    let content = der::value(SEQUENCE, &[DATA]);
    let certificates = der::value(context(0), &certificates);
    let signed_data = der::value(SEQUENCE, &[VERSION, &nothing, &content, &certificates, &nothing]);
    der::value(SEQUENCE, &[SIGNED_DATA, &der::value(context(0), &[&signed_data])])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::testing::{Pki, openssl_text};

    #[test]
    fn openssl_finds_the_certificates() {
        let pki = Pki::new(&["example.com"]);
        let chain = pki.chain();
        let envelope = certificates_only(chain.ders());
        let arguments = ["pkcs7", "-inform", "DER", "-print_certs"];
        let printed = openssl_text(&arguments, &envelope);
        assert_eq!(printed.matches("-----BEGIN CERTIFICATE-----").count(), chain.ders().len());
    }
}
