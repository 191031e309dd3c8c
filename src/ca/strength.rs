//! Which public keys are certified: of kinds that we know, and strong enough.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, ECDSA_P521_SHA512_ASN1, ParsedPublicKey, VerificationAlgorithm,
};
use x509_parser::prelude::FromDer as _;
use x509_parser::public_key::PublicKey;
use x509_parser::x509::SubjectPublicKeyInfo;

use super::CaError;
use super::extension::public_key_bits;
use super::key::Algorithm;
use crate::pki::der::{self, BIT_STRING, SEQUENCE};
use crate::pki::key::KeyType;

/// The shortest RSA modulus, in bits.
const SHORTEST_RSA: usize = 2048;

/// AlgorithmIdentifiers of public keys, in DER.
const P256: &[u8] =
    &[0x30, 0x13, 6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
const P384: &[u8] = &[0x30, 0x10, 6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 6, 5, 0x2b, 0x81, 4, 0, 0x22];
const P521: &[u8] = &[0x30, 0x10, 6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 6, 5, 0x2b, 0x81, 4, 0, 0x23];
const RSA: &[u8] = &[0x30, 0x0d, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1, 5, 0];
const ED25519: &[u8] = &[0x30, 5, 6, 3, 0x2b, 0x65, 0x70];

const INTEGER: u8 = 0x02;

/// The longest: verifying with longer ones costs everybody else.
const LONGEST_RSA: usize = 8192;

/// How a key signs, where it may be certified.
///
/// # Errors
/// `CaError::PublicKey` with what is wrong.
pub(super) fn check(spki_der: &[u8]) -> Result<Algorithm, CaError> {
    let refused = |reason| CaError::PublicKey { reason };
    let (rest, spki) = SubjectPublicKeyInfo::from_der(spki_der).map_err(|_| refused("it cannot be read"))?;
    if !rest.is_empty() {
        return Err(refused("something stands behind it"));
    }
    let algorithm = Algorithm::of(spki_der).ok_or_else(|| {
        refused("it is of a kind that is not certified: RSA, ECDSA P-256, P-384, P-521 or Ed25519 are")
    })?;
    if !is_canonical(algorithm, spki_der) {
        return Err(refused("it is written in another form than the one it should have (RFC 3279, 5480, 8410)"));
    }
    match spki.parsed().map_err(|_| refused("it cannot be read"))? {
        PublicKey::RSA(key) => check_rsa(key.modulus, key.exponent).map_err(refused)?,
        PublicKey::EC(point) => check_point(algorithm, point.data()).map_err(refused)?,
        _ if algorithm == Algorithm::Ed25519 && spki.subject_public_key.data.len() == 32 => {}
        _ => return Err(refused("it cannot be read")),
    }
    Ok(algorithm)
}

/// Whether nothing else stands in it than the key: it is copied as it is. DER, and the algorithm without parameters of
/// anybody's own.
fn is_canonical(algorithm: Algorithm, spki_der: &[u8]) -> bool {
    let identifier: &[u8] = match algorithm {
        Algorithm::EcdsaSha256 => P256,
        Algorithm::EcdsaSha384 => P384,
        Algorithm::EcdsaSha512 => P521,
        Algorithm::RsaSha256 => RSA,
        Algorithm::Ed25519 => ED25519,
    };
    let Some(bits) = public_key_bits(spki_der) else { return false };
    let is_key = algorithm != Algorithm::RsaSha256 || is_rsa_key(bits);
    is_key && der::value(SEQUENCE, &[identifier, &der::value(BIT_STRING, &[&[0], bits])]) == spki_der
}

/// An RSAPublicKey (RFC 8017, appendix A.1.1) in DER, of two positive numbers.
fn is_rsa_key(bits: &[u8]) -> bool {
    let numbers = der::split_first(bits).map(|key| key.content);
    let Some(modulus) = numbers.and_then(der::split_first) else { return false };
    let Some(exponent) = der::split_first(modulus.rest) else { return false };
    let short = |number: &[u8]| matches!(number, [1..=0x7f, ..] | [0, 0x80..=0xff, ..]);
    let numbers = [modulus.content, exponent.content].map(|number| der::value(INTEGER, &[number]));
    short(modulus.content) && short(exponent.content) && der::value(SEQUENCE, &[&numbers[0], &numbers[1]]) == bits
}

/// The config's word for a key; `None` where it has none.
pub(super) fn key_type(spki_der: &[u8], algorithm: Algorithm) -> Option<KeyType> {
    match algorithm {
        Algorithm::EcdsaSha256 => Some(KeyType::EcdsaP256),
        Algorithm::EcdsaSha384 => Some(KeyType::EcdsaP384),
        Algorithm::EcdsaSha512 => None,
        Algorithm::Ed25519 => Some(KeyType::Ed25519),
        Algorithm::RsaSha256 => match rsa_bits(spki_der)? {
            2048 => Some(KeyType::Rsa2048),
            3072 => Some(KeyType::Rsa3072),
            4096 => Some(KeyType::Rsa4096),
            _ => None,
        },
    }
}

fn rsa_bits(spki_der: &[u8]) -> Option<usize> {
    let (_, spki) = SubjectPublicKeyInfo::from_der(spki_der).ok()?;
    match spki.parsed().ok()? {
        PublicKey::RSA(key) => Some(bits(key.modulus)),
        _ => None,
    }
}

fn bits(integer: &[u8]) -> usize {
    let significant: &[u8] = &integer[integer.iter().take_while(|octet| **octet == 0).count()..];
    significant.first().map_or(0, |first| significant.len() * 8 - first.leading_zeros() as usize)
}

fn check_rsa(modulus: &[u8], exponent: &[u8]) -> Result<(), &'static str> {
    let bits_of_modulus = bits(modulus);
    if bits_of_modulus < SHORTEST_RSA {
        return Err("its RSA modulus is shorter than 2048 bits");
    }
    if bits_of_modulus > LONGEST_RSA {
        return Err("its RSA modulus is longer than 8192 bits");
    }
    let is_even = |integer: &[u8]| integer.last().is_none_or(|last| last & 1 == 0);
    if is_even(exponent) || bits(exponent) < 17 {
        return Err("its RSA exponent is even or below 65537");
    }
    if is_even(modulus) || has_small_factor(modulus) {
        return Err("its RSA modulus has a small factor");
    }
    if has_roca_fingerprint(modulus) {
        return Err("its RSA key was made by a device that makes weak ones (ROCA, CVE-2017-15361)");
    }
    Ok(())
}

