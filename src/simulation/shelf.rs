//! A store that keeps bundles in memory.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use providers::Error;
use providers::stores::{Bundle, BundleName, CertificateStore};

/// The store.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    bundles: Mutex<BTreeMap<BundleName, Bundle>>,
}

impl Shelf {
    fn with<T>(&self, work: impl FnOnce(&mut BTreeMap<BundleName, Bundle>) -> T) -> T {
        work(&mut self.bundles.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[async_trait]
impl CertificateStore for Shelf {
    async fn put(&self, name: &BundleName, bundle: &Bundle) -> Result<(), Error> {
        self.with(|bundles| bundles.insert(name.clone(), bundle.clone()));
        Ok(())
    }

    async fn get(&self, name: &BundleName) -> Result<Option<Bundle>, Error> {
        Ok(self.with(|bundles| bundles.get(name).cloned()))
    }

    async fn delete(&self, name: &BundleName) -> Result<(), Error> {
        self.with(|bundles| bundles.remove(name));
        Ok(())
    }

    async fn list(&self) -> Result<Vec<BundleName>, Error> {
        Ok(self.with(|bundles| bundles.keys().cloned().collect()))
    }
}
