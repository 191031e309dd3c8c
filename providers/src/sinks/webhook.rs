//! Webhooks: an HTTP request an event, signed where there is a secret.
//!
//! The signature is `t=<seconds since 1970>,v1=<hex>` in `X-Renewd-Signature`, where `<hex>` is HMAC-SHA256 (RFC 2104)
//! of `<t>.<body>`. A receiver computes the same, compares in constant time, and refuses what is older than it likes.

use std::fmt;

use async_trait::async_trait;
use aws_lc_rs::hmac;
use reqwest::header::{CONTENT_TYPE, HeaderName};
use reqwest::{Method, Url};
use secrecy::{ExposeSecret as _, SecretString};

use super::template::Template;
use super::{Event, Sink};
use crate::Error;
use crate::http::Client;

/// The header that carries the event's id.
pub const EVENT_HEADER: &str = "X-Renewd-Event";

/// The header that carries the signature.
pub const SIGNATURE_HEADER: &str = "X-Renewd-Signature";

/// Where and how to tell.
#[derive(Debug, Clone)]
pub struct WebhookSettings {
    /// An http or https URL. Those of many services are secrets themselves.
    pub url: SecretString,
    /// `POST`, unless said.
    pub method: Method,
    /// Sent with each request, in place of what is sent by itself.
    pub headers: Vec<(HeaderName, SecretString)>,
    /// The body; `None`: the event as JSON.
    pub body: Option<Template>,
    /// Signs the body.
    pub secret: Option<SecretString>,
}

/// One receiver.
pub struct Webhook {
    client: Client,
    url: Url,
    settings: WebhookSettings,
}

impl Webhook {
    /// A sink for the receiver; nothing is asked yet.
    ///
    /// # Errors
    /// `Rejected` where the URL is no http or https URL; it is not repeated.
    pub fn new(settings: WebhookSettings) -> Result<Self, Error> {
        let url = Url::parse(settings.url.expose_secret()).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let url = url.ok_or_else(|| Error::rejected("the URL is no http or https URL"))?;
        Ok(Self { client: Client::new()?, url, settings })
    }

    fn body(&self, event: &Event) -> Result<Vec<u8>, Error> {
        match &self.settings.body {
            Some(template) => Ok(template.render(event)?.into_bytes()),
            None => serde_json::to_vec(event).map_err(|error| Error::rejected(error.to_string())),
        }
    }
}

impl fmt::Debug for Webhook {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The rest of the URL is often the key to it.
        write!(formatter, "Webhook({} {})", self.settings.method, self.url.host_str().unwrap_or_default())
    }
}

#[async_trait]
impl Sink for Webhook {
    async fn notify(&self, event: &Event) -> Result<(), Error> {
        let body = self.body(event)?;
        let mut request = self.client.request(self.settings.method.clone(), self.url.clone());
        request = request.secret(&self.settings.url).header(EVENT_HEADER, &event.id)?;
        if !self.settings.headers.iter().any(|(name, _)| *name == CONTENT_TYPE) {
            request = request.header(CONTENT_TYPE.as_str(), "application/json")?;
        }
        for (name, value) in &self.settings.headers {
            request = request.secret_header(name.as_str(), value)?;
        }
        if let Some(secret) = &self.settings.secret {
            let signature = signature(secret, event.sent_at.unix_timestamp(), &body);
            request = request.secret(secret).header(SIGNATURE_HEADER, &signature)?;
        }
        request.body(body).send().await?.done()
    }
}

fn signature(secret: &SecretString, seconds: i64, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose_secret().as_bytes());
    let mut context = hmac::Context::with_key(&key);
    context.update(format!("{seconds}.").as_bytes());
    context.update(body);
    format!("t={seconds},v1={}", hex::encode(context.sign()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_covers_time_and_body() {
        // printf '1700000000.{}' | openssl dgst -sha256 -hmac secret
        let expected = "t=1700000000,v1=b8569b78799ff9e3cbff0fc2d63a33a2b57f3282abd07c37ae5e8e7d79a5f163";
        let made = signature(&SecretString::from("secret"), 1_700_000_000, b"{}");
        assert_eq!(made, expected);
    }

    #[test]
    fn what_it_shows_of_itself_holds_no_secret() {
        let settings = WebhookSettings {
            url: SecretString::from("https://hooks.example.com/services/canary"),
            method: Method::POST,
            headers: vec![(HeaderName::from_static("authorization"), SecretString::from("canary"))],
            body: None,
            secret: Some(SecretString::from("canary")),
        };
        let shown = format!("{settings:?} {:?}", Webhook::new(settings.clone()).unwrap());
        assert!(!shown.contains("canary"), "{shown}");
        let error = Webhook::new(WebhookSettings { url: SecretString::from("canary"), ..settings }).unwrap_err();
        assert!(!error.to_string().contains("canary"), "{error}");
    }
}
