//! Errors as people and programs are told them: RFC 9457 problem documents.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, Method, StatusCode, Uri, header};
use serde_json::{Map, Value, json};

use crate::state::StateError;

/// A problem document (RFC 9457, section 3).
#[derive(Debug, Clone)]
pub struct Problem {
    status: StatusCode,
    members: Map<String, Value>,
}

impl Problem {
    /// A problem with the status's own title and these words.
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        let mut members = Map::new();
        members.insert("type".to_owned(), json!("about:blank"));
        members.insert("title".to_owned(), json!(status.canonical_reason().unwrap_or("Error")));
        members.insert("status".to_owned(), json!(status.as_u16()));
        members.insert("detail".to_owned(), json!(detail.into()));
        Self { status, members }
    }

    /// There is nothing of that name.
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }

    /// What was sent cannot be understood.
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    /// What was sent is understood and cannot be done.
    pub fn unprocessable(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail)
    }

    /// A key is needed.
    pub fn key_needed() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "this needs an API key, and there are none yet")
    }

    /// Adds a member of our own (RFC 9457, section 3.2).
    #[must_use]
    pub fn with(mut self, name: &str, value: Value) -> Self {
        self.members.insert(name.to_owned(), value);
        self
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(Value::Object(self.members).to_string()));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl From<StateError> for Problem {
    /// The asker is told that it is our fault; the log says what it is.
    fn from(error: StateError) -> Self {
        tracing::error!(error = &error as &dyn std::error::Error, "an answer failed");
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "the database does not answer as it should: see renewd's log")
    }
}

/// The answer to a path that does not exist.
pub(super) async fn nowhere(uri: Uri) -> Problem {
    let path: String = uri.path().chars().take(200).collect();
    Problem::not_found(format!("there is nothing at `{path}`"))
}

/// The answer to a method that a path does not know.
pub(super) async fn method_not_allowed(method: Method, uri: Uri) -> Problem {
    let path: String = uri.path().chars().take(200).collect();
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, format!("`{path}` does not know the method {method}"))
}

/// The answer to whoever comes without a key where one is needed: everybody, until there are keys.
pub(super) async fn unauthorized() -> Problem {
    Problem::key_needed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_problem_is_a_document_of_its_own_type() {
        let problem = Problem::unprocessable("no such reason").with("reasons", json!(["superseded"]));
        let response = problem.into_response();
        assert_eq!(response.status(), 422);
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json");
        let body = axum::body::to_bytes(response.into_body(), 4096).await.unwrap();
        let document: Value = serde_json::from_slice(&body).unwrap();
        let expected = json!({
            "type": "about:blank", "title": "Unprocessable Entity", "status": 422, "detail": "no such reason",
            "reasons": ["superseded"],
        });
        assert_eq!(document, expected);
    }

    #[test]
    fn whoever_needs_a_key_is_told_how_to_show_it() {
        assert_eq!(Problem::key_needed().into_response().headers()[header::WWW_AUTHENTICATE], "Bearer");
    }
}
