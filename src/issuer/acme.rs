//! An ACME account as an issuer (RFC 8555), with DNS-01 challenges.
//!
//! The CA's own order status is the state machine: `advance` asks where the order stands and goes on from there. What it
//! does is written down before it is done (the table in `docs/ARCHITECTURE.md`); what it remembers in memory only are
//! times to wait.

mod account;
mod answer;
mod authorization;
mod client;
mod contact;
mod directory;
mod download;
mod finalize;
mod jws;
mod link;
mod new_order;
mod obstacle;
mod order;
mod post;
mod present;
mod problem;
mod reach;
mod registration;
mod renewal_info;
mod revoke;
mod rollover;
mod waits;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::{Mutex, RwLock, RwLockReadGuard};

use account::Session;
use directory::Site;
use waits::Waits;

use crate::clock::Clock;
use crate::config;
use crate::dns01::Dns01;
use crate::issuer::{Issuer, IssuerError, Offers, Progress, RenewalInfo, RevocationReason};
use crate::state::{OrderRow, State, VersionRow};

/// An account as the config names it.
#[derive(Debug, Clone)]
pub struct AcmeSettings {
    /// `[account.NAME]`.
    pub name: String,
    /// What stands there.
    pub account: config::Account,
}

/// An ACME account. Asks nobody anything before its first use.
pub struct Acme {
    settings: AcmeSettings,
    state: State,
    dns01: Arc<Dns01>,
    clock: Clock,
    /// Held for reading by whatever uses the account's key, for writing while that key changes.
    session: RwLock<Option<Session>>,
    /// The directory, which needs no account.
    site: Mutex<Option<Site>>,
    waits: Waits,
}

impl Acme {
    /// An issuer over this account, which is registered when it is first needed.
    #[must_use]
    pub fn new(settings: AcmeSettings, state: State, dns01: Arc<Dns01>, clock: Clock) -> Self {
        Self {
            settings,
            state,
            dns01,
            clock,
            session: RwLock::new(None),
            site: Mutex::new(None),
            waits: Waits::default(),
        }
    }

    /// The account, opened where it is not or was opened long ago.
    async fn session(&self) -> Result<RwLockReadGuard<'_, Session>, IssuerError> {
        let now = self.clock.now();
        let open = |session: &'_ Option<Session>| session.as_ref().is_some_and(|session| session.is_fresh(now));
        let mut guard = self.session.read().await;
        if !open(&guard) {
            drop(guard);
            let mut slot = self.session.write().await;
            if !open(&slot) {
                *slot = None;
                *slot = Some(self.open().await?);
            }
            guard = slot.downgrade();
        }
        let closed = |_| IssuerError::Unreachable { detail: "the account was closed meanwhile".to_owned() };
        RwLockReadGuard::try_map(guard, Option::as_ref).map_err(closed)
    }

    fn name(&self) -> &str {
        &self.settings.name
    }

    fn directory_url(&self) -> &str {
        &self.settings.account.directory_url
    }
}

#[async_trait]
impl Issuer for Acme {
    fn id(&self) -> &str {
        self.name()
    }

    fn directory_url(&self) -> Option<&str> {
        Some(self.directory_url())
    }

    fn parallel_orders(&self) -> usize {
        self.settings.account.parallel_orders
    }

    async fn advance(&self, order: &OrderRow, wanted: &config::Certificate) -> Result<Progress, IssuerError> {
        if order.chain.is_some() {
            return Ok(Progress::Issued);
        }
        let done = client::observed(self.walk(order, wanted)).await;
        let ended = match &done {
            Ok(Progress::Wait { .. }) => false,
            Ok(Progress::Issued) => true,
            Err(error) => error.ends_order(),
        };
        if ended {
            self.waits.end(&order.id);
        }
        done
    }

    async fn revoke(&self, version: &VersionRow, reason: RevocationReason) -> Result<(), IssuerError> {
        self.revoke_version(version, reason).await
    }

    async fn renewal_info(&self, version: &VersionRow) -> Result<Option<RenewalInfo>, IssuerError> {
        self.ask_for_renewal_info(version).await
    }

    async fn ready_for(&self, wanted: &config::Certificate) -> Result<(), IssuerError> {
        let session = self.session().await?;
        self.ask_how_it_stands(&session).await?;
        self.profile(&session, wanted).map(drop)
    }

    async fn offers(&self) -> Result<Option<Offers>, IssuerError> {
        self.read_offers().await.map(Some)
    }

    async fn account_url(&self) -> Result<Option<String>, IssuerError> {
        let row = self.state.account(self.name(), self.directory_url()).await?;
        Ok(row.and_then(|row| row.url))
    }

    async fn rotate_key(&self) -> Result<(), IssuerError> {
        self.roll_key_over().await
    }
}

impl fmt::Debug for Acme {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Acme").field("settings", &self.settings).finish_non_exhaustive()
    }
}
