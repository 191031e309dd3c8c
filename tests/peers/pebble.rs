//! Pebble: the ACME server that Let's Encrypt makes for tests of clients, with renewal info (RFC 9773) and profiles.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use super::certificates::Authority;
use super::folder::Folder;
use super::process::{Process, can_be_restarted, insist};
use super::{curl, ports, programs};

/// How the server behaves.
#[derive(Clone, Debug)]
pub struct PebbleOptions {
    /// The name server that it asks when it validates.
    pub dns: SocketAddr,
    /// How many of a hundred good nonces it refuses.
    pub nonce_reject_percent: u8,
    /// How often of a hundred times it gives a valid authorization again.
    pub authz_reuse_percent: u8,
    /// Requires external account binding with this key id and key (base64url), RFC 8555, section 7.3.4.
    pub eab: Option<(String, String)>,
    /// The `Retry-After` of pending authorizations and processing orders, in seconds; 0 leaves the header out.
    pub retry_after: u32,
    /// How many intermediates stand between leaf and root, at least 1.
    pub chain_length: u8,
    /// How many more roots, each with a chain of its own, it offers by `Link: rel="alternate"`.
    pub alternate_roots: u8,
    /// Profiles by name, each with its validity in seconds.
    pub profiles: BTreeMap<String, u64>,
    /// Names that it refuses with `rejectedIdentifier`, and their subdomains.
    pub domain_blocklist: Vec<String>,
}

impl Default for PebbleOptions {
    fn default() -> Self {
        let profiles = [("default", 90 * 86_400), ("shortlived", 160 * 3_600)];
        PebbleOptions {
            dns: ports::loopback(53),
            nonce_reject_percent: 0,
            authz_reuse_percent: 0,
            eab: None,
            retry_after: 1,
            chain_length: 1,
            alternate_roots: 0,
            profiles: profiles.map(|(name, seconds)| (name.to_owned(), seconds)).into(),
            domain_blocklist: Vec::new(),
        }
    }
}

/// A running server. It keeps all in memory: once stopped and started again it knows no account, and has a new root.
pub struct Pebble {
    folder: Folder,
    options: PebbleOptions,
    acme: u16,
    management: u16,
    tls_root: PathBuf,
    process: Option<Process>,
}

can_be_restarted!(Pebble, "Pebble");

impl Pebble {
    /// Starts a server.
    ///
    /// # Panics
    /// When it does not come up, with its log.
    #[expect(clippy::needless_pass_by_value, reason = "options are written where they are given")]
    pub fn start(options: PebbleOptions) -> Self {
        insist("Pebble", || Self::attempt(options.clone()))
    }

    /// The URL of its directory.
    pub fn directory_url(&self) -> String {
        format!("https://{}/dir", ports::loopback(self.acme))
    }

    /// The PEM file of the root of its own HTTPS.
    pub fn tls_root(&self) -> &Path {
        &self.tls_root
    }

    /// The root of the URLs that are no part of ACME.
    pub fn management_url(&self) -> String {
        format!("https://{}", ports::loopback(self.management))
    }

    /// The root certificate of its first chain, PEM.
    pub fn root_pem(&self) -> String {
        self.alternate_root_pem(0)
    }

    /// The root certificate of one of its chains, the first being 0, PEM.
    pub fn alternate_root_pem(&self, chain: u8) -> String {
        self.managed(&format!("/roots/{chain}")).must()
    }

    /// The certificate that signs its leaves in its first chain, PEM.
    pub fn intermediate_pem(&self) -> String {
        self.managed("/intermediates/0").must()
    }

    /// `Valid` or `Revoked`, by serial in hex.
    ///
    /// # Panics
    /// When it did not issue that serial.
    pub fn certificate_status(&self, serial: &str) -> String {
        self.certificate(serial)["Status"].as_str().expect("an answer has a status").to_owned()
    }

    /// The reason code of a revocation, by serial in hex; none when it is not revoked or has no reason.
    pub fn revocation_reason(&self, serial: &str) -> Option<u64> {
        self.certificate(serial)["Reason"].as_u64()
    }

