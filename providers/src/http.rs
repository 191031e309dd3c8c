//! One HTTP client for every provider that speaks JSON over HTTP: timeouts, Retry-After, status → error.

use std::time::Duration;

use reqwest::header::{DATE, HeaderMap, HeaderValue, LOCATION, RETRY_AFTER, USER_AGENT};
use reqwest::redirect::Policy;
use reqwest::{Method, RequestBuilder, StatusCode, Url};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde::de::DeserializeOwned;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

use crate::Error;
use crate::error::{chain, shorten};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const TOTAL_TIMEOUT: Duration = Duration::from_secs(30);
const BODY_LIMIT: usize = 1 << 20;
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

/// The client: 10 s to connect, 30 s for all of a call, 1 MiB for an answer, and no redirect followed, since a
/// redirect would carry the credentials elsewhere or turn a write into a read. TLS trusts the platform's roots.
#[derive(Debug, Clone)]
pub struct Client {
    inner: reqwest::Client,
}

impl Client {
    /// A client with a connection pool of its own.
    ///
    /// # Errors
    /// `Unavailable` where the platform's roots cannot be read.
    pub fn new() -> Result<Self, Error> {
        let agent = HeaderValue::from_static(concat!("renewd/", env!("CARGO_PKG_VERSION")));
        let inner = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TOTAL_TIMEOUT)
            .redirect(Policy::none())
            .default_headers(HeaderMap::from_iter([(USER_AGENT, agent)]))
            .build()
            .map_err(|error| Error::unavailable(&error))?;
        Ok(Self { inner })
    }

    /// Begins a call.
    #[must_use]
    pub fn request(&self, method: Method, url: Url) -> Request<'_> {
        let host = authority(&url);
        Request { builder: self.inner.request(method, url), host, secrets: Vec::new(), limit: BODY_LIMIT }
    }
}

/// A call that is being put together.
pub struct Request<'a> {
    builder: RequestBuilder,
    host: String,
    secrets: Vec<&'a SecretString>,
    limit: usize,
}

impl<'a> Request<'a> {
    /// Adds a header that holds a credential: marked as sensitive, and struck from the vendor's words.
    ///
    /// # Errors
    /// `Unauthorized` where the secret cannot be a header's value (a line break in it, say).
    pub fn secret_header(mut self, name: &str, secret: &'a SecretString) -> Result<Self, Error> {
        let mut value = HeaderValue::from_str(secret.expose_secret())
            .map_err(|_| Error::Unauthorized { detail: format!("the credential for `{name}` is no header value") })?;
        value.set_sensitive(true);
        self.builder = self.builder.header(name, value);
        self.secrets.push(secret);
        Ok(self)
    }

    /// Strikes one more secret from the vendor's words: one that is part of the URL or signs the body.
    #[must_use]
    pub fn secret(mut self, secret: &'a SecretString) -> Self {
        self.secrets.push(secret);
        self
    }

    /// Adds a header that is no secret.
    ///
    /// # Errors
    /// `Rejected` where this cannot be a header's value.
    pub fn header(mut self, name: &str, value: &str) -> Result<Self, Error> {
        let value = HeaderValue::from_str(value)
            .map_err(|_| Error::rejected(format!("what `{name}` is to say is no header value")))?;
        self.builder = self.builder.header(name, value);
        Ok(self)
    }

    /// Sends `body` as it is.
    #[must_use]
    pub fn body(mut self, body: Vec<u8>) -> Self {
        self.builder = self.builder.body(body);
        self
    }

    /// Sends `body` as JSON.
    #[must_use]
    pub fn json(mut self, body: &impl Serialize) -> Self {
        self.builder = self.builder.json(body);
        self
    }

    /// Takes an answer of up to this many bytes, in place of 1 MiB.
    #[must_use]
    pub fn limit(mut self, bytes: usize) -> Self {
        self.limit = bytes;
        self
    }

