//! A fake ACME CA, as strict as RFC 8555 and RFC 9773 about methods, content types, nonces, URLs and signatures. It signs
//! real certificates, validates nothing, and misbehaves as a test tells it to.
//!
//! It answers on plain HTTP on loopback, from a thread of its own, until it is dropped.

#![allow(dead_code)]

#[path = "acme_ca/jws.rs"]
mod jws;
#[path = "acme_ca/resources.rs"]
mod resources;
#[path = "acme_ca/signing.rs"]
mod signing;

use std::collections::{HashMap, HashSet, VecDeque};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, Method, Response, StatusCode, Uri};
use serde_json::{Value, json};
use tokio::sync::oneshot;

use signing::Signing;

/// What the CA is like.
#[derive(Debug, Clone)]
pub struct Script {
    /// Every authorization is there and valid already: orders are born ready.
    pub ready: bool,
    /// Profiles and their descriptions.
    pub profiles: Vec<(&'static str, &'static str)>,
    /// The URL of the terms of service, to which accounts must agree.
    pub terms: Option<&'static str>,
    /// Accounts must be bound to this key identifier and key; each binds one account.
    pub eab: Option<(&'static str, &'static [u8])>,
    /// It gives renewal information.
    pub renewal_info: bool,
    /// So many of a hundred good nonces are refused.
    pub nonce_reject_percent: u32,
    /// A profile, and as many names as its certificates may have.
    pub few_names: Option<(&'static str, usize)>,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            ready: true,
            profiles: vec![("classic", "90 days")],
            terms: None,
            eab: None,
            renewal_info: true,
            nonce_reject_percent: 0,
            few_names: None,
        }
    }
}

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Endpoint {
    Directory,
    NewNonce,
    NewAccount,
    Account,
    NewOrder,
    Order,
    Authorization,
    Challenge,
    Finalize,
    Certificate,
    RenewalInfo,
    Revoke,
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Reply {
    /// JSON with 200.
    pub fn json(body: &Value) -> Self {
        Self { status: 200, headers: Vec::new(), body: body.to_string() }.with("content-type", "application/json")
    }

    /// A problem document of an ACME type.
    pub fn problem(status: u16, kind: &str, detail: &str) -> Self {
        let kind = format!("urn:ietf:params:acme:error:{kind}");
        let body = json!({ "type": kind, "detail": detail, "status": status }).to_string();
        Self { status, headers: Vec::new(), body }.with("content-type", "application/problem+json")
    }

    /// A page for people.
    pub fn html(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: "<html>sorry</html>".to_owned() }.with("content-type", "text/html")
    }

    /// With one header more.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }
}

type Edit = Box<dyn FnMut(&mut Value) + Send>;
type ChainEdit = Box<dyn FnMut(&mut Vec<String>) + Send>;

/// The CA. It is gone when dropped.
pub struct AcmeCa {
    address: SocketAddr,
    book: Arc<Mutex<Book>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What the CA knows, and how it is to misbehave.
struct Book {
    base: String,
    script: Script,
    signing: Signing,
    nonces: HashSet<String>,
    nonces_made: u32,
    nonces_refused: u32,
    accounts: Vec<resources::Account>,
    orders: Vec<resources::Order>,
    /// CertIDs of what was issued, and of what was replaced.
    issued: HashSet<String>,
    replaced: HashSet<String>,
    next: HashMap<Endpoint, VecDeque<Reply>>,
    /// From the request on that comes after so many.
    always: HashMap<Endpoint, (usize, Reply)>,
    edits: HashMap<Endpoint, Vec<Edit>>,
    chain_edits: Vec<ChainEdit>,
    headers: Vec<(Endpoint, String, String)>,
    requests: Vec<(Endpoint, Value)>,
    /// What was wrong with requests, beside what every client may meet.
    complaints: Vec<String>,
}

impl AcmeCa {
    /// Starts a CA.
    pub fn start(script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.set_nonblocking(true).expect("a socket");
        let address = listener.local_addr().expect("an address");
        let book = Arc::new(Mutex::new(Book::new(format!("http://{address}"), script)));
        let (stop, stopped) = oneshot::channel();
        let shared = Arc::clone(&book);
        let thread = thread::spawn(move || serve(listener, shared, stopped));
        Self { address, book, stop: Some(stop), thread: Some(thread) }
    }

    pub fn directory_url(&self) -> String {
        format!("http://{}/dir", self.address)
    }

