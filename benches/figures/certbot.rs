//! certbot at rest: lineages that it has issued before, of which none is due.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::fabricated::{Leaf, names};
use crate::peers::folder::Folder;
use crate::peers::programs;

/// How to get the peer, which the tests do without.
pub const MISSING: &str =
    "no certbot: install it (`python3 -m venv V && V/bin/pip install certbot`) and put it on PATH";

/// The program, where there is one: on PATH, or in the peers' Python environment.
pub fn program() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places = std::env::split_paths(&path).chain([programs::folder().join("venv/bin")]);
    places.map(|place| place.join("certbot")).find(|program| program.is_file())
}

/// What it says of itself.
pub fn version(program: &Path) -> String {
    let output = Command::new(program).arg("--version").output().expect("certbot runs");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// So many lineages in a folder.
pub struct Lineages(Folder);

impl Lineages {
    /// Makes them, as certbot lays them out. Renewal info is marked as asked for already, so that it asks no server.
    pub fn new(count: usize) -> Self {
        let lineages = Self(Folder::new("certbot"));
        let leaf = Leaf::new("n.test");
        for name in names(count) {
            lineages.add(&name, &leaf);
        }
        lineages
    }

    /// The time that one `certbot renew` takes, which finds nothing to do.
    ///
    /// # Panics
    /// When it finds something else.
    pub fn renew(&self, program: &Path) -> Duration {
        let folder = |name: &str| self.0.file(name);
        let mut certbot = Command::new(program);
        certbot.args(["renew", "--no-random-sleep-on-renew", "--config-dir"]).arg(folder("config"));
        certbot.arg("--work-dir").arg(folder("work")).arg("--logs-dir").arg(folder("logs"));
        let started = Instant::now();
        let output = certbot.output().expect("certbot runs");
        let took = started.elapsed();
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        assert!(output.status.success() && said.contains("No renewals were attempted"), "{said}");
        assert!(!said.contains("error"), "{said}");
        took
    }

    fn add(&self, name: &str, leaf: &Leaf) {
        let make = |path: &str| std::fs::create_dir_all(self.0.file(path)).expect("a folder can be made");
        let (live, archive) = (format!("config/live/{name}"), format!("config/archive/{name}"));
        make("config/renewal");
        make(&live);
        make(&archive);
        let files = [
            ("cert", &leaf.certificate),
            ("chain", &leaf.certificate),
            ("fullchain", &leaf.certificate),
            ("privkey", &leaf.key),
        ];
        let mut renewal = format!("version = 5.0.0\narchive_dir = {}\n", self.0.file(&archive).display());
        for (file, text) in files {
            self.0.write(&format!("{archive}/{file}1.pem"), text);
            let link = self.0.file(&format!("{live}/{file}.pem"));
            std::os::unix::fs::symlink(format!("../../archive/{name}/{file}1.pem"), &link).expect("a link can be made");
            renewal += &format!("{file} = {}\n", link.display());
        }
        renewal += "[renewalparams]\naccount = 0\nauthenticator = standalone\nserver = https://127.0.0.1:1/directory\n\
                    key_type = ecdsa\n[acme_renewal_info]\nari_retry_after = 2999-01-01T00:00:00\n";
        self.0.write(&format!("config/renewal/{name}.conf"), &renewal);
    }
}
