//! Private keys: made, read and written as PKCS#8.

use std::fmt;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, ECDSA_P521_SHA512_ASN1_SIGNING, EcdsaKeyPair,
    EcdsaSigningAlgorithm, Ed25519KeyPair, RsaKeyPair,
};
use rcgen::{KeyPair, PublicKeyData as _, RsaKeySize};
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject as _;
use zeroize::{Zeroize as _, Zeroizing};

use super::pem::{self, Label};

/// Why there is no key. It never shows a part of one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not a key, or damaged, or of an algorithm that we do not know, or too weak (RSA below 2048 bits).
    #[error("not a private key of a kind that can be used: RSA from 2048 bits, ECDSA P-256, P-384 or P-521, Ed25519")]
    Unreadable,
    /// A key under a passphrase.
    #[error("the private key is encrypted: decrypt it first, for instance with `openssl pkey`")]
    Encrypted,
    /// The machine could not make a key.
    #[error("making a private key (`{0}`) failed")]
    Generation(&'static str),
}

/// The algorithm of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum KeyType {
    /// `ecdsa-p256`.
    #[default]
    EcdsaP256,
    /// `ecdsa-p384`.
    EcdsaP384,
    /// `rsa-2048`.
    Rsa2048,
    /// `rsa-3072`.
    Rsa3072,
    /// `rsa-4096`.
    Rsa4096,
    /// `ed25519`: private CAs only.
    Ed25519,
}

impl KeyType {
    /// Every algorithm, in the order in which people are told of them.
    pub const ALL: [Self; 6] =
        [Self::EcdsaP256, Self::EcdsaP384, Self::Rsa2048, Self::Rsa3072, Self::Rsa4096, Self::Ed25519];

    /// As the config writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::EcdsaP256 => "ecdsa-p256",
            Self::EcdsaP384 => "ecdsa-p384",
            Self::Rsa2048 => "rsa-2048",
            Self::Rsa3072 => "rsa-3072",
            Self::Rsa4096 => "rsa-4096",
            Self::Ed25519 => "ed25519",
        }
    }

    /// From the config's word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|key| key.as_str() == word)
    }

    const fn rsa(bits: usize) -> Option<Self> {
        match bits {
            2048 => Some(Self::Rsa2048),
            3072 => Some(Self::Rsa3072),
            4096 => Some(Self::Rsa4096),
            _ => None,
        }
    }
}

/// A private key. `Debug` shows its type only; its own copies of the secret are wiped when it is dropped.
pub struct PrivateKey {
    pair: KeyPair,
    key_type: Option<KeyType>,
}

impl PrivateKey {
    /// Makes a new key.
    ///
    /// # Errors
    /// `KeyError::Generation`.
    pub fn generate(key_type: KeyType) -> Result<Self, KeyError> {
        let rsa = |size| KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, size);
        let made = match key_type {
            KeyType::EcdsaP256 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256),
            KeyType::EcdsaP384 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384),
            KeyType::Rsa2048 => rsa(RsaKeySize::_2048),
            KeyType::Rsa3072 => rsa(RsaKeySize::_3072),
            KeyType::Rsa4096 => rsa(RsaKeySize::_4096),
            KeyType::Ed25519 => KeyPair::generate_for(&rcgen::PKCS_ED25519),
        };
        let mut made = made.map_err(|_| KeyError::Generation(key_type.as_str()))?;
        let key = Self::from_der(made.serialized_der());
        made.zeroize();
        key
    }

    /// Reads an unencrypted PKCS#8 key (RFC 5958), version 1 or 2.
    ///
    /// # Errors
    /// `KeyError::Unreadable`.
    pub fn from_pkcs8_der(der: &[u8]) -> Result<Self, KeyError> {
        Self::from_der(der)
    }

    /// Reads the first private key of a PEM text: PKCS#8, SEC1 (`EC PRIVATE KEY`) or PKCS#1 (`RSA PRIVATE KEY`).
    ///
    /// # Errors
    /// `KeyError::Encrypted` or `KeyError::Unreadable`.
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        if text.contains("-----BEGIN ENCRYPTED PRIVATE KEY-----") || text.contains("Proc-Type: 4,ENCRYPTED") {
            return Err(KeyError::Encrypted);
        }
        let mut der = PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|_| KeyError::Unreadable)?;
        let key = Self::from_der(der.secret_der());
        der.zeroize();
        key
    }

    fn from_der(der: &[u8]) -> Result<Self, KeyError> {
        let (pkcs8, key_type) = normalise(der).ok_or(KeyError::Unreadable)?;
        let pair = KeyPair::try_from(pkcs8.as_slice()).map_err(|_| KeyError::Unreadable)?;
        Ok(Self { pair, key_type })
    }

    /// As PKCS#8, version 1.
    #[must_use]
    pub fn to_pkcs8_der(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(self.pair.serialized_der().to_vec())
    }

    /// As PKCS#8 in PEM.
    #[must_use]
    pub fn to_pkcs8_pem(&self) -> Zeroizing<String> {
        pem::encode_secret(Label::PrivateKey, self.pair.serialized_der())
    }

    /// The algorithm, where it is one that the config can ask for.
    #[must_use]
    pub const fn key_type(&self) -> Option<KeyType> {
        self.key_type
    }

    /// The public key as a SubjectPublicKeyInfo (RFC 5280, section 4.1) in DER.
    #[must_use]
    pub fn spki_der(&self) -> Vec<u8> {
        self.pair.subject_public_key_info()
    }

    /// What signs requests and certificates.
    #[must_use]
    pub const fn signing_key(&self) -> &KeyPair {
        &self.pair
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "PrivateKey({})", self.key_type.map_or("other", KeyType::as_str))
    }
}

