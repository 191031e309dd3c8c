//! A new generation in place of the one that issues. The old one goes on signing CRLs and OCSP answers until its last
//! leaf has expired.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::generation::{Generation, Root};
use super::make::Maker;
use super::outside;
use super::{Authority, CaError, entered};
use crate::clock::Timestamp;
use crate::config;
use crate::pki::leaf;

/// A new generation that ends no more than this later than the old one is not worth making.
const WORTHWHILE: Duration = Duration::from_secs(86_400);

/// What signs the next generation.
struct Parent {
    root: Root,
    /// What will stand above it; `None`: the CA's own root.
    above: Option<Vec<Vec<u8>>>,
}

impl Authority {
    /// Makes a new issuing certificate, with a new key, as the config says now, unless somebody else has done so since
    /// `from` was the newest: it is the one that issues from then on. Whoever signed the newest signs this one: the
    /// root, or the newest itself where that is a root that was imported. After a crash at any point whoever opens the
    /// CA next has either the old one or the new one.
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
        let Parent { root, above } = self.parent(&newest).await?;
        let maker = Maker { reader: self.reader(&terms), config, public_url: terms.public_url.as_deref(), now };
        maker.issuing(from + 1, &root, above.as_deref()).await?;
        self.take_up().await?;
        tracing::info!(ca = self.name, generation = from + 1, "the CA has a new issuing certificate");
        self.newest()
    }

    /// Opens the generations that were written down since the last look.
    pub(super) async fn take_up(&self) -> Result<(), CaError> {
        let terms = self.terms.load_full();
        let reader = self.reader(&terms);
        let root = reader.root().await?;
        let mut generations = Vec::clone(&self.generations());
        let known = generations.len();
        generations.extend(reader.generations(root.as_ref()).await?.into_iter().skip(known).map(Arc::new));
        for (serial, issuer) in entered::enter(&self.state, &self.name, root.as_ref(), &generations).await? {
            self.index.issued(serial, issuer);
        }
        self.known_root.store(root.map(|root| Arc::new(root.known())));
        self.generations.store(Arc::new(generations));
        self.warned.store(false, Ordering::Relaxed);
        // The new generation has its lists at once.
        self.state.wake_lists();
        Ok(())
    }

    async fn parent(&self, newest: &Generation) -> Result<Parent, CaError> {
        let terms = self.terms.load_full();
        let own = self.reader(&terms).root().await?.filter(|root| root.certificate == newest.issuer());
        if let Some(root) = own {
            return Ok(Parent { root, above: None });
        }
        let generations = self.generations();
        let imported = generations.iter().find(|generation| generation.certificate == newest.issuer());
        let imported = imported.ok_or(CaError::RootKeyElsewhere)?;
        outside::check_length(&leaf::parse(&imported.certificate)?, 0)?;
        Ok(Parent { root: Root::of(imported), above: Some(vec![imported.certificate.clone()]) })
    }

    /// The generation to issue with: a new one where the newest has not the time left that leaves usually get.
    pub(super) async fn fresh(&self, config: &config::Ca, now: Timestamp) -> Result<Arc<Generation>, CaError> {
        let newest = self.newest()?;
        if newest.not_after <= now || !is_short(&newest, config, now)? {
            return Ok(newest);
        }
        match self.rotate(newest.number, now).await {
            // Leaves get shorter and shorter: better than none, while somebody has the next one signed.
            Err(error @ (CaError::RootKeyElsewhere | CaError::Outside(_))) => {
                if !self.warned.swap(true, Ordering::Relaxed) {
                    let (ca, not_after) = (&self.name, newest.not_after);
                    let why = providers::error::chain(&error);
                    tracing::warn!(ca, %not_after, "the issuing certificate ends soon and cannot be replaced: {why}");
                }
                Ok(newest)
            }
            outcome => outcome,
        }
    }
}

/// Less than a leaf's lifetime is left, and less than half of its own; and the root leaves room for a longer one.
fn is_short(newest: &Generation, config: &config::Ca, now: Timestamp) -> Result<bool, CaError> {
    let left = newest.not_after.since(now);
    if left >= config.leaf_lifetime || left >= config.issuing_lifetime / 2 {
        return Ok(false);
    }
    let root_ends = leaf::parse(newest.root())?.validity().not_after.timestamp();
    let end = now.plus(config.issuing_lifetime).min(Timestamp::from_seconds(root_ends));
    Ok(end > newest.not_after.plus(WORTHWHILE))
}
