//! A fake of acme-dns, as strict as the public documentation of its API.

#![allow(dead_code)]

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::task::JoinSet;

/// The zone that every registration lies in.
pub const ZONE: &str = "auth.example.net";

/// A server that is gone when dropped.
pub struct AcmeDnsServer {
    address: SocketAddr,
    names: Arc<Mutex<Names>>,
    _tasks: JoinSet<()>,
}

/// What the server knows, and the CNAMEs that lead to it.
#[derive(Default)]
pub struct Names {
    /// By subdomain.
    pub accounts: HashMap<String, Account>,
    /// From names elsewhere to subdomains.
    pub aliases: HashMap<String, String>,
}

/// One registration.
pub struct Account {
    username: String,
    /// Of the API, for this registration.
    pub password: String,
    /// The older first.
    pub values: VecDeque<String>,
}

impl Account {
    /// Two values are kept, the older falls out.
    pub fn push(&mut self, value: &str) {
        self.values.push_back(value.to_owned());
        if self.values.len() > 2 {
            self.values.pop_front();
        }
    }
}

impl AcmeDnsServer {
    pub async fn start() -> Self {
        let names = Arc::new(Mutex::new(Names::default()));
        let router = Router::new().route("/register", post(register)).route("/update", post(update));
        let router = router.with_state(names.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let mut tasks = JoinSet::new();
        tasks.spawn(async move { axum::serve(listener, router).await.expect("the fake serves") });
        Self { address, names, _tasks: tasks }
    }

    /// The root of the API.
    pub fn api_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The TXT values at a name of `ZONE`.
    pub fn txt(&self, name: &str) -> Vec<String> {
        let subdomain = name.strip_suffix(ZONE).and_then(|rest| rest.strip_suffix('.'));
        let names = self.names();
        let account = subdomain.and_then(|subdomain| names.accounts.get(subdomain));
        account.map(|account| account.values.iter().cloned().collect()).unwrap_or_default()
    }

    pub fn names(&self) -> MutexGuard<'_, Names> {
        self.names.lock().expect("no handler panicked")
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
        "allowfrom": [], "fulldomain": format!("{subdomain}.{ZONE}"), "subdomain": subdomain,
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
