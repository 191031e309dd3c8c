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
    let uncompressed = point.first() == Some(&4);
    let read = uncompressed && ParsedPublicKey::new(verification, point).is_ok();
    read.then_some(()).ok_or("it is no point on its curve")
}