fn has_small_factor(modulus: &[u8]) -> bool {
    const PRIMES: [u32; 20] = [3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73];
    PRIMES.iter().any(|prime| remainder(modulus, *prime) == 0)
}

/// The moduli of the flawed library are powers of 65537 modulo every one of these primes; others hardly ever.
fn has_roca_fingerprint(modulus: &[u8]) -> bool {
    const PRIMES: [u32; 38] = [
        3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103, 107,
        109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
    ];
    PRIMES.iter().all(|prime| is_power_of_65537(remainder(modulus, *prime), *prime))
}

fn is_power_of_65537(value: u32, prime: u32) -> bool {
    let generator = 65_537 % prime;
    let powers = std::iter::successors(Some(1), |power| Some(power * generator % prime));
    powers.take(prime as usize).any(|power| power == value)
}

fn remainder(integer: &[u8], divisor: u32) -> u32 {
    integer.iter().fold(0, |rest, octet| (rest * 256 + u32::from(*octet)) % divisor)
}

/// Uncompressed and on the curve: as the crypto library reads it.
fn check_point(algorithm: Algorithm, point: &[u8]) -> Result<(), &'static str> {
    let verification: &'static dyn VerificationAlgorithm = match algorithm {
        Algorithm::EcdsaSha256 => &ECDSA_P256_SHA256_ASN1,
        Algorithm::EcdsaSha384 => &ECDSA_P384_SHA384_ASN1,
        _ => &ECDSA_P521_SHA512_ASN1,
    };
    match point.first() {
        Some(4) if ParsedPublicKey::new(verification, point).is_ok() => Ok(()),
        Some(2 | 3 | 6 | 7) => Err("its point is compressed, which few read: `openssl ec -conv_form uncompressed`"),
        _ => Err("it is no point on its curve"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::key::PrivateKey;

    const E: &[u8] = &[1, 0, 1];

    fn rsa(modulus: &[u8], exponent: &[u8]) -> Vec<u8> {
        let unsigned = |octets: &[u8]| {
            let sign: &[u8] = if octets[0] & 0x80 == 0 { &[] } else { &[0] };
            der::value(INTEGER, &[sign, octets])
        };
        let key = der::value(SEQUENCE, &[&unsigned(modulus), &unsigned(exponent)]);
        spki(RSA, &key)
    }

    fn spki(algorithm: &[u8], bits: &[u8]) -> Vec<u8> {
        der::value(SEQUENCE, &[algorithm, &der::value(BIT_STRING, &[&[0], bits])])
    }

    fn generated(kind: KeyType) -> Vec<u8> {
        PrivateKey::generate(kind).unwrap().spki_der()
    }

    fn refused(spki_der: &[u8]) -> &'static str {
        match check(spki_der) {
            Err(CaError::PublicKey { reason }) => reason,
            other => panic!("{other:?}"),
        }
    }

    /// 2 to the power of `bits - 1`, and 2 to that of `bits - 2`, and this, which makes it odd or not.
    fn modulus(bits: usize, last: u8) -> Vec<u8> {
        let mut octets = vec![0; bits / 8];
        octets[0] = 0xc0;
        octets[bits / 8 - 1] = last;
        octets
    }

    /// As the flawed devices make moduli: 65537 to the power of 128 has 2049 bits.
    fn power_of_65537() -> Vec<u8> {
        let mut power = vec![1_u8];
        for _ in 0..128 {
            let shifted = [&power[..], &[0, 0]].concat();
            let short = [&[0, 0][..], &power].concat();
            let mut carry = 0;
            let mut sum: Vec<u8> = Vec::new();
            for (a, b) in shifted.iter().zip(&short).rev() {
                let both = u16::from(*a) + u16::from(*b) + carry;
                sum.push(both as u8);
                carry = both >> 8;
            }
            sum.extend((carry > 0).then_some(carry as u8));
            sum.reverse();
            power = sum;
        }
        power
    }

    #[test]
    fn every_kind_of_key_that_we_make_is_strong_enough() {
        for kind in [KeyType::EcdsaP256, KeyType::EcdsaP384, KeyType::Rsa2048, KeyType::Ed25519] {
            let spki_der = generated(kind);
            let algorithm = check(&spki_der).unwrap();
            assert_eq!(key_type(&spki_der, algorithm), Some(kind));
        }
    }

    #[test]
    fn weak_rsa_keys_are_refused() {
        // Neither 5 nor any other small prime divides it.
        let good = (1..=255).step_by(2).map(|last| modulus(2048, last)).find(|one| !has_small_factor(one)).unwrap();
        check(&rsa(&good, E)).unwrap();
        for (modulus, exponent, reason) in [
            (&good[..], &[3][..], "its RSA exponent is even or below 65537"),
            (&good, &[1, 0, 0], "its RSA exponent is even or below 65537"),
            (&good[..255], E, "its RSA modulus is shorter than 2048 bits"),
            (&modulus(8200, 1), E, "its RSA modulus is longer than 8192 bits"),
            (&modulus(2048, 2), E, "its RSA modulus has a small factor"),
            // 3 divides 0xc0, too.
            (&modulus(2048, 3), E, "its RSA modulus has a small factor"),
            (&power_of_65537(), E, "its RSA key was made by a device that makes weak ones (ROCA, CVE-2017-15361)"),
        ] {
            assert_eq!(refused(&rsa(modulus, exponent)), reason);
        }
    }

    #[test]
    fn points_off_their_curve_and_in_other_forms_are_refused() {
        for (kind, algorithm) in [(KeyType::EcdsaP256, P256), (KeyType::EcdsaP384, P384)] {
            let spki_der = generated(kind);
            let point = public_key_bits(&spki_der).unwrap();
            let mut off = point.to_vec();
            *off.last_mut().unwrap() ^= 1;
            let compressed = [&[2 | point.last().unwrap() & 1], &point[1..=point.len() / 2]].concat();
            let hybrid = [&[6 | point.last().unwrap() & 1], &point[1..]].concat();
            for (wrong, why) in [
                (&off[..], "no point on its curve"),
                (&[0], "no point on its curve"),
                (&point[..point.len() - 1], "no point on its curve"),
                (&compressed, "compressed"),
                (&hybrid, "compressed"),
            ] {
                let told = refused(&spki(algorithm, wrong));
                assert!(told.contains(why), "{}: {told}", kind.as_str());
            }
        }
    }

    #[test]
    fn nothing_else_stands_in_a_key() {
        let good = generated(KeyType::Rsa2048);
        let bits = public_key_bits(&good).unwrap();
        let no_parameters = [0x30, 0x0b, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1];
        assert!(refused(&spki(&no_parameters, bits)).starts_with("it is written in another form"));
        let padded = spki(RSA, &[bits, &[0]].concat());
        assert!(refused(&padded).starts_with("it is written in another form"));
        assert_eq!(refused(&[&good[..], &[0]].concat()), "something stands behind it");
        assert_eq!(refused(b""), "it cannot be read");
        assert_eq!(refused(&spki(ED25519, &[7; 31])), "it cannot be read");
    }
}
