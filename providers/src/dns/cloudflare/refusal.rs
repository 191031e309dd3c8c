//! Why a call to Cloudflare failed, and what the caller does next.

use cloudflare::framework::response::ApiFailure;

use super::endpoint::Complaint;
use crate::Error;
use crate::error::{chain, shorten};

/// A call that brought no result.
#[derive(Debug)]
pub(super) enum Failure {
    /// Cloudflare answered, and said no.
    Refused(Refusal),
    /// There is no answer, or none that can be read.
    Unanswered(Error),
}

/// Cloudflare's refusal.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    /// The HTTP status; 200 where only the body says no.
    pub(super) status: u16,
    /// Empty where the crate could not read a code, as with all above 65535: those about records are 81000 and up.
    pub(super) complaints: Vec<Complaint>,
}

impl Failure {
    /// The failure for the caller; `zone` is the one that was asked for.
    pub(super) fn sorted(self, zone: &str) -> Error {
        match self {
            Self::Refused(refusal) => refusal.sorted(zone),
            Self::Unanswered(error) => error,
        }
    }
}

impl From<ApiFailure> for Failure {
    fn from(failure: ApiFailure) -> Self {
        match failure {
            ApiFailure::Error(status, errors) => {
                let complaints = errors.errors.into_iter();
                let complaints = complaints.map(|error| Complaint { code: error.code.into(), message: error.message });
                Self::Refused(Refusal { status: status.as_u16(), complaints: complaints.collect() })
            }
            ApiFailure::Invalid(error) if error.is_builder() => {
                Self::Unanswered(Error::rejected(chain(&error.without_url())))
            }
            ApiFailure::Invalid(error) => Self::Unanswered(Error::unavailable(&error.without_url())),
        }
    }
}

/// Authentication: a malformed request header or token, an unknown key, an invalid token, an authentication error.
const UNAUTHORIZED: [i64; 6] = [6003, 6111, 9103, 9106, 9109, 10000];
/// The path leads nowhere, the zone's identifier is not valid.
const NO_SUCH_ZONE: [i64; 3] = [1001, 7000, 7003];

impl Refusal {
    fn sorted(self, zone: &str) -> Error {
        let detail = self.detail();
        match self.status {
            401 | 403 => Error::Unauthorized { detail },
            // The crate shows no header, so Retry-After is not known.
            429 => Error::RateLimited { retry_after: None, detail },
            500.. => Error::Unavailable { detail },
            _ if self.names(&UNAUTHORIZED) => Error::Unauthorized { detail },
            404 => Error::ZoneNotFound { zone: zone.to_owned() },
            _ if self.names(&NO_SUCH_ZONE) => Error::ZoneNotFound { zone: zone.to_owned() },
            _ => Error::Rejected { detail },
        }
    }

    /// Whether the record could be there already: Cloudflare says so with 400 and code 81057 or 81058, which the crate
    /// cannot read.
    pub(super) fn may_mean_already_there(&self) -> bool {
        self.status == 400 && !self.names(&UNAUTHORIZED) && !self.names(&NO_SUCH_ZONE)
    }

    fn names(&self, codes: &[i64]) -> bool {
        self.complaints.iter().any(|complaint| codes.contains(&complaint.code))
    }

    fn detail(&self) -> String {
        let words = self.complaints.iter().map(|complaint| format!("; code {}: {}", complaint.code, complaint.message));
        shorten(&format!("status {}{}", self.status, words.collect::<String>()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted(status: u16, code: i64) -> Error {
        let complaints = vec![Complaint { code, message: "words".to_owned() }];
        Refusal { status, complaints }.sorted("a.test")
    }

    #[test]
    fn refusals_are_sorted_by_what_comes_next() {
        let detail = |status: u16, code: i64| format!("status {status}; code {code}: words");
        for (status, code) in [(401, 1), (403, 10000), (400, 6003), (400, 9109), (200, 10000)] {
            assert_eq!(sorted(status, code), Error::Unauthorized { detail: detail(status, code) });
        }
        assert_eq!(sorted(429, 971), Error::RateLimited { retry_after: None, detail: detail(429, 971) });
        assert_eq!(sorted(502, 1), Error::Unavailable { detail: detail(502, 1) });
        for (status, code) in [(404, 1), (404, 7003), (400, 1001)] {
            assert_eq!(sorted(status, code), Error::ZoneNotFound { zone: "a.test".to_owned() });
        }
        assert_eq!(sorted(400, 1004), Error::Rejected { detail: detail(400, 1004) });
        assert_eq!(sorted(200, 1004), Error::Rejected { detail: detail(200, 1004) });
    }

    #[test]
    fn only_a_plain_400_may_mean_already_there() {
        let refusal = |status, complaints| Refusal { status, complaints };
        let token = Complaint { code: 6003, message: String::new() };
        assert!(refusal(400, vec![]).may_mean_already_there());
        assert!(!refusal(400, vec![token]).may_mean_already_there());
        assert!(!refusal(403, vec![]).may_mean_already_there());
        assert!(!refusal(500, vec![]).may_mean_already_there());
    }
}
