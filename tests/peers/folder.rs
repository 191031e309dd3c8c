//! The temporary folder that a peer lives in, and what is random about a peer.

use std::io::Read;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// A folder that is removed when dropped. Its name is unlike any other's, so that it may serve as a server's identity.
pub struct Folder(TempDir);

impl Folder {
    /// Makes the folder for a server of this kind.
    pub fn new(server: &str) -> Self {
        let prefix = format!("{server}-");
        Folder(tempfile::Builder::new().prefix(&prefix).tempdir().expect("a temporary folder can be made"))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Its name, without what stands before it.
    pub fn id(&self) -> String {
        let name = self.path().file_name().expect("a temporary folder has a name");
        name.to_string_lossy().into_owned()
    }

    /// The path of a file in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    /// The file for the output of the server.
    pub fn log(&self) -> PathBuf {
        self.file("log")
    }

    /// Writes a file, and returns its path.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.file(name);
        std::fs::write(&path, text).unwrap_or_else(|error| panic!("cannot write {path:?}: {error}"));
        path
    }

    /// What the server has printed so far.
    pub fn printed(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(self.log()).unwrap_or_default()).into_owned()
    }
}

/// Random bytes.
pub fn random(count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    let mut source = std::fs::File::open("/dev/urandom").expect("the system has random bytes");
    source.read_exact(&mut bytes).expect("the system has random bytes");
    bytes
}

/// A random word of lower-case hex digits, for passwords and keys.
pub fn random_word() -> String {
    random(20).iter().map(|byte| format!("{byte:02x}")).collect()
}
