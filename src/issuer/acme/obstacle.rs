//! What came in the way of a request, and what it means for an order.

use std::time::Duration;

use reqwest::StatusCode;

use super::client::account_trouble;
use super::problem::{Problem, clean};
use crate::issuer::IssuerError;

/// Why a request brought nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum Obstacle {
    /// No answer.
    #[error("{0}")]
    Unreachable(String),
    /// An answer that cannot be used.
    #[error("{0}")]
    Unfit(String),
    /// A refusal.
    #[error("{0}")]
    Refused(Refusal),
}

/// An answer that says no.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.words())]
pub(super) struct Refusal {
    /// The HTTP status.
    pub(super) status: StatusCode,
    /// The CA's words, where it gave any.
    pub(super) problem: Option<Problem>,
    /// When to come back, where it said.
    pub(super) retry_after: Option<Duration>,
}

/// What the operator is to do about an account's trouble, by its type.
const ADVICE: [(&str, &str); 5] = [
    (
        "userActionRequired",
        "the CA wants you to act before it goes on, as when its terms have changed: follow its link",
    ),
    (
        "externalAccountRequired",
        "the CA serves its customers only: set `eab` to the key identifier and key that it gave you",
    ),
    ("invalidContact", "the CA does not take its `contact`: correct it"),
    ("unsupportedContact", "the CA does not take this kind of `contact`: write an address that it takes"),
    ("invalidProfile", "the CA does not take the `profile`: name another"),
];

impl Refusal {
    fn is(&self, kind: &str) -> bool {
        self.problem.as_ref().is_some_and(|problem| problem.is(kind))
    }

    fn words(&self) -> String {
        match &self.problem {
            Some(problem) => problem.to_string(),
            None => format!("HTTP {} without a word of explanation", self.status),
        }
    }

    fn into_error(self, account: &str) -> IssuerError {
        let detail = self.words();
        let busy = self.status == StatusCode::SERVICE_UNAVAILABLE && self.retry_after.is_some();
        if self.is("rateLimited") || self.status == StatusCode::TOO_MANY_REQUESTS || busy || self.is_pause() {
            return IssuerError::RateLimited { retry_after: self.retry_after, detail };
        }
        if self.status.is_server_error() || self.is("serverInternal") || self.is("badNonce") {
            return IssuerError::Unreachable { detail };
        }
        if self.is("accountDoesNotExist") {
            return account_is_gone(account, &detail);
        }
        match ADVICE.iter().find(|(kind, _)| self.is(kind)) {
            Some((_, advice)) => account_trouble(format!("account `{account}`: {advice}: {detail}")),
            None => IssuerError::Refused { detail },
        }
    }

    /// A pause that lasts until somebody follows the link in the CA's words.
    fn is_pause(&self) -> bool {
        let refused = self.status == StatusCode::FORBIDDEN || self.status == StatusCode::TOO_MANY_REQUESTS;
        refused && self.problem.as_ref().is_some_and(Problem::tells_of_a_pause)
    }
}

impl Obstacle {
    /// It is a refusal of this type, given without ACME's prefix.
    pub(super) fn is(&self, kind: &str) -> bool {
        matches!(self, Self::Refused(refusal) if refusal.is(kind))
    }

    /// It is a refusal of a request, rather than an excuse for not answering it now.
    pub(super) fn is_final(&self) -> bool {
        matches!(self, Self::Refused(refusal) if refusal.status.is_client_error()
            && refusal.status != StatusCode::TOO_MANY_REQUESTS
            && !["rateLimited", "serverInternal", "badNonce"].into_iter().any(|kind| refusal.is(kind)))
    }

    /// The CA says that it stumbled over this very request, rather than that it is down or busy.
    pub(super) fn is_own_fault(&self) -> bool {
        let internal = |refusal: &Refusal| refusal.status == StatusCode::INTERNAL_SERVER_ERROR;
        matches!(self, Self::Refused(refusal) if internal(refusal)) && self.is("serverInternal")
    }

    /// The account or a name is paused: neither a verdict on the order nor on the account.
    pub(super) fn is_pause(&self) -> bool {
        matches!(self, Self::Refused(refusal) if refusal.is_pause())
    }

    /// There is nothing at this URL.
    pub(super) fn is_missing(&self) -> bool {
        matches!(self, Self::Refused(refusal) if refusal.status == StatusCode::NOT_FOUND)
    }

    /// The CA knows no such thing, or has none for this account.
    pub(super) fn is_not_found(&self) -> bool {
        let status = match self {
            Self::Refused(refusal) => refusal.status,
            _ => return false,
        };
        status == StatusCode::NOT_FOUND || status == StatusCode::GONE || self.is("malformed")
    }

    /// It may be about the account rather than the order.
    pub(super) fn is_about_access(&self) -> bool {
        let forbidden = [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN];
        let unexplained =
            matches!(self, Self::Refused(refusal) if refusal.problem.is_none() && forbidden.contains(&refusal.status));
        !self.is_pause() && (unexplained || self.is("unauthorized") || self.is("accountDoesNotExist"))
    }

    /// What the caller of the issuer does next; a refusal ends the order.
    pub(super) fn into_error(self, account: &str) -> IssuerError {
        match self {
            Self::Unreachable(detail) | Self::Unfit(detail) => IssuerError::Unreachable { detail },
            Self::Refused(refusal) => refusal.into_error(account),
        }
    }
}

