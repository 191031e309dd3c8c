//! Stores: a bundle of no certificate is put, read and taken away.

use std::path::Path;

use providers::stores::{Bundle, BundleFile, BundleName, CertificateStore};
use zeroize::Zeroizing;

use super::{Doctor, Standing, bounded};
use crate::config::StoreKind;
use crate::report::{Finding, Group};
use crate::state::new_id;

impl Doctor<'_> {
    /// Every store that is to be looked at.
    pub(super) async fn stores(&self) -> Vec<Group> {
        let concerned =
            |store: &str| self.whole || self.wanted.iter().any(|(_, it)| it.stores.iter().any(|s| s == store));
        let mut groups = Vec::new();
        for (name, store) in self.parts.stores.iter().filter(|(name, _)| concerned(name)) {
            groups.push(async move {
                let findings = match self.not_made_yet(name) {
                    Some(finding) => vec![finding],
                    None => bounded("write", probe(store.as_ref())).await,
                };
                Group::new("store", Some(name), findings)
            });
        }
        futures_util::future::join_all(groups).await
    }

    /// Beside renewd, perhaps as another user, nothing is made that renewd would make for itself.
    fn not_made_yet(&self, store: &str) -> Option<Finding> {
        let StoreKind::Directory(directory) = &self.parts.config.stores.get(store)?.kind;
        let missing = self.standing == Standing::Makeshift && !directory.path.exists();
        missing.then(|| to_be_made(&directory.path))
    }
}

/// Whether a directory can be made, as far as what is there tells.
fn to_be_made(path: &Path) -> Finding {
    match path.ancestors().find(|place| place.symlink_metadata().is_ok()) {
        Some(place) if !place.is_dir() => {
            let found = format!("{} cannot be made: `{}` is not a directory", path.display(), place.display());
            Finding::error("write", found, "move away what is there, or give the store another `path`")
        }
        _ => Finding::ok("write", format!("{} is made when renewd first stores", path.display())),
    }
}

async fn probe(store: &dyn CertificateStore) -> Vec<Finding> {
    // The name is of nobody's certificate: it was never used before.
    let Some(name) = BundleName::parse(&format!("renewd-doctor-{}", new_id())) else { return Vec::new() };
    let contents = Zeroizing::new(name.as_str().as_bytes().to_vec());
    let file = BundleFile { name: "cert.pem".to_owned(), contents, private: false };
    let key = BundleFile { name: "privkey.pem".to_owned(), private: true, ..file.clone() };
    let bundle = Bundle { version: 1, files: vec![file, key] };
    let written = write_and_read(store, &name, &bundle).await;
    let removed = store.delete(&name).await.map_err(|error| providers::error::chain(&error));
    let never_there = matches!((&written, &removed), (Err(one), Err(other)) if providers::error::chain(one) == *other);
    let mut findings = vec![match written {
        Ok(true) => Finding::ok("write", "a bundle was put and read"),
        Ok(false) => {
            Finding::error("write", "a bundle was put, and something else was read", "see the store's documentation")
        }
        Err(error) => Finding::error("write", providers::error::chain(&error), "look at its permissions and its room"),
    }];
    if let Err(error) = removed
        && !never_there
    {
        let found = format!("the bundle `{name}` was not taken away again: {error}");
        findings.push(Finding::warning("delete", found, "take it away by hand"));
    }
    findings
}

async fn write_and_read(
    store: &dyn CertificateStore,
    name: &BundleName,
    bundle: &Bundle,
) -> Result<bool, providers::Error> {
    store.put(name, bundle).await?;
    let found = store.get(name).await?;
    let same =
        |found: &Bundle| bundle.files.iter().all(|file| found.file(&file.name) == Some(file.contents.as_slice()));
    Ok(found.as_ref().is_some_and(same))
}
