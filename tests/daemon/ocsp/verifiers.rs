//! Programs that verify for a living: openssl, GnuTLS, nginx; and a linter.

use std::path::Path;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::query::{Hash, nonce, request};
use super::{World, must};
use crate::peers::certificates::self_signed;
use crate::peers::nginx::Nginx;
use crate::peers::{openssl, programs};

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn openssl_believes_it() {
    let world = World::start();
    let (ann, bob) = (world.issue("ann"), world.issue("bob"));
    world.client(&["revoke", "bob", "--reason", "keyCompromise"]);
    let chain = world.home.write("chain.pem", &(super::text(&world.issuing) + &super::text(&world.root)));
    let url = world.url();
    let ask = |words: &[&str]| {
        let common = ["ocsp", "-url", &url, "-CAfile", path(&chain), "-issuer", path(&world.issuing)];
        let output = programs::run(Command::new(programs::find("openssl")).args(common).args(words), "");
        assert!(output.status.success(), "{output:?}");
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("Response verify OK"), "{said}");
        said
    };
    for hash in ["-sha1", "-sha256"] {
        for nonce in ["-nonce", "-no_nonce"] {
            let words = [hash, nonce, "-cert", path(&ann.file), "-cert", path(&bob.file), "-serial", "0x1234"];
            let said = ask(&words);
            assert!(said.contains(&format!("{}: good", path(&ann.file))), "{hash} {nonce}: {said}");
            assert!(said.contains(&format!("{}: revoked", path(&bob.file))), "{hash} {nonce}: {said}");
            assert!(said.contains("Reason: keyCompromise") && said.contains("0x1234: unknown"), "{said}");
            assert!(!said.contains("WARNING") && !said.contains("Nonce Verify error"), "{hash} {nonce}: {said}");
            let alone = ask(&[hash, nonce, "-cert", path(&ann.file)]);
            assert!(alone.contains(": good"), "{hash} {nonce}: {alone}");
        }
    }
}

#[test]
fn gnutls_believes_it() {
    let world = World::start();
    let ann = world.issue("ann");
    let chain = world.home.write("trust.pem", &(super::text(&world.issuing) + &super::text(&world.root)));
    let ask = |words: &[&str]| {
        let certificates = ["--load-cert", path(&ann.file), "--load-issuer", path(&world.issuing)];
        let trust = ["--load-trust", path(&chain)];
        must("ocsptool", &[&[format!("--ask={}", world.url()).as_str()], &certificates[..], &trust, words].concat())
    };
    for words in [&["--nonce"][..], &[]] {
        let said = ask(words);
        assert!(said.contains("Certificate Status: good"), "{words:?}: {said}");
        assert!(said.contains("Verifying OCSP Response: Success"), "{words:?}: {said}");
    }
    world.client(&["revoke", "ann", "--reason", "affiliationChanged"]);
    for words in [&["--nonce"][..], &[]] {
        let said = ask(words);
        assert!(said.contains("Certificate Status: revoked") && said.contains("Revocation time: "), "{said}");
        assert!(said.contains("Verifying OCSP Response: Success"), "{words:?}: {said}");
    }
}

#[test]
fn the_commands_of_the_page_work() {
    let world = World::start();
    std::fs::copy(world.issue("ann").file, world.home.file("ann.crt")).unwrap();
    let page = include_str!("../../../docs/CA.md");
    let (_, section) = page.split_once("\n## OCSP\n").unwrap();
    let (_, block) = section.split_once("```sh\n").unwrap();
    let (block, _) = block.split_once("```").unwrap();
    let block = block.replace("http://pki.example.com/ocsp/internal", &world.url());
    assert!(block.contains(&world.url()));
    let folder = world.home.config();
    let mut shell = Command::new(programs::find("sh"));
    let said = programs::must(shell.args(["-e", "-c", &block]).current_dir(folder.parent().unwrap()), "");
    assert!(said.contains("ann.crt: good") && said.contains("Verifying OCSP Response: Success"), "{said}");
}

