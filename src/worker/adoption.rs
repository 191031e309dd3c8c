//! An empty state beside a full store adopts what it finds, where it fits, instead of ordering everything anew.

use providers::stores::{Bundle, BundleName, CertificateStore};
use tracing::{info, warn};

use super::reading::Reading;
use super::{Turn, WorkError};
use crate::clock::Timestamp;
use crate::config;
use crate::pki::chain::Chain;
use crate::pki::key::PrivateKey;
use crate::state::version::NewVersion;

/// A bundle that fits.
struct Found {
    chain: Chain,
    key: PrivateKey,
    issuer: String,
    directory_url: Option<String>,
    order_url: Option<String>,
    profile: Option<String>,
    number: u64,
}

impl Turn<'_> {
    /// Searches the certificate's stores; whatever comes of it, it is not searched for again.
    pub(super) async fn inspect(&self, reading: &Reading) -> Result<(), WorkError> {
        let (Some(wanted), Some(name)) = (&reading.wanted, BundleName::parse(&reading.row.name)) else {
            return Ok(self.state().inspected(&reading.row.name).await?);
        };
        for (store, node) in &reading.stores {
            let Some(hand) = self.parts.stores.get(store) else { continue };
            match self.look_into(hand.as_ref(), &name, wanted).await {
                Ok(Some(found)) => {
                    info!(certificate = %name, store, serial = %found.chain.leaf().serial, "adopted what the store has");
                    self.adopt(reading, &found, (store, node)).await?;
                    break;
                }
                Ok(None) => {}
                Err(why) => warn!(certificate = %name, store, "what the store has is not adopted: {why}"),
            }
        }
        Ok(self.state().inspected(&reading.row.name).await?)
    }

    /// A first version gets a number above what its stores hold: that did not fit, and is left untouched.
    pub(super) async fn free_number(&self, reading: &Reading) -> u64 {
        let (None, Some(name)) = (&reading.version, BundleName::parse(&reading.row.name)) else { return 1 };
        let mut highest = 0;
        for hand in reading.stores.iter().filter_map(|(store, _)| self.parts.stores.get(store)) {
            // A store that cannot be read now cannot be written either, or puts the version beside what it has.
            let found = hand.get(&name).await.ok().flatten();
            highest = highest.max(found.map_or(0, |bundle| bundle.version));
        }
        highest.saturating_add(1)
    }

    async fn look_into(
        &self,
        store: &dyn CertificateStore,
        name: &BundleName,
        wanted: &config::Certificate,
    ) -> Result<Option<Found>, String> {
        let bundle = store.get(name).await.map_err(|error| providers::error::chain(&error))?;
        let now = self.clock().now();
        match bundle {
            Some(bundle) => self.fit(&bundle, wanted, now).await.map(Some),
            None => Ok(None),
        }
    }

    /// Key, chain, names, remaining life and issuer must fit.
    async fn fit(&self, bundle: &Bundle, wanted: &config::Certificate, now: Timestamp) -> Result<Found, String> {
        let chain = Chain::from_pem(text(bundle, "fullchain.pem")?).map_err(|error| error.to_string())?;
        let key = PrivateKey::from_pem(text(bundle, "privkey.pem")?).map_err(|error| error.to_string())?;
        chain.check(&key.spki_der(), &wanted.names, now).map_err(|error| error.to_string())?;
        let metadata: serde_json::Value =
            serde_json::from_str(text(bundle, "metadata.json")?).map_err(|_| "metadata.json cannot be read")?;
        let directory_url = metadata["directory_url"].as_str();
        let issuer = self.issuer_of(&chain, directory_url, wanted).await.ok_or("none of its issuers has issued it")?;
        let word = |key: &str| metadata[key].as_str().map(str::to_owned);
        Ok(Found {
            chain,
            key,
            issuer,
            directory_url: directory_url.map(str::to_owned),
            order_url: word("order_url"),
            profile: word("profile"),
            number: bundle.version,
        })
    }

    /// The first of the certificate's issuers that has issued it.
    async fn issuer_of(
        &self,
        chain: &Chain,
        directory_url: Option<&str>,
        wanted: &config::Certificate,
    ) -> Option<String> {
        for name in &wanted.issuers {
            let Some(seats) = self.parts.issuers.get(name) else { continue };
            if seats.issuer.has_issued(chain, directory_url).await {
                return Some(name.clone());
            }
        }
        None
    }

    async fn adopt(&self, reading: &Reading, found: &Found, (store, node): (&str, &str)) -> Result<(), WorkError> {
        let leaf = found.chain.leaf();
        let key_type = found.key.key_type().map_or("other", config::KeyType::as_str);
        let version = NewVersion {
            certificate: &reading.row.name,
            issuer: &found.issuer,
            directory_url: found.directory_url.as_deref(),
            order_url: found.order_url.as_deref(),
            profile: found.profile.as_deref(),
            serial: leaf.serial.to_string(),
            names: leaf.names.iter().map(ToString::to_string).collect(),
            key_type,
            key: &found.key.to_pkcs8_der(),
            chain: &found.chain.fullchain_pem(),
            not_before: leaf.not_before,
            not_after: leaf.not_after,
            jitter: self.worker.dice.throw(),
            number_at_least: found.number,
            stores: vec![(store.to_owned(), node.to_owned())],
            adopted: true,
        };
        let now = self.clock().now();
        let id = self.state().add_version(&version, None, now).await?;
        self.told_already(reading, &id).await
    }
}

fn text<'a>(bundle: &'a Bundle, file: &str) -> Result<&'a str, String> {
    let bytes = bundle.file(file).ok_or_else(|| format!("{file} is missing"))?;
    std::str::from_utf8(bytes).map_err(|_| format!("{file} is no text"))
}
