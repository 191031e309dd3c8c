//! Bundles as directories on disk.
//!
//! `<path>/<name>` is a relative symbolic link to `.versions/<name>/<NNNNNN>`, a directory that is made whole and synced
//! before the link is replaced by rename. A reader that resolves the link once sees one version: old or new, never a
//! mix. Old versions stay for a while, for rollback and for readers that are slow.
//!
//! ```text
//! certificates/
//!   example.com -> .versions/example.com/000042
//!   .versions/example.com/000039 … 000042/{cert,chain,fullchain,privkey}.pem, metadata.json
//! ```
//!
//! - `layout`: the names on disk
//! - `folder`: an open directory, and what is done in it
//! - `access`: modes, owner and group
//! - `publish`: `put` and `delete`
//! - `read`: `get`, `stamp` and `list`
//! - `failure`: what an error of the system means for the caller

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;

use super::{Bundle, BundleName, CertificateStore};
use crate::Error;

mod access;
mod failure;
mod folder;
mod layout;
mod publish;
mod read;

/// Called with the name of a durable step of [`Directory::put`] once it is done: `directory_written`,
/// `directory_renamed`, `link_renamed`, `pruned`. Tests end the process here. A step that was not needed is not named:
/// a `put` of what is there already only prunes.
pub type Checkpoint = fn(&str);

/// Where a [`Directory`] is and how its files may be read.
#[derive(Clone)]
pub struct DirectorySettings {
    /// The directory that holds a link for each bundle; made where it is missing. It may itself be a symbolic link.
    pub path: PathBuf,
    /// The mode of every directory made here.
    pub directory_mode: u32,
    /// The mode of files without a private key.
    pub certificate_mode: u32,
    /// The mode of files with a private key.
    pub key_mode: u32,
    /// Who owns files with a private key: a name in `/etc/passwd`, or a number. `None`: the daemon's user.
    pub owner: Option<String>,
    /// The group of files with a private key, and of the directories on the way to them: a name in `/etc/group`, or a
    /// number. `None`: the daemon's group.
    pub group: Option<String>,
    /// How many old versions stay beside the current one.
    pub keep: usize,
    /// Called after each durable step; does nothing unless a test says so.
    pub checkpoint: Checkpoint,
}

impl DirectorySettings {
    /// A directory with the modes that the documentation promises: directories 0755, certificates 0644, keys 0600; three
    /// old versions are kept.
    #[must_use]
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            directory_mode: 0o755,
            certificate_mode: 0o644,
            key_mode: 0o600,
            owner: None,
            group: None,
            keep: 3,
            checkpoint: |_| {},
        }
    }
}

impl fmt::Debug for DirectorySettings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("DirectorySettings")
            .field("path", &self.path)
            .field("directory_mode", &format_args!("{:04o}", self.directory_mode))
            .field("certificate_mode", &format_args!("{:04o}", self.certificate_mode))
            .field("key_mode", &format_args!("{:04o}", self.key_mode))
            .field("owner", &self.owner)
            .field("group", &self.group)
            .field("keep", &self.keep)
            .finish_non_exhaustive()
    }
}

/// A store on the local disk.
#[derive(Debug, Clone)]
pub struct Directory {
    settings: Arc<DirectorySettings>,
}

impl Directory {
    /// A store in `settings.path`. Nothing is touched before the first `put`.
    #[must_use]
    pub fn new(settings: DirectorySettings) -> Self {
        Self { settings: Arc::new(settings) }
    }

    /// Runs `work` where it may block. A panic in it goes on in the caller.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&DirectorySettings) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let settings = Arc::clone(&self.settings);
        match tokio::task::spawn_blocking(move || work(&settings)).await {
            Ok(result) => result,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(error) => Err(Error::unavailable(&error)),
        }
    }
}

#[async_trait]
impl CertificateStore for Directory {
    /// Stores the bundle as `.versions/<name>/<version>` and lets the link point there.
    ///
    /// A directory of that version whose bytes, modes or owners are not the bundle's (damaged by hand, or made under
    /// other settings) is never written into: the bundle goes to `<version>.1` (`.2`, …) beside it, the link moves, and
    /// the damaged one is taken away. Anything at `<path>/<name>` that is not this store's link is left alone.
    ///
    /// # Errors
    /// `Rejected` where the operator must change something (a foreign file at the name, permissions, an unknown user or
    /// group), `Unavailable` where the machine may recover (no space, read-only, too many open files).
    async fn put(&self, name: &BundleName, bundle: &Bundle) -> Result<(), Error> {
        let (name, bundle) = (name.clone(), bundle.clone());
        self.blocking(move |settings| publish::put(settings, &name, &bundle)).await
    }

    async fn get(&self, name: &BundleName) -> Result<Option<Bundle>, Error> {
        let name = name.clone();
        self.blocking(move |settings| read::bundle(settings, &name)).await
    }

    async fn delete(&self, name: &BundleName) -> Result<(), Error> {
        let name = name.clone();
        self.blocking(move |settings| publish::delete(settings, &name)).await
    }

    async fn list(&self) -> Result<Vec<BundleName>, Error> {
        self.blocking(read::list).await
    }

    /// Where the link points and what the system says of each file: inode, size, times, mode, owner.
    async fn stamp(&self, name: &BundleName) -> Result<Option<String>, Error> {
        let name = name.clone();
        self.blocking(move |settings| read::stamp(settings, &name)).await
    }
}
