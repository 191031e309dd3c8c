//! An application on a temporary state, asked without a network.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use http::{HeaderMap, HeaderName, Method, Request, StatusCode};
use renewd::ca::client::Clients;
use renewd::ca::revoke::Revocations;
use renewd::ca::{Authority, LeafRequest, Registry};
use renewd::clock::{Clock, Timestamp};
use renewd::config::{Config, ConfigError, Report};
use renewd::http::{App, ReloadRequest, Status, local_router, public_router};
use renewd::identifier::{CertificateName, Identifier};
use renewd::pki::key::{KeyType, PrivateKey};
use renewd::state::State;
use renewd::state::order::NewOrder;
use renewd::state::version::NewVersion;
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::mpsc;
use tower::ServiceExt as _;

/// The certificate that most tests are about.
pub const NAME: &str = "example.com";

const CONFIG: &str = r#"
[account.acme]
directory = "https://acme.example/directory"
contact = ["mailto:ops@example.com"]
agree_to_terms = true
[ca.internal]
subject = { common_name = "Test CA" }
[store.disk.directory]
[defaults]
issuers = ["internal"]
[certificate."example.com"]
[certificate."*.example.com"]
"#;

/// An application and what it stands on.
pub struct TestApp {
    pub app: App,
    pub requests: Option<mpsc::Receiver<ReloadRequest>>,
    _folder: TempDir,
}

/// An answer, read to its end.
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    pub fn header(&self, name: HeaderName) -> String {
        self.headers.get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
    }
}

