//! `[store.NAME.KIND]`: where bundles go.

use std::path::PathBuf;

use crate::secret::SecretRef;

/// One store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Store {
    /// Where.
    pub kind: StoreKind,
    /// `combined.pem` (key and full chain in one file) is wanted, too.
    pub combined: bool,
    /// `cert.pfx` is wanted, too, with this password.
    pub pfx_password: Option<SecretRef>,
}

/// The kind of a store and its fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreKind {
    /// A directory on this machine.
    Directory(DirectoryStore),
}

impl StoreKind {
    /// As the config writes it.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Directory(_) => "directory",
        }
    }

    /// Each node has one of its own, rather than all nodes sharing one.
    #[must_use]
    pub const fn is_per_node(&self) -> bool {
        match self {
            Self::Directory(_) => true,
        }
    }
}

/// `[store.NAME.directory]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectoryStore {
    /// Absolute.
    pub path: PathBuf,
    /// Of private keys: 0600 unless said.
    pub mode: u32,
    /// Of private keys: the user that renewd runs as unless said.
    pub owner: Option<String>,
    /// Of private keys: the group that renewd runs as unless said.
    pub group: Option<String>,
    /// Old versions kept: 3 unless said.
    pub keep: usize,
}
