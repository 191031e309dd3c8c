//! `/ocsp/…`: OCSP over HTTP (RFC 6960, appendix A; RFC 5019, sections 5 and 6).
//!
//! It is asked so often that it stands before the router: a request for an answer that is at hand is met without an
//! allocation to speak of, and without waiting for anything.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::alphabet::STANDARD as ALPHABET;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use bytes::{Bytes, BytesMut};
use futures_util::FutureExt as _;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use http_body_util::BodyExt as _;

use super::limits::LONGEST_BODY;
use super::problem::Problem;
use crate::ca::ocsp::{Answer, Kept, Responder, Responders};
use crate::clock::Timestamp;

/// What every path here begins with.
const PREFIX: &str = "/ocsp/";

/// As long as the base64 of a request in a path may be, in octets. RFC 5019 lets clients use 255.
const LONGEST_PATH: usize = 4 * 1024;

/// So much of a body that is too long is read, in octets.
const MOST_DISCARDED: usize = 64 * LONGEST_BODY;

/// As long as a body may take to come in.
const LONGEST_WAIT: Duration = Duration::from_secs(15);

const REQUEST: &str = "application/ocsp-request";
const RESPONSE: HeaderValue = HeaderValue::from_static("application/ocsp-response");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");

/// Base64 as clients write it, with its padding or without.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &ALPHABET,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Whether a path is one of these.
pub(super) fn is_meant(path: &str) -> bool {
    path.starts_with(PREFIX)
}

/// A path below the prefix: the CA's name, and the request in base64 where there is one.
fn parts(path: &str) -> (&str, Option<&str>) {
    let rest = path.strip_prefix(PREFIX).unwrap_or_default();
    rest.split_once('/').map_or((rest, None), |(ca, request)| (ca, Some(request)))
}

/// The answer to a GET, where it is at hand: nothing need be waited for.
pub(super) fn at_once<B>(responders: &Responders, request: &Request<B>) -> Option<Response> {
    let (ca, Some(text)) = parts(request.uri().path()) else { return None };
    if *request.method() != Method::GET || text.len() > LONGEST_PATH {
        return None;
    }
    let (responder, now) = (responders.opened(ca)?, responders.now());
    let answer = responder.answer_at_once(&decode(text), now)?;
    Some(to_http(&answer, request.method(), request.headers(), now))
}

/// The answer to any request below `/ocsp/`.
pub(super) async fn answer<B>(responders: Responders, request: Request<B>) -> Response
where
    B: axum::body::HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<axum::BoxError>,
{
    let answer = match asked(&responders, request).await {
        Ok(response) => response,
        Err(problem) => problem.into_response(),
    };
    hardened(answer)
}

fn hardened(mut answer: Response) -> Response {
    answer.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, NOSNIFF);
    answer
}

async fn asked<B>(responders: &Responders, request: Request<B>) -> Result<Response, Problem>
where
    B: axum::body::HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<axum::BoxError>,
{
    let (head, body) = request.into_parts();
    let (ca, in_path) = parts(head.uri.path());
    let responder = responder(responders, ca).await?;
    let der = match (&head.method, in_path) {
        (&Method::POST, None) => {
            check_type(&head.headers)?;
            read(&head.headers, body).await?
        }
        (&Method::GET | &Method::HEAD, Some(text)) if text.len() > LONGEST_PATH => {
            let detail = format!("a request in the path may have {LONGEST_PATH} octets: send it by POST");
            return Err(Problem::new(StatusCode::URI_TOO_LONG, detail));
        }
        (&Method::GET | &Method::HEAD, Some(text)) => Bytes::from(decode(text)),
        (_, in_path) => return Ok(not_allowed(in_path.is_some())),
    };
    let now = responders.now();
    let answer = match responder.answer_at_once(&der, now) {
        Some(answer) => answer,
        None => responder.answer(&der, now).await,
    };
    Ok(to_http(&answer, &head.method, &head.headers, now))
}

async fn responder(responders: &Responders, ca: &str) -> Result<Arc<Responder>, Problem> {
    if let Some(open) = responders.opened(ca) {
        return Ok(open);
    }
    match responders.get(ca).await {
        Ok(Some(responder)) => Ok(responder),
        Ok(None) => Err(Problem::not_found("there is no such CA")),
        Err(failure) => {
            tracing::error!(ca, "OCSP cannot answer: {}", providers::error::chain(&failure));
            Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the CA cannot be opened: see renewd's log"))
        }
    }
}

