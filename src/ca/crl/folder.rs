//! Where lists are on disk: `crl/<ca>/<generation>/<shard>.crl` in the state directory.

use std::fs::File;
use std::io::{self, BufReader};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::head::Head;
use crate::state::crl::CrlName;

/// What the list of a whole generation is called.
const WHOLE: &str = "all";

/// The folder of all lists.
#[derive(Debug, Clone)]
pub struct Folder(PathBuf);

/// The files of one list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Everything, in DER.
    Full,
    /// The delta CRL, in DER.
    Delta,
    /// Everything, in PEM: of the list of a whole generation only.
    Pem,
}

impl Kind {
    const fn suffix(self) -> &'static str {
        match self {
            Self::Full => "crl",
            Self::Delta => "delta.crl",
            Self::Pem => "pem",
        }
    }
}

impl Folder {
    pub(super) const fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// A file of a list.
    #[must_use]
    pub fn path(&self, name: &CrlName, kind: Kind) -> PathBuf {
        let stem = name.shard.map_or_else(|| WHOLE.to_owned(), |shard| shard.to_string());
        self.of(name).join(format!("{stem}.{}", kind.suffix()))
    }

    /// The list is in its place.
    pub(super) fn has(&self, name: &CrlName) -> bool {
        self.path(name, Kind::Full).is_file()
    }

    /// What stands beside the entries of a list; `None` where there is no whole list.
    #[must_use]
    pub fn head(&self, name: &CrlName, kind: Kind) -> Option<Head> {
        let file = File::open(self.path(name, kind)).ok()?;
        Head::read(&mut BufReader::new(file)).ok()
    }

    /// Makes the folder of a list.
    pub(super) fn make(&self, name: &CrlName) -> io::Result<()> {
        std::fs::DirBuilder::new().recursive(true).mode(0o755).create(self.of(name))
    }

    /// Puts files in their places, one after the other, each from beside itself.
    pub(super) fn put(&self, name: &CrlName, kinds: &[Kind]) -> io::Result<()> {
        for kind in kinds {
            let path = self.path(name, *kind);
            std::fs::rename(beside(&path), path)?;
        }
        File::open(self.of(name))?.sync_all()
    }

    fn of(&self, name: &CrlName) -> PathBuf {
        self.0.join(&name.ca).join(name.generation.to_string())
    }
}

/// The name that a file has until it is whole.
pub(super) fn beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".tmp");
    path.with_file_name(name)
}

/// Opens a file beside its place, empty.
pub(super) fn create(path: &Path) -> io::Result<File> {
    File::options().create(true).truncate(true).write(true).mode(0o644).open(beside(path))
}
