//! A daemon with a private CA whose lists can be fetched, and those who verify by them.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::harness::{Daemon, said};
use crate::home::Home;
use crate::own_ca::{LIMIT, OWN_CA};
use crate::peers::{openssl, programs};

/// Root's and issuing certificate's lists for those who fetch all of them.
const WHOLE: [&str; 2] = ["/crl/own/0/all.crl", "/crl/own.crl"];

/// The lists that certificates name.
pub const NAMED: [&str; 2] = ["/crl/own/0/0.crl", "/crl/own/1/0.crl"];

/// A running daemon with the CA `own` and its first lists.
pub struct Pki {
    pub home: Home,
    pub daemon: Daemon,
}

/// A config with the CA `own`, where leaves name lists at the daemon's own port.
pub fn config(home: &Home, extra: &str) -> String {
    config_at(home, &format!("http://127.0.0.1:{}", home.port()), extra)
}

/// The same with another public URL.
pub fn config_at(home: &Home, public_url: &str, extra: &str) -> String {
    format!("{}public_url = \"{public_url}\"\n\n{OWN_CA}{extra}", home.head().trim_end().to_owned() + "\n")
}

impl Pki {
    /// Starts it.
    pub fn start() -> Self {
        let home = Home::new();
        home.save(&config(&home, ""));
        let daemon = Daemon::start(&home);
        let mut pki = Pki { home, daemon };
        pki.until_published();
        pki
    }

    /// Waits for the first lists.
    pub fn until_published(&mut self) {
        self.daemon.until(LIMIT, "the lists are there", |daemon| {
            NAMED.iter().chain(&WHOLE).all(|path| daemon.get(path).status == 200)
        });
    }

    /// Issues a client certificate: its file.
    pub fn issue(&self, name: &str) -> PathBuf {
        let out = self.home.file("certs");
        let words = ["client", "issue", "--ca", "own", "--cn", name, "--id", name, "--out", &out.to_string_lossy()];
        self.daemon.cli_json(&words);
        out.join(format!("{name}.crt"))
    }

    /// Revokes what is in a file, and waits for the list that says so.
    pub fn revoke(&mut self, certificate: &Path, reason: &str) {
        let serial = serial(certificate);
        let told = self.daemon.cli_json(&["ca", "revoke", "own", &serial, "--reason", reason]);
        assert_eq!((&told["changed"], &told["reason"]), (&true.into(), &reason.into()), "{told}");
        self.until_listed(&serial, true);
    }

    /// Waits until both lists of the first generation name a serial, or do not any more.
    pub fn until_listed(&mut self, serial: &str, listed: bool) {
        let serial = serial.to_ascii_uppercase();
        self.daemon.until(LIMIT, "the list says so", |daemon| {
            let says = |path| text(&daemon.get(path).body).contains(&format!("Serial Number: {serial}\n"));
            [NAMED[1], "/crl/own/1/all.crl"].into_iter().all(|path| says(path) == listed)
        });
    }

    /// Puts what a path serves into a file.
    pub fn save(&self, path: &str, file: &str) -> PathBuf {
        let answer = self.daemon.get(path);
        assert_eq!(answer.status, 200, "{path}");
        let file = self.home.file(file);
        std::fs::write(&file, answer.body).unwrap();
        file
    }

    /// A list in PEM, in a file.
    pub fn list(&self, path: &str, file: &str) -> PathBuf {
        let der = self.save(path, &format!("{file}.der"));
        let pem = self.home.file(file);
        run("openssl", &["crl", "-inform", "DER", "-in", word(&der), "-out", word(&pem)]).unwrap();
        pem
    }

    /// Root, then issuing certificate, in files.
    pub fn authority(&self) -> (PathBuf, PathBuf) {
        let pem = openssl::certificates(&self.daemon.get("/ca/own.pem").text());
        (self.home.write("root.pem", &pem[1]), self.home.write("issuing.pem", &pem[0]))
    }

    /// What `openssl` says of a client's whole chain by these lists.
    pub fn verify(&self, certificate: &Path, lists: &[PathBuf], more: &[&str]) -> Result<String, String> {
        let (root, issuing) = self.authority();
        let mut words = vec!["verify", "-x509_strict", "-purpose", "sslclient", "-crl_check_all"];
        words.extend(["-CAfile", word(&root), "-untrusted", word(&issuing)]);
        words.extend(more);
        for list in lists {
            words.extend(["-CRLfile", word(list)]);
        }
        words.push(word(certificate));
        run("openssl", &words)
    }

    /// The lists that certificates name, fetched.
    pub fn named(&self) -> [PathBuf; 2] {
        [self.list(NAMED[0], "root.crl"), self.list(NAMED[1], "shard.crl")]
    }

    /// The lists that are for people, fetched.
    pub fn whole(&self) -> [PathBuf; 2] {
        [self.save("/crl/own/0/all.pem", "root-all.crl"), self.save("/crl/own.pem", "all.crl")]
    }

    /// The number in a list.
    pub fn number(&self, path: &str) -> u64 {
        number(&self.daemon.get(path).body)
    }

    /// What `renewd ca show` tells.
    pub fn shown(&self) -> Value {
        self.daemon.cli_json(&["ca", "show", "own"])
    }
}

/// The number in a list in DER.
pub fn number(der: &[u8]) -> u64 {
    let printed = text(der);
    let (_, rest) = printed.split_once("X509v3 CRL Number:").unwrap_or_else(|| panic!("no number: {printed}"));
    let word = rest.split_whitespace().next().unwrap();
    u64::from_str_radix(word.trim_start_matches("0x"), if word.starts_with("0x") { 16 } else { 10 }).unwrap()
}

/// A list in DER, in words; nothing where it is none.
pub fn text(der: &[u8]) -> String {
    let folder = crate::peers::folder::Folder::new("list");
    let file = folder.file("list.der");
    std::fs::write(&file, der).unwrap();
    run("openssl", &["crl", "-inform", "DER", "-noout", "-text", "-in", word(&file)]).unwrap_or_default()
}

/// The serial of a certificate in a file.
pub fn serial(certificate: &Path) -> String {
    openssl::serial(&std::fs::read_to_string(certificate).unwrap())
}

/// A path as an argument.
pub fn word(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// What a program prints; the error is what it says when it fails.
pub fn run(program: &str, words: &[&str]) -> Result<String, String> {
    let output = programs::run(Command::new(programs::find(program)).args(words), "");
    if output.status.success() { Ok(said(&output)) } else { Err(said(&output)) }
}
