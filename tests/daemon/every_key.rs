//! Everything that CAs make, with each kind of key and in each generation, before those who verify: openssl, GnuTLS and
//! pkilint.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::client::csr;
use crate::harness::{Daemon, said};
use crate::home::{Home, STORE};
use crate::own_ca::LIMIT;
use crate::peers::{openssl, programs};
use crate::pki::{run, serial, text, word};

/// Runs each linter with its words, a line each, and prints what one of them has found.
const LINTERS: &str = r#"
import contextlib, io, sys
from pkilint.bin import lint_crl, lint_ocsp_response, lint_pkix_cert, lint_pkix_signer_signee_cert_chain
linters = {"chain": lint_pkix_signer_signee_cert_chain, "cert": lint_pkix_cert, "crl": lint_crl, "ocsp": lint_ocsp_response}
for line in sys.stdin.read().splitlines():
    linter, *words = line.split("\t")
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        try:
            code = linters[linter].main(["lint", *words])
        except SystemExit as end:
            code = end.code
    if code or "WARNING" in said.getvalue() or "ERROR" in said.getvalue():
        print(line, said.getvalue())
print("all were linted")
"#;

/// One CA, called as its kind of key, and what it has made so far.
struct Made<'a> {
    home: &'a Home,
    daemon: &'a Daemon,
    kind: &'a str,
    root: PathBuf,
    /// The issuing certificates, the oldest first.
    issuing: Vec<PathBuf>,
    /// Lines for the linters.
    lint: Vec<String>,
}

/// A certificate, and the generation that has issued it.
struct Leaf {
    file: PathBuf,
    generation: usize,
    purpose: &'static str,
}

fn config(home: &Home, kinds: &[&str]) -> String {
    let one = |kind: &str| {
        format!(
            "[ca.{kind}]\nsubject = {{ common_name = \"CA\", organization = \"Example\" }}\nkey = \"{kind}\"\n\
             [certificate.\"{kind}.test\"]\nissuers = \"{kind}\"\nkey = \"{kind}\"\n"
        )
    };
    let text: String = kinds.iter().map(|kind| one(kind)).collect();
    let url = format!("public_url = \"http://127.0.0.1:{}\"\n\n", home.port());
    format!("{}{url}{STORE}{text}", home.head().trim_end().to_owned() + "\n")
}

#[test]
fn whatever_is_made_with_elliptic_keys_is_believed() {
    all_is_believed(&["ecdsa-p256", "ecdsa-p384", "ed25519"]);
}

#[test]
fn whatever_is_made_with_rsa_keys_is_believed() {
    all_is_believed(&["rsa-2048", "rsa-3072"]);
}

/// By itself, since making such keys takes long.
#[test]
fn whatever_is_made_with_the_longest_rsa_keys_is_believed() {
    all_is_believed(&["rsa-4096"]);
}

fn all_is_believed(kinds: &[&str]) {
    let home = Home::new();
    home.save(&config(&home, kinds));
    let mut daemon = Daemon::start(&home);
    daemon.until_all(Duration::from_secs(240), "stored");
    let leaves: Vec<Vec<Leaf>> = kinds.iter().map(|kind| leaves(&home, &daemon, kind)).collect();
    let listed = |daemon: &Daemon, kind: &&str| {
        let revoked = |list| text(&daemon.get(&format!("/crl/{kind}/1/{list}.crl")).body).contains("Serial Number: ");
        let is_there = |list| daemon.get(&format!("/crl/{kind}/2/{list}.crl")).status == 200;
        revoked("0") && revoked("all") && is_there("0") && is_there("all")
    };
    daemon.until(LIMIT * 2, "the lists are there", |daemon| kinds.iter().all(|kind| listed(daemon, kind)));
    let mut lint = Vec::new();
    for (kind, leaves) in kinds.iter().zip(&leaves) {
        let mut made = Made::of(&home, &daemon, kind);
        leaves[1..].iter().for_each(|leaf| made.is_believed(leaf));
        made.is_refused(&leaves[0]);
        made.lint_authority();
        lint.append(&mut made.lint);
    }
    assert!(lint.len() >= 40 * kinds.len(), "{}", lint.len());
    let mut python = Command::new(programs::venv_python());
    let found = programs::must(python.args(["-c", LINTERS]), &lint.join("\n"));
    assert_eq!(found.trim(), "all were linted");
}

