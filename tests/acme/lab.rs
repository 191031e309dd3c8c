//! An account at the fake CA, and no DNS unless a test brings it along.

use std::sync::Arc;

use renewd::clock::Clock;
use renewd::config::{Account, Certificate, Resolver};
use renewd::dns01::Dns01;
use renewd::issuer::{Acme, AcmeSettings, Issuer, IssuerError, Progress};
use renewd::state::{OrderRow, State};
use tempfile::TempDir;

use crate::acme_ca::{AcmeCa, Endpoint, Script};
use crate::world::{NoRegistrations, account, certificate, certificate_name, finish, open_state, order_replacing, row};

/// The fake CA and a state.
pub struct Lab {
    pub ca: AcmeCa,
    pub state: State,
    pub account: Account,
    _directory: TempDir,
}

impl Lab {
    pub async fn new(script: Script) -> Self {
        let (ca, directory) = (AcmeCa::start(script), TempDir::new().unwrap());
        let state = open_state(&directory).await;
        let account = account(&ca.directory_url(), None);
        Self { ca, state, account, _directory: directory }
    }

    /// The account as the daemon would hold it after a start.
    pub fn acme(&self) -> Acme {
        lonely(self.account.clone(), &self.state)
    }

    /// Writes an order for this name down.
    pub async fn order(&self, name: &str) -> (Certificate, String) {
        self.order_replacing(name, None).await
    }

    pub async fn order_replacing(&self, name: &str, replaces: Option<&str>) -> (Certificate, String) {
        let wanted = certificate(&[name], None);
        let id = order_replacing(&self.state, &wanted, replaces).await;
        (wanted, id)
    }

    /// Has an order for this name issued: its row.
    pub async fn obtain(&self, acme: &Acme, name: &str) -> OrderRow {
        self.obtain_replacing(acme, name, None).await
    }

    pub async fn obtain_replacing(&self, acme: &Acme, name: &str, replaces: Option<&str>) -> OrderRow {
        let (wanted, id) = self.order_replacing(name, replaces).await;
        finish(acme, &self.state, &wanted).await.unwrap();
        row(&self.state, &wanted, &id).await
    }

    /// What comes of an order for this name.
    pub async fn fail(&self, acme: &Acme, name: &str) -> IssuerError {
        let (wanted, _) = self.order(name).await;
        finish(acme, &self.state, &wanted).await.unwrap_err()
    }

    /// Takes the order one turn further.
    pub async fn advance(&self, acme: &Acme, wanted: &Certificate) -> Result<Progress, IssuerError> {
        let order = self.state.open_order(&certificate_name(wanted)).await.unwrap().expect("it is open");
        acme.advance(&order, wanted).await
    }

    /// How many well-formed requests there were.
    pub fn count(&self, endpoint: Endpoint) -> usize {
        self.ca.requests(endpoint).len()
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert_eq!(self.ca.complaints(), [""; 0], "no client may do this");
        }
    }
}

/// An account without any DNS.
pub fn lonely(account: Account, state: &State) -> Acme {
    let resolver = Resolver { servers: Vec::new(), authoritative_port: 53 };
    let dns01 = Arc::new(Dns01::new(Vec::new(), &resolver, Arc::new(NoRegistrations)).unwrap());
    Acme::new(AcmeSettings { name: "main".to_owned(), account }, state.clone(), dns01, Clock::system())
}
