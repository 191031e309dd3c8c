//! Comparing stores with the state: what was deleted or damaged by hand is put back from state, not ordered again.

use providers::stores::{Bundle, BundleName, CertificateStore};
use tracing::{info, warn};

use super::bundle::{PFX, bundle};
use super::{Parts, WorkError, Worker};
use crate::state::{DeliveryRow, VersionRow};

/// Deliveries looked at before others get a turn.
const PAGE: u32 = 200;

impl Worker {
    /// Looks into every store that is said to have a current version. What differs is put again by the loop.
    ///
    /// # Errors
    /// Where the state fails.
    pub async fn compare_stores(&self) -> Result<(), WorkError> {
        let parts = self.parts.load_full();
        let mut after = (String::new(), String::new());
        loop {
            let page = self.state.stored_deliveries((&after.0, &after.1), PAGE).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = (last.certificate.clone(), last.store.clone());
            for delivery in &page {
                if !self.is_intact(&parts, delivery).await? {
                    self.put_back(delivery).await?;
                }
            }
            tokio::task::yield_now().await;
        }
    }

    async fn put_back(&self, delivery: &DeliveryRow) -> Result<(), WorkError> {
        info!(certificate = %delivery.certificate, store = %delivery.store, "the store's copy differs: it is put back");
        self.state.redeliver(&delivery.version_id, &delivery.store, &delivery.node).await?;
        Ok(self.state.look_now(&delivery.certificate, self.clock.now()).await?)
    }

    /// A store that cannot be asked is left alone: what it has is not known to differ.
    async fn is_intact(&self, parts: &Parts, delivery: &DeliveryRow) -> Result<bool, WorkError> {
        let wanted = parts.config.certificates.get(delivery.certificate.as_str());
        let (Some(store), Some(name)) = (parts.stores.get(&delivery.store), BundleName::parse(&delivery.certificate))
        else {
            return Ok(true);
        };
        if !wanted.is_some_and(|wanted| wanted.stores.contains(&delivery.store)) {
            return Ok(true);
        }
        let stamp = match store.stamp(&name).await {
            Ok(stamp) => stamp.map(|stamp| format!("{} {stamp}", delivery.version_id)),
            Err(error) => return Ok(self.cannot_ask(delivery, &error)),
        };
        let key = (delivery.store.clone(), delivery.certificate.clone());
        if stamp.is_some() && self.known_stamp(&key) == stamp {
            return Ok(true);
        }
        let intact = self.is_equal(parts, delivery, store.as_ref(), &name).await?;
        if let (true, Some(stamp), Ok(mut stamps)) = (intact, stamp, self.stamps.lock()) {
            stamps.insert(key, stamp);
        }
        Ok(intact)
    }

    fn known_stamp(&self, key: &(String, String)) -> Option<String> {
        self.stamps.lock().ok()?.get(key).cloned()
    }

    fn cannot_ask(&self, delivery: &DeliveryRow, error: &providers::Error) -> bool {
        let words = providers::error::chain(error);
        warn!(certificate = %delivery.certificate, store = %delivery.store, "the store cannot be compared: {words}");
        true
    }

    async fn is_equal(
        &self,
        parts: &Parts,
        delivery: &DeliveryRow,
        store: &dyn CertificateStore,
        name: &BundleName,
    ) -> Result<bool, WorkError> {
        let Some(version) = self.state.version(&delivery.version_id).await? else { return Ok(true) };
        let Some(expected) = self.expected(parts, delivery, &version) else { return Ok(true) };
        Ok(match store.get(name).await {
            Ok(found) => found.is_some_and(|found| same(&found, &expected)),
            Err(error) => self.cannot_ask(delivery, &error),
        })
    }

    fn expected(&self, parts: &Parts, delivery: &DeliveryRow, version: &VersionRow) -> Option<Bundle> {
        let settings = parts.config.stores.get(&delivery.store)?;
        let made = bundle(version, settings, &self.state);
        made.inspect_err(|error| warn!(certificate = %delivery.certificate, "{}", providers::error::chain(error))).ok()
    }
}

fn same(found: &Bundle, expected: &Bundle) -> bool {
    expected.files.iter().all(|file| match found.file(&file.name) {
        Some(contents) => file.name == PFX || contents == file.contents.as_slice(),
        None => false,
    })
}