    /// Makes the call.
    ///
    /// # Errors
    /// `Unauthorized` on 401 and 403, `RateLimited` on 429 and on 503 with Retry-After, `Unavailable` on any other 5xx
    /// and where the host cannot be reached, `Rejected` on every other answer that is neither 2xx nor 404, or
    /// longer than the limit.
    pub async fn send(self) -> Result<Answer, Error> {
        let Self { builder, host, secrets, limit } = self;
        let lost = |error: reqwest::Error| unreachable(&host, error);
        let mut response = builder.send().await.map_err(lost)?;
        let status = response.status();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(lost)? {
            body.extend_from_slice(&chunk);
            if body.len() > limit {
                break;
            }
        }
        if !status.is_success() && status != StatusCode::NOT_FOUND {
            return Err(refusal(status, response.headers(), &words(&body, &secrets)));
        }
        if body.len() > limit {
            return Err(Error::rejected(format!("`{host}` answered with more than {limit} bytes")));
        }
        Ok(Answer { status, body, host })
    }
}

/// What the vendor answered: 2xx, or 404 whose meaning is the caller's.
#[derive(Debug)]
pub struct Answer {
    status: StatusCode,
    body: Vec<u8>,
    host: String,
}

impl Answer {
    /// Whether the vendor does not know what was asked for.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.status == StatusCode::NOT_FOUND
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// `Rejected` on a 404 that the caller did not expect, and where the body is not the JSON that was expected; the
    /// body itself is not quoted.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        self.done()?;
        serde_json::from_slice(&self.body).map_err(|error| {
            let place = format!("line {}, column {}", error.line(), error.column());
            Error::rejected(format!("`{}` answered something unexpected at {place}", self.host))
        })
    }

    /// Takes a 2xx as success, whatever its body.
    ///
    /// # Errors
    /// `Rejected` on a 404.
    pub fn done(&self) -> Result<(), Error> {
        if self.is_not_found() {
            return Err(Error::rejected(format!("`{}` answered 404 Not Found", self.host)));
        }
        Ok(())
    }
}

/// Parses the base of an API, so that paths can be joined to it with [`join`].
///
/// # Errors
/// `Rejected` where it is not an absolute http or https URL.
pub fn base(url: &str) -> Result<Url, Error> {
    let parsed = Url::parse(url).map_err(|error| Error::rejected(format!("`api_url` is no URL: {error}")))?;
    if !matches!(parsed.scheme(), "http" | "https") {
        return Err(Error::rejected("`api_url` must begin with `http://` or `https://`"));
    }
    Ok(parsed)
}

/// `base` with path segments added, each escaped.
#[must_use]
pub fn join(base: &Url, segments: &[&str]) -> Url {
    let mut url = base.clone();
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(segments);
    }
    url
}

fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

fn unreachable(host: &str, error: reqwest::Error) -> Error {
    Error::Unavailable { detail: format!("`{host}`: {}", chain(&error.without_url())) }
}

fn refusal(status: StatusCode, headers: &HeaderMap, words: &str) -> Error {
    let detail = if words.is_empty() { status.to_string() } else { format!("{status}: {words}") };
    let retry_after = retry_after(headers);
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Error::Unauthorized { detail },
        StatusCode::TOO_MANY_REQUESTS => Error::RateLimited { retry_after, detail },
        StatusCode::SERVICE_UNAVAILABLE if retry_after.is_some() => Error::RateLimited { retry_after, detail },
        _ if status.is_server_error() => Error::Unavailable { detail },
        _ if status.is_redirection() => Error::rejected(format!("{status} to {}", target(headers))),
        _ => Error::Rejected { detail },
    }
}

/// Where a redirect leads, without what may be a secret in it.
fn target(headers: &HeaderMap) -> String {
    let location = headers.get(LOCATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    match Url::parse(location) {
        Ok(url) => format!("`{}://{}`", url.scheme(), authority(&url)),
        Err(_) => "another path".to_owned(),
    }
}

/// RFC 9110 section 10.2.3: seconds, or a date, which is compared with the answer's own `Date`, so that a clock that is
/// off does no harm. At most a day.
#[must_use]
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = match text.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let wait = http_date(text)? - http_date(headers.get(DATE)?.to_str().ok()?)?;
            Duration::try_from(wait).unwrap_or_default()
        }
    };
    Some(wait.min(LONGEST_WAIT))
}

/// The server's own time, where it tells it (RFC 9110, section 6.6.1).
#[must_use]
pub fn date(headers: &HeaderMap) -> Option<OffsetDateTime> {
    http_date(headers.get(DATE)?.to_str().ok()?)
}

fn http_date(text: &str) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(text, &Rfc2822).ok()
}

