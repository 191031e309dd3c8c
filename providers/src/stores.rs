//! Stores: where certificate bundles are kept for those who use them.

use std::fmt;

use async_trait::async_trait;
use zeroize::Zeroizing;

use crate::Error;

pub mod directory;

/// A place that keeps certificate bundles. `put` replaces the whole: a reader finds old or new, never a mix.
#[async_trait]
pub trait CertificateStore: Send + Sync + fmt::Debug {
    /// Stores the bundle in place of what is there. Idempotent.
    async fn put(&self, name: &BundleName, bundle: &Bundle) -> Result<(), Error>;

    /// The current bundle: `None` where there is none. A damaged one (a file is missing) holds what is left.
    async fn get(&self, name: &BundleName) -> Result<Option<Bundle>, Error>;

    /// Takes the bundle and its old versions away. Succeeds where there is none.
    async fn delete(&self, name: &BundleName) -> Result<(), Error>;

    /// The names of all bundles, sorted.
    async fn list(&self) -> Result<Vec<BundleName>, Error>;

    /// A cheap witness of the current bundle: while it stays equal, nothing was changed by hand and `get` need not be
    /// asked. `None`: this store has no cheaper way than `get`.
    async fn stamp(&self, name: &BundleName) -> Result<Option<String>, Error> {
        let _ = name;
        Ok(None)
    }
}

/// The name of a bundle: a certificate's name, safe as a single path component and as a secret's name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BundleName(String);

impl BundleName {
    /// Takes 1–200 of `a-z 0-9 . _ - *`, not beginning with `.` or `-`; otherwise `None`.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let fits = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-' | b'*');
        let safe = (1..=200).contains(&name.len()) && !name.starts_with(['.', '-']) && name.bytes().all(fits);
        safe.then(|| Self(name.to_owned()))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BundleName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// A certificate with its key, as files: `cert.pem`, `chain.pem`, `fullchain.pem`, `privkey.pem`, `metadata.json` and,
/// where asked for, `combined.pem` and `cert.pfx`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    /// The version, counted from 1 for each name.
    pub version: u64,
    /// The files, in the order in which they are written.
    pub files: Vec<BundleFile>,
}

impl Bundle {
    /// The contents of the file of that name.
    #[must_use]
    pub fn file(&self, name: &str) -> Option<&[u8]> {
        self.files.iter().find(|file| file.name == name).map(|file| file.contents.as_slice())
    }
}

/// One file of a bundle.
#[derive(Clone, PartialEq, Eq)]
pub struct BundleFile {
    /// Its name: `privkey.pem`.
    pub name: String,
    /// Its bytes, wiped from memory when dropped.
    pub contents: Zeroizing<Vec<u8>>,
    /// It holds a private key: readable by its owner only, unless the store says otherwise.
    pub private: bool,
}

impl fmt::Debug for BundleFile {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "BundleFile({}, {} bytes)", self.name, self.contents.len())
    }
}