impl Drop for PrivateKey {
    fn drop(&mut self) {
        self.pair.zeroize();
    }
}

/// Any key as PKCS#8 version 1: OpenSSL 3.0 reads no version 2, which is what most makers of Ed25519 keys write.
fn normalise(der: &[u8]) -> Option<(Zeroizing<Vec<u8>>, Option<KeyType>)> {
    ecdsa(&ECDSA_P256_SHA256_ASN1_SIGNING, der, Some(KeyType::EcdsaP256))
        .or_else(|| ecdsa(&ECDSA_P384_SHA384_ASN1_SIGNING, der, Some(KeyType::EcdsaP384)))
        .or_else(|| ecdsa(&ECDSA_P521_SHA512_ASN1_SIGNING, der, None))
        .or_else(|| ed25519(der))
        .or_else(|| rsa(der))
}

fn ecdsa(
    algorithm: &'static EcdsaSigningAlgorithm,
    der: &[u8],
    key_type: Option<KeyType>,
) -> Option<(Zeroizing<Vec<u8>>, Option<KeyType>)> {
    let pair = EcdsaKeyPair::from_private_key_der(algorithm, der).ok()?;
    let pkcs8 = pair.to_pkcs8v1().ok()?;
    Some((Zeroizing::new(pkcs8.as_ref().to_vec()), key_type))
}

fn ed25519(der: &[u8]) -> Option<(Zeroizing<Vec<u8>>, Option<KeyType>)> {
    let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).ok()?;
    let pkcs8 = pair.to_pkcs8v1().ok()?;
    Some((Zeroizing::new(pkcs8.as_ref().to_vec()), Some(KeyType::Ed25519)))
}

fn rsa(der: &[u8]) -> Option<(Zeroizing<Vec<u8>>, Option<KeyType>)> {
    let pair = RsaKeyPair::from_pkcs8(der).or_else(|_| RsaKeyPair::from_der(der)).ok()?;
    let pkcs8: Pkcs8V1Der<'static> = pair.as_der().ok()?;
    Some((Zeroizing::new(pkcs8.as_ref().to_vec()), KeyType::rsa(pair.public_modulus_len() * 8)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::testing::{openssl, openssl_text};

    #[test]
    fn every_kind_of_key_is_read_by_openssl_and_read_back() {
        for key_type in KeyType::ALL {
            let key = PrivateKey::generate(key_type).unwrap();
            assert_eq!(key.key_type(), Some(key_type));
            let public = openssl(&["pkey", "-pubout", "-outform", "DER"], key.to_pkcs8_pem().as_bytes());
            assert_eq!(public, key.spki_der(), "{key_type:?}");
            let again = PrivateKey::from_pem(&key.to_pkcs8_pem()).unwrap();
            assert_eq!(again.to_pkcs8_der(), key.to_pkcs8_der());
            let again = PrivateKey::from_pkcs8_der(&key.to_pkcs8_der()).unwrap();
            assert_eq!(again.spki_der(), key.spki_der());
        }
    }

    #[test]
    fn keys_that_openssl_makes_are_read() {
        for (arguments, key_type) in [
            (&["genpkey", "-algorithm", "ed25519"][..], Some(KeyType::Ed25519)),
            (&["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"], Some(KeyType::EcdsaP384)),
            (&["ecparam", "-name", "prime256v1", "-genkey"], Some(KeyType::EcdsaP256)),
            (&["ecparam", "-name", "secp521r1", "-genkey", "-noout"], None),
            (&["genrsa", "-traditional", "2048"], Some(KeyType::Rsa2048)),
            (&["genrsa", "2560"], None),
        ] {
            let text = openssl_text(arguments, b"");
            let key = PrivateKey::from_pem(&text).unwrap();
            assert_eq!(key.key_type(), key_type, "{arguments:?}");
            assert!(key.to_pkcs8_pem().starts_with("-----BEGIN PRIVATE KEY-----\n"));
            assert_eq!(openssl(&["pkey", "-pubout", "-outform", "DER"], text.as_bytes()), key.spki_der());
        }
    }

    #[test]
    fn encrypted_weak_and_damaged_keys_are_refused() {
        let key = PrivateKey::generate(KeyType::EcdsaP256).unwrap();
        let encrypted = openssl_text(&["pkey", "-aes256", "-passout", "pass:x"], key.to_pkcs8_pem().as_bytes());
        assert_eq!(PrivateKey::from_pem(&encrypted).unwrap_err(), KeyError::Encrypted);
        let weak = openssl_text(&["genrsa", "1024"], b"");
        assert_eq!(PrivateKey::from_pem(&weak).unwrap_err(), KeyError::Unreadable);
        assert_eq!(PrivateKey::from_pem("").unwrap_err(), KeyError::Unreadable);
        let der = key.to_pkcs8_der();
        assert_eq!(PrivateKey::from_pkcs8_der(&der[..der.len() - 1]).unwrap_err(), KeyError::Unreadable);
    }

    #[test]
    fn debug_shows_no_secret() {
        let key = PrivateKey::generate(KeyType::EcdsaP256).unwrap();
        assert_eq!(format!("{key:?}"), "PrivateKey(ecdsa-p256)");
    }

    #[test]
    fn words_of_the_config_are_read_back() {
        assert!(KeyType::ALL.into_iter().all(|key_type| KeyType::parse(key_type.as_str()) == Some(key_type)));
        assert_eq!(KeyType::parse("dsa"), None);
    }
}
