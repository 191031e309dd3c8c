//! OCSPResponse (RFC 6960, section 4.2), written.

use super::cert_id::HashAlgorithm;
use super::request::NONCE;
use crate::ca::index::Status;
use crate::clock::Timestamp;
use crate::pki::der::{BIT_STRING, SEQUENCE, context, value};

const OCTET_STRING: u8 = 0x04;
const GENERALIZED_TIME: u8 = 0x18;
const ENUMERATED: u8 = 0x0a;

/// id-pkix-ocsp-basic with its tag and length.
const BASIC: &[u8] = &[0x06, 0x09, 0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x01, 0x01];

/// `[0] IMPLICIT NULL`.
const GOOD: &[u8] = &[0x80, 0x00];

/// `[2] IMPLICIT NULL`.
const UNKNOWN: &[u8] = &[0x82, 0x00];

/// An answer that says nothing of any certificate, and is not signed (RFC 6960, section 4.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorStatus {
    /// The request cannot be understood.
    MalformedRequest,
    /// We failed.
    InternalError,
    /// We cannot answer now.
    TryLater,
    /// We do not answer for that issuer.
    Unauthorized,
}

impl ErrorStatus {
    /// The OCSPResponse in DER.
    #[must_use]
    pub const fn der(self) -> &'static [u8] {
        match self {
            Self::MalformedRequest => &[0x30, 0x03, ENUMERATED, 0x01, 1],
            Self::InternalError => &[0x30, 0x03, ENUMERATED, 0x01, 2],
            Self::TryLater => &[0x30, 0x03, ENUMERATED, 0x01, 3],
            Self::Unauthorized => &[0x30, 0x03, ENUMERATED, 0x01, 6],
        }
    }

    /// As metrics say it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MalformedRequest => "malformed_request",
            Self::InternalError => "internal_error",
            Self::TryLater => "try_later",
            Self::Unauthorized => "unauthorized",
        }
    }
}

/// What an answer says of one certificate.
#[derive(Debug, Clone, Copy)]
pub struct Single<'a> {
    /// The CertID in DER, as it was asked.
    pub id: &'a [u8],
    /// How the certificate stands; `None`: unknown, we never issued it.
    pub status: Option<Status>,
}

/// What an answer says, before it is signed.
#[derive(Debug, Clone, Copy)]
pub struct Content<'a> {
    /// SHA-1 of the responder's public key.
    pub responder_key_hash: &'a [u8],
    /// Made now; whole seconds.
    pub this_update: Timestamp,
    /// There will be news by then; whole seconds.
    pub next_update: Timestamp,
    /// One for each CertID.
    pub singles: &'a [Single<'a>],
    /// As in the request.
    pub nonce: Option<&'a [u8]>,
}

impl Content<'_> {
    /// ResponseData in DER: what is signed.
    #[must_use]
    pub fn to_be_signed(self) -> Vec<u8> {
        let key_hash = value(OCTET_STRING, &[self.responder_key_hash]);
        let by_key = value(context(2), &[&key_hash]);
        let (this_update, next_update) = (generalized_time(self.this_update), generalized_time(self.next_update));
        let next_update = value(context(0), &[&next_update]);
        let singles: Vec<_> = self.singles.iter().map(|single| single.encode(&this_update, &next_update)).collect();
        let singles: Vec<&[u8]> = singles.iter().map(Vec::as_slice).collect();
        let extensions = self.nonce.map(nonce_extension).unwrap_or_default();
        value(SEQUENCE, &[&by_key, &this_update, &value(SEQUENCE, &singles), &extensions])
    }
}

impl Single<'_> {
    fn encode(&self, this_update: &[u8], next_update: &[u8]) -> Vec<u8> {
        match self.status {
            Some(Status::Good) => value(SEQUENCE, &[self.id, GOOD, this_update, next_update]),
            None => value(SEQUENCE, &[self.id, UNKNOWN, this_update, next_update]),
            Some(Status::Revoked { at, reason }) => {
                value(SEQUENCE, &[self.id, &revoked(at, reason), this_update, next_update])
            }
        }
    }
}

