//! Sinks: where people are told what happened.

use std::fmt;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::Error;

mod kind;
pub mod smtp;
pub mod template;
pub mod webhook;

pub use kind::{EventKind, Severity};

/// The version of an event's JSON: raised when a field's meaning changes, not when one is added.
pub const SCHEMA: u32 = 1;

/// A place where people are told.
///
/// Each event arrives at least once; its `id` lets the far side notice a repeat.
#[async_trait]
pub trait Sink: Send + Sync + fmt::Debug {
    /// Tells of one event. `Ok` means that the far side has taken it.
    ///
    /// # Errors
    /// `Rejected` where the far side refuses this event and may well take another; every other error means that it takes
    /// none at the moment.
    async fn notify(&self, event: &Event) -> Result<(), Error>;
}

/// Something that happened, as a webhook's receiver gets it in JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// [`SCHEMA`].
    pub schema: u32,
    /// UUIDv7: the same each time that this event is sent, to whatever sink.
    pub id: String,
    /// What kind of event it is.
    pub kind: EventKind,
    /// How bad it is.
    pub severity: Severity,
    /// When it happened.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// The node that tells.
    pub node: String,
    /// What happened, in one line.
    pub title: String,
    /// What happened, in sentences.
    pub text: String,
    /// What somebody else said of it: the CA, a store, a command.
    pub detail: Option<String>,
    /// A page that tells more, such as the CA's explanation of a renewal that it suggests (RFC 9773, section 4.2).
    pub url: Option<String>,
    /// The certificate that it is about; `None` where it is about none, or several.
    pub certificate: Option<String>,
    /// All certificates that it is about.
    pub certificates: Vec<String>,
    /// What the certificate vouches for.
    pub names: Vec<String>,
    /// The account or CA, as the config names it.
    pub issuer: Option<String>,
    /// The certificate's serial, lower-case hex.
    pub serial: Option<String>,
    /// When the certificate expires.
    #[serde(with = "time::serde::rfc3339::option")]
    pub not_after: Option<OffsetDateTime>,
    /// How often it has happened in a row: what goes on failing is not told each time.
    pub times: u32,
    /// When it began; `None` for what has no duration.
    #[serde(with = "time::serde::rfc3339::option")]
    pub since: Option<OffsetDateTime>,
    /// When this was sent.
    #[serde(with = "time::serde::rfc3339")]
    pub sent_at: OffsetDateTime,
    /// Which attempt it is to send it to this sink, counted from 1.
    pub attempt: u32,
}

impl Event {
    /// An event that says something in every field, in words that are hard to quote: what templates are tried with.
    #[must_use]
    pub fn full_sample() -> Self {
        let at = OffsetDateTime::UNIX_EPOCH;
        let some = |text: &str| Some(text.to_owned());
        Self {
            schema: SCHEMA,
            id: "01920000-0000-7000-8000-000000000000".to_owned(),
            kind: EventKind::Failed,
            severity: EventKind::Failed.severity(),
            at,
            node: "a".to_owned(),
            title: "`example.com` was not \"issued\"".to_owned(),
            text: "The CA says: \"no\".\n\\o/ {{ }}".to_owned(),
            detail: some("a \"quoted\" \\ detail\nin two lines"),
            url: some("https://ca.example.com/why"),
            certificate: some("example.com"),
            certificates: vec!["example.com".to_owned()],
            names: vec!["example.com".to_owned(), "*.example.com".to_owned()],
            issuer: some("letsencrypt"),
            serial: some("04a1"),
            not_after: Some(at),
            times: 3,
            since: Some(at),
            sent_at: at,
            attempt: 2,
        }
    }

    /// An event that says as little as there can be.
    #[must_use]
    pub fn bare_sample() -> Self {
        Self {
            detail: None,
            url: None,
            certificate: None,
            certificates: Vec::new(),
            names: Vec::new(),
            issuer: None,
            serial: None,
            not_after: None,
            since: None,
            times: 1,
            attempt: 1,
            ..Self::full_sample()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_survives_its_json() {
        for event in [Event::full_sample(), Event::bare_sample()] {
            let json = serde_json::to_value(&event).unwrap();
            assert_eq!(json["schema"], 1);
            assert_eq!(json["at"], "1970-01-01T00:00:00Z");
            assert_eq!(json["kind"], "failed");
            assert_eq!(json["severity"], "error");
            assert_eq!(serde_json::from_value::<Event>(json).unwrap(), event);
        }
    }
}
