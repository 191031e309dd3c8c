//! Notifications on the local socket: how sinks stand, and a test.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use serde_json::json;

use super::{App, Problem};
use crate::notify;
use crate::report::{self, SCHEMA};

/// `GET /notifications`.
pub(super) async fn list(State(app): State<App>) -> Result<Response, Problem> {
    let config = app.config.load_full();
    Ok(Json(report::sinks(Some(&app.state), &config).await?).into_response())
}

/// `POST /notifications/{name}/test`: sent at once; what the receiver answers is the answer.
pub(super) async fn test(State(app): State<App>, Path(name): Path<String>) -> Result<Response, Problem> {
    let sinks = app.sinks.load_full();
    let sink = sinks.get(&name).ok_or_else(|| Problem::not_found(format!("there is no sink `{name}`")))?;
    match notify::test(sink.as_ref(), app.state.node(), app.clock.now()).await {
        Ok(()) => Ok(Json(json!({ "schema": SCHEMA, "sink": name, "sent": true })).into_response()),
        Err(error) => {
            let words = format!("`{name}` was not told: {}", providers::error::chain(&error));
            Err(Problem::new(StatusCode::BAD_GATEWAY, words))
        }
    }
}
