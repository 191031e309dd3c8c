//! `/ocsp/…`: OCSP over HTTP (RFC 6960, appendix A; RFC 5019, sections 5 and 6).
//!
//! Here is the whole of it. What is asked most, and plainly, is answered by `fast_path` before it comes here.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::alphabet::STANDARD as ALPHABET;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use bytes::{Bytes, BytesMut};
use futures_util::FutureExt as _;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use http_body_util::BodyExt as _;

use super::App;
use super::limits::LONGEST_BODY;
use super::problem::Problem;
use crate::ca::ocsp::{Answer, Kept, Responder, Responders};
use crate::clock::Timestamp;

/// What every path here begins with.
const PREFIX: &str = "/ocsp/";

/// As long as the base64 of a request in a path may be, in octets. RFC 5019 lets clients use 255.
pub(super) const LONGEST_PATH: usize = 4 * 1024;

/// So much of a body that is too long is read, in octets.
const MOST_DISCARDED: usize = 64 * LONGEST_BODY;

/// As long as a body may take to come in.
const LONGEST_WAIT: Duration = Duration::from_secs(15);

const REQUEST: &str = "application/ocsp-request";
const RESPONSE: &[u8] = b"application/ocsp-response";
const NO_STORE: &[u8] = b"no-store";
const NOSNIFF: &str = "nosniff";

/// Base64 as clients write it, with its padding or without.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &ALPHABET,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A path below the prefix: the CA's name, and the request in base64 where there is one.
pub(super) fn parts(path: &str) -> (&str, Option<&str>) {
    let rest = path.strip_prefix(PREFIX).unwrap_or_default();
    rest.split_once('/').map_or((rest, None), |(ca, request)| (ca, Some(request)))
}

/// The answer to any request below `/ocsp/`.
pub(super) async fn answer(State(app): State<App>, request: Request) -> Response {
    let answer = match asked(&app.responders, request).await {
        Ok(response) => response,
        Err(problem) => problem.into_response(),
    };
    hardened(answer)
}

fn hardened(mut answer: Response) -> Response {
    answer.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static(NOSNIFF));
    answer
}

async fn asked(responders: &Responders, request: Request) -> Result<Response, Problem> {
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
    match headers.get(header::CONTENT_TYPE) {
        Some(found) if !is_request_type(found.as_bytes()) => {
            Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, format!("send an OCSP request as `{REQUEST}`")))
        }
        _ => Ok(()),
    }
}

/// Whether a Content-Type is the one of OCSP requests, with whatever parameters.
pub(super) fn is_request_type(value: &[u8]) -> bool {
    let essence = value.split(|octet| *octet == b';').next().unwrap_or_default().trim_ascii();
    essence.eq_ignore_ascii_case(REQUEST.as_bytes())
}

/// A body within its bounds: it is there already as a rule.
async fn read(headers: &HeaderMap, body: Body) -> Result<Bytes, Problem> {
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
async fn gather(mut body: Body) -> Result<Bytes, Problem> {
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
pub(super) fn decode(text: &str) -> Vec<u8> {
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
    // A cache keeps what was asked by GET; what was asked by POST is its sender's alone.
    let is_known = matches!(answer, Answer::Kept(kept) if *method != Method::POST && is_known(request, kept));
    let mut response = match is_known {
        true => StatusCode::NOT_MODIFIED.into_response(),
        false => Response::new(Body::from(answer.der().clone())),
    };
    each_header(answer, now, |name, value| {
        if let Ok(value) = HeaderValue::from_bytes(value) {
            response.headers_mut().insert(name, value);
        }
    });
    response
}

/// The headers that tell what an answer is, and how long it may be kept (RFC 5019, section 6.2).
pub(super) fn each_header(answer: &Answer, now: Timestamp, mut tell: impl FnMut(HeaderName, &[u8])) {
    tell(header::CONTENT_TYPE, RESPONSE);
    match answer {
        Answer::Kept(kept) => {
            tell(header::CACHE_CONTROL, cache_control(kept.max_age(now)).as_bytes());
            tell(header::ETAG, &kept.etag);
            tell(header::LAST_MODIFIED, &kept.last_modified);
            tell(header::EXPIRES, &kept.expires);
        }
        Answer::Fresh { .. } => tell(header::CACHE_CONTROL, NO_STORE),
    }
    tell(header::X_CONTENT_TYPE_OPTIONS, NOSNIFF.as_bytes());
}

/// As RFC 5019, section 6.2 words it.
fn cache_control(max_age: Duration) -> String {
    format!("max-age={}, public, no-transform, must-revalidate", max_age.as_secs())
}

/// `If-None-Match` names it, or `If-Modified-Since` repeats its date (RFC 9110, section 13.2.2).
fn is_known(request: &HeaderMap, kept: &Kept) -> bool {
    if !request.contains_key(header::IF_NONE_MATCH) {
        return request.get(header::IF_MODIFIED_SINCE).is_some_and(|since| since.as_bytes() == kept.last_modified);
    }
    let listed =
        request.get_all(header::IF_NONE_MATCH).iter().flat_map(|value| value.as_bytes().split(|it| *it == b','));
    listed
        .map(<[u8]>::trim_ascii)
        .map(|tag| tag.strip_prefix(b"W/").unwrap_or(tag))
        .any(|tag| tag == b"*" || tag == kept.etag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_taken_apart_at_the_first_slash() {
        assert_eq!(parts("/ocsp/internal"), ("internal", None));
        assert_eq!(parts("/ocsp/internal/"), ("internal", Some("")));
        assert_eq!(parts("/ocsp/internal/ab/c+=="), ("internal", Some("ab/c+==")));
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
    fn what_is_known_is_not_sent_again() {
        let now = Timestamp::from_seconds(784_111_777);
        let status = crate::ca::index::Status::Good;
        let kept = Arc::new(Kept::new(b"der".to_vec(), status, now, now.plus(Duration::from_secs(60))));
        let tag = String::from_utf8(kept.etag.to_vec()).unwrap();
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
