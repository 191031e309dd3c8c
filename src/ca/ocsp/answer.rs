//! An answer, ready to be sent, with what HTTP caches are told of it (RFC 5019, section 6.2).

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::SHA256_OUTPUT_LEN;
use bytes::Bytes;

use super::cert_id::HashAlgorithm;
use super::response::ErrorStatus;
use crate::ca::index::Status;
use crate::clock::Timestamp;

/// As long as an HTTP date is, in octets.
const HTTP_DATE: usize = 29;

/// An OCSPResponse on its way to whoever asked.
#[derive(Debug, Clone)]
pub enum Answer {
    /// Says how one certificate stands, to everybody who asks for a while.
    Kept(Arc<Kept>),
    /// Made for this request alone: not to be stored.
    Fresh {
        /// The OCSPResponse in DER.
        der: Bytes,
        /// What it says.
        said: Said,
    },
}

/// What an answer says, as metrics count it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Said {
    /// The certificate is good.
    Good,
    /// The certificate is revoked or on hold.
    Revoked,
    /// We never issued it.
    Unknown,
    /// Nothing of any certificate.
    Error(ErrorStatus),
}

impl Said {
    /// Everything that can be said.
    pub const ALL: [Self; 7] = [
        Self::Good,
        Self::Revoked,
        Self::Unknown,
        Self::Error(ErrorStatus::MalformedRequest),
        Self::Error(ErrorStatus::InternalError),
        Self::Error(ErrorStatus::TryLater),
        Self::Error(ErrorStatus::Unauthorized),
    ];

    /// As metrics say it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Revoked => "revoked",
            Self::Unknown => "unknown",
            Self::Error(status) => status.as_str(),
        }
    }

    /// Its place in `ALL`.
    #[must_use]
    pub const fn place(self) -> usize {
        match self {
            Self::Good => 0,
            Self::Revoked => 1,
            Self::Unknown => 2,
            Self::Error(ErrorStatus::MalformedRequest) => 3,
            Self::Error(ErrorStatus::InternalError) => 4,
            Self::Error(ErrorStatus::TryLater) => 5,
            Self::Error(ErrorStatus::Unauthorized) => 6,
        }
    }
}

impl From<Option<Status>> for Said {
    fn from(status: Option<Status>) -> Self {
        match status {
            Some(Status::Good) => Self::Good,
            Some(Status::Revoked { .. }) => Self::Revoked,
            None => Self::Unknown,
        }
    }
}

impl Answer {
    /// An answer that is not signed.
    #[must_use]
    pub const fn error(status: ErrorStatus) -> Self {
        Self::Fresh { der: Bytes::from_static(status.der()), said: Said::Error(status) }
    }

    /// The OCSPResponse in DER.
    #[must_use]
    pub fn der(&self) -> &Bytes {
        match self {
            Self::Kept(kept) => &kept.der,
            Self::Fresh { der, .. } => der,
        }
    }

    /// What it says; of several certificates, what it says of the first.
    #[must_use]
    pub fn said(&self) -> Said {
        match self {
            Self::Kept(kept) => Some(kept.status).into(),
            Self::Fresh { said, .. } => *said,
        }
    }
}

/// An answer without a nonce about one certificate that we issued.
///
/// Hundreds of thousands of them are made and dropped: all but the octets of the answer stands in one place.
#[derive(Debug)]
pub struct Kept {
    /// The OCSPResponse in DER.
    pub der: Bytes,
    /// What it says.
    pub status: Status,
    /// Its thisUpdate.
    pub this_update: Timestamp,
    /// Its nextUpdate.
    pub next_update: Timestamp,
    /// A strong validator, as an HTTP header says it: SHA-256 in hex and in quotes.
    pub etag: [u8; 2 + 2 * SHA256_OUTPUT_LEN],
    /// thisUpdate as an HTTP date.
    pub last_modified: [u8; HTTP_DATE],
    /// nextUpdate as an HTTP date.
    pub expires: [u8; HTTP_DATE],
}

impl Kept {
    /// An answer, and what is told of it.
    #[must_use]
    pub fn new(der: Vec<u8>, status: Status, this_update: Timestamp, next_update: Timestamp) -> Self {
        let (last_modified, expires) = (http_date(this_update), http_date(next_update));
        Self { etag: etag(&der), der: Bytes::from(der), status, this_update, next_update, last_modified, expires }
    }

    /// It is still young enough to be given out: less than half of its time is over.
    #[must_use]
    pub fn is_fresh(&self, now: Timestamp) -> bool {
        let half = self.this_update.plus(self.next_update.since(self.this_update) / 2);
        self.this_update <= now && now < half
    }

    /// For so long from now on it may be stored.
    #[must_use]
    pub fn max_age(&self, now: Timestamp) -> Duration {
        self.next_update.since(now)
    }

    /// About as many octets as keeping it takes.
    #[must_use]
    pub fn weight(&self) -> usize {
        self.der.len() + size_of::<Self>()
    }
}

fn http_date(at: Timestamp) -> [u8; HTTP_DATE] {
    at.to_http_date().as_bytes().try_into().expect("all dates are as long")
}

fn etag(der: &[u8]) -> [u8; 2 + 2 * SHA256_OUTPUT_LEN] {
    let mut etag = [b'"'; 2 + 2 * SHA256_OUTPUT_LEN];
    let digits = &mut etag[1..=2 * SHA256_OUTPUT_LEN];
    hex::encode_to_slice(HashAlgorithm::Sha256.hash(der), digits).expect("there is a place for each digit");
    etag
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(784_111_777 + seconds)
    }

    #[test]
    fn an_answer_is_given_out_for_half_of_its_time() {
        let kept = Kept::new(b"der".to_vec(), Status::Good, at(0), at(100));
        for (seconds, fresh) in [(-1, false), (0, true), (49, true), (50, false), (100, false)] {
            assert_eq!(kept.is_fresh(at(seconds)), fresh, "{seconds}");
        }
        assert_eq!(kept.max_age(at(10)), Duration::from_secs(90));
    }

    #[test]
    fn caches_are_told_what_rfc_5019_wants() {
        let kept = Kept::new(b"der".to_vec(), Status::Good, at(0), at(60));
        assert_eq!(kept.der, b"der".as_slice());
        assert_eq!(&kept.last_modified, b"Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(&kept.expires, b"Sun, 06 Nov 1994 08:50:37 GMT");
        assert!(kept.etag.starts_with(b"\"c0ffee") || kept.etag[0] == b'"' && kept.etag[65] == b'"');
        assert_ne!(kept.etag, Kept::new(b"DER".to_vec(), Status::Good, at(0), at(60)).etag);
    }

    #[test]
    fn everything_said_has_its_place() {
        assert!(Said::ALL.iter().enumerate().all(|(place, said)| said.place() == place));
    }
}