/// RevokedInfo. That no reason was given is said by giving none.
fn revoked(at: Timestamp, reason: u8) -> Vec<u8> {
    let at = generalized_time(at);
    let reason = match reason {
        0 => Vec::new(),
        reason => value(context(0), &[&[ENUMERATED, 1, reason]]),
    };
    value(context(1), &[&at, &reason])
}

fn nonce_extension(nonce: &[u8]) -> Vec<u8> {
    let oid = value(0x06, &[NONCE]);
    let content = value(OCTET_STRING, &[&value(OCTET_STRING, &[nonce])]);
    value(context(1), &[&value(SEQUENCE, &[&value(SEQUENCE, &[&oid, &content])])])
}

fn generalized_time(at: Timestamp) -> [u8; 17] {
    let at = at.to_datetime();
    let mut der = *b"\x18\x0fYYYYMMDDHHMMSSZ";
    debug_assert_eq!(der[0], GENERALIZED_TIME);
    let (hour, minute, second) = at.to_hms();
    let year = u16::try_from(at.year()).unwrap_or(0);
    let parts = [(year / 100) as u8, (year % 100) as u8, at.month().into(), at.day(), hour, minute, second];
    for (place, part) in der[2..16].chunks_exact_mut(2).zip(parts) {
        place.copy_from_slice(&[b'0' + part / 10, b'0' + part % 10]);
    }
    der
}

/// The OCSPResponse in DER: what was signed, the AlgorithmIdentifier (DER) of the signature, the signature, and the
/// signer's certificate.
#[must_use]
pub fn successful(to_be_signed: &[u8], algorithm: &[u8], signature: &[u8], certificate: &[u8]) -> Vec<u8> {
    const SUCCESSFUL: &[u8] = &[ENUMERATED, 1, 0];
    const NO_UNUSED_BITS: &[u8] = &[0];
    let signature = value(BIT_STRING, &[NO_UNUSED_BITS, signature]);
    let certificates = value(context(0), &[&value(SEQUENCE, &[certificate])]);
    let basic = value(SEQUENCE, &[to_be_signed, algorithm, &signature, &certificates]);
    let bytes = value(SEQUENCE, &[BASIC, &value(OCTET_STRING, &[&basic])]);
    value(SEQUENCE, &[SUCCESSFUL, &value(context(0), &[&bytes])])
}

/// How answers name their signer: SHA-1 of its public key, the octets of the BIT STRING.
#[must_use]
pub fn responder_key_hash(key: &[u8]) -> [u8; 20] {
    let mut hash = [0; 20];
    hash.copy_from_slice(HashAlgorithm::Sha1.hash(key).as_ref());
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_to_the_second() {
        assert_eq!(&generalized_time(Timestamp::from_seconds(1_709_210_096))[2..], b"20240229123456Z");
        assert_eq!(&generalized_time(Timestamp::EPOCH), b"\x18\x0f19700101000000Z");
    }

    #[test]
    fn an_unspecified_reason_is_left_away() {
        assert_eq!(revoked(Timestamp::EPOCH, 0), [&[0xa1, 17][..], &generalized_time(Timestamp::EPOCH)].concat());
        assert!(revoked(Timestamp::EPOCH, 6).ends_with(&[0xa0, 3, 0x0a, 1, 6]));
    }

    #[test]
    fn errors_are_five_octets() {
        for (status, code) in [
            (ErrorStatus::MalformedRequest, 1),
            (ErrorStatus::InternalError, 2),
            (ErrorStatus::TryLater, 3),
            (ErrorStatus::Unauthorized, 6),
        ] {
            assert_eq!(status.der(), [0x30, 3, 0x0a, 1, code]);
        }
    }
}
