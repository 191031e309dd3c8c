//! The extensions of our certificates (RFC 5280, section 4.2).

use aws_lc_rs::digest;

use super::name::AlternativeName;
use crate::pki::der::{self, BIT_STRING, SEQUENCE};

const BOOLEAN_TRUE: &[u8] = &[0x01, 0x01, 0xff];
const OCTET_STRING: u8 = 0x04;
const OBJECT_IDENTIFIER: u8 = 0x06;
const INTEGER: u8 = 0x02;
const NULL: &[u8] = &[0x05, 0x00];
/// `[6] IA5String` of a GeneralName: a URI.
const URI: u8 = 0x86;

/// An extension.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::ca) struct Extension {
    /// The content octets of its object identifier.
    oid: Vec<u8>,
    critical: bool,
    /// What its OCTET STRING holds.
    value: Vec<u8>,
}

impl Extension {
    fn id_ce(number: u8, critical: bool, value: Vec<u8>) -> Self {
        Self { oid: vec![0x55, 0x1d, number], critical, value }
    }

    /// As it stands in a certificate.
    pub fn to_der(&self) -> Vec<u8> {
        let oid = der::value(OBJECT_IDENTIFIER, &[&self.oid]);
        let critical = if self.critical { BOOLEAN_TRUE } else { &[] };
        der::value(SEQUENCE, &[&oid, critical, &der::value(OCTET_STRING, &[&self.value])])
    }

    /// cA, with the path length where it is bounded (section 4.2.1.9).
    pub fn authority(path_length: Option<u8>) -> Self {
        let length = path_length.map(|length| der::value(INTEGER, &[&[length]])).unwrap_or_default();
        Self::id_ce(19, true, der::value(SEQUENCE, &[BOOLEAN_TRUE, &length]))
    }

    /// No cA.
    pub fn end_entity() -> Self {
        Self::id_ce(19, true, der::value(SEQUENCE, &[]))
    }

    /// Key usage, by the numbers of its bits (section 4.2.1.3).
    pub fn key_usage(bits: &[u8]) -> Self {
        let mut octets = [0_u8; 2];
        for bit in bits {
            octets[usize::from(bit / 8)] |= 0x80 >> (bit % 8);
        }
        let length = if octets[1] == 0 { 1 } else { 2 };
        let unused = octets[length - 1].trailing_zeros().min(7) as u8;
        Self::id_ce(15, true, der::value(BIT_STRING, &[&[unused], &octets[..length]]))
    }

    /// Extended key usage, by the content octets of the object identifiers.
    pub fn extended_key_usage<'a>(purposes: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let purposes = purposes.into_iter().map(|oid| der::value(OBJECT_IDENTIFIER, &[oid]));
        Self::id_ce(37, false, der::value(SEQUENCE, &[&purposes.collect::<Vec<_>>().concat()]))
    }

    /// Names; critical where the subject is empty.
    pub fn alternative_names(names: &[AlternativeName], critical: bool) -> Self {
        let names: Vec<Vec<u8>> = names.iter().map(AlternativeName::to_der).collect();
        Self::id_ce(17, critical, der::value(SEQUENCE, &[&names.concat()]))
    }

    /// Which key this certificate is for.
    pub fn subject_key(identifier: &[u8]) -> Self {
        Self::id_ce(14, false, der::value(OCTET_STRING, &[identifier]))
    }

    /// Which key signs.
    pub fn authority_key(identifier: &[u8]) -> Self {
        const KEY_IDENTIFIER: u8 = 0x80;
        Self::id_ce(35, false, der::value(SEQUENCE, &[&der::value(KEY_IDENTIFIER, &[identifier])]))
    }

    /// Where OCSP answers, and where the issuer's certificate is, where anybody needs it (section 4.2.2.1).
    pub fn information_access(ocsp_url: &str, ca_issuers_url: Option<&str>) -> Self {
        const ID_PE_AUTHORITY_INFO_ACCESS: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 1, 1];
        const ID_AD: [u8; 7] = [0x2b, 6, 1, 5, 5, 7, 0x30];
        let access = |method: u8, url: &str| {
            let oid = der::value(OBJECT_IDENTIFIER, &[&ID_AD, &[method]]);
            der::value(SEQUENCE, &[&oid, &der::value(URI, &[url.as_bytes()])])
        };
        let issuers = ca_issuers_url.map(|url| access(2, url)).unwrap_or_default();
        let value = der::value(SEQUENCE, &[&access(1, ocsp_url), &issuers]);
        Self { oid: ID_PE_AUTHORITY_INFO_ACCESS.to_vec(), critical: false, value }
    }

    /// The one CRL that it would stand in (section 4.2.1.13).
    pub fn distribution_point(url: &str) -> Self {
        let full_name = der::value(der::context(0), &[&der::value(URI, &[url.as_bytes()])]);
        let point = der::value(SEQUENCE, &[&der::value(der::context(0), &[&full_name])]);
        Self::id_ce(31, false, der::value(SEQUENCE, &[&point]))
    }

    /// id-ce-noRevAvail (RFC 9608): nobody answers for this certificate's status, and nobody need ask.
    pub fn no_revocation_available() -> Self {
        Self::id_ce(56, false, NULL.to_vec())
    }

    /// id-pkix-ocsp-nocheck (RFC 6960, section 4.2.2.2.1): nobody need ask about a responder's own certificate.
    pub fn ocsp_no_check() -> Self {
        const ID_PKIX_OCSP_NOCHECK: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 0x30, 1, 5];
        Self { oid: ID_PKIX_OCSP_NOCHECK.to_vec(), critical: false, value: NULL.to_vec() }
    }

    /// Which names may stand below this authority (section 4.2.1.10), each a GeneralName in DER.
    pub fn name_constraints(permitted: &[Vec<u8>], excluded: &[Vec<u8>]) -> Self {
        let subtrees = |tag: u8, bases: &[Vec<u8>]| {
            let trees = bases.iter().map(|base| der::value(SEQUENCE, &[base])).collect::<Vec<_>>().concat();
            if trees.is_empty() { Vec::new() } else { der::value(der::context(tag), &[&trees]) }
        };
        let (permitted, excluded) = (subtrees(0, permitted), subtrees(1, excluded));
        Self::id_ce(30, true, der::value(SEQUENCE, &[&permitted, &excluded]))
    }
}

/// An identifier of a key: the first 160 bits of the SHA-256 of its BIT STRING (RFC 7093, section 2).
pub(in crate::ca) fn key_identifier(public_key: &[u8]) -> Vec<u8> {
    digest::digest(&digest::SHA256, public_key).as_ref()[..20].to_vec()
}

/// The BIT STRING of a SubjectPublicKeyInfo, without the octet that counts unused bits.
pub(in crate::ca) fn public_key_bits(spki_der: &[u8]) -> Option<&[u8]> {
    let algorithm = der::split_first(der::split_first(spki_der)?.content)?;
    der::split_first(algorithm.rest)?.content.get(1..)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_usage_has_no_trailing_zero_bits() {
        for (bits, value) in [
            (&[0][..], &[0x03, 0x02, 0x07, 0x80][..]),
            (&[0, 2], &[0x03, 0x02, 0x05, 0xa0]),
            (&[5, 6], &[0x03, 0x02, 0x01, 0x06]),
            (&[0, 4, 8], &[0x03, 0x03, 0x07, 0x88, 0x80]),
        ] {
            assert_eq!(Extension::key_usage(bits).value, value, "{bits:?}");
        }
    }
}
