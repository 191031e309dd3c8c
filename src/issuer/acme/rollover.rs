//! A new key for the account (RFC 8555, section 7.3.5): on record before the CA is asked.

use serde_json::json;

use super::Acme;
use super::account::{Session, damaged, new_key};
use super::client::{Client, account_trouble};
use super::directory::Directory;
use super::jws::AccountKey;
use super::obstacle::{Obstacle, account_is_gone};
use super::post::{As, post};
use crate::issuer::IssuerError;
use crate::state::AccountRow;

impl Acme {
    /// Keeps a new key, has the CA take it, and uses it from then on.
    pub(super) async fn roll_key_over(&self) -> Result<(), IssuerError> {
        let mut slot = self.session.write().await;
        let session = match slot.take() {
            Some(session) => session,
            None => self.open().await?,
        };
        let der = new_key()?;
        let (name, directory_url) = (self.name(), self.directory_url());
        self.state.keep_next_account_key(name, directory_url, der.secret_pkcs8_der()).await?;
        self.change_key(&session, der.secret_pkcs8_der()).await?;
        self.state.account_key_replaced(name, directory_url, der.secret_pkcs8_der()).await?;
        tracing::info!(account = name, "gave the account a new key");
        Ok(())
    }

    async fn change_key(&self, session: &Session, der: &[u8]) -> Result<(), IssuerError> {
        let unsupported = IssuerError::Unsupported {
            issuer: self.name().to_owned(),
            what: "cannot change its key: the CA does not offer it",
        };
        let url = session.directory.key_change.as_deref().ok_or(unsupported)?;
        let new = AccountKey::from_pkcs8_der(der).map_err(|error| damaged(self.name(), &error.to_string()))?;
        let payload = json!({ "account": session.url, "oldKey": session.key.jwk() }).to_string();
        let inner = new.sign(("jwk", new.jwk()), None, url, &payload);
        let inner = inner.map_err(|error| damaged(self.name(), &error.to_string()))?;
        match session.post(url, &json!(inner).to_string()).await {
            Ok(_) => Ok(()),
            Err(obstacle) => {
                let gone = self.account_error(session, &obstacle).await;
                Err(gone.unwrap_or_else(|| obstacle.into_error(self.name())))
            }
        }
    }

    /// Finds out which key the CA knows, where a change of keys was broken off.
    pub(super) async fn settle_key(
        &self,
        client: &Client,
        directory: &Directory,
        row: AccountRow,
    ) -> Result<AccountRow, IssuerError> {
        let Some(next) = row.next_key(&self.state)? else { return Ok(row) };
        let Some(url) = &row.url else { return Err(damaged(&row.name, "a key changes before it is registered")) };
        for der in [next, row.key(&self.state)?] {
            let key = AccountKey::from_pkcs8_der(&der).map_err(|error| damaged(&row.name, &error.to_string()))?;
            if self.is_known(client, directory, &key, url).await? {
                self.state.account_key_replaced(self.name(), self.directory_url(), &der).await?;
                let settled = self.state.account(self.name(), self.directory_url()).await?;
                return settled.ok_or_else(|| damaged(self.name(), "it is gone again"));
            }
        }
        Err(account_is_gone(self.name(), "it knows neither its old nor its new key"))
    }

    /// Whether the key is that of the account at this URL.
    async fn is_known(
        &self,
        client: &Client,
        directory: &Directory,
        key: &AccountKey,
        url: &str,
    ) -> Result<bool, IssuerError> {
        let payload = json!({ "onlyReturnExisting": true }).to_string();
        match post(client, directory, As::Key(key), &directory.new_account, &payload).await {
            Ok(answer) => Ok(answer.location().as_deref() == Some(url)),
            Err(obstacle) if obstacle.is("accountDoesNotExist") => Ok(false),
            Err(obstacle) => Err(self.lookup_error(obstacle)),
        }
    }

    fn lookup_error(&self, obstacle: Obstacle) -> IssuerError {
        if !obstacle.is_final() {
            return obstacle.into_error(self.name());
        }
        account_trouble(format!("account `{}`: the CA does not say which key it has: {obstacle}", self.name()))
    }
}
