//! A fake of Cloudflare's API, written from its public documentation and as strict as that: whatever the documentation
//! does not allow is answered as Cloudflare answers it, and kept as a complaint for the test to look at.

#![allow(dead_code)]

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::body::{Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use providers::dns::txt;
use serde_json::{Map, Value, json};
use tokio::task::JoinSet;

/// The one token that the server knows.
pub const TOKEN: &str = "the-right-token";

/// A server that is gone when dropped.
pub struct CloudflareServer {
    address: SocketAddr,
    cloud: Arc<Mutex<Cloud>>,
    _tasks: JoinSet<()>,
}

/// What the server knows.
#[derive(Default)]
pub struct Cloud {
    zones: Vec<Value>,
    records: Vec<Record>,
    made: usize,
    /// Answered in place of what would be right, once for each.
    pub refusals: Vec<(u16, String)>,
    /// What a client did that the documentation does not allow.
    pub complaints: Vec<String>,
    /// Every request: `GET /client/v4/zones?name=…`.
    pub requests: Vec<String>,
}

#[derive(Clone)]
struct Record {
    zone_id: String,
    json: Value,
}

impl CloudflareServer {
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let cloud = Arc::new(Mutex::new(Cloud::default()));
        let app = Router::new().fallback(answer).with_state(cloud.clone());
        let mut tasks = JoinSet::new();
        tasks.spawn(async move { axum::serve(listener, app).await.expect("the server goes on") });
        Self { address, cloud, _tasks: tasks }
    }

    pub fn api_url(&self) -> String {
        format!("http://{}/client/v4", self.address)
    }

    pub fn cloud(&self) -> MutexGuard<'_, Cloud> {
        self.cloud.lock().expect("no handler panicked")
    }
}

impl Cloud {
    /// Adds a zone with what every zone has: name servers, an A and a CAA record.
    pub fn add_zone(&mut self, name: &str, status: &str) -> String {
        let id = self.next_id();
        self.zones.push(json!({
            "id": id, "name": name, "status": status, "paused": false, "type": "full",
            "activated_on": if status == "active" { json!("2024-01-01T00:00:00Z") } else { Value::Null },
            "original_registrar": null, "owner": {"id": null, "type": "user", "email": null}, "plan": {"id": "free"},
        }));
        let caa = json!({"flags": 0, "tag": "issue", "value": "ca.test"});
        self.add(&id, json!({"type": "CAA", "name": name, "content": "0 issue \"ca.test\"", "data": caa, "ttl": 1}));
        self.add(&id, json!({"type": "A", "name": name, "content": "192.0.2.1", "proxied": true, "ttl": 1}));
        id
    }

    pub fn remove_zone(&mut self, id: &str) {
        self.zones.retain(|zone| zone["id"] != id);
        self.records.retain(|record| record.zone_id != id);
    }

    /// Adds a record as it stands, without a look at it.
    pub fn add(&mut self, zone_id: &str, mut json: Value) -> Value {
        json["id"] = Value::from(self.next_id());
        json["created_on"] = Value::from("2024-01-01T00:00:00.000000Z");
        json["meta"] = json!({});
        self.records.push(Record { zone_id: zone_id.to_owned(), json: json.clone() });
        json
    }

    /// The contents of the TXT records at a name, as they stand.
    pub fn contents(&self, name: &str) -> Vec<String> {
        let at_name = self.records.iter().filter(|record| record.json["type"] == "TXT" && record.json["name"] == name);
        at_name.map(|record| text(&record.json["content"]).to_owned()).collect()
    }

    /// The id of the active zone, or else of the pending one, of that name.
    pub fn zone_id(&self, name: &str) -> String {
        let named = || self.zones.iter().filter(|zone| zone["name"] == name);
        let zone = named().find(|zone| zone["status"] == "active").or_else(|| named().next());
        text(&zone.expect("the zone is there")["id"]).to_owned()
    }

    fn next_id(&mut self) -> String {
        self.made += 1;
        format!("{:032x}", self.made)
    }
}

/// What a `TXT` content says: zone file data in quotes, or the text itself.
pub fn meaning(content: &str) -> String {
    match content.starts_with('"') {
        true => String::from_utf8(txt::unquote(content)).expect("the tests use UTF-8"),
        false => content.to_owned(),
    }
}

