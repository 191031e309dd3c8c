//! HTTP towards one CA: time limits, bounded answers, no redirect, and refusals that keep their status and Retry-After.

use std::cell::RefCell;
use std::convert::Infallible;
use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use instant_acme::{BodyWrapper, BytesResponse, HttpClient};
use providers::error::chain;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Method, StatusCode, Url};

use super::answer::Answer;
use super::link::alternates;
use super::obstacle::Obstacle;
use super::problem::clean;
use super::reach::Reach;
use crate::issuer::IssuerError;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const TOTAL_TIMEOUT: Duration = Duration::from_secs(60);
const BODY_LIMIT: usize = 1 << 20;
const AGENT: &str = concat!("renewd/", env!("CARGO_PKG_VERSION"));
const JOSE_JSON: HeaderValue = HeaderValue::from_static("application/jose+json");

/// What an answer said that instant-acme does not show.
#[derive(Debug, Default)]
struct Aside {
    retry_after: Option<Duration>,
    /// Of a 201: what was made.
    created: Option<String>,
    headers: HeaderMap,
}

tokio::task_local! {
    /// Of the last answer.
    static ASIDE: RefCell<Aside>;
}

/// Runs `work` so that it may ask for [`last_retry_after`] and its like.
pub(super) async fn observed<T>(work: impl Future<Output = T>) -> T {
    ASIDE.scope(RefCell::default(), work).await
}

/// When to come back, where the last answer within this [`observed`] work said so.
pub(super) fn last_retry_after() -> Option<Duration> {
    ASIDE.try_with(|aside| aside.borrow().retry_after).ok().flatten()
}

/// The URL of what was made, where the last answer within this [`observed`] work was a 201.
pub(super) fn last_location() -> Option<String> {
    ASIDE.try_with(|aside| aside.borrow().created.clone()).ok().flatten()
}

/// The other chains that the last answer within this [`observed`] work offers, which was to `asked`.
pub(super) fn last_alternates(asked: &str) -> Vec<String> {
    ASIDE.try_with(|aside| alternates(&aside.borrow().headers, asked)).unwrap_or_default()
}

fn note_aside(answer: &Answer) {
    let created = (answer.status == StatusCode::CREATED).then(|| answer.location()).flatten();
    let aside = Aside { retry_after: answer.retry_after(), created, headers: answer.headers.clone() };
    let _ = ASIDE.try_with(|last| last.replace(aside));
}

/// Speaks to one CA. Cloning shares the connections.
#[derive(Debug, Clone)]
pub(super) struct Client {
    http: reqwest::Client,
    reach: Reach,
}

impl Client {
    /// A client for the directory at this URL, which trusts the roots in that PEM file, else the system's.
    pub(super) fn new(directory_url: &str, roots: Option<&Path>) -> Result<Self, IssuerError> {
        let bad_url = || account_trouble(format!("`{}` is no URL of an ACME directory", clean(directory_url)));
        let url = Url::parse(directory_url).map_err(|_| bad_url())?;
        let reach = Reach::of(&url).ok_or_else(bad_url)?;
        let mut builder = reqwest::Client::builder()
            .user_agent(AGENT)
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TOTAL_TIMEOUT)
            .redirect(Policy::none())
            .dns_resolver(Arc::new(reach.clone()));
        if let Some(path) = roots {
            builder = builder.tls_certs_only(read_roots(path)?);
        }
        let http = builder.build().map_err(|error| IssuerError::Unreachable { detail: chain(&error) })?;
        Ok(Self { http, reach })
    }

    /// Asks once. Any answer is an answer, refusals, too.
    pub(super) async fn send(&self, method: Method, url: &str, body: Option<Bytes>) -> Result<Answer, Obstacle> {
        let url = self.permitted(url)?;
        let mut request = self.http.request(method, url);
        if let Some(body) = body {
            request = request.header(CONTENT_TYPE, JOSE_JSON).body(body);
        }
        let mut response = request.send().await.map_err(unreachable)?;
        let (status, headers) = (response.status(), std::mem::take(response.headers_mut()));
        let answer = Answer { status, headers, body: read(&mut response).await? };
        note_aside(&answer);
        Ok(answer)
    }

    /// The URL, where it may be followed: checked before one from the CA is kept, too.
    pub(super) fn permitted(&self, url: &str) -> Result<Url, Obstacle> {
        let refuse = |why| Obstacle::Unfit(format!("the CA leads to `{}`, which is not followed: {why}", clean(url)));
        let parsed = Url::parse(url).map_err(|_| refuse("it is no URL"))?;
        self.reach.permits(&parsed).map_err(refuse)?;
        Ok(parsed)
    }
}

impl HttpClient for Client {
    /// Refusals are errors here, so that status and Retry-After are not lost; but a bad nonce is left to instant-acme.
    fn request(
        &self,
        request: http::Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, instant_acme::Error>> + Send>> {
        let client = self.clone();
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let body = body.collect().await.unwrap_or_else(|never: Infallible| match never {}).to_bytes();
            let body = (parts.method == Method::POST).then_some(body);
            let answer = client.send(parts.method, &parts.uri.to_string(), body).await.map_err(carried)?;
            answer.for_instant_acme().map_err(carried)
        })
    }
}

/// As instant-acme carries errors of its HTTP client.
fn carried(obstacle: Obstacle) -> instant_acme::Error {
    instant_acme::Error::Other(Box::new(obstacle))
}

async fn read(response: &mut reqwest::Response) -> Result<Bytes, Obstacle> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
        if body.len() + chunk.len() > BODY_LIMIT {
            return Err(Obstacle::Unfit(format!("the CA answered with more than {BODY_LIMIT} bytes")));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.into())
}

fn unreachable(error: reqwest::Error) -> Obstacle {
    let host = error.url().and_then(Url::host_str).unwrap_or("the CA").to_owned();
    Obstacle::Unreachable(clean(&format!("`{host}`: {}", chain(&error.without_url()))))
}

fn read_roots(path: &Path) -> Result<Vec<Certificate>, IssuerError> {
    let file = path.display();
    let pem = std::fs::read(path)
        .map_err(|error| account_trouble(format!("`trusted_roots`: cannot read `{file}`: {error}")))?;
    let roots = Certificate::from_pem_bundle(&pem).unwrap_or_default();
    if roots.is_empty() {
        return Err(account_trouble(format!("`trusted_roots`: there is no PEM certificate in `{file}`")));
    }
    Ok(roots)
}

/// The account or its directory needs the operator: another issuer may be able to.
pub(super) const fn account_trouble(what: String) -> IssuerError {
    IssuerError::Account { what }
}
