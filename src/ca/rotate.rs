//! A new generation in place of the one that issues. The old one goes on signing CRLs and OCSP answers until its last
//! leaf has expired.

use std::sync::Arc;
use std::time::Duration;

use super::generation::Generation;
use super::make::Maker;
use super::{Authority, CaError};
use crate::clock::Timestamp;
use crate::config;
use crate::pki::leaf::Leaf;

/// A new generation that ends no more than this later than the old one is not worth making.
const WORTHWHILE: Duration = Duration::from_secs(86_400);

impl Authority {
    /// Makes a new issuing certificate, with a new key, as the config says now, unless somebody else has done so since
    /// `from` was the newest: it is the one that issues from then on. After a crash at any point whoever opens the CA
    /// next has either the old one or the new one.
    ///
    /// # Errors
    /// Where the CA was taken out of the config, its root has expired or has no key here, or the database fails.
    pub async fn rotate(&self, from: u32, now: Timestamp) -> Result<Arc<Generation>, CaError> {
        let _rotating = self.rotating.lock().await;
        let newest = self.newest()?;
        if newest.number != from {
            return Ok(newest);
        }
        let terms = self.terms.load_full();
        let config = terms.config.as_ref().ok_or(CaError::Retired)?;
        let reader = self.reader();
        let root = reader.root().await?.ok_or(CaError::RootKeyElsewhere)?;
        Maker { reader, config, public_url: terms.public_url.as_deref(), now }.issuing(from + 1, &root).await?;
        let mut generations = Vec::clone(&self.generations());
        let known = generations.len();
        generations.extend(reader.generations(Some(&root)).await?.into_iter().skip(known).map(Arc::new));
        self.generations.store(Arc::new(generations));
        tracing::info!(ca = self.name, generation = from + 1, "the CA has a new issuing certificate");
        self.newest()
    }

    /// The generation to issue with: a new one where the newest has not the time left that leaves usually get.
    pub(super) async fn fresh(&self, config: &config::Ca, now: Timestamp) -> Result<Arc<Generation>, CaError> {
        let newest = self.newest()?;
        if newest.not_after > now && is_short(&newest, config, now)? {
            return self.rotate(newest.number, now).await;
        }
        Ok(newest)
    }
}

/// Less than a leaf's lifetime is left, and less than half of its own; and the root leaves room for a longer one.
fn is_short(newest: &Generation, config: &config::Ca, now: Timestamp) -> Result<bool, CaError> {
    let left = newest.not_after.since(now);
    if left >= config.leaf_lifetime || left >= config.issuing_lifetime / 2 {
        return Ok(false);
    }
    let end = now.plus(config.issuing_lifetime).min(Leaf::from_der(newest.root())?.not_after);
    Ok(end > newest.not_after.plus(WORTHWHILE))
}
