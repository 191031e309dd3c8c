//! `/health`: whether all is well, in numbers, without a name.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;

use super::App;
use super::status::{ConfigStatus, ListenerState};
use crate::clock::Timestamp;
use crate::state::StateError;
use crate::state::certificate::Tally;

/// How well a thing is; the last is the worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Grade {
    /// All is well.
    Ok,
    /// Something wants to be looked at; certificates are served and renewed.
    Degraded,
    /// Certificates are not renewed, or have expired.
    Failing,
}

/// The answer of `/health`.
#[derive(Debug, Serialize)]
pub(super) struct Health {
    schema: u32,
    pub(super) status: Grade,
    version: &'static str,
    checks: Checks,
}

#[derive(Debug, Serialize)]
struct Checks {
    config: ConfigCheck,
    database: Check,
    r#loop: Check,
    clock: Check,
    listeners: ListenersCheck,
    #[serde(skip_serializing_if = "Option::is_none")]
    certificates: Option<CertificatesCheck>,
    #[serde(skip_serializing_if = "Option::is_none")]
    txt_owed: Option<u32>,
}

#[derive(Debug, Serialize)]
struct Check {
    status: Grade,
}

/// Of a refused config the number of errors is shown, and nothing of what they say.
#[derive(Debug, Serialize)]
struct ConfigCheck {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    errors: Option<usize>,
    since: Timestamp,
}

#[derive(Debug, Serialize)]
struct ListenersCheck {
    status: Grade,
    open: usize,
    waiting: usize,
    failed: usize,
}

#[derive(Debug, Serialize)]
struct CertificatesCheck {
    status: Grade,
    managed: u32,
    troubled: u32,
    without: u32,
    failing: u32,
    expired: u32,
}

/// `GET /health`.
pub(super) async fn health(State(app): State<App>) -> Response {
    let health = examine(&app).await;
    answer(health.status == Grade::Failing, &health)
}

/// `GET /health/live`: the loop turns.
pub(super) async fn live(State(app): State<App>) -> Response {
    let stuck = app.status.loop_stuck(app.clock.now());
    let status = if stuck { Grade::Failing } else { Grade::Ok };
    answer(stuck, &Check { status })
}

/// `GET /health/renewals`: whether each certificate will be renewed in time, in numbers.
pub(super) async fn renewals(State(app): State<App>) -> Response {
    let config = check_config(&app);
    let too_few = app.state.count_too_few().await;
    let stuck = app.status.loop_stuck(app.clock.now());
    let failing = stuck || config.errors.is_some() || !matches!(too_few, Ok(0));
    let status = if failing { Grade::Failing } else { Grade::Ok };
    answer(failing, &Renewals { schema: crate::report::SCHEMA, status, too_few_attempts_left: too_few.ok(), config })
}

/// The answer of `/health/renewals`.
#[derive(Debug, Serialize)]
struct Renewals {
    schema: u32,
    status: Grade,
    /// Certificates with fewer attempts left before they expire than the config wants; absent: the database fails.
    #[serde(skip_serializing_if = "Option::is_none")]
    too_few_attempts_left: Option<u32>,
    config: ConfigCheck,
}

/// `GET /health/ready`: listeners, database and CAs do their work.
pub(super) async fn ready(State(app): State<App>) -> Response {
    let listeners = check_listeners(&app).status == Grade::Ok;
    let ready = listeners && app.state.ping().await.is_ok() && authorities_ready(&app).await;
    let status = if ready { Grade::Ok } else { Grade::Failing };
    answer(!ready, &Check { status })
}

fn answer(failing: bool, body: &impl Serialize) -> Response {
    let status = if failing { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    let mut response = (status, Json(body)).into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Looks at everything.
pub(super) async fn examine(app: &App) -> Health {
    let now = app.clock.now();
    let numbers = numbers(app, now).await;
    let failing = |failing: bool| Check { status: if failing { Grade::Failing } else { Grade::Ok } };
    let checks = Checks {
        config: check_config(app),
        database: failing(numbers.is_err()),
        r#loop: failing(app.status.loop_stuck(now)),
        clock: failing(!app.status.clock_trusted()),
        listeners: check_listeners(app),
        certificates: numbers.as_ref().ok().map(|(tally, _)| check_certificates(*tally)),
        txt_owed: numbers.ok().map(|(_, owed)| owed),
    };
    Health { schema: crate::report::SCHEMA, status: checks.worst(), version: env!("CARGO_PKG_VERSION"), checks }
}

impl Checks {
    fn worst(&self) -> Grade {
        let config = if self.config.errors.is_some() { Grade::Degraded } else { Grade::Ok };
        let certificates = self.certificates.as_ref().map_or(Grade::Ok, |check| check.status);
        let others = [self.database.status, self.r#loop.status, self.clock.status, self.listeners.status];
        others.into_iter().chain([config, certificates]).max().unwrap_or(Grade::Ok)
    }
}

async fn numbers(app: &App, now: Timestamp) -> Result<(Tally, u32), StateError> {
    Ok((app.state.tally(now).await?, app.state.count_owed_txts().await?))
}

fn check_config(app: &App) -> ConfigCheck {
    match *app.status.config() {
        ConfigStatus::Ok { since } => ConfigCheck { status: "ok", errors: None, since },
        ConfigStatus::Refused { ref report, since } => {
            ConfigCheck { status: "refused", errors: Some(report.errors.len()), since }
        }
    }
}

fn check_listeners(app: &App) -> ListenersCheck {
    let listeners = app.status.listeners();
    let count = |wanted: fn(&ListenerState) -> bool| listeners.values().filter(|state| wanted(state)).count();
    let failed = count(|state| matches!(state, ListenerState::Failed { .. }));
    ListenersCheck {
        status: if failed > 0 { Grade::Degraded } else { Grade::Ok },
        open: count(|state| *state == ListenerState::Open),
        waiting: count(|state| *state == ListenerState::Waiting),
        failed,
    }
}

fn check_certificates(tally: Tally) -> CertificatesCheck {
    let status = match tally {
        Tally { expired: 1.., .. } => Grade::Failing,
        Tally { troubled: 1.., .. } | Tally { failing: 1.., .. } => Grade::Degraded,
        _ => Grade::Ok,
    };
    let Tally { managed, troubled, without, failing, expired } = tally;
    CertificatesCheck { status, managed, troubled, without, failing, expired }
}

/// Each CA of the config has its issuing certificate.
async fn authorities_ready(app: &App) -> bool {
    let config = app.config.load_full();
    for name in config.cas.keys() {
        let newest = app.state.newest_ca(name).await;
        if !newest.is_ok_and(|row| row.is_some_and(|row| row.certificate.is_some())) {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_expired_is_worse_than_what_has_trouble() {
        let grade = |tally| check_certificates(tally).status;
        assert_eq!(grade(Tally { managed: 3, without: 1, ..Tally::default() }), Grade::Ok);
        assert_eq!(grade(Tally { managed: 3, troubled: 1, ..Tally::default() }), Grade::Degraded);
        assert_eq!(grade(Tally { managed: 3, troubled: 1, expired: 1, ..Tally::default() }), Grade::Failing);
    }
}
