//! What signs: the key of a CA or of a responder.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::digest;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, ECDSA_P521_SHA512_ASN1_SIGNING, EcdsaKeyPair,
    EcdsaSigningAlgorithm, Ed25519KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
};

use super::CaError;
use super::token::{TokenError, TokenKey};
use crate::config::ca::Token;
use crate::pki::key::{KeyType, PrivateKey};

/// How a key signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// ECDSA on P-256 with SHA-256 (RFC 5758, section 3.2).
    EcdsaSha256,
    /// ECDSA on P-384 with SHA-384.
    EcdsaSha384,
    /// ECDSA on P-521 with SHA-512: imported CAs only.
    EcdsaSha512,
    /// RSA, PKCS #1 v1.5, with SHA-256 (RFC 4055, section 5).
    RsaSha256,
    /// Ed25519 (RFC 8410).
    Ed25519,
}

impl Algorithm {
    /// The AlgorithmIdentifier (RFC 5280, section 4.1.1.2) of its signatures, in DER.
    #[must_use]
    pub const fn identifier_der(self) -> &'static [u8] {
        match self {
            Self::EcdsaSha256 => &[0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02],
            Self::EcdsaSha384 => &[0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x03],
            Self::EcdsaSha512 => &[0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x04],
            Self::RsaSha256 => {
                &[0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b, 0x05, 0x00]
            }
            Self::Ed25519 => &[0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70],
        }
    }

    /// In words: `ECDSA-SHA256`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::EcdsaSha256 => "ECDSA-SHA256",
            Self::EcdsaSha384 => "ECDSA-SHA384",
            Self::EcdsaSha512 => "ECDSA-SHA512",
            Self::RsaSha256 => "RSA-SHA256",
            Self::Ed25519 => "Ed25519",
        }
    }

    /// What is digested before it is signed; `None`: the message itself is signed.
    #[must_use]
    pub fn digest(self) -> Option<&'static digest::Algorithm> {
        match self {
            Self::EcdsaSha256 | Self::RsaSha256 => Some(&digest::SHA256),
            Self::EcdsaSha384 => Some(&digest::SHA384),
            Self::EcdsaSha512 => Some(&digest::SHA512),
            Self::Ed25519 => None,
        }
    }

    /// From an object identifier in a SubjectPublicKeyInfo, and the curve's, where it has one.
    fn of_public_key(algorithm: &str, curve: Option<&str>) -> Option<Self> {
        match (algorithm, curve) {
            ("1.2.840.10045.2.1", Some("1.2.840.10045.3.1.7")) => Some(Self::EcdsaSha256),
            ("1.2.840.10045.2.1", Some("1.3.132.0.34")) => Some(Self::EcdsaSha384),
            ("1.2.840.10045.2.1", Some("1.3.132.0.35")) => Some(Self::EcdsaSha512),
            ("1.2.840.113549.1.1.1", _) => Some(Self::RsaSha256),
            ("1.3.101.112", _) => Some(Self::Ed25519),
            _ => None,
        }
    }

    /// How the key of this SubjectPublicKeyInfo (DER) signs; `None`: not at all, or in a way that we do not know.
    #[must_use]
    pub fn of(spki_der: &[u8]) -> Option<Self> {
        use x509_parser::prelude::FromDer as _;
        let (_, spki) = x509_parser::x509::SubjectPublicKeyInfo::from_der(spki_der).ok()?;
        let curve = spki.algorithm.parameters.as_ref().and_then(|any| any.as_oid().ok()).map(|oid| oid.to_id_string());
        Self::of_public_key(&spki.algorithm.algorithm.to_id_string(), curve.as_deref())
    }
}

/// Signs for a CA or a responder. Cloning shares the key; `Debug` shows its algorithm only.
#[derive(Clone)]
pub struct Signer(Arc<Inner>);

struct Inner {
    algorithm: Algorithm,
    spki_der: Vec<u8>,
    key: Key,
}

enum Key {
    Ecdsa(EcdsaKeyPair),
    Rsa(RsaKeyPair),
    Ed25519(Ed25519KeyPair),
    Token(TokenKey),
}

impl Signer {
    /// Makes a key in a token. It blocks.
    pub(super) fn generate_in(token: &Token, key_type: KeyType, label: &str) -> Result<Self, TokenError> {
        Ok(Self::of_token(TokenKey::generate(token, key_type, label)?))
    }

    /// The key in a token that a URI (RFC 7512) names, reached as the config says where that tells of the token. It
    /// blocks.
    pub(super) fn open_in(uri: &str, configured: Option<&Token>) -> Result<Self, TokenError> {
        Ok(Self::of_token(TokenKey::open(uri, configured)?))
    }

    fn of_token(key: TokenKey) -> Self {
        let (algorithm, spki_der) = (key.algorithm(), key.spki_der().to_vec());
        Self(Arc::new(Inner { algorithm, spki_der, key: Key::Token(key) }))
    }

    /// Where the key is, where it is in a token.
    #[must_use]
    pub fn token_uri(&self) -> Option<String> {
        if let Key::Token(key) = &self.0.key { Some(key.uri()) } else { None }
    }

    /// From now on the token with the key is reached as this says, where it is that token.
    pub(super) fn reach(&self, token: &Token) {
        if let Key::Token(key) = &self.0.key {
            key.reach(token);
        }
    }

