//! `acme-dns` against a fake as strict as the server's public API documentation.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use axum::{Json, Router};
use providers::Error;
use providers::dns::acme_dns::{AcmeDns, AcmeDnsCredentials, AcmeDnsSettings};
use providers::dns::{DnsProvider, TxtRecord};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::dns::{Host, Values, Zone, holds};

#[tokio::test]
async fn the_contract_holds() {
    let server = AcmeDnsServer::start().await;
    let provider = provider(&server, None);
    let known = registered(&provider).await;
    let wrong = AcmeDnsCredentials { password: SecretString::from("x".repeat(40)), ..known };
    let stranger = self::provider(&server, Some(wrong));
    let host = Host {
        provider: &provider,
        stranger: Some(&stranger),
        zone: &server,
        origin: "zone.test",
        values: Values::Challenge,
        // Every name leads to the same zone there.
        knows_its_zones: false,
    };
    holds(&host).await;
}

#[tokio::test]
async fn fixed_credentials_serve_every_name_and_hold_two_values() {
    let server = AcmeDnsServer::start().await;
    let known = registered(&provider(&server, None)).await;
    let subdomain = known.subdomain.clone();
    let provider = provider(&server, Some(known));
    for word in ["first", "second", "third"] {
        provider.append_txt(&record(&format!("{word:_<43}")), None).await.expect("append");
    }
    let held: Vec<String> = server.names().accounts[&subdomain].values.iter().cloned().collect();
    assert_eq!(held, ["second", "third"].map(|word| format!("{word:_<43}")));
    assert_eq!(provider.capabilities().values_per_name, Some(held.len()));
}

#[tokio::test]
async fn a_value_that_is_no_challenge_is_rejected_in_the_server_s_words() {
    let server = AcmeDnsServer::start().await;
    let provider = provider(&server, None);
    let registration = provider.register("_acme-challenge.zone.test").await.expect("register");
    let answer = provider.append_txt(&record("too short"), registration.as_ref()).await;
    assert_eq!(answer, Err(Error::rejected("400 Bad Request: bad_txt")));
}

fn provider(server: &AcmeDnsServer, credentials: Option<AcmeDnsCredentials>) -> AcmeDns {
    let settings = AcmeDnsSettings { api_url: format!("http://{}", server.address), credentials };
    AcmeDns::new(settings).expect("the settings are good")
}

/// The credentials of a new registration, as an operator would write them down.
async fn registered(provider: &AcmeDns) -> AcmeDnsCredentials {
    let registration = provider.register("_acme-challenge.zone.test").await.expect("register");
    let registration = registration.expect("this host has registrations");
    let secret: Value = serde_json::from_str(registration.secret.expose_secret()).expect("the secret is JSON");
    let field = |name: &str| secret[name].as_str().expect("a text").to_owned();
    let (username, subdomain) = (field("username"), field("subdomain"));
    AcmeDnsCredentials { username, password: SecretString::from(field("password")), subdomain }
}

fn record(value: &str) -> TxtRecord {
    let name = "_acme-challenge.zone.test".to_owned();
    TxtRecord { zone: "zone.test".to_owned(), name, value: value.to_owned(), ttl: 60 }
}

/// A server that is gone when dropped.
struct AcmeDnsServer {
    address: SocketAddr,
    names: Arc<Mutex<Names>>,
    _tasks: JoinSet<()>,
}

/// What the server knows, and the CNAMEs that lead to it.
#[derive(Default)]
struct Names {
    accounts: HashMap<String, Account>,
    aliases: HashMap<String, String>,
}

/// One registration.
struct Account {
    username: String,
    password: String,
    values: VecDeque<String>,
}

impl Account {
    /// Two values are kept, the older falls out.
    fn push(&mut self, value: &str) {
        self.values.push_back(value.to_owned());
        if self.values.len() > 2 {
            self.values.pop_front();
        }
    }
}

impl AcmeDnsServer {
    async fn start() -> Self {
        let names = Arc::new(Mutex::new(Names::default()));
        let router = Router::new().route("/register", post(register)).route("/update", post(update));
        let router = router.with_state(names.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let mut tasks = JoinSet::new();
        tasks.spawn(async move { axum::serve(listener, router).await.expect("the fake serves") });
        Self { address, names, _tasks: tasks }
    }

    fn names(&self) -> MutexGuard<'_, Names> {
        self.names.lock().expect("no handler panicked")
    }
}

#[async_trait]
impl Zone for AcmeDnsServer {
    async fn txt(&self, name: &str) -> Vec<String> {
        let names = self.names();
        let account = &names.accounts[&names.aliases[name]];
        let mut values: Vec<String> = account.values.iter().cloned().collect();
        values.sort();
        // The same record twice is once in an answer.
        values.dedup();
        values
    }

    async fn put(&self, name: &str, value: &str) {
        let mut names = self.names();
        let subdomain = names.aliases[name].clone();
        names.accounts.get_mut(&subdomain).expect("registered").push(value);
    }

    async fn alias(&self, name: &str, target: &str) {
        let subdomain = target.strip_suffix(".auth.example.net").expect("the server's own zone");
        self.names().aliases.insert(name.to_owned(), subdomain.to_owned());
    }
}

type Refusal = (StatusCode, Json<Value>);

fn refuse(status: StatusCode, error: &str) -> Refusal {
    (status, Json(json!({ "error": error })))
}

/// `POST /register`: a body, if there is one, may hold `allowfrom` only.
async fn register(State(names): State<Arc<Mutex<Names>>>, body: String) -> Result<Refusal, Refusal> {
    if !body.is_empty() && !body.trim_start().starts_with('{') {
        return Err(refuse(StatusCode::BAD_REQUEST, "malformed_json_payload"));
    }
    let mut names = names.lock().expect("no handler panicked");
    let number = names.accounts.len();
    let (username, subdomain) = (uuid(1, number), uuid(2, number));
    let password = format!("{number:a<40}");
    let answer = json!({
        "allowfrom": [], "fulldomain": format!("{subdomain}.auth.example.net"), "subdomain": subdomain,
        "username": username, "password": password,
    });
    names.accounts.insert(subdomain, Account { username, password, values: VecDeque::new() });
    Ok((StatusCode::CREATED, Json(answer)))
}

/// `POST /update`: who asks is looked at before what is asked.
async fn update(
    State(names): State<Arc<Mutex<Names>>>,
    headers: HeaderMap,
    body: String,
) -> Result<Json<Value>, Refusal> {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let forbidden = || refuse(StatusCode::UNAUTHORIZED, "forbidden");
    let body: Value =
        serde_json::from_str(&body).map_err(|_| refuse(StatusCode::BAD_REQUEST, "malformed_json_payload"))?;
    let mut names = names.lock().expect("no handler panicked");
    let subdomain = body["subdomain"].as_str().ok_or_else(forbidden)?;
    let account = names.accounts.get_mut(subdomain).ok_or_else(forbidden)?;
    if header("X-Api-User") != account.username || header("X-Api-Key") != account.password {
        return Err(forbidden());
    }
    let txt = body["txt"].as_str().unwrap_or_default();
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if txt.len() != 43 || !txt.bytes().all(fits) {
        return Err(refuse(StatusCode::BAD_REQUEST, "bad_txt"));
    }
    account.push(txt);
    Ok(Json(json!({ "txt": txt })))
}

fn uuid(kind: u8, number: usize) -> String {
    format!("{number:08x}-0000-4000-8000-{kind:012x}")
}
