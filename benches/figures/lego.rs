//! lego, a program that obtains one certificate a run.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::peers::bind::Bind;
use crate::peers::folder::Folder;
use crate::peers::pebble::Pebble;
use crate::peers::{lego, programs};

/// lego with an account at this Pebble, and keys for this BIND.
pub struct Lego<'a> {
    pebble: &'a Pebble,
    bind: &'a Bind,
    folder: Folder,
}

impl<'a> Lego<'a> {
    /// Registers its account by obtaining a first certificate, which is not timed.
    pub fn new(pebble: &'a Pebble, bind: &'a Bind, zone: &str) -> Self {
        let lego = Self { pebble, bind, folder: Folder::new("lego") };
        lego.obtain(&format!("first.{zone}"));
        lego
    }

    /// The time that one run takes.
    ///
    /// # Panics
    /// When it obtains nothing.
    pub fn obtain(&self, name: &str) -> Duration {
        let mut program = Command::new(lego::program());
        program.args(["--accept-tos", "--email", "ops@example.com", "--key-type", "ec256", "--dns", "rfc2136"]);
        program.args(["--server", &self.pebble.directory_url(), "--domains", name]);
        program.args(["--dns.resolvers", &self.bind.address().to_string(), "--dns.propagation-disable-ans"]);
        program.arg("--path").arg(self.folder.path()).arg("run");
        program.env("LEGO_CA_CERTIFICATES", self.pebble.tls_root());
        program.env("RFC2136_NAMESERVER", self.bind.address().to_string());
        program.env("RFC2136_TSIG_ALGORITHM", "hmac-sha256.");
        program.env("RFC2136_TSIG_KEY", self.bind.tsig_key()).env("RFC2136_TSIG_SECRET", self.bind.tsig_secret());
        // In its favour: a second is the least that it can be told to wait between two looks.
        program.env("RFC2136_POLLING_INTERVAL", "1");
        let started = Instant::now();
        programs::must(&mut program, "");
        started.elapsed()
    }
}