    /// The key is in a token that failed when it was used last.
    #[must_use]
    pub fn is_failing(&self) -> bool {
        matches!(&self.0.key, Key::Token(key) if key.is_failing())
    }

    /// Signing takes long: it is done off the threads that serve everybody.
    #[must_use]
    pub fn is_slow(&self) -> bool {
        matches!(self.0.key, Key::Rsa(_) | Key::Token(_))
    }

    /// Signs a message, off the threads that serve everybody where that takes long: with RSA, or in a token.
    ///
    /// # Errors
    /// Where the key fails.
    pub async fn sign_aside(&self, message: &[u8]) -> Result<Vec<u8>, CaError> {
        if !self.is_slow() {
            return self.sign(message);
        }
        let (signer, message) = (self.clone(), message.to_vec());
        tokio::task::spawn_blocking(move || signer.sign(&message)).await.map_err(|_| CaError::Interrupted)?
    }

    /// From a private key in PKCS#8 DER.
    ///
    /// # Errors
    /// `CaError::Key` where it is no key of ours.
    pub fn from_pkcs8_der(der: &[u8]) -> Result<Self, CaError> {
        let private = PrivateKey::from_pkcs8_der(der)?;
        let der = private.to_pkcs8_der();
        let spki_der = private.spki_der();
        let algorithm = Algorithm::of(&spki_der).ok_or(CaError::Signing)?;
        let ecdsa = |kind: &'static EcdsaSigningAlgorithm| {
            EcdsaKeyPair::from_private_key_der(kind, &der).map(Key::Ecdsa).map_err(|_| CaError::Signing)
        };
        let key = match algorithm {
            Algorithm::EcdsaSha256 => ecdsa(&ECDSA_P256_SHA256_ASN1_SIGNING)?,
            Algorithm::EcdsaSha384 => ecdsa(&ECDSA_P384_SHA384_ASN1_SIGNING)?,
            Algorithm::EcdsaSha512 => ecdsa(&ECDSA_P521_SHA512_ASN1_SIGNING)?,
            Algorithm::RsaSha256 => Key::Rsa(RsaKeyPair::from_pkcs8(&der).map_err(|_| CaError::Signing)?),
            Algorithm::Ed25519 => {
                Key::Ed25519(Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der).map_err(|_| CaError::Signing)?)
            }
        };
        Ok(Self(Arc::new(Inner { algorithm, spki_der, key })))
    }

    /// How it signs.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.0.algorithm
    }

    /// The AlgorithmIdentifier of its signatures, in DER.
    #[must_use]
    pub fn algorithm_identifier_der(&self) -> &'static [u8] {
        self.0.algorithm.identifier_der()
    }

    /// Its public key: a SubjectPublicKeyInfo in DER.
    #[must_use]
    pub fn spki_der(&self) -> &[u8] {
        &self.0.spki_der
    }

    /// Signs a message: what stands in a BIT STRING behind the zero octet.
    ///
    /// # Errors
    /// Where the key fails.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, CaError> {
        match self.0.algorithm.digest() {
            Some(algorithm) => self.sign_digest(&digest::digest(algorithm, message)),
            None => self.sign_whole(message),
        }
    }

    /// Begins a message that is too long to be held whole.
    #[must_use]
    pub fn stream(&self) -> SigningStream {
        let message = match self.0.algorithm.digest() {
            Some(algorithm) => Message::Digest(digest::Context::new(algorithm)),
            None => Message::Whole(Vec::new()),
        };
        SigningStream { signer: self.clone(), message }
    }

    fn sign_digest(&self, digest: &digest::Digest) -> Result<Vec<u8>, CaError> {
        match &self.0.key {
            Key::Ecdsa(key) => Ok(key.sign_digest(digest).map_err(|_| CaError::Signing)?.as_ref().to_vec()),
            Key::Rsa(key) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign_digest(&RSA_PKCS1_SHA256, digest, &mut signature).map_err(|_| CaError::Signing)?;
                Ok(signature)
            }
            Key::Token(key) => Ok(key.sign_digest(digest.as_ref())?),
            Key::Ed25519(_) => Err(CaError::Signing),
        }
    }

    fn sign_whole(&self, message: &[u8]) -> Result<Vec<u8>, CaError> {
        match &self.0.key {
            Key::Ed25519(key) => Ok(key.sign(message).as_ref().to_vec()),
            Key::Ecdsa(_) | Key::Rsa(_) | Key::Token(_) => Err(CaError::Signing),
        }
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Signer({:?})", self.0.algorithm)
    }
}

/// A message on its way to its signature, piece by piece. Ed25519 cannot be streamed: there the message is kept.
pub struct SigningStream {
    signer: Signer,
    message: Message,
}

enum Message {
    Digest(digest::Context),
    Whole(Vec<u8>),
}

impl SigningStream {
    /// The next piece.
    pub fn update(&mut self, piece: &[u8]) {
        match &mut self.message {
            Message::Digest(context) => context.update(piece),
            Message::Whole(message) => message.extend_from_slice(piece),
        }
    }

    /// The signature of all pieces.
    ///
    /// # Errors
    /// Where the key fails.
    pub fn finish(self) -> Result<Vec<u8>, CaError> {
        match self.message {
            Message::Digest(context) => self.signer.sign_digest(&context.finish()),
            Message::Whole(message) => self.signer.sign_whole(&message),
        }
    }
}

impl fmt::Debug for SigningStream {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "SigningStream({:?})", self.signer)
    }
}