/// A refusal: the status, Cloudflare's code and its message.
type Refusal = (u16, u32, &'static str);
const NO_ROUTE: Refusal = (404, 7003, "Could not route to the path, perhaps your object identifier is invalid?");

async fn answer(State(cloud): State<Arc<Mutex<Cloud>>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body = to_bytes(body, 1 << 16).await.expect("a short body");
    let mut cloud = cloud.lock().expect("no handler panicked");
    cloud.requests.push(format!("{} {}", head.method, head.uri));
    if !cloud.refusals.is_empty() {
        let (status, body) = cloud.refusals.remove(0);
        return (StatusCode::from_u16(status).expect("a status"), body).into_response();
    }
    let header = |name| head.headers.get(name).and_then(|value| value.to_str().ok());
    let is_json = header(header::CONTENT_TYPE) == Some("application/json");
    let authorised = authorised(header(header::AUTHORIZATION));
    match authorised.and_then(|()| route(&mut cloud, &head.method, &head.uri, is_json, &body)) {
        Ok(answer) => answer.to_string().into_response(),
        Err((status, code, message)) => {
            if !matches!(code, 9109 | 7003 | 81044 | 81058) {
                cloud.complaints.push(format!("{} {}: {message}", head.method, head.uri));
            }
            let errors = json!([{"code": code, "message": message}]);
            let body = json!({"success": false, "errors": errors, "messages": [], "result": null}).to_string();
            (StatusCode::from_u16(status).expect("a status"), body).into_response()
        }
    }
}

fn authorised(authorization: Option<&str>) -> Result<(), Refusal> {
    match authorization.map(|value| value.strip_prefix("Bearer ")) {
        Some(Some(TOKEN)) => Ok(()),
        Some(Some(_)) => Err((403, 9109, "Invalid access token")),
        Some(None) => Err((400, 6111, "Invalid format for Authorization header")),
        None => Err((400, 9106, "Missing X-Auth-Key, X-Auth-Email or Authorization headers")),
    }
}

fn route(cloud: &mut Cloud, method: &Method, uri: &Uri, is_json: bool, body: &Bytes) -> Result<Value, Refusal> {
    let path = uri.path().strip_prefix("/client/v4/").ok_or(NO_ROUTE)?;
    let segments: Vec<&str> = path.split('/').collect();
    if method != Method::POST && (!body.is_empty() || is_json) {
        return Err((400, 9207, "Request body is not allowed"));
    }
    let zone_is_there = |cloud: &Cloud, id: &str| match cloud.zones.iter().any(|zone| zone["id"] == id) {
        true => Ok(()),
        false => Err(NO_ROUTE),
    };
    match (method.as_str(), segments.as_slice()) {
        ("GET", ["zones"]) => find_zones(cloud, &query(uri)?),
        ("GET", [_, id, "dns_records"]) => zone_is_there(cloud, id).and_then(|()| list(cloud, id, &query(uri)?)),
        ("POST", [_, id, "dns_records"]) if uri.query().is_none() && is_json => {
            zone_is_there(cloud, id).and_then(|()| create(cloud, id, body))
        }
        ("DELETE", [_, id, "dns_records", record]) if uri.query().is_none() => {
            zone_is_there(cloud, id).and_then(|()| delete(cloud, id, record))
        }
        _ => Err((405, 7001, "Method or form not available for that URI")),
    }
}

fn find_zones(cloud: &Cloud, query: &Map<String, Value>) -> Result<Value, Refusal> {
    only(query, &["name", "status", "page", "per_page"])?;
    let zones = cloud.zones.iter().filter(|zone| query.get("name").is_none_or(|name| zone["name"] == *name));
    page(&zones.cloned().collect::<Vec<_>>(), query, 5..=50, 20)
}

fn list(cloud: &Cloud, zone_id: &str, query: &Map<String, Value>) -> Result<Value, Refusal> {
    only(query, &["name", "type", "page", "per_page"])?;
    let fits = |record: &&Record| {
        let same = |key: &str| query.get(key).is_none_or(|wanted| record.json[key] == *wanted);
        record.zone_id == zone_id && same("name") && same("type")
    };
    let records: Vec<Value> = cloud.records.iter().filter(fits).map(|record| record.json.clone()).collect();
    page(&records, query, 1..=5_000_000, 100)
}

fn create(cloud: &mut Cloud, zone_id: &str, body: &Bytes) -> Result<Value, Refusal> {
    let record: Map<String, Value> =
        serde_json::from_slice(body).map_err(|_| (400, 9207, "Request body is invalid"))?;
    only(&record, &["type", "name", "content", "ttl", "comment", "proxied", "tags", "settings"])?;
    let field = |key: &str| record.get(key).and_then(Value::as_str).unwrap_or_default();
    let zone = cloud.zones.iter().find(|zone| zone["id"] == zone_id).map_or("", |zone| text(&zone["name"]));
    let below = field("name").strip_suffix(zone).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    let ttl = record.get("ttl").and_then(Value::as_u64);
    match () {
        () if field("type") != "TXT" => Err((400, 9005, "Only TXT is wanted here")),
        () if !below => Err((400, 9000, "DNS name is invalid")),
        () if !ttl.is_some_and(|ttl| ttl == 1 || (60..=86_400).contains(&ttl)) => {
            Err((400, 9021, "Invalid TTL. Must be between 60 and 86400 seconds, or 1 for Automatic."))
        }
        () if !are_strings(field("content")) => Err((400, 9004, "Content is no quoted strings of 255 octets or less")),
        () if cloud.contents(field("name")).iter().any(|content| meaning(content) == meaning(field("content"))) => {
            Err((400, 81058, "An identical record already exists."))
        }
        () => {
            let made = cloud.add(zone_id, Value::Object(record));
            Ok(json!({"success": true, "errors": [], "messages": [], "result": made}))
        }
    }
}

fn delete(cloud: &mut Cloud, zone_id: &str, id: &str) -> Result<Value, Refusal> {
    let found = cloud.records.iter().position(|record| record.zone_id == zone_id && record.json["id"] == id);
    let found = found.ok_or((404, 81044, "Record does not exist."))?;
    if cloud.records.remove(found).json["type"] != "TXT" {
        cloud.complaints.push(format!("the record {id} is no TXT record"));
    }
    Ok(json!({"success": true, "errors": [], "messages": [], "result": {"id": id}}))
}

/// One page, and where it stands in the list.
fn page(
    all: &[Value],
    query: &Map<String, Value>,
    sizes: std::ops::RangeInclusive<usize>,
    usual: usize,
) -> Result<Value, Refusal> {
    let number = |key: &str, usual: usize| match query.get(key) {
        Some(value) => text(value).parse().ok(),
        None => Some(usual),
    };
    let page = number("page", 1).filter(|&page| page >= 1).ok_or((400, 9103, "Page must be a positive number"))?;
    let size = number("per_page", usual).filter(|size| sizes.contains(size));
    let size = size.ok_or((400, 9104, "Per page is out of its range"))?;
    let result: Vec<&Value> = all.iter().skip((page - 1) * size).take(size).collect();
    let info = json!({
        "page": page, "per_page": size, "count": result.len(), "total_count": all.len(),
        "total_pages": all.len().div_ceil(size),
    });
    Ok(json!({"success": true, "errors": [], "messages": [], "result": result, "result_info": info}))
}

fn only(given: &Map<String, Value>, known: &[&str]) -> Result<(), Refusal> {
    match given.keys().all(|key| known.contains(&key.as_str())) {
        true => Ok(()),
        false => Err((400, 9020, "Unknown parameter")),
    }
}

fn query(uri: &Uri) -> Result<Map<String, Value>, Refusal> {
    let pair = |pair: &str| {
        let (key, value) = pair.split_once('=')?;
        Some((key.to_owned(), Value::from(value.to_owned())))
    };
    // Names, types and numbers have nothing to unescape.
    let plain = uri.query().filter(|query| !query.contains(['%', '+'])).ok_or((400, 9022, "Odd query"))?;
    plain.split('&').map(pair).collect::<Option<_>>().ok_or((400, 9022, "Odd query"))
}

/// RFC 1035 section 5.1: quoted strings, each of at most 255 octets, spaces between them.
fn are_strings(content: &str) -> bool {
    let (mut rest, mut strings) = (content.as_bytes(), 0);
    while let [b'"', tail @ ..] = rest {
        let Some((octets, after)) = string(tail) else { return false };
        strings += 1;
        rest = match after {
            [b' ', b'"', ..] => &after[1..],
            [] if octets <= 255 => return strings > 0,
            _ => return false,
        };
        if octets > 255 {
            return false;
        }
    }
    false
}

/// How many octets stand before the closing quote, and what comes after it.
fn string(mut rest: &[u8]) -> Option<(usize, &[u8])> {
    let mut octets = 0;
    loop {
        rest = match rest {
            [b'"', after @ ..] => return Some((octets, after)),
            [b'\\', a, b, c, after @ ..] if [a, b, c].iter().all(|digit| digit.is_ascii_digit()) => after,
            [b'\\', b'"' | b'\\', after @ ..] | [b' '..=b'~', after @ ..] => after,
            _ => return None,
        };
        octets += 1;
    }
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a text")
}
