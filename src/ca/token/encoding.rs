//! From PKCS#11's forms of keys and signatures to those of X.509.

use cryptoki::object::Attribute;

use crate::pki::der::{self, BIT_STRING, SEQUENCE};

/// The object identifier of P-256, in DER.
pub(super) const P256: &[u8] = &[0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];

/// The object identifier of P-384, in DER.
pub(super) const P384: &[u8] = &[0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22];

/// What stands before a SHA-256 digest in a PKCS #1 v1.5 signature (RFC 8017, section 9.2).
pub(super) const SHA256_DIGEST_INFO: &[u8] =
    &[0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20];

const INTEGER: u8 = 0x02;
const OCTET_STRING: u8 = 0x04;

/// A SubjectPublicKeyInfo in DER; `None` where the attributes are not those of an EC or RSA key.
pub(super) fn public_key(attributes: &[Attribute]) -> Option<Vec<u8>> {
    let octets = |pick: fn(&Attribute) -> Option<&Vec<u8>>| attributes.iter().find_map(pick);
    let curve = octets(|attribute| if let Attribute::EcParams(octets) = attribute { Some(octets) } else { None });
    let point = octets(|attribute| if let Attribute::EcPoint(octets) = attribute { Some(octets) } else { None });
    if let (Some(curve), Some(point)) = (curve, point) {
        return Some(ec(curve, bare_point(point)));
    }
    let modulus = octets(|attribute| if let Attribute::Modulus(octets) = attribute { Some(octets) } else { None })?;
    let exponent =
        octets(|attribute| if let Attribute::PublicExponent(octets) = attribute { Some(octets) } else { None })?;
    Some(rsa(modulus, exponent))
}

fn ec(curve: &[u8], point: &[u8]) -> Vec<u8> {
    const ID_EC_PUBLIC_KEY: &[u8] = &[0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
    let algorithm = der::value(SEQUENCE, &[ID_EC_PUBLIC_KEY, curve]);
    der::value(SEQUENCE, &[&algorithm, &der::value(BIT_STRING, &[&[0], point])])
}

fn rsa(modulus: &[u8], exponent: &[u8]) -> Vec<u8> {
    const RSA_ENCRYPTION: &[u8] =
        &[0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];
    let key = der::value(SEQUENCE, &[&integer(modulus), &integer(exponent)]);
    der::value(SEQUENCE, &[RSA_ENCRYPTION, &der::value(BIT_STRING, &[&[0], &key])])
}

/// CKA_EC_POINT is an OCTET STRING in DER, and in some tokens the point as it is.
fn bare_point(octets: &[u8]) -> &[u8] {
    match der::split_first(octets) {
        Some(value) if octets.first() == Some(&OCTET_STRING) && matches!(value.content.len(), 65 | 97) => value.content,
        _ => octets,
    }
}

/// An unsigned number as an INTEGER.
fn integer(octets: &[u8]) -> Vec<u8> {
    let first = octets.iter().position(|octet| *octet != 0).unwrap_or(octets.len().saturating_sub(1));
    let octets = &octets[first..];
    let sign: &[u8] = if octets.first().is_none_or(|octet| octet & 0x80 != 0) { &[0] } else { &[] };
    der::value(INTEGER, &[sign, octets])
}

/// An ECDSA-Sig-Value (RFC 3279, section 2.2.3) of the two numbers that PKCS#11 puts side by side.
pub(super) fn ecdsa_signature(pair: &[u8]) -> Vec<u8> {
    let (r, s) = pair.split_at(pair.len() / 2);
    der::value(SEQUENCE, &[&integer(r), &integer(s)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::key::{KeyType, PrivateKey};

    #[test]
    fn numbers_are_as_short_as_can_be_and_never_negative() {
        for (octets, der) in [
            (&[0x00, 0x7f][..], &[0x02, 0x01, 0x7f][..]),
            (&[0x80], &[0x02, 0x02, 0x00, 0x80]),
            (&[0, 0, 0], &[0x02, 0x01, 0x00]),
            (&[], &[0x02, 0x01, 0x00]),
        ] {
            assert_eq!(integer(octets), der, "{octets:?}");
        }
        assert_eq!(ecdsa_signature(&[0, 1, 0xff, 2]), [0x30, 8, 2, 1, 1, 2, 3, 0, 0xff, 2]);
    }

    #[test]
    fn public_keys_are_put_together_as_others_do() {
        let key = PrivateKey::generate(KeyType::EcdsaP256).unwrap().spki_der();
        let point = crate::ca::extension::public_key_bits(&key).unwrap().to_vec();
        for point in [point.clone(), der::value(OCTET_STRING, &[&point])] {
            let attributes = [Attribute::EcParams(P256.to_vec()), Attribute::EcPoint(point)];
            assert_eq!(public_key(&attributes), Some(key.clone()));
        }
        let key = PrivateKey::generate(KeyType::Rsa2048).unwrap().spki_der();
        let inner = der::split_first(crate::ca::extension::public_key_bits(&key).unwrap()).unwrap();
        let modulus = der::split_first(inner.content).unwrap();
        let exponent = der::split_first(modulus.rest).unwrap();
        let attributes =
            [Attribute::Modulus(modulus.content.to_vec()), Attribute::PublicExponent(exponent.content.to_vec())];
        assert_eq!(public_key(&attributes), Some(key));
        assert_eq!(public_key(&[Attribute::Modulus(vec![1])]), None);
    }
}
