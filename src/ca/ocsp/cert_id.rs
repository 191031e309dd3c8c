//! CertID (RFC 6960, section 4.1.1): which certificate is asked about, by hashes of its issuer's name and key.

use aws_lc_rs::digest::{self, Algorithm};

use super::reader::{INTEGER, NotDer, OBJECT_IDENTIFIER, OCTET_STRING, Reader, integer};
use crate::ca::index::SerialKey;
use crate::pki::der::SEQUENCE;

/// NULL, as the parameters of an algorithm.
const NULL: &[u8] = &[0x05, 0x00];

/// The hash functions by which an issuer can be named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HashAlgorithm {
    /// SHA-1: what most clients use.
    Sha1,
    /// SHA-256: what the update of RFC 5019 prefers.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

impl HashAlgorithm {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Sha1, Self::Sha256, Self::Sha384, Self::Sha512];

    /// The content of its OBJECT IDENTIFIER.
    #[must_use]
    pub const fn oid(self) -> &'static [u8] {
        match self {
            Self::Sha1 => &[0x2b, 0x0e, 0x03, 0x02, 0x1a],
            Self::Sha256 => &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01],
            Self::Sha384 => &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02],
            Self::Sha512 => &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x03],
        }
    }

    fn from_oid(oid: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.oid() == oid)
    }

    fn digest(self) -> &'static Algorithm {
        match self {
            Self::Sha1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha256 => &digest::SHA256,
            Self::Sha384 => &digest::SHA384,
            Self::Sha512 => &digest::SHA512,
        }
    }

    /// The hash of these octets.
    #[must_use]
    pub fn hash(self, octets: &[u8]) -> digest::Digest {
        digest::digest(self.digest(), octets)
    }
}

/// A CertID as it was asked; it is repeated octet by octet in the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CertId<'a> {
    /// The whole of it in DER.
    pub der: &'a [u8],
    /// The hash function; `None`: one that we do not know, so that it can name none of our issuers.
    pub algorithm: Option<HashAlgorithm>,
    /// The algorithm came with NULL for its parameters, rather than without any.
    pub null_parameters: bool,
    /// The hash of the issuer's distinguished name.
    pub name_hash: &'a [u8],
    /// The hash of the issuer's public key, of the BIT STRING's octets alone.
    pub key_hash: &'a [u8],
    /// The content of the INTEGER.
    pub serial: &'a [u8],
}

impl<'a> CertId<'a> {
    pub(super) fn read(reader: &mut Reader<'a>) -> Result<Self, NotDer> {
        let (der, content) = reader.value(SEQUENCE)?;
        let mut fields = Reader::new(content);
        let mut algorithm = fields.enter(SEQUENCE)?;
        let oid = algorithm.content(OBJECT_IDENTIFIER)?;
        let parameters = algorithm.rest();
        let known = HashAlgorithm::from_oid(oid).filter(|_| parameters.is_empty() || parameters == NULL);
        let read = Self {
            der,
            algorithm: known,
            null_parameters: !parameters.is_empty(),
            name_hash: fields.content(OCTET_STRING)?,
            key_hash: fields.content(OCTET_STRING)?,
            serial: integer(fields.content(INTEGER)?)?,
        };
        fields.finish()?;
        Ok(read)
    }

    /// The serial as the index knows it; `None` where it is no serial that a CA gives out.
    #[must_use]
    pub fn serial_key(&self) -> Option<SerialKey> {
        SerialKey::from_integer(self.serial)
    }
}

/// An issuer as CertIDs name it.
#[derive(Debug, Clone)]
pub struct IssuerHashes([(digest::Digest, digest::Digest); 4]);

impl IssuerHashes {
    /// Of the issuer's distinguished name in DER, and the octets of its public key (the BIT STRING's).
    #[must_use]
    pub fn new(name: &[u8], key: &[u8]) -> Self {
        Self(HashAlgorithm::ALL.map(|algorithm| (algorithm.hash(name), algorithm.hash(key))))
    }

    /// Whether this issuer is meant.
    #[must_use]
    pub fn are_meant_by(&self, id: &CertId<'_>) -> bool {
        let Some(algorithm) = id.algorithm else { return false };
        let (name, key) = &self.0[algorithm as usize];
        name.as_ref() == id.name_hash && key.as_ref() == id.key_hash
    }

    /// SHA-1 of the key: what answers name their signer by (RFC 6960, section 4.2.1), where it is the signer's.
    #[must_use]
    pub fn key_sha1(&self) -> &[u8] {
        self.0[HashAlgorithm::Sha1 as usize].1.as_ref()
    }
}
