//! `/crl/…`: the lists of what our own CAs have revoked, in DER (RFC 5280, section 4.2.1.13; RFC 2585, section 4.1), from
//! the files that they were published in.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use tokio_util::io::ReaderStream;

use super::conditional::is_fresh;
use super::range::{Wanted, wanted};
use super::{App, Problem};
use crate::ca::crl::schedule::KEPT_BY_CACHES;
use crate::ca::crl::{Folder, Kind};
use crate::clock::Timestamp;
use crate::state::crl::CrlName;

const CRL: &str = "application/pkix-crl";
/// In place of a shard: the list of a whole generation.
const ALL: &str = "all";

const PEM: &str = "application/x-pem-file";

/// Octets that are read at once.
const PIECE: usize = 64 * 1024;

/// `GET /crl/{ca}.crl` and `/crl/{ca}.pem`: everything that the newest generation has revoked.
pub(super) async fn newest(
    State(app): State<App>,
    Path(file): Path<String>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (ca, suffix) = file.rsplit_once('.').ok_or_else(unknown)?;
    let kind = match suffix {
        "crl" => Kind::Full,
        "pem" => Kind::Pem,
        _ => return Err(unknown()),
    };
    let authority = app.registry.get(ca).await.map_err(|failure| unanswerable(&failure))?.ok_or_else(unknown)?;
    let whole = |number| CrlName { ca: ca.to_owned(), generation: number, shard: None };
    // A generation that was made just now has no list yet: there is nothing in it, either.
    let names = authority.generations().iter().rev().map(|generation| whole(generation.number)).collect();
    answer(&app, names, kind, &method, &headers).await
}

/// `GET /crl/{ca}/{generation}/{shard}.crl`: what leaves name. And `…/all.crl` and `…/all.pem`: everything that a
/// generation has revoked; the root's is 0.
pub(super) async fn shard(
    State(app): State<App>,
    Path((ca, generation, file)): Path<(String, String, String)>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (shard, suffix) = file.rsplit_once('.').ok_or_else(unknown)?;
    let kind = match (shard, suffix) {
        (_, "crl") => Kind::Full,
        (ALL, "pem") => Kind::Pem,
        _ => return Err(unknown()),
    };
    let shard = if shard == ALL { None } else { Some(number(shard).ok_or_else(unknown)?) };
    let name = name_of(&ca, &generation, shard).ok_or_else(unknown)?;
    answer(&app, vec![name], kind, &method, &headers).await
}

/// `GET /crl/{ca}/{generation}/{shard}/delta.crl`: what the list of the shard names.
pub(super) async fn delta(
    State(app): State<App>,
    Path((ca, generation, shard)): Path<(String, String, String)>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let shard = number(&shard).ok_or_else(unknown)?;
    let name = name_of(&ca, &generation, Some(shard)).ok_or_else(unknown)?;
    answer(&app, vec![name], Kind::Delta, &method, &headers).await
}

/// The list of a path.
fn name_of(ca: &str, generation: &str, shard: Option<u32>) -> Option<CrlName> {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte);
    let is_name = !ca.is_empty() && ca.bytes().all(is_plain);
    let generation = number(generation).filter(|_| is_name)?;
    Some(CrlName { ca: ca.to_owned(), generation, shard })
}

/// A number, written in the one way that distribution points have.
fn number(text: &str) -> Option<u32> {
    text.parse::<u32>().ok().filter(|number| number.to_string() == text)
}

/// The first of these lists that is there.
async fn answer(
    app: &App,
    names: Vec<CrlName>,
    kind: Kind,
    method: &Method,
    request: &HeaderMap,
) -> Result<Response, Problem> {
    let folder = app.crls.folder().clone();
    let opened = tokio::task::spawn_blocking(move || first(&folder, &names, kind)).await;
    let opened = opened.map_err(|failure| unanswerable(&failure))?;
    let list = opened.map_err(|failure| unanswerable(&failure))?.ok_or_else(unknown)?;
    list.answer(method, request, app.clock.now()).await.map_err(|failure| unanswerable(&failure))
}

fn first(folder: &Folder, names: &[CrlName], kind: Kind) -> io::Result<Option<List>> {
    for name in names {
        if let Some(list) = List::open(folder, name, kind)? {
            return Ok(Some(list));
        }
    }
    Ok(None)
}

/// A list to be sent. The file stays what it is when another takes its place meanwhile.
struct List {
    file: File,
    length: u64,
    modified: Timestamp,
    /// A strong validator: a list is written once, and never changed.
    tag: String,
    next_update: Timestamp,
    content_type: &'static str,
    file_name: String,
}

