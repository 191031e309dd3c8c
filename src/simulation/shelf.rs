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

impl Shelf {
    /// The chain that lies there under a name, PEM.
    pub(super) fn chain(&self, name: &str) -> Option<String> {
        let name = BundleName::parse(name)?;
        let chain =
            |bundle: &Bundle| bundle.file("fullchain.pem").map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        self.with(|bundles| bundles.get(&name).and_then(chain))
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
