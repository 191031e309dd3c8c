//! The directory (RFC 8555, section 7.1.1), as far as we sign requests ourselves.

use reqwest::Method;
use serde::Deserialize;

use super::client::Client;
use super::obstacle::Obstacle;

/// Where a CA's resources are.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Directory {
    pub(super) new_nonce: String,
    pub(super) new_account: String,
    pub(super) key_change: Option<String>,
    #[serde(default)]
    pub(super) meta: Meta,
}

/// What a CA says about itself.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Meta {
    pub(super) terms_of_service: Option<String>,
    #[serde(default)]
    pub(super) external_account_required: bool,
}

impl Directory {
    /// Asks for the directory.
    pub(super) async fn fetch(client: &Client, url: &str) -> Result<Self, Obstacle> {
        client.send(Method::GET, url, None).await?.accepted()?.json()
    }
}
