//! The chain (RFC 8555, section 7.4.2), and the preferred one of several.

use std::time::Duration;

use super::client::last_alternates;
use super::obstacle::{Obstacle, patiently};
use super::order::{Course, Step};
use super::problem::clean;
use super::waits::Stage;
use crate::crash::{self, Point};
use crate::issuer::IssuerError;
use crate::pki::chain::{Chain, ChainError};

/// For so long a CA may take to bring forth a certificate that it says is issued.
const PATIENCE: Duration = Duration::from_secs(120);

impl Course<'_> {
    /// Fetches the chain, checks it, and writes it into the order row.
    pub(super) async fn download(&mut self) -> Result<Step, IssuerError> {
        let Some(url) = self.live.state().certificate.clone() else {
            return self.await_late_certificate("no URL").await;
        };
        let pem = match patiently!(self.live.certificate()) {
            Ok(Some(pem)) => pem,
            Ok(None) => return self.await_issuance().await,
            Err(obstacle) => return self.not_downloaded(obstacle).await,
        };
        let alternates = last_alternates(&url);
        let unfit = |error: ChainError| IssuerError::BadChain { detail: clean(&providers::error::chain(&error)) };
        let chain = self.checked(&pem)?.map_err(unfit)?;
        let chain = match &self.wanted.chain {
            Some(name) if !chain.ends_at(name) => self.prefer(name, chain, &alternates).await?,
            _ => chain,
        };
        crash::point(Point::Downloaded);
        self.acme.state.order_issued(&self.order.id, &chain.fullchain_pem(), self.acme.clock.now()).await?;
        crash::point(Point::ChainWritten);
        Ok(Step::Issued)
    }

    async fn not_downloaded(&self, obstacle: Obstacle) -> Result<Step, IssuerError> {
        if obstacle.is("orderNotReady") || obstacle.is_missing() {
            return self.await_late_certificate(&obstacle.to_string()).await;
        }
        Err(self.lost(obstacle).await)
    }

    /// The order is valid and its certificate is not there yet.
    async fn await_late_certificate(&self, words: &str) -> Result<Step, IssuerError> {
        let waited = self.acme.waits.waited(&self.order.id, Stage::Issuing, self.acme.clock.now());
        if waited.is_none_or(|waited| waited < PATIENCE) {
            return self.await_issuance().await;
        }
        self.acme.waits.end(&self.order.id);
        Err(IssuerError::OrderGone { detail: format!("it is valid, but there is no certificate: {words}") })
    }

    /// The chain as it was asked for, or why it is not.
    fn checked(&self, pem: &str) -> Result<Result<Chain, ChainError>, IssuerError> {
        let spki = self.key()?.spki_der();
        let now = self.acme.clock.now();
        Ok(Chain::from_pem(pem).and_then(|chain| chain.check(&spki, &self.names, now).map(|()| chain)))
    }

    /// Of the chains that the CA offers the one that ends at `name`, else one that leads through it, else the first.
    async fn prefer(&self, name: &str, first: Chain, alternates: &[String]) -> Result<Chain, IssuerError> {
        let mut chains = vec![first];
        for url in alternates {
            match self.alternate(url).await? {
                Ok(chain) => chains.push(chain),
                Err(words) => {
                    let (certificate, issuer) = (self.order.certificate.as_str(), self.acme.name());
                    tracing::warn!(certificate, issuer, "another chain, `{}`, is of no use: {words}", clean(url));
                }
            }
        }
        let ends = chains.iter().position(|chain| chain.ends_at(name));
        let chosen = ends.or_else(|| chains.iter().position(|chain| chain.leads_through(name)));
        if chosen.is_none() {
            let offered: Vec<_> = chains.iter().map(|chain| format!("`{}`", clean(&chain.end()))).collect();
            let (certificate, issuer) = (self.order.certificate.as_str(), self.acme.name());
            tracing::warn!(
                certificate,
                issuer,
                "no chain to `{name}`, the CA's first is taken; it offers {}",
                offered.join(", ")
            );
        }
        Ok(chains.swap_remove(chosen.unwrap_or_default()))
    }

    /// Another chain, or why it is of no use.
    async fn alternate(&self, url: &str) -> Result<Result<Chain, String>, IssuerError> {
        let answer = match self.session.post(url, "").await {
            Ok(answer) => answer,
            Err(obstacle) => return Ok(Err(obstacle.to_string())),
        };
        let pem = String::from_utf8_lossy(&answer.body);
        Ok(self.checked(&pem)?.map_err(|error| clean(&providers::error::chain(&error))))
    }
}
