//! Which requests are plain: as OCSP clients send them, and with nothing that changes what they mean.

use httparse::{EMPTY_HEADER, Header, Status};

use super::super::ocsp;

/// As long as a plain request may be, in octets, with its body.
pub(super) const LONGEST: usize = 8 * 1024;

/// As many headers as a plain request may have.
const MOST_HEADERS: usize = 24;

/// What is in the octets that came in.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reading<'a> {
    /// The beginning of what may become a plain request.
    Partial,
    /// A plain request.
    Whole(Plain<'a>),
    /// Something else.
    Other,
}

/// A plain request.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Plain<'a> {
    /// The CA's name in the path.
    pub ca: &'a str,
    /// The OCSPRequest.
    pub asked: Asked<'a>,
    /// All octets of the request.
    pub length: usize,
}

/// Where an OCSPRequest is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Asked<'a> {
    /// In the path of a GET, in base64.
    InPath(&'a str),
    /// In the body of a POST, in DER.
    InBody(&'a [u8]),
}

/// Reads what came in so far.
pub(super) fn read(octets: &[u8]) -> Reading<'_> {
    if ![&b"GET /ocsp/"[..], b"POST /ocsp/"].iter().any(|begin| begins_alike(octets, begin)) {
        return Reading::Other;
    }
    let mut headers = [EMPTY_HEADER; MOST_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    match request.parse(octets) {
        Ok(Status::Complete(head)) => of_head(&request, octets, head).unwrap_or(Reading::Other),
        Ok(Status::Partial) => Reading::Partial,
        Err(_) => Reading::Other,
    }
}

/// Equal for as long as both go.
fn begins_alike(octets: &[u8], begin: &[u8]) -> bool {
    octets.iter().zip(begin).all(|(one, other)| one == other)
}

/// `None`: it is not plain.
fn of_head<'a>(request: &httparse::Request<'_, 'a>, octets: &'a [u8], head: usize) -> Option<Reading<'a>> {
    let body = body_length(request.headers)?;
    if request.version != Some(1) {
        return None;
    }
    let (ca, text) = ocsp::parts(request.path.filter(|path| path.bytes().all(is_plain))?);
    let length = head.checked_add(body.unwrap_or(0)).filter(|length| *length <= LONGEST)?;
    let asked = match (request.method?, text, body) {
        ("GET", Some(text), None) if text.len() <= ocsp::LONGEST_PATH => Asked::InPath(text),
        ("POST", None, Some(_)) => match octets.get(head..length) {
            Some(der) => Asked::InBody(der),
            None => return Some(Reading::Partial),
        },
        _ => return None,
    };
    Some(Reading::Whole(Plain { ca, asked, length }))
}

/// What stands in a path as it is meant: no query, no fragment, nothing that a URI may not hold.
fn is_plain(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || b"/+=%-._~".contains(&octet)
}

/// The Content-Length, where there is one; `None`: a header changes what the request means.
fn body_length(headers: &[Header<'_>]) -> Option<Option<usize>> {
    let mut length = None;
    for header in headers {
        let is = |name: &str| header.name.eq_ignore_ascii_case(name);
        if is("content-length") {
            let text = std::str::from_utf8(header.value).ok().filter(|text| text.bytes().all(|it| it.is_ascii_digit()));
            if length.replace(text?.parse().ok()?).is_some() {
                return None;
            }
        } else if is("connection") {
            header.value.eq_ignore_ascii_case(b"keep-alive").then_some(())?;
        } else if is("content-type") {
            ocsp::is_request_type(header.value).then_some(())?;
        } else if ["transfer-encoding", "expect", "upgrade", "if-none-match", "if-modified-since"].into_iter().any(is) {
            return None;
        }
    }
    Some(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole<'a>(ca: &'a str, asked: Asked<'a>, length: usize) -> Reading<'a> {
        Reading::Whole(Plain { ca, asked, length })
    }

    const GET: &str = "GET /ocsp/internal/MA+/%3D= HTTP/1.1\r\nHost: a\r\n";

    #[test]
    fn a_get_is_plain_and_so_is_a_post() {
        let get = format!("{GET}\r\nGET /");
        assert_eq!(read(get.as_bytes()), whole("internal", Asked::InPath("MA+/%3D="), GET.len() + 2));
        let post = b"POST /ocsp/x HTTP/1.1\r\ncontent-length: 3\r\nContent-Type: application/ocsp-request\r\n\r\nabcd";
        assert_eq!(read(post), whole("x", Asked::InBody(b"abc"), post.len() - 1));
    }

    #[test]
    fn every_beginning_of_a_plain_request_is_waited_on() {
        let post = b"POST /ocsp/x HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc".as_slice();
        for request in [GET.as_bytes(), post] {
            for end in 0..request.len() {
                assert_eq!(read(&request[..end]), Reading::Partial, "{:?}", String::from_utf8_lossy(&request[..end]));
            }
        }
    }

    #[test]
    fn what_changes_the_meaning_is_left_to_the_library() {
        for header in [
            "Connection: close",
            "Connection: keep-alive, upgrade",
            "Transfer-Encoding: chunked",
            "Expect: 100-continue",
            "Upgrade: h2c",
            "If-None-Match: \"x\"",
            "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT",
            "Content-Length: 0",
            "Content-Type: text/plain",
            "no header",
        ] {
            assert_eq!(read(format!("{GET}{header}\r\n\r\n").as_bytes()), Reading::Other, "{header}");
        }
        for header in ["Connection: Keep-Alive", "Accept: */*", "Accept-Encoding: gzip", "User-Agent: x"] {
            assert!(matches!(read(format!("{GET}{header}\r\n\r\n").as_bytes()), Reading::Whole(_)), "{header}");
        }
    }

    #[test]
    fn other_requests_are_left_to_the_library() {
        let long = format!("/ocsp/internal/{}", "A".repeat(ocsp::LONGEST_PATH + 1));
        for line in [
            "GET /health HTTP/1.1",
            "GET /ocsp HTTP/1.1",
            "GET /ocsp/internal HTTP/1.1",
            "GET /ocsp/internal/MA==?x HTTP/1.1",
            "GET /ocsp/internal/MA== HTTP/1.0",
            "GET http://a/ocsp/internal/MA== HTTP/1.1",
            "HEAD /ocsp/internal/MA== HTTP/1.1",
            "POST /ocsp/internal HTTP/1.1",
            "\u{16}\u{3}\u{1}",
            &format!("GET {long} HTTP/1.1"),
        ] {
            assert_eq!(read(format!("{line}\r\nHost: a\r\n\r\n").as_bytes()), Reading::Other, "{line}");
        }
        for lengths in ["1\r\nContent-Length: 1", "+1", "-1", "1, 1", "99999999999999999999", "8192"] {
            let post = format!("POST /ocsp/x HTTP/1.1\r\nContent-Length: {lengths}\r\n\r\n0");
            assert_eq!(read(post.as_bytes()), Reading::Other, "{lengths}");
        }
    }
}
