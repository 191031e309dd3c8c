//! A version as files.

use std::collections::BTreeMap;

use aws_lc_rs::digest;
use providers::stores::{Bundle, BundleFile};
use serde_json::json;
use zeroize::Zeroizing;

use super::WorkError;
use crate::config::Store;
use crate::pki::bundle::{combined, pfx};
use crate::pki::chain::Chain;
use crate::pki::key::PrivateKey;
use crate::state::{State, VersionRow};

/// Its bytes differ each time it is made.
pub(super) const PFX: &str = "cert.pfx";

/// The bundle that a store is to have.
pub(super) fn bundle(version: &VersionRow, store: &Store, state: &State) -> Result<Bundle, WorkError> {
    let damaged = |error: &dyn std::error::Error| WorkError::Damaged {
        certificate: version.certificate.clone(),
        what: error.to_string(),
    };
    let chain = Chain::from_pem(&version.chain).map_err(|error| damaged(&error))?;
    let key = PrivateKey::from_pkcs8_der(&version.key(state)?).map_err(|error| damaged(&error))?;
    let mut files = vec![
        public("cert.pem", chain.certificate_pem()),
        public("chain.pem", chain.chain_pem()),
        public("fullchain.pem", chain.fullchain_pem()),
        private("privkey.pem", key.to_pkcs8_pem().as_bytes()),
    ];
    if store.combined {
        files.push(private("combined.pem", combined(&key, &chain).as_bytes()));
    }
    if let Some(reference) = &store.pfx_password {
        let password = reference.read().map_err(|error| damaged(&error))?;
        let bytes = pfx(&key, &chain, &version.certificate, &password).map_err(|error| damaged(&error))?;
        files.push(private(PFX, &bytes));
    }
    files.push(public("metadata.json", metadata(version, &files)));
    Ok(Bundle { version: version.number, files })
}

fn public(name: &str, text: String) -> BundleFile {
    BundleFile { name: name.to_owned(), contents: Zeroizing::new(text.into_bytes()), private: false }
}

fn private(name: &str, bytes: &[u8]) -> BundleFile {
    BundleFile { name: name.to_owned(), contents: Zeroizing::new(bytes.to_vec()), private: true }
}

/// What a reader, or an empty state that adopts, wants to know. The same version yields the same text.
fn metadata(version: &VersionRow, files: &[BundleFile]) -> String {
    let sums: BTreeMap<&str, String> = files
        .iter()
        .filter(|file| file.name != PFX)
        .map(|file| (file.name.as_str(), hex::encode(digest::digest(&digest::SHA256, &file.contents))))
        .collect();
    let document = json!({
        "schema": 1,
        "name": version.certificate,
        "names": version.names,
        "serial": version.serial,
        "issuer": version.issuer,
        "directory_url": version.directory_url,
        "order_url": version.order_url,
        "profile": version.profile,
        "not_before": version.not_before,
        "not_after": version.not_after,
        "version": version.number,
        "sha256": sums,
    });
    format!("{document:#}\n")
}