    /// From now on answers questions about renewal info of this certificate with this text.
    pub fn set_renewal_info(&self, certificate_pem: &str, answer: &str) {
        let body = json!({ "Certificate": certificate_pem, "ARIResponse": answer }).to_string();
        let url = format!("{}/set-renewal-info/", self.management_url());
        curl::request("POST", &url).root(&self.tls_root).body(&body).must();
    }

    /// How many requests it has answered, by method and path as its log writes them: `POST /order-plz` (new orders),
    /// `POST /finalize-order/`, `POST /sign-me-up` (new accounts), `POST /chalZ/`, `POST /revoke-cert`, `GET /dir`.
    /// Refused nonces count, too.
    pub fn requests(&self, request: &str) -> usize {
        let line = format!(" {request} -> calling handler()");
        self.log().lines().filter(|text| text.ends_with(&line)).count()
    }

    /// How many orders have been made.
    pub fn order_count(&self) -> usize {
        self.log().lines().filter(|line| line.contains("Added order ")).count()
    }

    fn attempt(options: PebbleOptions) -> Result<Self, String> {
        let folder = Folder::new("pebble");
        let tls_root = folder.file("tls-root.pem");
        let (acme, management) = (ports::tcp(), ports::tcp());
        let mut pebble = Pebble { folder, options, acme, management, tls_root, process: None };
        pebble.configure();
        pebble.run()?;
        Ok(pebble)
    }

    fn configure(&self) {
        let authority = Authority::new();
        let pair = authority.issue(&["127.0.0.1", "localhost"]);
        self.folder.write("tls-root.pem", authority.root());
        let certificate = self.folder.write("tls.pem", &pair.certificate);
        let key = self.folder.write("tls-key.pem", &pair.key);
        self.folder.write("config.json", &self.configuration(&certificate, &key).to_string());
    }

    fn configuration(&self, certificate: &Path, key: &Path) -> Value {
        let options = &self.options;
        let profiles = options.profiles.iter();
        let profiles: BTreeMap<_, _> =
            profiles.map(|(name, seconds)| (name, json!({ "description": name, "validityPeriod": seconds }))).collect();
        let keys: BTreeMap<_, _> = options.eab.iter().cloned().collect();
        json!({ "pebble": {
            "listenAddress": ports::loopback(self.acme).to_string(),
            "managementListenAddress": ports::loopback(self.management).to_string(),
            "certificate": certificate,
            "privateKey": key,
            "httpPort": ports::tcp(),
            "tlsPort": ports::tcp(),
            "externalAccountBindingRequired": options.eab.is_some(),
            "externalAccountMACKeys": keys,
            "domainBlocklist": options.domain_blocklist,
            "retryAfter": { "authz": options.retry_after, "order": options.retry_after },
            "keyAlgorithm": "ecdsa",
            "profiles": profiles,
        }})
    }

    fn run(&mut self) -> Result<(), String> {
        let options = &self.options;
        let mut pebble = Command::new(programs::find("pebble"));
        pebble.arg("-config").arg(self.folder.file("config.json"));
        pebble.args(["-dnsserver", &options.dns.to_string()]);
        pebble.env("PEBBLE_VA_NOSLEEP", "1").env_remove("PEBBLE_VA_ALWAYS_VALID");
        pebble.env("PEBBLE_WFE_NONCEREJECT", options.nonce_reject_percent.to_string());
        pebble.env("PEBBLE_AUTHZREUSE", options.authz_reuse_percent.to_string());
        pebble.env("PEBBLE_CHAIN_LENGTH", options.chain_length.to_string());
        pebble.env("PEBBLE_ALTERNATE_ROOTS", options.alternate_roots.to_string());
        let mut process = Process::spawn(&mut pebble, &self.folder.log());
        // Only this server has a certificate under this root: an answer is its own.
        let directory = || curl::get(&self.directory_url()).root(&self.tls_root).send();
        process.wait_until(|| directory().is_ok() && self.managed("/roots/0").send().is_ok())?;
        self.process = Some(process);
        Ok(())
    }

    fn managed(&self, path: &str) -> curl::Request {
        curl::get(&format!("{}{path}", self.management_url())).root(&self.tls_root)
    }

    fn certificate(&self, serial: &str) -> Value {
        let text = self.managed(&format!("/cert-status-by-serial/{serial}")).must();
        serde_json::from_str(&text).expect("an answer is JSON")
    }
}
