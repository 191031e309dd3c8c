//! The OCSP responder, asked by everybody who will ask it.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::harness::{Answer, Daemon};
use crate::home::{Home, STORE};
use crate::peers::{openssl, programs};

mod agreement;
mod life;
mod protocol;
mod query;
mod reading;
mod root;
mod verifiers;

use query::{Hash, Issuer};

/// A daemon with the CAs `own` and `other`, whose certificates say where to ask.
struct World {
    home: Home,
    daemon: Daemon,
    /// The root of `own`, PEM.
    root: PathBuf,
    /// The first issuing certificate of `own`, PEM.
    issuing: PathBuf,
}

/// A certificate of a client.
struct Leaf {
    file: PathBuf,
    chain: PathBuf,
    key: PathBuf,
    /// The octets of its serial.
    serial: Vec<u8>,
}

impl World {
    fn start() -> Self {
        Self::start_in(Home::new(), "", &[])
    }

    /// With these lines in `[ca.own]` and these variables.
    fn start_in(home: Home, lines: &str, variables: &[(&str, &str)]) -> Self {
        home.save(&config(&home, lines));
        let daemon = Daemon::start_with_env(&home, variables);
        let [issuing, root] = certificates(&daemon, "own");
        let (root, issuing) = (home.write("root.pem", &root), home.write("issuing.pem", &issuing));
        Self { home, daemon, root, issuing }
    }

    /// The same home with another daemon. The one before has ended.
    fn restart(&mut self, variables: &[(&str, &str)]) {
        self.daemon = Daemon::start_with_env(&self.home, variables);
    }

    /// Where to ask.
    fn url(&self) -> String {
        format!("http://127.0.0.1:{}/ocsp/own", self.home.port())
    }

    fn issuer(&self) -> Issuer {
        Issuer::of(&text(&self.issuing))
    }

    fn issuer_of(&self, ca: &str) -> Issuer {
        let [issuing, _] = certificates(&self.daemon, ca);
        Issuer::of(&issuing)
    }

    /// A client of `own`.
    fn issue(&self, name: &str) -> Leaf {
        self.issue_at("own", name)
    }

    fn issue_at(&self, ca: &str, name: &str) -> Leaf {
        let out = self.home.file("certs");
        let view = self.daemon.cli_json(&["client", "issue", "--ca", ca, "--cn", name, "--out", out.to_str().unwrap()]);
        let file = |ending: &str| out.join(format!("{name}.{ending}"));
        let serial = octets(view["serial"].as_str().unwrap());
        Leaf { file: file("crt"), chain: file("fullchain.pem"), key: file("key"), serial }
    }

    /// `renewd client` with these words, which must succeed.
    fn client(&self, words: &[&str]) {
        self.daemon.cli_json(&[&["client"], words].concat());
    }

    /// Sends a request by POST.
    fn post(&self, der: &[u8]) -> Answer {
        self.post_to("own", der)
    }

    fn post_to(&self, ca: &str, der: &[u8]) -> Answer {
        let answer = self.post_as(ca, der, &["Content-Type: application/ocsp-request"]);
        assert_eq!((answer.status, answer.header("content-type")), (200, "application/ocsp-response"));
        answer
    }

    fn post_as(&self, ca: &str, der: &[u8], headers: &[&str]) -> Answer {
        let file = self.home.file("request.der");
        std::fs::write(&file, der).unwrap();
        let body = format!("@{}", file.display());
        self.daemon.send(&format!("/ocsp/{ca}"), headers, &["--data-binary", &body])
    }

    /// What the answer to a request by POST says, once everything in it was verified.
    fn ask(&self, der: &[u8]) -> Value {
        self.read(&self.post(der))
    }

    fn read(&self, answer: &Answer) -> Value {
        reading::read(&self.issuing, &answer.body)
    }

    /// What is said of one certificate of `own`, whoever asks.
    fn status(&self, serial: &[u8]) -> Value {
        let id = self.issuer().cert_id(Hash::Sha1, serial);
        let answer = self.ask(&query::request(&[id], &[]));
        answer["singles"][0].clone()
    }
}

fn config(home: &Home, lines: &str) -> String {
    let public_url = format!("[http]\npublic_url = \"http://127.0.0.1:{}\"", home.port());
    format!(
        "{}[ca.own]\nsubject = {{ common_name = \"Own CA\" }}\n{lines}\n\
         [ca.other]\nsubject = {{ common_name = \"Other CA\" }}\n\n{STORE}",
        home.head().replace("[http]", &public_url)
    )
}

/// The newest issuing certificate of a CA and its root.
fn certificates(daemon: &Daemon, ca: &str) -> [String; 2] {
    let pem = openssl::certificates(&daemon.get(&format!("/ca/{ca}.pem")).text());
    pem.try_into().unwrap_or_else(|pem| panic!("issuing certificate and root: {pem:?}"))
}

fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{path:?}: {error}"))
}

fn octets(hex: &str) -> Vec<u8> {
    assert_eq!(hex.len() % 2, 0, "{hex}");
    (0..hex.len() / 2).map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap()).collect()
}

/// Runs a program that must succeed.
fn must(program: &str, words: &[&str]) -> String {
    programs::must(Command::new(programs::find(program)).args(words), "")
}
