//! `openssl ca`, with a file of so many revoked certificates as its database.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::peers::folder::Folder;
use crate::peers::programs;
use crate::usage;

const CONFIG: &str = "[ca]\ndefault_ca = own\n[own]\ndatabase = index.txt\ncertificate = ca.pem\nprivate_key = ca.key\n\
                      crlnumber = number\ndefault_md = sha256\ndefault_crl_days = 7\ncrl_extensions = extensions\n\
                      [extensions]\nauthorityKeyIdentifier = keyid\n";

/// What openssl says of itself.
pub fn version() -> String {
    programs::must(Command::new(programs::find("openssl")).arg("version"), "").trim().to_owned()
}

/// A CA of openssl's.
pub struct OpensslCa(Folder);

impl OpensslCa {
    /// Makes it, with a P-256 key and these serials, all revoked.
    pub fn new(serials: &[String]) -> Self {
        let folder = Folder::new("openssl-ca");
        folder.write("ca.cnf", CONFIG);
        folder.write("number", "01\n");
        let mut index = String::with_capacity(serials.len() * 90);
        for serial in serials {
            let serial = serial.to_ascii_uppercase();
            let _ = writeln!(index, "R\t300101000000Z\t261101000000Z,keyCompromise\t{serial}\tunknown\t/CN={serial}");
        }
        folder.write("index.txt", &index);
        let ca = Self(folder);
        let words = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "365"];
        let names = ["-subj", "/CN=Bench", "-keyout", "ca.key", "-out", "ca.pem"];
        programs::must(ca.openssl().args(words).args(names), "");
        ca
    }

    /// The time that a list takes, and the most memory (KiB) that was seen while it was made.
    ///
    /// # Panics
    /// When it makes none.
    pub fn list(&self) -> (Duration, u32) {
        let mut openssl = self.openssl();
        openssl.args(["ca", "-config", "ca.cnf", "-gencrl", "-out", "list.pem"]);
        let started = Instant::now();
        let mut child = openssl.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("openssl runs");
        let mut most = 0;
        let status = loop {
            most = most.max(usage::peak(child.id()).unwrap_or(0));
            match child.try_wait().expect("it can be waited for") {
                Some(status) => break status,
                None => std::thread::sleep(Duration::from_millis(2)),
            }
        };
        assert!(status.success(), "openssl makes no list");
        (started.elapsed(), most)
    }

    /// The list.
    pub fn file(&self) -> PathBuf {
        self.0.file("list.pem")
    }

    fn openssl(&self) -> Command {
        let mut openssl = Command::new(programs::find("openssl"));
        openssl.current_dir(self.0.path());
        openssl
    }
}