/// The CA has the account no longer: never a new one in silence, since CAA records and bindings may name the old.
pub(super) fn account_is_gone(account: &str, detail: &str) -> IssuerError {
    let what = format!(
        "the CA no longer serves the account `{account}`: {detail}; renewd registers no other one by itself, since CAA \
         records may name it: have the CA revive it, or rename `[account.{account}]` to have a new one registered"
    );
    account_trouble(what)
}

/// The CA did not like the nonce: the same request may succeed with another.
pub(super) fn is_bad_nonce(error: &instant_acme::Error) -> bool {
    matches!(error, instant_acme::Error::Api(problem) if Problem::from(problem).is("badNonce"))
}

impl From<instant_acme::Error> for Obstacle {
    fn from(error: instant_acme::Error) -> Self {
        match error {
            instant_acme::Error::Api(problem) => Self::Refused(Refusal {
                status: problem
                    .status
                    .and_then(|code| StatusCode::from_u16(code).ok())
                    .unwrap_or(StatusCode::BAD_REQUEST),
                problem: Some(Problem::from(&problem)),
                retry_after: None,
            }),
            instant_acme::Error::Other(other) => match other.downcast::<Self>() {
                Ok(obstacle) => *obstacle,
                Err(other) => Self::Unfit(clean(&other.to_string())),
            },
            instant_acme::Error::Json(error) => {
                Self::Unfit(clean(&format!("the CA answered something that is not ACME: {error}")))
            }
            other => Self::Unfit(clean(&other.to_string())),
        }
    }
}

/// How often a request is made anew because of its nonce; instant-acme makes three tries of each.
pub(super) const NONCE_TRIES: usize = 40;

/// Calls instant-acme until the CA likes the nonce, `NONCE_TRIES` times at the most, or that times `$times`.
macro_rules! patiently {
    ($call:expr) => {
        patiently!($call, 1)
    };
    ($call:expr, $times:expr) => {{
        let mut tries = $crate::issuer::acme::obstacle::NONCE_TRIES * std::cmp::max(1, $times);
        loop {
            match $call.await {
                Err(error) if tries > 1 && $crate::issuer::acme::obstacle::is_bad_nonce(&error) => tries -= 1,
                done => break done.map_err($crate::issuer::acme::obstacle::Obstacle::from),
            }
        }
    }};
}
pub(super) use patiently;

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16, body: &str, retry_after: Option<u64>) -> IssuerError {
        let refusal = Refusal {
            status: StatusCode::from_u16(status).unwrap(),
            problem: Problem::parse(body.as_bytes()),
            retry_after: retry_after.map(Duration::from_secs),
        };
        Obstacle::Refused(refusal).into_error("main")
    }

    fn of(kind: &str) -> String {
        format!(r#"{{"type": "urn:ietf:params:acme:error:{kind}", "detail": "no"}}"#)
    }

    #[test]
    fn refusals_are_sorted_by_what_to_do_next() {
        use IssuerError as E;
        assert!(matches!(refused(429, &of("rateLimited"), Some(7)), E::RateLimited { retry_after: Some(_), .. }));
        assert!(matches!(refused(429, "<html>", None), E::RateLimited { retry_after: None, .. }));
        assert!(matches!(refused(503, "<html>", Some(7)), E::RateLimited { retry_after: Some(_), .. }));
        assert!(matches!(refused(503, "<html>", None), E::Unreachable { .. }));
        assert!(matches!(refused(500, &of("serverInternal"), Some(7)), E::Unreachable { .. }));
        assert!(matches!(refused(503, &of("rateLimited"), Some(7)), E::RateLimited { retry_after: Some(_), .. }));
        assert!(matches!(refused(400, &of("accountDoesNotExist"), None), E::Account { .. }));
        for (kind, _) in ADVICE {
            let error = refused(403, &of(kind), None);
            assert!(matches!(&error, E::Account { what } if what.contains("`main`") && what.contains(kind)), "{error}");
        }
        assert!(matches!(refused(403, &of("caa"), None), E::Refused { .. }));
        assert_eq!(
            refused(502, "<html>", None).to_string(),
            "the CA could not be reached: HTTP 502 Bad Gateway without a word of explanation"
        );
    }

    #[test]
    fn a_pause_shows_its_link_and_a_change_of_terms_where_to_read_them() {
        let link = format!("https://portal.example/unpause?jwt={}", "x".repeat(1500));
        for (status, kind) in [(429, "rateLimited"), (403, "rateLimited"), (403, "unauthorized")] {
            let detail = format!("Your account is temporarily prevented from requesting certificates. Visit {link}");
            let body = format!(r#"{{"type": "urn:ietf:params:acme:error:{kind}", "detail": "{detail}"}}"#);
            let error = refused(status, &body, None);
            assert!(matches!(&error, IssuerError::RateLimited { .. }), "{error}");
            assert!(error.to_string().contains(&link), "{error}");
        }
        let body = r#"{"type": "urn:ietf:params:acme:error:userActionRequired", "detail": "Terms have changed",
            "instance": "https://ca.example/terms/7"}"#;
        assert!(refused(403, body, None).to_string().ends_with("Terms have changed (see https://ca.example/terms/7)"));
    }

    #[test]
    fn an_obstacle_comes_through_instant_acme_as_it_was() {
        let error = instant_acme::Error::Other(Box::new(Obstacle::Unreachable("no route".to_owned())));
        assert!(matches!(Obstacle::from(error), Obstacle::Unreachable(words) if words == "no route"));
    }
}