/// What the vendor says went wrong: the message of a JSON body, or the text of any other; secrets struck, control
/// characters removed, shortened.
fn words(body: &[u8], secrets: &[&SecretString]) -> String {
    let said = message(body).unwrap_or_else(|| String::from_utf8_lossy(body).into_owned());
    let mut words = said;
    for secret in secrets.iter().map(|secret| secret.expose_secret()).filter(|secret| !secret.is_empty()) {
        words = words.replace(secret, "***");
    }
    shorten(&words)
}

fn message(body: &[u8]) -> Option<String> {
    let json: serde_json::Value = serde_json::from_slice(body).ok()?;
    ["error", "message", "detail"].iter().find_map(|key| Some(json.get(key)?.as_str()?.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(reqwest::header::HeaderName, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect()
    }

    #[test]
    fn retry_after_takes_seconds_and_dates() {
        let date = "Sun, 06 Nov 1994 08:49:37 GMT";
        let later = "Sun, 06 Nov 1994 08:51:37 GMT";
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        assert_eq!(retry_after(&headers(&[(RETRY_AFTER, "120")])), seconds(120));
        assert_eq!(retry_after(&headers(&[(RETRY_AFTER, later), (DATE, date)])), seconds(120));
        assert_eq!(retry_after(&headers(&[(RETRY_AFTER, date), (DATE, later)])), seconds(0));
        assert_eq!(retry_after(&headers(&[(RETRY_AFTER, "18446744073709551615")])), Some(LONGEST_WAIT));
        assert_eq!(retry_after(&headers(&[(RETRY_AFTER, later)])), None);
        assert_eq!(retry_after(&headers(&[(RETRY_AFTER, "soon"), (DATE, date)])), None);
        assert_eq!(retry_after(&headers(&[])), None);
    }

    #[test]
    fn statuses_are_sorted_by_what_to_do_next() {
        let wait = headers(&[(RETRY_AFTER, "7")]);
        let kind = |status: u16, headers: &HeaderMap| refusal(StatusCode::from_u16(status).unwrap(), headers, "no");
        let none = HeaderMap::new();
        assert!(matches!(kind(401, &none), Error::Unauthorized { .. }));
        assert!(matches!(kind(403, &none), Error::Unauthorized { .. }));
        assert_eq!(kind(429, &wait).retry_after(), Some(Duration::from_secs(7)));
        assert!(matches!(kind(429, &none), Error::RateLimited { retry_after: None, .. }));
        assert_eq!(kind(503, &wait).retry_after(), Some(Duration::from_secs(7)));
        assert!(matches!(kind(503, &none), Error::Unavailable { .. }));
        assert!(matches!(kind(500, &wait), Error::Unavailable { .. }));
        assert_eq!(kind(422, &wait), Error::rejected("422 Unprocessable Entity: no"));
    }

    #[test]
    fn a_redirect_is_refused_and_names_the_host_only() {
        let location = headers(&[(LOCATION, "https://user:canary@elsewhere.test/?token=canary")]);
        let error = refusal(StatusCode::FOUND, &location, "");
        assert_eq!(error, Error::rejected("302 Found to `https://elsewhere.test`"));
    }

    #[test]
    fn a_vendor_s_words_are_shortened_and_hold_no_secret() {
        let secret = SecretString::from("canary");
        assert_eq!(words(br#"{"error":"key canary\nis wrong"}"#, &[&secret]), "key *** is wrong");
        assert_eq!(words(b"Not\x1b[31m here\n", &[]), "Not [31m here");
    }

    #[test]
    fn paths_are_joined_and_escaped() {
        let base = base("http://127.0.0.1:8081/sub/").unwrap();
        assert_eq!(join(&base, &["api", "a/b=."]).as_str(), "http://127.0.0.1:8081/sub/api/a%2Fb=.");
        assert!(super::base("ftp://x").is_err());
    }

    #[tokio::test]
    async fn a_host_that_is_not_there_is_unavailable_and_the_url_is_not_told() {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let url = Url::parse(&format!("http://127.0.0.1:{port}/canary")).unwrap();
        let error = Client::new().unwrap().request(Method::GET, url).send().await.unwrap_err();
        let Error::Unavailable { detail } = &error else { panic!("{error:?}") };
        assert!(detail.contains(&port.to_string()) && !detail.contains("canary"), "{detail}");
    }
}
