//! From the config to sinks that work.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use providers::Error;
use providers::sinks::smtp::{Smtp, SmtpSettings};
use providers::sinks::webhook::{Webhook, WebhookSettings};
use providers::sinks::{Event, Sink};
use secrecy::SecretString;

use crate::config::notify::{Given, SmtpNotify, WebhookNotify};
use crate::config::{Notify, NotifyKind};
use crate::secret::SecretRef;
use crate::state::outbox::SinkSettings;

/// The sinks of a config, by name.
#[derive(Debug, Default)]
pub struct Sinks(BTreeMap<String, Arc<dyn Sink>>);

impl Sinks {
    /// Makes them. One that cannot be made (a secret that cannot be read) says so when it is asked.
    #[must_use]
    pub fn of(config: &BTreeMap<String, Notify>) -> Self {
        Self(config.iter().map(|(name, notify)| (name.clone(), open(&notify.kind))).collect())
    }

    /// The sink of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Arc<dyn Sink>> {
        self.0.get(name)
    }
}

/// What the state is told of the sinks of a config.
#[must_use]
pub fn settings(config: &BTreeMap<String, Notify>) -> Vec<SinkSettings> {
    let one = |(name, notify): (&String, &Notify)| SinkSettings {
        name: name.clone(),
        kinds: notify.events.iter().map(ToString::to_string).collect(),
        patterns: notify.certificates.clone(),
    };
    config.iter().map(one).collect()
}

fn open(kind: &NotifyKind) -> Arc<dyn Sink> {
    let made = match kind {
        NotifyKind::Webhook(webhook) => open_webhook(webhook),
        NotifyKind::Smtp(smtp) => open_smtp(smtp),
    };
    made.unwrap_or_else(|error| Arc::new(Unready { error }))
}

fn open_webhook(webhook: &WebhookNotify) -> Result<Arc<dyn Sink>, Error> {
    let headers = webhook.headers.iter().map(|(name, value)| Ok((name.clone(), given(value)?)));
    let settings = WebhookSettings {
        url: given(&webhook.url)?,
        method: webhook.method.clone(),
        headers: headers.collect::<Result<_, Error>>()?,
        body: webhook.body.clone(),
        secret: webhook.secret.as_ref().map(secret).transpose()?,
    };
    Ok(Arc::new(Webhook::new(settings)?))
}

fn open_smtp(smtp: &SmtpNotify) -> Result<Arc<dyn Sink>, Error> {
    let login = smtp.login.as_ref().map(|(user, password)| Ok((user.clone(), secret(password)?)));
    let roots = smtp.trusted_roots.as_ref().map(std::fs::read).transpose();
    let settings = SmtpSettings {
        server: smtp.server.clone(),
        port: smtp.port,
        tls: smtp.tls,
        trusted_roots: roots.map_err(|error| Error::unavailable(&error))?,
        login: login.transpose()?,
        from: smtp.from.clone(),
        to: smtp.to.clone(),
        subject_prefix: smtp.subject_prefix.clone(),
    };
    Ok(Arc::new(Smtp::new(settings)?))
}

fn given(given: &Given) -> Result<SecretString, Error> {
    match given {
        Given::Text(text) => Ok(SecretString::from(text.clone())),
        Given::Secret(reference) => secret(reference),
    }
}

fn secret(reference: &SecretRef) -> Result<SecretString, Error> {
    reference.read().map_err(|error| Error::Unauthorized { detail: providers::error::chain(&error) })
}

/// A sink that cannot be made: each call says why.
#[derive(Debug)]
struct Unready {
    error: Error,
}

#[async_trait]
impl Sink for Unready {
    async fn notify(&self, _: &Event) -> Result<(), Error> {
        Err(self.error.clone())
    }
}
