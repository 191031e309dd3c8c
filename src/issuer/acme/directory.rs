//! The directory (RFC 8555, section 7.1.1), as far as we sign requests ourselves.

use std::collections::BTreeMap;

use reqwest::Method;
use serde::Deserialize;

use super::client::Client;
use super::obstacle::Obstacle;
use crate::clock::Timestamp;

/// Where a CA's resources are.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Directory {
    pub(super) new_nonce: String,
    pub(super) new_account: String,
    pub(super) key_change: Option<String>,
    pub(super) renewal_info: Option<String>,
    #[serde(default)]
    pub(super) meta: Meta,
    /// What the CA's clock said when it answered.
    #[serde(skip)]
    pub(super) date: Option<Timestamp>,
}

/// What a CA says about itself.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Meta {
    pub(super) terms_of_service: Option<String>,
    pub(super) website: Option<String>,
    #[serde(default)]
    pub(super) caa_identities: Vec<String>,
    #[serde(default)]
    pub(super) profiles: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) external_account_required: bool,
}

impl Directory {
    /// Asks for the directory.
    pub(super) async fn fetch(client: &Client, url: &str) -> Result<Self, Obstacle> {
        let answer = client.send(Method::GET, url, None).await?.accepted()?;
        let date = providers::http::date(&answer.headers).map(Timestamp::from_datetime);
        Ok(Self { date, ..answer.json()? })
    }
}