/// One that is revoked, and then of each kind that there is: of the first generation and of the next.
fn leaves(home: &Home, daemon: &Daemon, kind: &str) -> Vec<Leaf> {
    let out = home.file(kind);
    let client = |name: &str, generation, more: &[&str]| {
        let (name, key) = (format!("{name}-{kind}"), ["--key", kind]);
        let words = ["client", "issue", "--ca", kind, "--cn", &name, "--out", word(&out)];
        daemon.cli_json(&[&words[..], &key, more].concat());
        Leaf { file: out.join(format!("{name}.crt")), generation, purpose: "sslclient" }
    };
    let bob = client("bob", 1, &[]);
    let server = openssl::certificates(&daemon.get(&format!("/{kind}.test/tls")).text());
    let server = home.write(&format!("server-{kind}.crt"), &server[0]);
    let mut leaves = vec![
        client("ann", 1, &["--email", "ann@example.com", "--usage", "vpn"]),
        client("soon", 1, &["--days", "1"]),
        Leaf { file: server, generation: 1, purpose: "sslserver" },
        peer(home, daemon, kind),
    ];
    daemon.cli_json(&["ca", "revoke", kind, &serial(&bob.file), "--reason", "keyCompromise"]);
    let rotated = daemon.cli(&["ca", "rotate", kind]);
    assert!(rotated.status.success(), "{}", said(&rotated));
    leaves.push(client("eve", 2, &[]));
    leaves.insert(0, bob);
    leaves
}

/// The answer to somebody's own request, good for both ends.
fn peer(home: &Home, daemon: &Daemon, kind: &str) -> Leaf {
    let name = format!("peer.{kind}.test");
    let (_, csr) = csr(home, &name, &[]);
    let signed = daemon.cli(&["ca", "sign", kind, "--csr", word(&csr), "--profile", "peer"]);
    let chain = openssl::certificates(&String::from_utf8_lossy(&signed.stdout));
    assert_eq!(chain.len(), 2, "{}", said(&signed));
    Leaf { file: home.write(&format!("{name}.crt"), &chain[0]), generation: 1, purpose: "sslserver" }
}

impl<'a> Made<'a> {
    fn of(home: &'a Home, daemon: &'a Daemon, kind: &'a str) -> Self {
        let chain = openssl::certificates(&daemon.get(&format!("/ca/{kind}.pem")).text());
        let root = home.write(&format!("{kind}.root.pem"), chain.last().unwrap());
        let mut made = Self { home, daemon, kind, root, issuing: Vec::new(), lint: Vec::new() };
        for generation in 1..=2 {
            let der = made.fetch(&format!("/ca/{kind}/{generation}.crt"));
            let pem = run("openssl", &["x509", "-inform", "DER", "-in", word(&der)]).unwrap();
            made.issuing.push(home.write(&format!("{kind}.{generation}.pem"), &pem));
        }
        made
    }

    /// What a path serves, in a file of its own.
    fn fetch(&self, path: &str) -> PathBuf {
        let answer = self.daemon.get(path);
        assert_eq!(answer.status, 200, "{path}");
        let file = self.home.file(&path.trim_start_matches('/').replace('/', "-"));
        std::fs::write(&file, answer.body).unwrap();
        file
    }

    fn issuer(&self, leaf: &Leaf) -> &Path {
        &self.issuing[leaf.generation - 1]
    }

    /// What `openssl verify` says by the lists that certificates name, and by those of everything.
    fn verified(&self, leaf: &Leaf) -> [Result<String, String>; 2] {
        let (kind, generation) = (self.kind, leaf.generation);
        [("0/0", format!("{generation}/0")), ("0/all", format!("{generation}/all"))].map(|(root, own)| {
            let lists =
                [format!("/crl/{kind}/{root}.crl"), format!("/crl/{kind}/{own}.crl")].map(|list| self.fetch(&list));
            let mut words = vec!["verify", "-x509_strict", "-purpose", leaf.purpose, "-crl_check_all"];
            words.extend(["-CAfile", word(&self.root), "-untrusted", word(self.issuer(leaf))]);
            words.extend(lists.iter().flat_map(|list| ["-CRLfile", word(list)]));
            run("openssl", &[&words[..], &[word(&leaf.file)]].concat())
        })
    }

