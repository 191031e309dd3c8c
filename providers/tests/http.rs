//! The HTTP client against a server that misbehaves.

#![allow(clippy::unwrap_used)]

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect};
use axum::routing::any;
use providers::Error;
use providers::http::{Answer, Client, base, join};
use reqwest::Method;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection};
use secrecy::SecretString;
use tokio::task::JoinSet;

/// Serves the router as long as the set lives.
async fn serve(router: Router) -> (SocketAddr, JoinSet<()>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move { axum::serve(listener, router).await.unwrap() });
    (address, tasks)
}

async fn call(address: SocketAddr, path: &str) -> Result<Answer, Error> {
    let url = join(&base(&format!("http://{address}")).unwrap(), &[path]);
    let secret = SecretString::from("canary");
    Client::new().unwrap().request(Method::PATCH, url).secret_header("X-API-Key", &secret)?.send().await
}

#[tokio::test]
async fn the_client_says_who_it_is_and_sends_the_secret() {
    let hello = |headers: HeaderMap| async move {
        format!(r#"["{}","{}"]"#, headers["user-agent"].to_str().unwrap(), headers["x-api-key"].to_str().unwrap())
    };
    let (address, _tasks) = serve(Router::new().route("/hello", any(hello))).await;
    let said: [String; 2] = call(address, "hello").await.unwrap().json().unwrap();
    assert_eq!(said, [format!("renewd/{}", env!("CARGO_PKG_VERSION")), "canary".to_owned()]);
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let (other, _others) = serve(Router::new().route("/", any(|| async { "followed" }))).await;
    let target = format!("http://{other}/?token=canary");
    let moved = any(move || async move { Redirect::temporary(&target) });
    let (address, _tasks) = serve(Router::new().route("/moved", moved)).await;
    let error = call(address, "moved").await.unwrap_err();
    assert_eq!(error, Error::rejected(format!("307 Temporary Redirect to `http://{other}`")));
}

#[tokio::test]
async fn an_endless_answer_is_cut_off() {
    let long = |status: StatusCode| any(move || async move { (status, "x".repeat((1 << 20) + 1)) });
    let just = any(|| async { "x".repeat(1 << 20) });
    let router = Router::new()
        .route("/just", just)
        .route("/ok", long(StatusCode::OK))
        .route("/bad", long(StatusCode::BAD_GATEWAY))
        .route("/no", long(StatusCode::UNAUTHORIZED));
    let (address, _tasks) = serve(router).await;
    assert!(call(address, "just").await.is_ok());
    assert!(matches!(call(address, "ok").await, Err(Error::Rejected { .. })));
    assert!(matches!(call(address, "bad").await, Err(Error::Unavailable { .. })));
    assert!(matches!(call(address, "no").await, Err(Error::Unauthorized { .. })));
}

#[tokio::test]
async fn refusals_keep_the_vendor_s_words_but_no_secret() {
    let slow = any(|| async { (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, "30")], "slow down") });
    let no = |headers: HeaderMap| async move {
        let key = headers["x-api-key"].to_str().unwrap().to_owned();
        (StatusCode::FORBIDDEN, format!(r#"{{"error":"the key {key} may not"}}"#)).into_response()
    };
    let (address, _tasks) = serve(Router::new().route("/slow", slow).route("/no", any(no))).await;
    let (retry_after, detail) = (Some(Duration::from_secs(30)), "429 Too Many Requests: slow down".to_owned());
    assert_eq!(call(address, "slow").await.unwrap_err(), Error::RateLimited { retry_after, detail });
    let detail = "403 Forbidden: the key *** may not".to_owned();
    assert_eq!(call(address, "no").await.unwrap_err(), Error::Unauthorized { detail });
    assert!(call(address, "nowhere").await.unwrap().is_not_found());
}

#[tokio::test]
async fn a_certificate_that_nobody_trusts_is_refused() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let config = Arc::new(self_signed());
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        ServerConnection::new(config).unwrap().complete_io(&mut stream).map(|_| ())
    });
    let url = base(&format!("https://localhost:{port}")).unwrap();
    let error = Client::new().unwrap().request(Method::GET, url).send().await.unwrap_err();
    assert!(matches!(&error, Error::Unavailable { detail } if detail.contains("certificate")), "{error:?}");
    let refused = server.join().unwrap().unwrap_err().to_string();
    assert!(refused.contains("fatal alert"), "the client tells the server why: {refused}");
}

fn self_signed() -> ServerConfig {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let builder = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    builder.with_single_cert(vec![made.cert.der().clone()], key).unwrap()
}
