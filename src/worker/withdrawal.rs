//! Withdrawing TXT values. A failure never fails the certificate, and is retried.

use futures_util::future::join_all;
use tracing::{info, warn};

use super::{Turn, WorkError};
use crate::crash::{self, Point};
use crate::dns01::{Challenge, Dns01Error, Location};
use crate::planner::backoff::after_step;
use crate::state::TxtRow;

impl Turn<'_> {
    /// Withdraws these values, side by side, and remembers each outcome.
    pub(super) async fn withdraw(&self, txts: &[TxtRow]) -> Result<(), WorkError> {
        let outcomes = join_all(txts.iter().map(|txt| self.withdraw_one(txt))).await;
        crash::point(Point::TxtWithdrawn);
        let done: Vec<String> =
            txts.iter().zip(&outcomes).filter(|(_, outcome)| outcome.is_ok()).map(|(txt, _)| txt.id.clone()).collect();
        if !done.is_empty() {
            self.state().txts_withdrawn(&done, self.clock().now()).await?;
            info!(certificate = %txts[0].certificate, values = done.len(), "TXT values withdrawn");
        }
        for (txt, outcome) in txts.iter().zip(outcomes) {
            if let Err(error) = outcome {
                self.not_withdrawn(txt, &error).await?;
            }
        }
        Ok(())
    }

    async fn withdraw_one(&self, txt: &TxtRow) -> Result<(), Dns01Error> {
        let location = Location { instance: txt.instance.clone(), zone: txt.zone.clone(), name: txt.name.clone() };
        let challenge = Challenge { location, value: txt.value.clone(), challenge_name: txt.challenge_name.clone() };
        self.parts.dns01.withdraw(&challenge).await
    }

    async fn not_withdrawn(&self, txt: &TxtRow, error: &Dns01Error) -> Result<(), WorkError> {
        let now = self.clock().now();
        let wait = after_step(txt.failures + 1, error.retry_after(), self.worker.dice.throw());
        let words = providers::error::chain(error);
        warn!(
            certificate = %txt.certificate, zone = %txt.zone, name = %txt.name, retry_at = %now.plus(wait),
            "TXT value not withdrawn: {words}",
        );
        Ok(self.state().txt_withdrawal_failed(&txt.id, &words, now, wait).await?)
    }
}
