//! Finalize (RFC 8555, section 7.4).

use instant_acme::OrderStatus;

use super::obstacle::patiently;
use super::order::{Course, Step};
use super::waits::Stage;
use crate::crash::{self, Point};
use crate::issuer::IssuerError;
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
                if ready_still { self.await_issuance().await } else { Ok(Step::Again) }
            }
            Err(obstacle) if obstacle.is("orderNotReady") => self.await_issuance().await,
            Err(obstacle) => {
                let gone = self.acme.account_error(self.session, &obstacle).await;
                Err(gone.unwrap_or_else(|| obstacle.into_error(self.acme.settings.name.as_str())))
            }
        }
    }

    /// The CA works on it.
    pub(super) async fn await_issuance(&self) -> Result<Step, IssuerError> {
        self.pause_at(Stage::Issuing, ISSUANCE).await
    }

    pub(super) fn key(&self) -> Result<PrivateKey, IssuerError> {
        let der = self.order.key(&self.acme.state)?;
        PrivateKey::from_pkcs8_der(&der).map_err(|error| self.damaged(&error))
    }

    fn damaged(&self, error: &(dyn std::error::Error + 'static)) -> IssuerError {
        let what = providers::error::chain(error);
        StateError::Damaged { table: "acme_order", row: self.order.id.clone(), what }.into()
    }
}
