//! One ACME account.

use serde::{Deserialize, Serialize};

use super::SCHEMA;
use super::certificate::told;
use crate::config::Config;
use crate::state::{Result, State};

/// How an account stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountView {
    /// 1.
    pub schema: u32,
    /// Its name in the config.
    pub name: String,
    /// The ACME directory.
    pub directory_url: String,
    /// Who is told of trouble.
    pub contact: Vec<String>,
    /// `registered`, or `unregistered` until the first order needs it.
    pub state: String,
    /// At the CA (RFC 8555, section 7.3).
    pub url: Option<String>,
    /// When the CA registered it.
    pub registered_at: Option<String>,
    /// A new key was made for it, and the CA has not taken it yet.
    pub key_change_pending: bool,
}

/// The account of that name; `None` where the config has none.
///
/// # Errors
/// Where the database fails.
pub async fn account(state: &State, config: &Config, name: &str) -> Result<Option<AccountView>> {
    let Some(settings) = config.accounts.get(name) else { return Ok(None) };
    let row = state.account(name, &settings.directory_url).await?;
    let url = row.as_ref().and_then(|row| row.url.clone());
    Ok(Some(AccountView {
        schema: SCHEMA,
        name: name.to_owned(),
        directory_url: settings.directory_url.clone(),
        contact: settings.contact.clone(),
        state: if url.is_some() { "registered" } else { "unregistered" }.to_owned(),
        url,
        registered_at: told(row.as_ref().and_then(|row| row.registered_at)),
        key_change_pending: row.as_ref().is_some_and(|row| row.has_next_key()),
    }))
}
