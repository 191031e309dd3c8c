//! Renewal: the same identity, another certificate. The one before it stays in force until it ends or is revoked.

use std::time::Duration;

use super::{ClientError, Clients, issue};
use crate::clock::Timestamp;
use crate::pki::key::{KeyType, PrivateKey};
use crate::planner::backoff::{self, Failure};
use crate::state::client::certificate::{ClientKey, NewClientCertificate};
use crate::state::client::{ClientRow, ClientStanding};

/// Identities renewed without being asked, in one go.
const SOME: u32 = 100;

/// How an identity is to be renewed.
#[derive(Debug, Clone, Default)]
pub struct Renewal {
    /// Another request in PEM, in place of the one before. Without one an identity whose key is its own gets that key
    /// certified again.
    pub csr: Option<String>,
    /// The certificates before it are revoked as superseded.
    pub revoke_old: bool,
}

impl Clients {
    /// Issues the next certificate of an identity: with a new key, unless its key is its own.
    ///
    /// # Errors
    /// Where it is revoked or on hold, the CA does not issue it, or the database fails.
    pub async fn renew(
        &self,
        client: &ClientRow,
        renewal: &Renewal,
        asker: &str,
        now: Timestamp,
    ) -> Result<ClientRow, ClientError> {
        let _alone = self.locks.lock(&["client", &client.id]).await;
        let client = &self.finished(client, now).await?;
        allowed(client)?;
        let csr = self.request_for(client, renewal).await?;
        let kind = KeyType::parse(&client.key_type).unwrap_or_default();
        let key = issue::make_keys(vec![csr.is_none().then_some(kind)]).await?.pop().flatten();
        let key = key.as_ref().map(PrivateKey::to_pkcs8_der);
        let key = match (&key, &csr) {
            (Some(key), _) => ClientKey::Own(key),
            (None, csr) => ClientKey::Request(csr.as_deref().unwrap_or_default()),
        };
        let new = NewClientCertificate { key, revoke_old: renewal.revoke_old };
        let id = self.state.add_client_certificate(client, &new, asker, now).await?;
        let row = self.state.client_certificate(&id).await?;
        let mut outcomes = self.finish(row.into_iter().collect(), now).await?;
        outcomes.pop().unwrap_or_else(|| Err(ClientError::gone(&client.id)))
    }

    /// From now on an identity is renewed without being asked, or no longer.
    ///
    /// # Errors
    /// Where it is revoked, or the database fails.
    pub async fn set_renewal(&self, client: &ClientRow, auto_renew: bool) -> Result<ClientRow, ClientError> {
        if auto_renew && client.standing == ClientStanding::Revoked {
            allowed(client)?;
        }
        self.state.set_client_renewal(&client.id, auto_renew).await?;
        self.state.client(&client.id).await?.ok_or_else(|| ClientError::gone(&client.id))
    }

    /// The identity, when whatever was begun for it is finished.
    async fn finished(&self, client: &ClientRow, now: Timestamp) -> Result<ClientRow, ClientError> {
        let mut rows = self.state.client_certificates(&client.id).await?;
        rows.retain(|row| row.owed.is_some());
        for outcome in self.finish(rows, now).await? {
            outcome?;
        }
        self.state.client(&client.id).await?.ok_or_else(|| ClientError::gone(&client.id))
    }

    /// The request that the next certificate is made from; `None` where a key is made here.
    async fn request_for(&self, client: &ClientRow, renewal: &Renewal) -> Result<Option<String>, ClientError> {
        if let Some(csr) = &renewal.csr {
            return Ok(Some(csr.clone()));
        }
        let Some(current) = &client.current else { return Ok(None) };
        Ok(self.state.client_certificate(&current.id).await?.and_then(|row| row.csr))
    }

    /// Renews some of those whose time has come, and answers how many these were. One that fails is left alone for a
    /// while, and harms no other.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn renew_due(&self, now: Timestamp) -> Result<usize, ClientError> {
        let due = self.state.due_clients(now, SOME).await?;
        for client in &due {
            match self.renew(client, &Renewal::default(), "renewd", now).await {
                Ok(renewed) => {
                    let serial = renewed.current.map(|current| current.serial).unwrap_or_default();
                    tracing::info!(
                        client = renewed.identifier,
                        ca = renewed.ca,
                        serial,
                        "a client certificate was renewed"
                    );
                }
                Err(ClientError::State(error)) => return Err(error.into()),
                Err(_) if !self.registry.configured().contains(&client.ca) => self.let_orphans_rest().await?,
                Err(failed) => self.put_off(client, &failed, now).await?,
            }
        }
        Ok(due.len())
    }

    /// Clients of CAs that were taken out of the config are not renewed by themselves any more: whoever took the CA out
    /// knows. They go on when it is put back.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn let_orphans_rest(&self) -> Result<(), ClientError> {
        Ok(self.state.rest_clients_but(&self.registry.configured()).await?)
    }

    async fn put_off(&self, client: &ClientRow, failed: &ClientError, now: Timestamp) -> Result<(), ClientError> {
        let told = providers::error::chain(failed);
        let left = client.current.as_ref().map(|current| current.not_after.since(now));
        let left = left.filter(|left| *left > Duration::ZERO);
        let wait = backoff::after_order(Failure::Operator, client.renew_failures + 1, left, 0);
        tracing::error!(client = client.identifier, ca = client.ca, "a client certificate was not renewed: {told}");
        Ok(self.state.client_renewal_failed(&client.id, &told, now.plus(wait)).await?)
    }
}

fn allowed(client: &ClientRow) -> Result<(), ClientError> {
    let (standing, hint) = match client.standing {
        ClientStanding::Active | ClientStanding::Pending => return Ok(()),
        ClientStanding::OnHold => ("on hold", "release it first"),
        ClientStanding::Revoked => ("revoked", "issue a certificate to a new client"),
    };
    Err(ClientError::Standing { identifier: client.identifier.clone(), standing, hint })
}
