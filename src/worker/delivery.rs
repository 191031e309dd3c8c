//! Putting the current version into one store.

use std::time::Duration;

use providers::stores::BundleName;
use tokio::time::timeout;
use tracing::{info, warn};

use super::bundle::bundle;
use super::reading::Reading;
use super::{Turn, WorkError, news};
use crate::crash::{self, Point};
use crate::planner::backoff::after_step;
use crate::state::{DeliveryRow, VersionRow};

/// A put that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(60);

impl Turn<'_> {
    /// Puts the current version into a store and remembers the outcome; a failure holds up no other store.
    pub(super) async fn deliver(&self, reading: &Reading, store: &str, node: &str) -> Result<(), WorkError> {
        let Some(version) = &reading.version else { return Ok(()) };
        let row = reading.deliveries.iter().find(|row| row.store == store && row.node == node);
        let Some(row) = row else {
            return Ok(self.state().add_delivery(&version.id, &version.certificate, store, node).await?);
        };
        let outcome = self.put(version, store).await;
        let now = self.clock().now();
        match outcome {
            Ok(()) => {
                crash::point(Point::BundlePut);
                let news = news::stored(version, store);
                self.state().delivered_and_tell((&version.id, store, node), &news, now).await?;
                crash::point(Point::DeliveryWritten);
                info!(certificate = %version.certificate, store, version = version.number, "stored");
                Ok(())
            }
            Err(error) => self.not_delivered(row, &error).await,
        }
    }

    async fn put(&self, version: &VersionRow, store: &str) -> Result<(), providers::Error> {
        let rejected = |words: String| providers::Error::rejected(words);
        let (Some(hand), Some(settings)) = (self.parts.stores.get(store), self.parts.config.stores.get(store)) else {
            return Err(rejected(format!("there is no store `{store}` in the config")));
        };
        let name = BundleName::parse(&version.certificate)
            .ok_or_else(|| rejected(format!("`{}` cannot be the name of a bundle", version.certificate)))?;
        let bundle =
            bundle(version, settings, self.state()).map_err(|error| rejected(providers::error::chain(&error)))?;
        match timeout(PATIENCE, hand.put(&name, &bundle)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(providers::Error::Unavailable { detail: "it took longer than a minute".to_owned() }),
        }
    }

    async fn not_delivered(&self, row: &DeliveryRow, error: &providers::Error) -> Result<(), WorkError> {
        let now = self.clock().now();
        let wait = after_step(row.failures + 1, error.retry_after(), self.worker.dice.throw());
        let words = providers::error::chain(error);
        warn!(certificate = %row.certificate, store = %row.store, retry_at = %now.plus(wait), "not stored: {words}");
        let news = news::not_stored(row, &words);
        Ok(self.state().delivery_failed_and_tell(row, (&words, wait), &news, now).await?)
    }
}
