//! Listeners and the local socket, with real connections.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "http/app.rs"]
#[expect(dead_code, reason = "the tests of the paths use the rest")]
mod app;
#[path = "http/fast_path.rs"]
mod fast_path;
#[path = "daemon/ocsp/query.rs"]
mod query;

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use renewd::config::Listen;
use renewd::http::status::ListenerState;
use renewd::http::{Listeners, SocketError, serve_socket};
use reqwest::{Certificate, Client};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;

use app::{NAME, TestApp};

/// Longer than this nothing here takes.
const PATIENCE: Duration = Duration::from_secs(20);

fn listen(port: u16, tls: bool) -> Listen {
    Listen { address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)), tls }
}

fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

/// Waits until `holds`, and fails where it never does.
async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let waited = tokio::time::timeout(PATIENCE, async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    assert!(waited.await.is_ok(), "in vain: {what}");
}

fn install_crypto() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

/// Trusts the test's CA and finds `example.com` on this machine.
async fn https_client(app: &TestApp) -> Client {
    let root = Certificate::from_pem(app.authority().await.root_pem().unwrap().as_bytes()).unwrap();
    let here = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    Client::builder().tls_certs_only([root]).resolve(NAME, here).tls_info(true).build().unwrap()
}

/// The leaf that is served, in DER. A new client each time: a resumed session would show the certificate of its first
/// handshake.
async fn served(app: &TestApp, port: u16) -> Option<Vec<u8>> {
    let client = https_client(app).await;
    let answer = client.get(format!("https://{NAME}:{port}/health/live")).send().await.ok()?;
    answer.extensions().get::<reqwest::tls::TlsInfo>()?.peer_certificate().map(<[u8]>::to_vec)
}

#[tokio::test]
async fn an_https_listener_opens_with_its_certificate_and_swaps_it() {
    install_crypto();
    let app = TestApp::new().await;
    let port = free_port();
    app.configure(|config| {
        config.http.listen = vec![listen(port, true)];
        config.http.certificate = Some(app::name(NAME));
    });
    let mut listeners = Listeners::new(app.app.clone());
    listeners.open().await;
    assert!(listeners.addresses().is_empty());
    assert_eq!(app.app.status.listeners()[&listen(port, true)], ListenerState::Waiting);
    app.issue().await;
    listeners.open().await;
    let first = app.get(&format!("/{NAME}/tls?format=der")).await.body;
    assert!(served(&app, port).await.as_ref() == Some(&first), "another certificate is served");
    app.issue().await;
    listeners.refresh_certificate().await;
    let second = app.get(&format!("/{NAME}/tls?format=der")).await.body;
    assert_ne!(first, second);
    assert!(served(&app, port).await == Some(second), "the old certificate is served");
}

#[tokio::test]
async fn listeners_follow_the_config_and_say_what_cannot_be_bound() {
    install_crypto();
    let app = TestApp::new().await;
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let (first, blocked) = (listen(free_port(), false), listen(taken.local_addr().unwrap().port(), false));
    app.configure(|config| config.http.listen = vec![first, blocked]);
    let mut listeners = Listeners::new(app.app.clone());
    listeners.open().await;
    let failed = app.app.status.listeners()[&blocked].clone();
    let ListenerState::Failed { error } = failed else { panic!("{failed:?}") };
    assert!(error.contains(&blocked.address.to_string()), "{error}");
    assert_eq!(app.get("/health/ready").await.status, 503);
    let (stop, stopped) = watch::channel(false);
    let mut tasks = JoinSet::new();
    tasks.spawn(listeners.run(stopped));
    let answers = async |listen: Listen| reqwest::get(format!("http://{}/health/live", listen.address)).await.is_ok();
    assert!(answers(first).await);
    drop(taken);
    until("the address is tried again", async || answers(blocked).await).await;
    app.configure(|config| config.http.listen = vec![blocked]);
    app.app.status.config_taken(app.now());
    until("the other listener closes", async || !answers(first).await).await;
    stop.send(true).unwrap();
    assert!(tokio::time::timeout(PATIENCE, tasks.join_all()).await.is_ok());
    assert!(!answers(blocked).await);
}

#[tokio::test]
async fn a_client_that_never_ends_its_request_is_sent_away() {
    let app = TestApp::new().await;
    let here = listen(free_port(), false);
    app.configure(|config| config.http.listen = vec![here]);
    let mut listeners = Listeners::new(app.app.clone());
    listeners.open().await;
    let closed = tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(here.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(b"GET /health HTTP/1.1\r\nHost: a\r\nX-Slow: ").unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)
    });
    assert!(closed.await.unwrap().is_ok(), "the connection was kept");
}

#[tokio::test]
async fn the_local_socket_knows_who_asks_and_goes_with_the_daemon() {
    install_crypto();
    let app = TestApp::new().await;
    let path = app.app.config.load().state.socket.clone();
    let (stop, stopped) = watch::channel(false);
    let mut tasks = JoinSet::new();
    tasks.spawn(serve_socket(app.app.clone(), &path, stopped.clone()).unwrap());
    assert!(matches!(serve_socket(app.app.clone(), &path, stopped).err(), Some(SocketError::InUse { .. })));
    let client = Client::builder().unix_socket(path.as_path()).build().unwrap();
    let answer = client.post("http://localhost/certificates/example.com/renew").json(&json!({})).send().await.unwrap();
    assert_eq!(answer.status(), 202);
    let job: Value = answer.json().await.unwrap();
    let job = app.app.state.job(job["job"].as_str().unwrap()).await.unwrap().unwrap();
    let user = std::process::Command::new("id").arg("-un").output().unwrap().stdout;
    assert_eq!(job.requested_by, String::from_utf8(user).unwrap().trim());
    stop.send(true).unwrap();
    assert!(tokio::time::timeout(PATIENCE, tasks.join_all()).await.is_ok());
    assert!(!path.exists());
}