/// Who says nothing of what it sends is believed; who says something else is told.
fn check_type(headers: &HeaderMap) -> Result<(), Problem> {
    let Some(found) = headers.get(header::CONTENT_TYPE) else { return Ok(()) };
    let essence = found.as_bytes().split(|octet| *octet == b';').next().unwrap_or_default().trim_ascii();
    if essence.eq_ignore_ascii_case(REQUEST.as_bytes()) {
        return Ok(());
    }
    Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, format!("send an OCSP request as `{REQUEST}`")))
}

/// A body within its bounds: it is there already as a rule.
async fn read<B>(headers: &HeaderMap, body: B) -> Result<Bytes, Problem>
where
    B: axum::body::HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<axum::BoxError>,
{
    let length = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if length.is_some_and(|length| length > MOST_DISCARDED) {
        return Err(too_large());
    }
    let mut whole = std::pin::pin!(gather(body));
    match whole.as_mut().now_or_never() {
        Some(read) => read,
        None => tokio::time::timeout(LONGEST_WAIT, whole).await.map_err(|_| too_slow())?,
    }
}

/// All of a body. One that is too long is read on for a while, and thrown away: whoever still sends would not hear why it
/// is refused.
async fn gather<B>(body: B) -> Result<Bytes, Problem>
where
    B: axum::body::HttpBody<Data = Bytes> + Send + 'static,
{
    let mut body = std::pin::pin!(body);
    let (mut gathered, mut octets) = (BytesMut::new(), 0);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Problem::bad_request("the body cannot be read"))?;
        let Ok(data) = frame.into_data() else { continue };
        octets += data.len();
        if octets <= LONGEST_BODY {
            gathered.extend_from_slice(&data);
        } else if octets > MOST_DISCARDED {
            break;
        }
    }
    if octets > LONGEST_BODY { Err(too_large()) } else { Ok(gathered.freeze()) }
}

fn too_large() -> Problem {
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, format!("a body may have {LONGEST_BODY} octets"))
}

fn too_slow() -> Problem {
    Problem::new(StatusCode::REQUEST_TIMEOUT, "the body took too long")
}

/// What may be asked depends on whether the request stands in the path.
fn not_allowed(in_path: bool) -> Response {
    let (allowed, detail) = match in_path {
        true => ("GET,HEAD", "a request in the path is sent by GET"),
        false => ("POST", "a request is sent by POST, or by GET in base64 behind the CA's name"),
    };
    let mut answer = Problem::new(StatusCode::METHOD_NOT_ALLOWED, detail).into_response();
    answer.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allowed));
    answer
}

/// The request in a path: base64, in which clients encode `/`, `+` and `=` in percent or leave them. What is no base64
/// becomes nothing, which is no request either.
fn decode(text: &str) -> Vec<u8> {
    if !text.contains('%') {
        return BASE64.decode(text).unwrap_or_default();
    }
    percent_decoded(text).and_then(|text| BASE64.decode(text).ok()).unwrap_or_default()
}

fn percent_decoded(text: &str) -> Option<Vec<u8>> {
    let (mut octets, mut decoded) = (text.bytes(), Vec::with_capacity(text.len()));
    while let Some(octet) = octets.next() {
        decoded.push(match octet {
            b'%' => {
                let digits = [octets.next()?, octets.next()?];
                let mut octet = [0];
                hex::decode_to_slice(digits, &mut octet).ok()?;
                octet[0]
            }
            octet => octet,
        });
    }
    Some(decoded)
}

fn to_http(answer: &Answer, method: &Method, request: &HeaderMap, now: Timestamp) -> Response {
    match answer {
        // A cache keeps what was asked by GET; what was asked by POST is its sender's alone.
        Answer::Kept(kept) if *method != Method::POST && is_known(request, kept) => {
            with_caching(StatusCode::NOT_MODIFIED, Body::empty(), kept, now)
        }
        Answer::Kept(kept) => with_caching(StatusCode::OK, Body::from(kept.der.clone()), kept, now),
        Answer::Fresh { der, .. } => {
            let mut response = Response::new(Body::from(der.clone()));
            let headers = response.headers_mut();
            headers.insert(header::CONTENT_TYPE, RESPONSE);
            headers.insert(header::CACHE_CONTROL, NO_STORE);
            headers.insert(header::X_CONTENT_TYPE_OPTIONS, NOSNIFF);
            response
        }
    }
}

fn with_caching(status: StatusCode, body: Body, kept: &Kept, now: Timestamp) -> Response {
    let mut headers = HeaderMap::with_capacity(8);
    headers.insert(header::CONTENT_TYPE, RESPONSE);
    headers.insert(header::CACHE_CONTROL, cache_control(kept.max_age(now)));
    headers.insert(header::ETAG, kept.etag.clone());
    headers.insert(header::LAST_MODIFIED, kept.last_modified.clone());
    headers.insert(header::EXPIRES, kept.expires.clone());
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, NOSNIFF);
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

