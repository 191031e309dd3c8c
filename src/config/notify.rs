//! `[notify.NAME]` and `[notify.NAME.KIND]`: where people are told what happened.

mod read;

use std::path::PathBuf;

use providers::sinks::EventKind;
use providers::sinks::smtp::{Address, SmtpTls};
use providers::sinks::template::Template;
use reqwest::Method;
use reqwest::header::HeaderName;

use crate::secret::SecretRef;

/// One sink.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notify {
    /// The kinds of events that it hears of: all unless said.
    pub events: Vec<EventKind>,
    /// The certificates that it hears of, `*` standing for any characters; empty: all, and what concerns none.
    pub certificates: Vec<String>,
    /// How it is told.
    pub kind: NotifyKind,
}

/// The kind of a sink and its fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotifyKind {
    /// An HTTP request an event.
    Webhook(WebhookNotify),
    /// A mail an event.
    Smtp(SmtpNotify),
}

impl NotifyKind {
    /// As the config writes it.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Webhook(_) => "webhook",
            Self::Smtp(_) => "smtp",
        }
    }
}

/// `[notify.NAME.webhook]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookNotify {
    /// An http or https URL, which may be a secret.
    pub url: Given,
    /// `POST` unless said.
    pub method: Method,
    /// Sent with each request.
    pub headers: Vec<(HeaderName, Given)>,
    /// The body; `None`: the event as JSON.
    pub body: Option<Template>,
    /// Signs the body.
    pub secret: Option<SecretRef>,
}

/// A text that stands in the file, or a secret that is referred to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Given {
    /// It stands in the file.
    Text(String),
    /// It is referred to.
    Secret(SecretRef),
}

/// `[notify.NAME.smtp]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SmtpNotify {
    /// A host's name or an IP address.
    pub server: String,
    /// Its port.
    pub port: u16,
    /// How the connection is kept from others.
    pub tls: SmtpTls,
    /// PEM file of the roots of the server's certificate, where the system's do not do.
    pub trusted_roots: Option<PathBuf>,
    /// User and password.
    pub login: Option<(String, SecretRef)>,
    /// The sender.
    pub from: Address,
    /// Who gets it.
    pub to: Vec<Address>,
    /// What each subject begins with.
    pub subject_prefix: String,
}

impl Notify {
    /// The secrets that it refers to.
    pub fn secrets(&self) -> impl Iterator<Item = &SecretRef> {
        let given = |given| match given {
            &Given::Text(_) => None,
            Given::Secret(secret) => Some(secret),
        };
        let found: Vec<&SecretRef> = match &self.kind {
            NotifyKind::Webhook(webhook) => {
                let headers = webhook.headers.iter().filter_map(|(_, value)| given(value));
                given(&webhook.url).into_iter().chain(headers).chain(&webhook.secret).collect()
            }
            NotifyKind::Smtp(smtp) => smtp.login.iter().map(|(_, password)| password).collect(),
        };
        found.into_iter()
    }
}
