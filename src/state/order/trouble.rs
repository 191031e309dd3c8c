//! Orders that meet trouble, or come to nothing.

use std::time::Duration;

use super::{OrderRow, finish};
use crate::clock::Timestamp;
use crate::state::obstacle::{self, Obstacle, ObstacleKind};
use crate::state::outbox::News;
use crate::state::outbox::alert::{of_failover, of_order};
use crate::state::spent::{self, SpentKind};
use crate::state::{Result, State, Write};

impl State {
    /// The order met trouble, stays open and goes on when its issuer may be asked again: one transaction with the
    /// obstacle. `waits_for` says what the operator must do, where somebody must.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn order_troubled(
        &self,
        order: &OrderRow,
        kind: ObstacleKind,
        error: &str,
        waits_for: Option<&str>,
        now: Timestamp,
        wait: Duration,
    ) -> Result<()> {
        let mut write = self.begin().await?;
        sqlx::query("UPDATE acme_order SET next_step_at = $2, waits_for = $3 WHERE id = $1")
            .bind(&order.id)
            .bind(now.plus(wait).millis())
            .bind(waits_for)
            .execute(&mut *write)
            .await?;
        met(&mut write, order, kind, error, now, wait).await?;
        self.commit_and_tell(write, &News::alert(of_order(order, error, now.plus(wait))), now).await
    }

    /// The order became nothing: one transaction with the obstacle. A refusal counts against each name.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn order_failed(
        &self,
        order: &OrderRow,
        kind: ObstacleKind,
        error: &str,
        now: Timestamp,
        wait: Duration,
    ) -> Result<()> {
        let mut write = self.begin().await?;
        give_up(&mut write, &order.id, error, now).await?;
        if kind == ObstacleKind::Refused {
            for name in &order.names {
                spent::spend(&mut write, &order.issuer, SpentKind::Failure, name, &order.id, now).await?;
            }
        }
        met(&mut write, order, kind, error, now, wait).await?;
        self.commit_and_tell(write, &News::alert(of_order(order, error, now.plus(wait))), now).await
    }

    /// The order became nothing because its issuer cannot issue now, and `next` is asked at once: one transaction with the
    /// obstacle. People are told of the issuer, once for all its certificates: none of these has failed yet.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn order_goes_elsewhere(
        &self,
        order: &OrderRow,
        next: &str,
        error: &str,
        now: Timestamp,
        wait: Duration,
    ) -> Result<()> {
        let mut write = self.begin().await?;
        give_up(&mut write, &order.id, error, now).await?;
        met(&mut write, order, ObstacleKind::Unavailable, error, now, wait).await?;
        self.commit_and_tell(write, &News::alert(of_failover(order, next, error)), now).await
    }

    /// The order is no longer wanted (the config changed, the CA forgot it): no failure, no backoff.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn order_abandoned(&self, id: &str, why: &str, now: Timestamp) -> Result<()> {
        let mut write = self.begin().await?;
        give_up(&mut write, id, why, now).await?;
        write.commit().await?;
        Ok(())
    }
}

/// Nothing comes of an order, and what it would have used up of its issuer's limits is free again.
pub(super) async fn give_up(write: &mut Write, id: &str, why: &str, now: Timestamp) -> Result<()> {
    finish(write, id, "failed", Some(why), now).await?;
    spent::give_back(write, id).await
}

/// An order's issuer stands in the way of its certificate.
async fn met(
    write: &mut Write,
    order: &OrderRow,
    kind: ObstacleKind,
    error: &str,
    now: Timestamp,
    wait: Duration,
) -> Result<()> {
    let (certificate, issuer) = (order.certificate.as_str(), order.issuer.as_str());
    obstacle::meet(write, &Obstacle { certificate, issuer, kind, error, wait, waits_for: "" }, now).await?;
    crate::state::certificate::note_failure(write, certificate, error, now).await
}
