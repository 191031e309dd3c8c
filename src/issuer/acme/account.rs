//! The account: its key on record before the CA hears of it, and registered once.

use std::fmt;
use std::time::Duration;

use instant_acme::Account;
use rustls_pki_types::PrivatePkcs8KeyDer;
use serde_json::Value;

use super::Acme;
use super::client::{Client, account_trouble};
use super::directory::{Directory, FRESH, Site};
use super::jws::{AccountKey, JwsError};
use super::obstacle::{Obstacle, account_is_gone, patiently};
use super::post::{As, post};
use super::problem::clean;
use crate::clock::Timestamp;
use crate::issuer::IssuerError;
use crate::state::{AccountRow, StateError};

/// A clock may be this far off the CA's.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(24 * 60 * 60);

/// An account ready for use.
pub(super) struct Session {
    pub(super) client: Client,
    pub(super) directory: Directory,
    pub(super) account: Account,
    pub(super) key: AccountKey,
    /// The account's URL (RFC 8555, section 7.3).
    pub(super) url: String,
    opened_at: Timestamp,
}

impl Session {
    pub(super) fn is_fresh(&self, now: Timestamp) -> bool {
        now.since(self.opened_at) < FRESH
    }

    /// Posts as the account; `""` is a POST-as-GET.
    pub(super) async fn post(&self, url: &str, payload: &str) -> Result<super::answer::Answer, Obstacle> {
        post(&self.client, &self.directory, As::Account(&self.key, &self.url), url, payload).await
    }

    /// Why the CA no longer serves the account; `None`: it does.
    async fn complaint(&self) -> Result<Option<String>, Obstacle> {
        match self.post(&self.url, "").await {
            Ok(answer) => Ok(complaint(&answer.json()?)),
            Err(obstacle) if obstacle.is_about_access() || obstacle.is_not_found() => Ok(Some(obstacle.to_string())),
            Err(obstacle) => Err(obstacle),
        }
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Session").field("url", &self.url).finish_non_exhaustive()
    }
}

/// What is wrong with an account object (RFC 8555, section 7.1.2): anything but the status `valid`.
pub(super) fn complaint(account: &Value) -> Option<String> {
    let status = account.get("status").and_then(Value::as_str).filter(|status| *status != "valid")?;
    Some(format!("its status is `{}`", clean(status)))
}

/// By a clock that is more than a day off the CA's nothing is ordered.
fn agree_on_the_time(ours: Timestamp, theirs: Option<Timestamp>) -> Result<(), IssuerError> {
    let Some(theirs) = theirs else { return Ok(()) };
    if ours.since(theirs).max(theirs.since(ours)) <= CLOCK_TOLERANCE {
        return Ok(());
    }
    let what =
        format!("this machine's clock says {ours} and the CA's {theirs}: set the clock, nothing is ordered by it");
    Err(IssuerError::Operator { what })
}

impl Acme {
    /// Opens the account: makes its key where there is none, and registers it where it is not.
    pub(super) async fn open(&self) -> Result<Session, IssuerError> {
        let row = self.account_row().await?;
        let Site { client, directory, .. } = self.visit().await?;
        agree_on_the_time(self.clock.machine(), directory.date)?;
        let row = self.settle_key(&client, &directory, row).await?;
        let key = self.account_key(&row)?;
        let url = match &row.url {
            Some(url) => url.clone(),
            None => self.register(&client, &directory, &key).await?,
        };
        let account = self.account_at(&client, &url, &row).await?;
        let session = Session { client, directory, account, key, url, opened_at: self.clock.now() };
        if row.url.is_some() {
            self.settle_contact(&session, &row).await?;
        }
        Ok(session)
    }

    /// The account's row; where there is none, a new key is made and kept first.
    async fn account_row(&self) -> Result<AccountRow, IssuerError> {
        let (name, directory_url) = (self.name(), self.directory_url());
        if let Some(row) = self.state.account(name, directory_url).await? {
            return Ok(row);
        }
        let key = new_key()?;
        let contact = &self.settings.account.contact;
        self.state.add_account(name, directory_url, key.secret_pkcs8_der(), contact, self.clock.now()).await?;
        let missing = || damaged(name, "it is gone again");
        self.state.account(name, directory_url).await?.ok_or_else(missing)
    }

    pub(super) fn account_key(&self, row: &AccountRow) -> Result<AccountKey, IssuerError> {
        let lost = |why: &(dyn std::error::Error + 'static)| key_is_lost(row, &providers::error::chain(why));
        let der = row.key(&self.state).map_err(|error| lost(&error))?;
        AccountKey::from_pkcs8_der(&der).map_err(|error: JwsError| lost(&error))
    }

    async fn account_at(&self, client: &Client, url: &str, row: &AccountRow) -> Result<Account, IssuerError> {
        let der = row.key(&self.state)?;
        let opened = patiently!(Account::builder_with_http(Box::new(client.clone())).from_parts(
            url.to_owned(),
            PrivatePkcs8KeyDer::from(der.as_slice()),
            self.directory_url().to_owned(),
        ));
        opened.map_err(|obstacle| self.directory_error(obstacle))
    }

    /// What a refusal means that may be about the account: asks the CA how the account stands. `None`: it stands well.
    pub(super) async fn account_error(&self, session: &Session, obstacle: &Obstacle) -> Option<IssuerError> {
        if !obstacle.is_about_access() {
            return None;
        }
        let complaint = session.complaint().await.ok()??;
        Some(account_is_gone(self.name(), &complaint))
    }

    /// Asks the CA whether it serves the account.
    pub(super) async fn ask_how_it_stands(&self, session: &Session) -> Result<(), IssuerError> {
        match session.complaint().await {
            Ok(None) => Ok(()),
            Ok(Some(complaint)) => Err(account_is_gone(self.name(), &complaint)),
            Err(obstacle) => Err(obstacle.into_error(self.name())),
        }
    }
}

/// A new account key, PKCS#8.
pub(super) fn new_key() -> Result<PrivatePkcs8KeyDer<'static>, IssuerError> {
    let made = instant_acme::Key::generate_pkcs8();
    made.map(|(_, der)| der).map_err(|error| IssuerError::Unreachable { detail: clean(&error.to_string()) })
}

/// The key is on record and cannot be read: never another one in silence.
fn key_is_lost(row: &AccountRow, why: &str) -> IssuerError {
    let (name, url) = (&row.name, clean(row.url.as_deref().unwrap_or("not registered yet")));
    account_trouble(format!(
        "the key of the account `{name}` ({url}) cannot be read: {why}; renewd makes no other one by itself, since CAA \
         records may name the account: bring the state and its seal key back from a backup, or rename `[account.{name}]` \
         to have a new one registered"
    ))
}

pub(super) fn damaged(account: &str, what: &str) -> IssuerError {
    StateError::Damaged { table: "account", row: account.to_owned(), what: what.to_owned() }.into()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_account_that_is_not_valid_is_told_of() {
        assert_eq!(complaint(&json!({ "status": "valid" })), None);
        assert_eq!(complaint(&json!({})), None);
        assert_eq!(complaint(&json!({ "status": "deactivated" })).unwrap(), "its status is `deactivated`");
    }
}