    /// The next request there is answered so, once it has proved to be well formed; several are answered in turn.
    pub fn next(&self, endpoint: Endpoint, reply: Reply) {
        self.book().next.entry(endpoint).or_default().push_back(reply);
    }

    /// Every request there is answered so.
    pub fn always(&self, endpoint: Endpoint, reply: Reply) {
        self.always_after(0, endpoint, reply);
    }

    /// Every request there is answered so, once there have been this many.
    pub fn always_after(&self, count: usize, endpoint: Endpoint, reply: Reply) {
        self.book().always.insert(endpoint, (count, reply));
    }

    /// Changes every JSON answer of success from there.
    pub fn edit(&self, endpoint: Endpoint, edit: impl FnMut(&mut Value) + Send + 'static) {
        self.book().edits.entry(endpoint).or_default().push(Box::new(edit));
    }

    /// Changes every chain that is downloaded, one PEM a certificate, the leaf first.
    pub fn edit_chain(&self, edit: impl FnMut(&mut Vec<String>) + Send + 'static) {
        self.book().chain_edits.push(Box::new(edit));
    }

    /// From now on certificates are for these names, whatever was ordered; `None`: for those that were.
    pub fn misname(&self, names: Option<&[&str]>) {
        self.book().signing.misname(names);
    }

    /// From now on it signs as at so many seconds later than it is.
    pub fn be_ahead(&self, seconds: i64) {
        self.book().signing.ahead = time::Duration::seconds(seconds);
    }

    /// Adds a header to every answer of success from there.
    pub fn header(&self, endpoint: Endpoint, name: &str, value: &str) {
        self.book().headers.push((endpoint, name.to_owned(), value.to_owned()));
    }

    /// From now on it behaves.
    pub fn behave(&self) {
        let mut book = self.book();
        book.next.clear();
        book.always.clear();
        book.edits.clear();
        book.chain_edits.clear();
        book.headers.clear();
    }

    /// The account is deactivated, by the CA.
    pub fn deactivate_accounts(&self) {
        self.book().accounts.iter_mut().for_each(|account| account.status = "deactivated");
    }

    /// What was deactivated is valid again.
    pub fn revive_accounts(&self) {
        self.book().accounts.iter_mut().for_each(|account| account.status = "valid");
    }

    /// How many well-formed requests there were.
    pub fn count(&self, endpoint: Endpoint) -> usize {
        self.book().count(endpoint)
    }

    /// The CA knows of no account and no order.
    pub fn forget(&self) {
        let mut book = self.book();
        book.accounts.clear();
        book.orders.clear();
    }

    /// The contacts of its accounts.
    pub fn contacts(&self) -> Vec<Value> {
        self.book().accounts.iter().map(|account| account.contact.clone()).collect()
    }

    /// The payloads of well-formed requests there (null: POST-as-GET, or a GET), in their order.
    pub fn requests(&self, endpoint: Endpoint) -> Vec<Value> {
        let book = self.book();
        let there = book.requests.iter().filter(|(at, _)| *at == endpoint);
        there.map(|(_, payload)| payload.clone()).collect()
    }

    /// How many nonces it refused.
    pub fn refused_nonces(&self) -> u32 {
        self.book().nonces_refused
    }

    /// What no client may do and one did.
    pub fn complaints(&self) -> Vec<String> {
        self.book().complaints.clone()
    }

    /// A certificate for these names and a key that nobody has, PEM.
    pub fn foreign_leaf(&self, names: &[&str]) -> String {
        self.book().signing.foreign_leaf(names)
    }

    /// The root, PEM.
    pub fn root_pem(&self) -> String {
        self.book().signing.root_pem()
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().expect("no handler panicked")
    }
}

impl Drop for AcmeCa {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(listener: TcpListener, book: Arc<Mutex<Book>>, stopped: oneshot::Receiver<()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
        let router = Router::new().fallback(handle).with_state(book);
        tokio::select! {
            served = axum::serve(listener, router) => served.expect("the fake serves"),
            _ = stopped => {}
        }
    });
}

async fn handle(
    State(book): State<Arc<Mutex<Book>>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let reply = book.lock().expect("no handler panicked").answer(&method, uri.path(), &headers, &body);
    let mut response = Response::new(Body::from(reply.body));
    *response.status_mut() = StatusCode::from_u16(reply.status).expect("a status");
    for (name, value) in reply.headers {
        response
            .headers_mut()
            .append(name.parse::<HeaderName>().expect("a header's name"), value.parse().expect("a header's value"));
    }
    response
}

