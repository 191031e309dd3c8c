//! `/health`: whether all is well, in numbers, without a name.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;

use super::App;
use super::status::{ConfigStatus, ListenerState};
use crate::ca::crl::{Amiss, Freshness, Lists};
use crate::clock::Timestamp;
use crate::state::StateError;
use crate::state::certificate::Tally;
use crate::state::client::trouble::ClientTally;
use crate::state::crl::CrlName;
use crate::state::outbox::SinkRow;

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
    issuers: Option<IssuersCheck>,
    #[serde(skip_serializing_if = "Option::is_none")]
    authorities: Option<AuthoritiesCheck>,
    #[serde(skip_serializing_if = "Option::is_none")]
    certificates: Option<CertificatesCheck>,
    #[serde(skip_serializing_if = "Option::is_none")]
    clients: Option<ClientsCheck>,
    #[serde(skip_serializing_if = "Option::is_none")]
    notifications: Option<NotificationsCheck>,
    #[serde(skip_serializing_if = "Option::is_none")]
    crls: Option<CrlsCheck>,
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

/// Issuers that certificates name: whether they could issue if they had to. Not there before the first look.
#[derive(Debug, Serialize)]
struct IssuersCheck {
    status: Grade,
    ready: usize,
    not_ready: usize,
}

/// Private CAs that cannot be opened, or have keys in a token that fails, and those whose root is to be brought back:
/// nobody answers OCSP for their issuing certificates soon, or any more. Not there where there is no CA.
#[derive(Debug, Serialize)]
struct AuthoritiesCheck {
    status: Grade,
    troubled: usize,
    roots_wanted: usize,
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

/// Client certificates that should be renewed by themselves and are not.
#[derive(Debug, Serialize)]
struct ClientsCheck {
    status: Grade,
    failing: u64,
    late: u64,
    expired: u64,
}

/// Sinks that have taken nothing for a quarter of an hour, and events that wait.
#[derive(Debug, Serialize)]
struct NotificationsCheck {
    status: Grade,
    sinks: usize,
    failing: usize,
    due: u32,
}

/// Lists of what our own CAs have revoked, and what is found at their published URLs. Not there without a private CA.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct CrlsCheck {
    status: Grade,
    lists: usize,
    late: usize,
    lapsed: usize,
    unreachable: usize,
    different: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_update: Option<Timestamp>,
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
        issuers: check_issuers(app),
        authorities: check_authorities(app),
        certificates: numbers.as_ref().ok().map(|(tally, _)| check_certificates(*tally)),
        clients: app.state.client_tally(now).await.ok().map(check_clients),
        notifications: app.state.sinks().await.ok().map(|sinks| check_notifications(&sinks, now)),
        crls: check_crls(&app.crls.lists(), &app.crls.amiss(), now),
        txt_owed: numbers.ok().map(|(_, owed)| owed),
    };
    Health { schema: crate::report::SCHEMA, status: checks.worst(), version: env!("CARGO_PKG_VERSION"), checks }
}

impl Checks {
    fn worst(&self) -> Grade {
        let config = if self.config.errors.is_some() { Grade::Degraded } else { Grade::Ok };
        let certificates = self.certificates.as_ref().map_or(Grade::Ok, |check| check.status);
        let others = [self.database.status, self.r#loop.status, self.clock.status, self.listeners.status];
        let notifications = self.notifications.as_ref().map_or(Grade::Ok, |check| check.status);
        let issuers = self.issuers.as_ref().map_or(Grade::Ok, |check| check.status);
        let clients = self.clients.as_ref().map_or(Grade::Ok, |check| check.status);
        let crls = self.crls.as_ref().map_or(Grade::Ok, |check| check.status);
        let authorities = self.authorities.as_ref().map_or(Grade::Ok, |check| check.status);
        let ours = [config, certificates, clients, notifications, issuers, authorities, crls];
        others.into_iter().chain(ours).max().unwrap_or(Grade::Ok)
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

fn check_issuers(app: &App) -> Option<IssuersCheck> {
    let (ready, not_ready) = app.status.readiness().last()?.count();
    Some(IssuersCheck { status: if not_ready > 0 { Grade::Degraded } else { Grade::Ok }, ready, not_ready })
}

fn check_authorities(app: &App) -> Option<AuthoritiesCheck> {
    let (troubled, roots_wanted) = (app.registry.troubled(), app.responders.late_roots());
    let status = if troubled + roots_wanted > 0 { Grade::Degraded } else { Grade::Ok };
    let is_there = status > Grade::Ok || !app.config.load().cas.is_empty();
    is_there.then_some(AuthoritiesCheck { status, troubled, roots_wanted })
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

fn check_clients(tally: ClientTally) -> ClientsCheck {
    let ClientTally { failing, late, expired } = tally;
    let status = match (failing + late, expired) {
        (_, 1..) => Grade::Failing,
        (1.., 0) => Grade::Degraded,
        (0, 0) => Grade::Ok,
    };
    ClientsCheck { status, failing, late, expired }
}

fn check_notifications(sinks: &[SinkRow], now: Timestamp) -> NotificationsCheck {
    let failing = sinks.iter().filter(|sink| sink.is_in_trouble(now)).count();
    let status = if failing > 0 { Grade::Degraded } else { Grade::Ok };
    NotificationsCheck { status, sinks: sinks.len(), failing, due: sinks.iter().map(|sink| sink.due).sum() }
}

fn check_crls(lists: &Lists, amiss: &BTreeMap<CrlName, Amiss>, now: Timestamp) -> Option<CrlsCheck> {
    let count = |wanted| lists.all().filter(|list| list.freshness(now) == wanted).count();
    let (late, lapsed) = (count(Freshness::Late), count(Freshness::Lapsed));
    let unreachable = amiss.values().filter(|amiss| matches!(amiss, Amiss::Unreachable { .. })).count();
    let different = amiss.len() - unreachable;
    let status = match (lapsed, late + amiss.len()) {
        (1.., _) => Grade::Failing,
        (_, 1..) => Grade::Degraded,
        _ => Grade::Ok,
    };
    let next_update = lists.all().filter_map(|list| list.head.as_ref()).map(|head| head.next_update).min();
    let lists = lists.all().count();
    (lists > 0).then_some(CrlsCheck { status, lists, late, lapsed, unreachable, different, next_update })
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
        let clients = |tally| check_clients(tally).status;
        assert_eq!(clients(ClientTally::default()), Grade::Ok);
        assert_eq!(clients(ClientTally { late: 1, ..ClientTally::default() }), Grade::Degraded);
        assert_eq!(clients(ClientTally { failing: 2, expired: 1, late: 0 }), Grade::Failing);
        let grade = |tally| check_certificates(tally).status;
        assert_eq!(grade(Tally { managed: 3, without: 1, ..Tally::default() }), Grade::Ok);
        assert_eq!(grade(Tally { managed: 3, troubled: 1, ..Tally::default() }), Grade::Degraded);
        assert_eq!(grade(Tally { managed: 3, troubled: 1, expired: 1, ..Tally::default() }), Grade::Failing);
    }
}