/// As RFC 5019, section 6.2 words it. Said with each answer, so put together by hand.
fn cache_control(max_age: Duration) -> HeaderValue {
    const BEGIN: &[u8] = b"max-age=";
    const END: &[u8] = b", public, no-transform, must-revalidate";
    const DIGITS: usize = 20;
    let (mut text, mut left) = ([0; BEGIN.len() + DIGITS + END.len()], max_age.as_secs());
    let behind = BEGIN.len() + DIGITS;
    text[behind..].copy_from_slice(END);
    let mut at = behind;
    loop {
        at -= 1;
        text[at] = b'0' + (left % 10) as u8;
        left /= 10;
        if left == 0 {
            break;
        }
    }
    let begin = at - BEGIN.len();
    text[begin..at].copy_from_slice(BEGIN);
    HeaderValue::from_bytes(&text[begin..]).unwrap_or(NO_STORE)
}

/// `If-None-Match` names it, or `If-Modified-Since` repeats its date (RFC 9110, section 13.2.2).
fn is_known(request: &HeaderMap, kept: &Kept) -> bool {
    if !request.contains_key(header::IF_NONE_MATCH) {
        return request.get(header::IF_MODIFIED_SINCE).is_some_and(|since| *since == kept.last_modified);
    }
    let listed =
        request.get_all(header::IF_NONE_MATCH).iter().flat_map(|value| value.as_bytes().split(|it| *it == b','));
    listed
        .map(<[u8]>::trim_ascii)
        .map(|tag| tag.strip_prefix(b"W/").unwrap_or(tag))
        .any(|tag| tag == b"*" || tag == kept.etag.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_taken_apart_at_the_first_slash() {
        assert_eq!(parts("/ocsp/internal"), ("internal", None));
        assert_eq!(parts("/ocsp/internal/"), ("internal", Some("")));
        assert_eq!(parts("/ocsp/internal/ab/c+=="), ("internal", Some("ab/c+==")));
        assert!(is_meant("/ocsp/x") && !is_meant("/ocsp") && !is_meant("/ocsp.example/tls"));
    }

    #[test]
    fn base64_is_read_however_it_is_encoded() {
        let octets = [0xfb, 0xef, 0xff, 0xff];
        for text in ["++///w==", "%2B%2B%2F%2F%2Fw%3D%3D", "%2b+/%2f/w=%3D", "++///w", "++///w="] {
            assert_eq!(decode(text), octets, "{text}");
        }
        for text in ["", "%", "%2", "%zz", "*", "++ "] {
            assert_eq!(decode(text), b"", "{text}");
        }
    }

    #[test]
    fn any_age_is_written() {
        for seconds in [0, 9, 10, 43_200, u64::MAX] {
            let wanted = format!("max-age={seconds}, public, no-transform, must-revalidate");
            assert_eq!(cache_control(Duration::from_secs(seconds)), wanted);
        }
    }

    #[test]
    fn what_is_known_is_not_sent_again() {
        let now = Timestamp::from_seconds(784_111_777);
        let status = crate::ca::index::Status::Good;
        let kept = Arc::new(Kept::new(b"der", status, now, now.plus(Duration::from_secs(60))));
        let tag = kept.etag.to_str().unwrap().to_owned();
        let answer = |name, value: &str, method| {
            let mut request = HeaderMap::new();
            request.insert(name, HeaderValue::from_str(value).unwrap());
            to_http(&Answer::Kept(Arc::clone(&kept)), &method, &request, now.plus(Duration::from_secs(5)))
        };
        for (name, value, method, status) in [
            (header::IF_NONE_MATCH, tag.as_str(), Method::GET, 304),
            (header::IF_NONE_MATCH, &format!("\"x\", W/{tag}"), Method::GET, 304),
            (header::IF_NONE_MATCH, "*", Method::GET, 304),
            (header::IF_NONE_MATCH, "\"x\"", Method::GET, 200),
            (header::IF_NONE_MATCH, &tag, Method::POST, 200),
            (header::IF_MODIFIED_SINCE, "Sun, 06 Nov 1994 08:49:37 GMT", Method::GET, 304),
            (header::IF_MODIFIED_SINCE, "Sun, 06 Nov 1994 08:49:36 GMT", Method::GET, 200),
        ] {
            let response = answer(name.clone(), value, method);
            assert_eq!(response.status(), status, "{name} {value}");
            assert_eq!(response.headers()[header::CACHE_CONTROL], "max-age=55, public, no-transform, must-revalidate");
        }
    }
}
