//! SoftHSM: a PKCS#11 token in files.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use super::folder::Folder;
use super::programs;

/// Where distributions put the library.
const MODULES: [&str; 5] = [
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
    "/usr/local/lib/softhsm/libsofthsm2.so",
];

/// The token's label.
pub const LABEL: &str = "renewd test";

/// A token of its own; gone when dropped.
pub struct SoftHsm {
    folder: Folder,
    config: PathBuf,
    pin: String,
}

impl SoftHsm {
    /// Makes a token whose user has this PIN.
    pub fn with_pin(pin: &str) -> Self {
        let folder = Folder::new("softhsm");
        let tokens = folder.file("tokens");
        std::fs::create_dir(&tokens).expect("a folder can be made");
        let text = format!("directories.tokendir = {}\nobjectstore.backend = file\n", tokens.display());
        let config = folder.write("softhsm2.conf", &text);
        let token = Self { folder, config, pin: pin.to_owned() };
        token.util(&["--init-token", "--free", "--label", LABEL, "--pin", pin, "--so-pin", "123456789"]);
        token
    }

    /// What a process that uses it has in its environment.
    pub fn variable(&self) -> (&str, &str) {
        ("SOFTHSM2_CONF", self.config.to_str().expect("a path in UTF-8"))
    }

    /// The library.
    ///
    /// # Panics
    /// When it is nowhere, with what to run.
    pub fn module() -> &'static Path {
        let found = MODULES.iter().map(Path::new).find(|path| path.is_file());
        found.unwrap_or_else(|| panic!("libsofthsm2.so is missing (not in {MODULES:?}): run tests/run"))
    }

    /// The PIN.
    pub fn pin(&self) -> &str {
        &self.pin
    }

    /// As if somebody pulled it out: until `plug`.
    pub fn unplug(&self) {
        std::fs::rename(self.folder.file("tokens"), self.folder.file("elsewhere")).expect("a folder can be renamed");
        std::fs::create_dir(self.folder.file("tokens")).expect("a folder can be made");
    }

    /// It is there again.
    pub fn plug(&self) {
        std::fs::remove_dir_all(self.folder.file("tokens")).expect("a folder can be removed");
        std::fs::rename(self.folder.file("elsewhere"), self.folder.file("tokens")).expect("a folder can be renamed");
    }

    /// When something was written to it last, as it is whenever somebody tries a PIN.
    pub fn written_at(&self) -> SystemTime {
        let times = self.files().into_iter().map(|file| file.metadata().and_then(|known| known.modified()));
        times.map(|time| time.expect("files have times")).max().expect("a token has files")
    }

    /// Of each private key in it, whether it may be taken out.
    pub fn extractable(&self) -> Vec<bool> {
        // CKA_EXTRACTABLE, and that it is a boolean, as SoftHSM writes both; then its value.
        const MARK: [u8; 16] = [0, 0, 0, 0, 0, 0, 1, 0x62, 0, 0, 0, 0, 0, 0, 0, 1];
        let value = |file: PathBuf| {
            let object = std::fs::read(file).expect("an object can be read");
            let place = object.windows(MARK.len()).position(|part| part == MARK)?;
            object.get(place + MARK.len()).map(|value| *value != 0)
        };
        self.files().into_iter().filter_map(value).collect()
    }

    fn files(&self) -> Vec<PathBuf> {
        let list = |folder: PathBuf| {
            let entries = std::fs::read_dir(folder).expect("a folder can be read");
            entries.map(|entry| entry.expect("an entry can be read").path())
        };
        list(self.folder.file("tokens")).flat_map(list).collect()
    }

    fn util(&self, words: &[&str]) {
        let (name, value) = self.variable();
        programs::must(Command::new(programs::find("softhsm2-util")).args(words).env(name, value), "");
    }
}
