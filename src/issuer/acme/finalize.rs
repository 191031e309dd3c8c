//! Finalize, and the chain (RFC 8555, sections 7.4 and 7.4.2).

use instant_acme::OrderStatus;

use super::obstacle::patiently;
use super::order::{Course, FIRST_PAUSE, Step};
use super::waits::{Stage, pause};
use crate::crash::{self, Point};
use crate::issuer::IssuerError;
use crate::pki::chain::Chain;
use crate::pki::csr::csr;
use crate::pki::key::PrivateKey;
use crate::state::StateError;

/// What is waited for.
const ISSUANCE: &str = "the CA is issuing";

impl Course<'_> {
    /// Asks for the certificate, by a request signed with the order's own key.
    pub(super) async fn finalize(&mut self) -> Result<Step, IssuerError> {
        let request = csr(&self.key()?, &self.names).map_err(|error| self.damaged(&error))?;
        match patiently!(self.live.finalize_csr(&request)) {
            Ok(()) => {
                crash::point(Point::Finalized);
                self.acme.waits.begin(&self.order.id, Stage::Issuing, self.acme.clock.now());
                let ready_still = self.status() == OrderStatus::Ready;
                Ok(if ready_still { self.await_issuance() } else { Step::Again })
            }
            Err(obstacle) if obstacle.is("orderNotReady") => Ok(self.await_issuance()),
            Err(obstacle) => {
                let gone = self.acme.account_error(self.session, &obstacle).await;
                Err(gone.unwrap_or_else(|| obstacle.into_error(self.acme.settings.name.as_str())))
            }
        }
    }

    /// The CA works on it.
    pub(super) fn await_issuance(&self) -> Step {
        self.pause_at(Stage::Issuing, ISSUANCE)
    }

    /// Fetches the chain, checks it, and writes it into the order row.
    pub(super) async fn download(&mut self) -> Result<Step, IssuerError> {
        let pem = match patiently!(self.live.certificate()) {
            Ok(Some(pem)) => pem,
            Ok(None) => return Ok(Step::Pause(pause(FIRST_PAUSE, FIRST_PAUSE), ISSUANCE.to_owned())),
            Err(obstacle) => return Err(self.lost(obstacle).await),
        };
        let unfit = |error| IssuerError::BadChain { detail: providers::error::chain(&error) };
        let chain = Chain::from_pem(&pem).map_err(unfit)?;
        chain.check(&self.key()?.spki_der(), &self.names, self.acme.clock.now()).map_err(unfit)?;
        crash::point(Point::Downloaded);
        self.acme.state.order_issued(&self.order.id, &chain.fullchain_pem()).await?;
        crash::point(Point::ChainWritten);
        Ok(Step::Issued)
    }

    fn key(&self) -> Result<PrivateKey, IssuerError> {
        let der = self.order.key(&self.acme.state)?;
        PrivateKey::from_pkcs8_der(&der).map_err(|error| self.damaged(&error))
    }

    fn damaged(&self, error: &(dyn std::error::Error + 'static)) -> IssuerError {
        let what = providers::error::chain(error);
        StateError::Damaged { table: "acme_order", row: self.order.id.clone(), what }.into()
    }
}
