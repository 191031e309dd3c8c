//! Requests that we sign ourselves.

use reqwest::Method;
use serde_json::Value;

use super::answer::Answer;
use super::client::Client;
use super::directory::Directory;
use super::jws::{AccountKey, JwsError};
use super::obstacle::{NONCE_TRIES, Obstacle};

/// As instant-acme's three tries, `NONCE_TRIES` times.
const TRIES: usize = 3 * NONCE_TRIES;

/// Who signs.
#[derive(Debug, Clone, Copy)]
pub(super) enum As<'a> {
    /// A key that the CA need not know.
    Key(&'a AccountKey),
    /// The account at this URL, by its key.
    Account(&'a AccountKey, &'a str),
}

impl As<'_> {
    const fn key(&self) -> &AccountKey {
        match self {
            Self::Key(key) | Self::Account(key, _) => key,
        }
    }

    fn identity(&self) -> (&'static str, Value) {
        match self {
            Self::Key(key) => ("jwk", key.jwk()),
            Self::Account(_, url) => ("kid", Value::from(*url)),
        }
    }
}

/// Posts `payload` (`""`: POST-as-GET; RFC 8555, section 6.3) until the CA likes the nonce; refusals are obstacles.
pub(super) async fn post(
    client: &Client,
    directory: &Directory,
    signer: As<'_>,
    url: &str,
    payload: &str,
) -> Result<Answer, Obstacle> {
    let mut nonce = None;
    let mut tries = TRIES;
    loop {
        let fresh = match nonce.take() {
            Some(nonce) => nonce,
            None => new_nonce(client, directory).await?,
        };
        let jws = signer.key().sign(signer.identity(), Some(&fresh), url, payload)?;
        let body = serde_json::json!(jws).to_string();
        let answer = client.send(Method::POST, url, Some(body.into())).await?;
        tries -= 1;
        if tries == 0 || !answer.is_bad_nonce() {
            return answer.accepted();
        }
        nonce = answer.nonce();
    }
}

async fn new_nonce(client: &Client, directory: &Directory) -> Result<String, Obstacle> {
    let answer = client.send(Method::HEAD, &directory.new_nonce, None).await?.accepted()?;
    answer.nonce().ok_or_else(|| Obstacle::Unfit("the CA gives no nonce".to_owned()))
}

impl From<JwsError> for Obstacle {
    fn from(error: JwsError) -> Self {
        Self::Unfit(error.to_string())
    }
}