impl List {
    fn open(folder: &Folder, name: &CrlName, kind: Kind) -> io::Result<Option<Self>> {
        let file = match File::open(folder.path(name, kind)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let metadata = file.metadata()?;
        let (content_type, dated, suffix) = match kind {
            Kind::Pem => (PEM, Kind::Full, "pem"),
            Kind::Full => (CRL, Kind::Full, "crl"),
            Kind::Delta => (CRL, Kind::Delta, "delta.crl"),
        };
        let head = folder.head(name, dated).ok_or(io::ErrorKind::InvalidData)?;
        let shard = name.shard.map(|shard| format!("-{shard}")).unwrap_or_default();
        Ok(Some(Self {
            length: metadata.len(),
            modified: Timestamp::from_seconds(metadata.mtime()),
            tag: format!("\"{:x}-{:x}-{:x}\"", metadata.mtime(), metadata.mtime_nsec(), metadata.len()),
            next_update: head.next_update,
            content_type,
            file_name: format!("{}-{}{shard}.{suffix}", name.ca, name.generation),
            file,
        }))
    }

    async fn answer(self, method: &Method, request: &HeaderMap, now: Timestamp) -> io::Result<Response> {
        let head = self.headers(now);
        if is_fresh(request, &self.tag, self.modified) {
            return Ok(respond(StatusCode::NOT_MODIFIED, head, Body::empty()));
        }
        let wanted = match *method {
            Method::GET => wanted(request, &self.tag, self.modified, self.length),
            _ => Wanted::Whole,
        };
        self.send(wanted, head).await
    }

    async fn send(self, wanted: Wanted, mut head: HeaderMap) -> io::Result<Response> {
        let (status, start, length) = match wanted {
            Wanted::Whole => (StatusCode::OK, 0, self.length),
            Wanted::Part { start, length } => (StatusCode::PARTIAL_CONTENT, start, length),
            Wanted::Nothing => return Ok(unsatisfiable(self.length)),
        };
        if status == StatusCode::PARTIAL_CONTENT {
            let range = format!("bytes {start}-{}/{}", start + length - 1, self.length);
            set(&mut head, header::CONTENT_RANGE, &range);
        }
        set(&mut head, header::CONTENT_LENGTH, &length.to_string());
        set(&mut head, header::CONTENT_TYPE, self.content_type);
        set(&mut head, header::CONTENT_DISPOSITION, &format!("attachment; filename=\"{}\"", self.file_name));
        let mut file = tokio::fs::File::from_std(self.file);
        file.seek(io::SeekFrom::Start(start)).await?;
        let pieces = ReaderStream::with_capacity(file.take(length), PIECE);
        Ok(respond(status, head, Body::from_stream(pieces)))
    }

    /// What is said of it however much of it is sent.
    fn headers(&self, now: Timestamp) -> HeaderMap {
        let kept = self.next_update.since(now).min(KEPT_BY_CACHES);
        let mut headers = HeaderMap::with_capacity(9);
        set(&mut headers, header::ETAG, &self.tag);
        set(&mut headers, header::LAST_MODIFIED, &self.modified.to_http_date());
        set(&mut headers, header::CACHE_CONTROL, &cache_control(kept));
        set(&mut headers, header::EXPIRES, &now.plus(kept).to_http_date());
        set(&mut headers, header::ACCEPT_RANGES, "bytes");
        headers
    }
}

fn cache_control(kept: Duration) -> String {
    format!("max-age={}, public, no-transform, must-revalidate", kept.as_secs())
}

fn set(headers: &mut HeaderMap, name: header::HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

fn respond(status: StatusCode, headers: HeaderMap, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

fn unsatisfiable(length: u64) -> Response {
    let problem = Problem::new(StatusCode::RANGE_NOT_SATISFIABLE, format!("the list has {length} octets"));
    let mut response = problem.into_response();
    set(response.headers_mut(), header::CONTENT_RANGE, &format!("bytes */{length}"));
    response
}

fn unknown() -> Problem {
    Problem::not_found("there is no such CRL")
}

fn unanswerable(failure: &(dyn std::error::Error + 'static)) -> Problem {
    tracing::error!("a CRL cannot be served: {}", providers::error::chain(failure));
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the CRL cannot be read: see renewd's log")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_has_one_path() {
        let name = |ca: &str, generation, shard| Some(CrlName { ca: ca.to_owned(), generation, shard });
        assert_eq!(name_of("own", "1", Some(20)), name("own", 1, Some(20)));
        assert_eq!(name_of("own_2-a", "0", None), name("own_2-a", 0, None));
        for (ca, generation) in [
            ("own", "01"),
            ("own", "+1"),
            ("own", "-1"),
            ("own", "4294967296"),
            ("", "1"),
            ("..", "1"),
            ("a/b", "1"),
            ("Own", "1"),
        ] {
            assert_eq!(name_of(ca, generation, None), None, "{ca} {generation}");
        }
    }
}