    /// What `openssl ocsp` and `ocsptool` say, once they have verified the answer; it and its responder's certificate are
    /// to be linted.
    fn asked(&mut self, leaf: &Leaf) -> [String; 2] {
        let url = format!("http://127.0.0.1:{}/ocsp/{}", self.home.port(), self.kind);
        let chain = std::fs::read_to_string(self.issuer(leaf)).unwrap() + &std::fs::read_to_string(&self.root).unwrap();
        let chain = self.home.write("chain.pem", &chain);
        let answer = leaf.file.with_extension("ocsp");
        let whom = ["-issuer", word(self.issuer(leaf)), "-cert", word(&leaf.file)];
        let how = ["-url", &url, "-CAfile", word(&chain), "-resp_text", "-respout", word(&answer)];
        let openssl = run("openssl", &[&["ocsp"][..], &whom, &how].concat()).unwrap();
        assert!(openssl.contains("Response verify OK"), "{} {openssl}", self.kind);
        let responder = leaf.file.with_extension("responder");
        std::fs::write(&responder, &openssl::certificates(&openssl)[0]).unwrap();
        let issuer = word(self.issuer(leaf)).to_owned();
        self.lint.push(format!("ocsp\t-s\tNOTICE\t--document-format\tDETECT\t{}", word(&answer)));
        self.lint_certificate(&responder, "NOTICE");
        self.lint.push(format!("chain\t-s\tWARNING\t{issuer}\t{}", word(&responder)));
        let whom = ["--load-cert", word(&leaf.file), "--load-issuer", &issuer, "--load-trust", word(&chain)];
        let gnutls = run("ocsptool", &[&[format!("--ask={url}").as_str()], &whom[..]].concat()).unwrap();
        assert!(gnutls.contains("Verifying OCSP Response: Success"), "{} {gnutls}", self.kind);
        [openssl, gnutls]
    }

    fn is_believed(&mut self, leaf: &Leaf) {
        let short = run("openssl", &["x509", "-noout", "-text", "-in", word(&leaf.file)]).unwrap();
        let [named, whole] = self.verified(leaf);
        // Who has no revocation available (RFC 9608) is on no list that anybody could name.
        if short.contains("CRL Distribution Points") {
            named.unwrap_or_else(|why| panic!("{}: {:?}: {why}", self.kind, leaf.file));
        }
        whole.unwrap_or_else(|why| panic!("{}: {:?}: {why}", self.kind, leaf.file));
        let [openssl, gnutls] = self.asked(leaf);
        assert!(openssl.contains(": good\n") && gnutls.contains("Certificate Status: good"), "{openssl} {gnutls}");
        self.lint_certificate(&leaf.file, "WARNING");
        self.lint.push(format!("chain\t-s\tWARNING\t{}\t{}", word(self.issuer(leaf)), word(&leaf.file)));
    }

    fn is_refused(&mut self, leaf: &Leaf) {
        for said in self.verified(leaf) {
            assert!(said.is_err_and(|why| why.contains("certificate revoked")), "{}", self.kind);
        }
        let [openssl, gnutls] = self.asked(leaf);
        assert!(openssl.contains(": revoked\n") && openssl.contains("Reason: keyCompromise"), "{openssl}");
        assert!(gnutls.contains("Certificate Status: revoked"), "{gnutls}");
    }

    fn lint_certificate(&mut self, file: &Path, least: &str) {
        self.lint.push(format!("cert\t-s\t{least}\t{}", word(file)));
    }

    /// The CA's own certificates, and all of its lists, which openssl and GnuTLS have verified.
    fn lint_authority(&mut self) {
        self.lint_certificate(&self.root.clone(), "WARNING");
        for issuing in self.issuing.clone() {
            self.lint_certificate(&issuing, "WARNING");
            self.lint.push(format!("chain\t-s\tWARNING\t{}\t{}", word(&self.root), word(&issuing)));
        }
        for (list, generation, kind) in [
            ("0/0.crl", 0, "ARL"),
            ("0/all.crl", 0, "CRL"),
            ("1/0.crl", 1, "CRL"),
            ("1/0/delta.crl", 1, "CRL"),
            ("1/all.crl", 1, "CRL"),
            ("2/0.crl", 2, "CRL"),
            ("2/0/delta.crl", 2, "CRL"),
        ] {
            let file = self.fetch(&format!("/crl/{}/{list}", self.kind));
            let issuer = if generation == 0 { &self.root } else { &self.issuing[generation - 1] };
            let words = ["crl", "-inform", "DER", "-noout", "-in", word(&file), "-CAfile", word(issuer)];
            assert!(run("openssl", &words).unwrap().contains("verify OK"), "{} {list}", self.kind);
            let pem = file.with_extension("pem");
            run("openssl", &["crl", "-inform", "DER", "-in", word(&file), "-out", word(&pem)]).unwrap();
            let words = ["--verify-crl", "--load-ca-certificate", word(issuer), "--infile", word(&pem)];
            assert!(run("certtool", &words).unwrap().contains("Verified"), "{} {list}", self.kind);
            self.lint.push(format!("crl\t-t\t{kind}\t-p\tPKIX\t-s\tWARNING\t{}", word(&file)));
        }
    }
}
