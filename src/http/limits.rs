//! Bounds that hold for every request: its size, its time, and that a panic in one answer harms no other.

use std::any::Any;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use http::{HeaderValue, StatusCode, header};
use tower_http::catch_panic::CatchPanicLayer;

use super::App;
use super::problem::{self, Problem};

/// As long as a body may be, in octets.
pub(super) const LONGEST_BODY: usize = 64 * 1024;

/// As long as a path with its query may be, in octets.
const LONGEST_URI: usize = 8 * 1024;

/// As many octets as all headers of a request may have.
pub(super) const LONGEST_HEAD: usize = 32 * 1024;

/// As long as an answer may take.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// Puts the bounds around a router, and problem documents at its edges.
pub(super) fn bounded(router: Router<App>) -> Router<App> {
    router
        .fallback(problem::nowhere)
        .method_not_allowed_fallback(problem::method_not_allowed)
        .layer(DefaultBodyLimit::max(LONGEST_BODY))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(middleware::from_fn(within_bounds))
}

async fn within_bounds(request: Request, next: Next) -> Response {
    let answer = match too_large(&request) {
        Some(problem) => problem.into_response(),
        None => match tokio::time::timeout(LONGEST_WAIT, next.run(request)).await {
            Ok(answer) => answer,
            Err(_) => Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the answer took too long").into_response(),
        },
    };
    hardened(as_problem(answer))
}

fn too_large(request: &Request) -> Option<Problem> {
    let uri = request.uri();
    if uri.path_and_query().map_or(0, |path| path.as_str().len()) > LONGEST_URI {
        let detail = format!("the path and query may have {LONGEST_URI} octets");
        return Some(Problem::new(StatusCode::URI_TOO_LONG, detail));
    }
    let length = request.headers().get(header::CONTENT_LENGTH)?.to_str().ok()?.parse::<u64>().ok()?;
    (length > LONGEST_BODY as u64)
        .then(|| Problem::new(StatusCode::PAYLOAD_TOO_LARGE, format!("a body may have {LONGEST_BODY} octets")))
}

/// Errors that the framework words itself become problem documents, too.
fn as_problem(answer: Response) -> Response {
    let status = answer.status();
    let content_type = answer.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let told = content_type.is_some_and(|kind| kind.starts_with("application/"));
    if told || !(status.is_client_error() || status.is_server_error()) {
        return answer;
    }
    Problem::new(status, "the request cannot be understood").into_response()
}

/// No browser is to guess what an answer is.
fn hardened(mut answer: Response) -> Response {
    answer.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    answer
}

#[expect(clippy::needless_pass_by_value, reason = "the layer hands it over")]
pub(super) fn panicked(panic: Box<dyn Any + Send>) -> Response {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    tracing::error!(panic = text.unwrap_or("without words"), "an answer panicked");
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "renewd made a mistake: see its log").into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_a_problem() {
        let answer = panicked(Box::new("oh"));
        assert_eq!(answer.status(), 500);
        assert_eq!(answer.headers()[header::CONTENT_TYPE], "application/problem+json");
    }

    #[test]
    fn every_error_becomes_a_problem_and_nothing_else_does() {
        let answer = as_problem((StatusCode::BAD_REQUEST, "Invalid UTF-8 in `name`").into_response());
        assert_eq!(answer.headers()[header::CONTENT_TYPE], "application/problem+json");
        let answer = as_problem((StatusCode::OK, "fine").into_response());
        assert_ne!(answer.headers()[header::CONTENT_TYPE], "application/problem+json");
        let answer = as_problem((StatusCode::SERVICE_UNAVAILABLE, axum::Json(7)).into_response());
        assert_eq!(answer.headers()[header::CONTENT_TYPE], "application/json");
    }

    #[test]
    fn what_is_too_large_is_refused_before_it_is_read() {
        let request = |uri: String, length: &str| {
            Request::builder().uri(uri).header(header::CONTENT_LENGTH, length).body(axum::body::Body::empty()).unwrap()
        };
        assert!(too_large(&request("/health".into(), "65536")).is_none());
        let problem = too_large(&request("/health".into(), "65537")).unwrap();
        assert_eq!(problem.into_response().status(), 413);
        let problem = too_large(&request(format!("/{}", "a".repeat(LONGEST_URI)), "0")).unwrap();
        assert_eq!(problem.into_response().status(), 414);
    }
}