#[test]
fn the_linter_finds_nothing() {
    let world = World::start();
    let (ann, bob) = (world.issue("ann").serial, world.issue("bob").serial);
    world.client(&["revoke", "bob", "--reason", "keyCompromise"]);
    let issuer = world.issuer();
    let id = |hash, serial: &[u8]| issuer.cert_id(hash, serial);
    let asked = [
        ("refused", request(&[], &[])),
        ("good", request(&[id(Hash::Sha1, &ann)], &[])),
        ("by SHA-256", request(&[id(Hash::Sha256, &ann)], &[])),
        ("revoked", request(&[id(Hash::Sha1, &bob)], &[])),
        ("unknown", request(&[id(Hash::Sha1, &[7; 16])], &[])),
        ("with a nonce", request(&[id(Hash::Sha1, &ann)], &[nonce(&[9; 32])])),
        ("several", request(&[id(Hash::Sha1, &ann), id(Hash::Sha1, &bob)], &[])),
    ];
    let file = world.home.file("answer.der");
    for (what, der) in asked {
        let answer = world.daemon.get(&format!("/ocsp/own/{}", STANDARD.encode(der))).body;
        std::fs::write(&file, &answer).unwrap();
        lint("lint_ocsp_response", &file, what);
    }
    let certificate = responder(&world);
    lint("lint_pkix_cert", &certificate, "the responder's certificate");
}

/// The certificate in an answer, PEM.
fn responder(world: &World) -> std::path::PathBuf {
    let said = must("openssl", &["ocsp", "-respin", path(&world.home.file("answer.der")), "-noverify", "-text"]);
    let found = openssl::certificates(&said);
    world.home.write("responder.pem", &found[0])
}

pub(super) fn lint(linter: &str, file: &Path, what: &str) {
    let output = programs::run(
        Command::new(programs::find(linter)).args(["lint", "-s", "NOTICE", "--document-format", "DETECT"]).arg(file),
        "",
    );
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.trim().is_empty(), "{what}: {said}");
}

/// nginx, which asks its clients for certificates, and OCSP about them.
pub(super) struct Door(Nginx);

impl Door {
    /// `ocsp`: `leaf`, or `on` for the issuing certificate, too.
    pub fn open(world: &World, ocsp: &str) -> Self {
        let server = self_signed(&["localhost"]);
        let certificate = world.home.write("server.pem", &server.certificate);
        let key = world.home.write("server.key", &server.key);
        Self(Nginx::start_with(|port| {
            format!(
                "server {{ listen 127.0.0.1:{port} ssl; ssl_certificate {}; ssl_certificate_key {}; \
                 ssl_client_certificate {}; ssl_verify_client on; ssl_verify_depth 2; ssl_ocsp {ocsp}; \
                 location / {{ return 200 \"$ssl_client_s_dn\\n\"; }} }}\n",
                certificate.display(),
                key.display(),
                world.root.display(),
            )
        }))
    }

    /// What a client gets.
    pub fn knock(&self, leaf: &super::Leaf) -> String {
        let mut curl = Command::new(programs::find("curl"));
        curl.args(["-q", "--silent", "--insecure", "--max-time", "20", "--noproxy", "*"]);
        curl.args(["--cert", path(&leaf.chain), "--key", path(&leaf.key)]);
        let output = programs::run(curl.arg(format!("https://{}/", self.0.address())), "");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// It is let in.
    pub fn admits(&self, leaf: &super::Leaf, name: &str) {
        let said = self.knock(leaf);
        assert!(said.starts_with(&format!("CN={name}")), "{said}: {}", self.0.log());
    }

    /// It is turned away for its certificate.
    pub fn turns_away(&self, leaf: &super::Leaf) {
        let said = self.knock(leaf);
        assert!(said.contains("400 Bad Request") && said.contains("SSL certificate"), "{said}");
    }
}

#[test]
fn nginx_lets_a_client_in_until_it_is_revoked() {
    let world = World::start();
    let (ann, bob) = (world.issue("ann"), world.issue("bob"));
    let door = Door::open(&world, "leaf");
    door.admits(&ann, "ann");
    world.client(&["revoke", "ann", "--reason", "keyCompromise"]);
    world.client(&["hold", "bob"]);
    for leaf in [&ann, &bob] {
        door.turns_away(leaf);
    }
    world.client(&["release", "bob"]);
    door.admits(&bob, "bob");
}