impl TestApp {
    pub async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        std::io::Write::write_all(&mut std::fs::File::create(&path).unwrap(), CONFIG.as_bytes()).unwrap();
        let config = renewd::config::load(&path).unwrap_or_else(|report| panic!("{report}")).config;
        let (state, clock) = (State::open(&config.state).await.unwrap(), Clock::system());
        let mut write = state.begin().await.unwrap();
        for (name, wanted) in &config.certificates {
            state.enlist(&mut write, name.as_str(), &wanted.definition(), clock.now()).await.unwrap();
        }
        write.commit().await.unwrap();
        let status = Arc::new(Status::new(clock.now()));
        let (reload, requests) = mpsc::channel(1);
        let registry = Registry::open(state.clone(), clock.clone(), &config);
        let revocations = Revocations::open(&state, &config.state.directory).await.unwrap();
        let clients = Clients::new(registry.clone(), revocations.clone());
        let config = Arc::new(ArcSwap::from_pointee(config));
        let responders = renewd::ca::ocsp::Responders::new(registry.clone(), clock.clone());
        let directory = config.load().state.directory.clone();
        let crls = renewd::ca::crl::Crls::new(&state, directory, Arc::new(registry.clone()), Arc::clone(&config));
        let (sinks, doctor) = (Arc::default(), mpsc::channel(1).0);
        let app = App {
            config,
            state,
            clock,
            registry,
            revocations,
            crls,
            responders,
            clients,
            status,
            sinks,
            reload,
            doctor,
        };
        let this = Self { app, requests: Some(requests), _folder: folder };
        this.authority().await;
        this
    }

    pub fn now(&self) -> Timestamp {
        self.app.clock.now()
    }

    /// Puts an edited config in force.
    pub fn configure(&self, edit: impl FnOnce(&mut Config)) {
        let mut config = Config::clone(&self.app.config.load());
        edit(&mut config);
        self.app.config.store(Arc::new(config));
    }

    pub async fn authority(&self) -> Arc<Authority> {
        self.app.registry.get("internal").await.unwrap().unwrap()
    }

    /// Gives `example.com` a new version and returns its chain.
    pub async fn issue(&self) -> String {
        self.issue_until(self.now().plus(Duration::from_secs(90 * 86_400 - 60))).await
    }

    pub async fn issue_until(&self, not_after: Timestamp) -> String {
        self.version(NAME, not_after).await
    }

    pub async fn issue_named(&self, name: &str) {
        self.version(name, self.now().plus(Duration::from_secs(86_400))).await;
    }

    async fn version(&self, name: &str, not_after: Timestamp) -> String {
        let (state, now) = (&self.app.state, self.now());
        let key = PrivateKey::generate(KeyType::EcdsaP256).unwrap();
        let names = vec![name.to_owned()];
        let new = NewOrder {
            certificate: name,
            issuer: "internal",
            reason: r#"{"kind":"missing"}"#,
            names: names.clone(),
            key_type: "ecdsa-p256",
            key: &key.to_pkcs8_der(),
            profile: None,
            replaces: None,
        };
        let order = state.add_order(&new, &[], now).await.unwrap().id().unwrap();
        let request = LeafRequest::server(&order, vec![identifier(name).into()], key.spki_der());
        let chain = self.authority().await.issue(&request, now).await.unwrap();
        let order = state.open_order(name).await.unwrap().unwrap();
        let version = NewVersion {
            certificate: name,
            issuer: "internal",
            directory_url: None,
            order_url: None,
            profile: None,
            serial: chain.leaf().serial.to_string(),
            names,
            key_type: "ecdsa-p256",
            key: &key.to_pkcs8_der(),
            chain: &chain.fullchain_pem(),
            not_before: now,
            not_after,
            jitter: 0,
            number_at_least: 1,
            stores: Vec::new(),
            adopted: false,
        };
        state.add_version(&version, Some(&order), now).await.unwrap();
        chain.fullchain_pem()
    }

    /// The store has the current version of `example.com`.
    pub async fn deliver(&self) {
        let (state, now) = (&self.app.state, self.now());
        let id = state.certificate(NAME).await.unwrap().unwrap().version_id.unwrap();
        state.add_delivery(&id, NAME, "disk", state.node()).await.unwrap();
        state.delivered(&id, "disk", state.node(), now).await.unwrap();
    }

    pub async fn retire(&self, name: &str) {
        let mut write = self.app.state.begin().await.unwrap();
        self.app.state.retire(&mut write, name, self.now()).await.unwrap();
        write.commit().await.unwrap();
    }

    /// Pieces of private keys that must never leave: as octets and as the middle of their base64.
    pub async fn key_canaries(&self) -> Vec<Vec<u8>> {
        use base64::Engine as _;
        let state = &self.app.state;
        let mut keys = Vec::new();
        for version in state.versions(NAME).await.unwrap() {
            keys.push(version.key(state).unwrap());
        }
        for generation in [0, 1] {
            keys.push(state.ca("internal", generation).await.unwrap().unwrap().key(state).unwrap().unwrap());
        }
        // The secret scalar of a P-256 key in PKCS #8 begins at octet 36.
        let pieces = keys.iter().flat_map(|key| {
            let text = base64::engine::general_purpose::STANDARD.encode(key.as_slice());
            [key[36..68].to_vec(), text.as_bytes()[48..88].to_vec()]
        });
        pieces.collect()
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.get_with(path, &[]).await
    }

    pub async fn get_with(&self, path: &str, headers: &[(HeaderName, &str)]) -> Answer {
        self.get_from("192.0.2.7:9", path, headers).await
    }

    pub async fn get_from(&self, peer: &str, path: &str, headers: &[(HeaderName, &str)]) -> Answer {
        let mut request = Request::get(path);
        for (name, value) in headers {
            request = request.header(name, *value);
        }
        let mut request = request.body(Body::empty()).unwrap();
        request.extensions_mut().insert(ConnectInfo(peer.parse::<SocketAddr>().unwrap()));
        send(public_router(self.app.clone()), request).await
    }

    pub async fn ask(&self, method: Method, path: &str) -> Answer {
        let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
        send(public_router(self.app.clone()), request).await
    }

    /// Asks the local socket's router; `Null` is no body.
    pub async fn local(&self, method: Method, path: &str, body: Value) -> Answer {
        let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
        let request = Request::builder().method(method).uri(path).body(body).unwrap();
        send(local_router(self.app.clone()), request).await
    }
}

async fn send(router: Router, request: Request<Body>) -> Answer {
    let response = router.oneshot(request).await.unwrap();
    let (head, body) = response.into_parts();
    let body = axum::body::to_bytes(body, 1024 * 1024).await.unwrap().to_vec();
    Answer { status: head.status, headers: head.headers, body }
}

/// A report with one error.
pub fn report(message: &str) -> Report {
    let file = PathBuf::from("config.toml");
    let error = ConfigError { file, line: 7, column: 1, key: String::new(), message: message.to_owned(), help: None };
    Report { errors: vec![error], ..Report::default() }
}

pub fn name(text: &str) -> CertificateName {
    CertificateName::parse(text).unwrap()
}

pub fn identifier(text: &str) -> Identifier {
    Identifier::parse(text).unwrap()
}