impl Book {
    fn new(base: String, script: Script) -> Self {
        Self {
            base,
            script,
            signing: Signing::new(),
            nonces: HashSet::new(),
            nonces_made: 0,
            nonces_refused: 0,
            accounts: Vec::new(),
            orders: Vec::new(),
            issued: HashSet::new(),
            replaced: HashSet::new(),
            next: HashMap::new(),
            always: HashMap::new(),
            edits: HashMap::new(),
            chain_edits: Vec::new(),
            headers: Vec::new(),
            requests: Vec::new(),
            complaints: Vec::new(),
        }
    }

    fn answer(&mut self, method: &Method, path: &str, headers: &HeaderMap, body: &[u8]) -> Reply {
        let Some((endpoint, rest)) = route(path) else { return Reply::problem(404, "malformed", "no such resource") };
        let reply = self.reply(endpoint, rest, method, path, headers, body).unwrap_or_else(|refusal| refusal);
        let bare = matches!(endpoint, Endpoint::Directory | Endpoint::RenewalInfo);
        if bare { reply } else { reply.with("replay-nonce", &self.new_nonce()).with("cache-control", "no-store") }
    }

    fn reply(
        &mut self,
        endpoint: Endpoint,
        rest: &str,
        method: &Method,
        path: &str,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<Reply, Reply> {
        if headers.get("user-agent").is_none_or(|agent| agent.is_empty()) {
            return Err(self.complain(400, "no User-Agent"));
        }
        let signed = match endpoint {
            Endpoint::Directory | Endpoint::NewNonce | Endpoint::RenewalInfo => {
                self.expect_get(endpoint, method)?;
                None
            }
            _ => Some(self.verify(endpoint, method, path, headers, body)?),
        };
        self.requests.push((endpoint, signed.as_ref().map_or(Value::Null, |signed| signed.payload.clone())));
        if let Some(reply) = self.next.get_mut(&endpoint).and_then(VecDeque::pop_front) {
            return Ok(reply);
        }
        if let Some((count, reply)) = self.always.get(&endpoint)
            && self.count(endpoint) > *count
        {
            return Ok(reply.clone());
        }
        let mut reply = self.resource(endpoint, rest, signed)?;
        for edit in self.edits.get_mut(&endpoint).into_iter().flatten() {
            let mut document = serde_json::from_str(&reply.body).expect("what is edited is JSON");
            edit(&mut document);
            reply.body = document.to_string();
        }
        let more = self.headers.iter().filter(|(at, ..)| *at == endpoint);
        reply.headers.extend(more.map(|(_, name, value)| (name.clone(), value.clone())));
        Ok(reply)
    }

    fn count(&self, endpoint: Endpoint) -> usize {
        self.requests.iter().filter(|(at, _)| *at == endpoint).count()
    }

    fn expect_get(&mut self, endpoint: Endpoint, method: &Method) -> Result<(), Reply> {
        let fits = *method == Method::GET || endpoint == Endpoint::NewNonce && *method == Method::HEAD;
        if fits { Ok(()) } else { Err(self.complain(405, &format!("{method} of {endpoint:?}"))) }
    }

    fn complain(&mut self, status: u16, what: &str) -> Reply {
        self.complaints.push(what.to_owned());
        Reply::problem(status, "malformed", what)
    }

    fn new_nonce(&mut self) -> String {
        self.nonces_made += 1;
        let nonce = format!("nonce-{}", self.nonces_made);
        self.nonces.insert(nonce.clone());
        nonce
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }
}

fn route(path: &str) -> Option<(Endpoint, &str)> {
    let (first, rest) = path.strip_prefix('/')?.split_once('/').unwrap_or((path.get(1..)?, ""));
    let endpoint = match (first, rest.is_empty()) {
        ("dir", true) => Endpoint::Directory,
        ("nonce", true) => Endpoint::NewNonce,
        ("accounts", true) => Endpoint::NewAccount,
        ("account", false) => Endpoint::Account,
        ("orders", true) => Endpoint::NewOrder,
        ("order", false) => Endpoint::Order,
        ("authorization", false) => Endpoint::Authorization,
        ("challenge", false) => Endpoint::Challenge,
        ("finalize", false) => Endpoint::Finalize,
        ("certificate", false) => Endpoint::Certificate,
        ("renewal-info", false) => Endpoint::RenewalInfo,
        ("revoke", true) => Endpoint::Revoke,
        _ => return None,
    };
    Some((endpoint, rest))
}
