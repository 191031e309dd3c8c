//! `/metrics`: numbers for those who draw curves of them.

use std::net::SocketAddr;

use axum::Extension;
use axum::extract::{ConnectInfo, State};
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, header};

use super::openmetrics::{CONTENT_TYPE, Exposition, Kind};
use super::process::Process;
use super::status::ConfigStatus;
use super::{App, Problem, peer};
use crate::state::{OrderState, StateError};

/// Certificates with a curve of their own.
const MOST_CERTIFICATES: u32 = 1_000;

/// `GET /metrics`: open to this machine, where nobody asks for somebody else.
pub(super) async fn metrics(
    State(app): State<App>,
    connected: Option<Extension<ConnectInfo<SocketAddr>>>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let peer = connected.map(|Extension(ConnectInfo(peer))| peer);
    if !peer::is_local(peer, &headers) {
        return Err(Problem::key_needed());
    }
    let text = exposition(&app).await?;
    Ok(([(header::CONTENT_TYPE, CONTENT_TYPE), (header::CACHE_CONTROL, "no-store")], text).into_response())
}

async fn exposition(app: &App) -> Result<String, StateError> {
    let mut exposition = Exposition::default();
    daemon(app, &mut exposition);
    certificates(app, &mut exposition).await?;
    orders(app, &mut exposition).await?;
    deliveries(app, &mut exposition).await?;
    process(app, &mut exposition);
    Ok(exposition.finish())
}

fn daemon(app: &App, exposition: &mut Exposition) {
    let version = [("version", env!("CARGO_PKG_VERSION"))];
    exposition.family("renewd_build", Kind::Info, "The renewd that runs.").sample(&version, 1);
    let taken = matches!(*app.status.config(), ConfigStatus::Ok { .. });
    exposition
        .family("renewd_config_last_reload_success", Kind::Gauge, "1: the config file is in force; 0: it was refused.")
        .sample(&[], u8::from(taken));
}

async fn certificates(app: &App, exposition: &mut Exposition) -> Result<(), StateError> {
    let tally = app.state.tally(app.clock.now()).await?;
    let mut counts = exposition.family("renewd_certificates", Kind::Gauge, "Certificates, by how they stand.");
    let standings = [("managed", tally.managed), ("troubled", tally.troubled), ("without", tally.without)];
    for (standing, count) in standings.into_iter().chain([("failing", tally.failing), ("expired", tally.expired)]) {
        counts.sample(&[("standing", standing)], count);
    }
    let help = "When the current version expires, in seconds since 1970; those that expire first.";
    let mut expiries = exposition.family("renewd_certificate_not_after_seconds", Kind::Gauge, help);
    for (name, not_after) in app.state.expiries(MOST_CERTIFICATES).await? {
        expiries.sample(&[("certificate", &name)], not_after.seconds());
    }
    let help =
        "Attempts that can be made before the current version expires, 100 at the most; those that expire first.";
    let mut attempts = exposition.family("renewd_certificate_attempts_left", Kind::Gauge, help);
    for (name, left) in app.state.attempts_left(MOST_CERTIFICATES).await? {
        attempts.sample(&[("certificate", &name)], left);
    }
    let owed = app.state.count_owed_txts().await?;
    exposition.family("renewd_txt_owed", Kind::Gauge, "TXT values that are still to be withdrawn.").sample(&[], owed);
    Ok(())
}

async fn orders(app: &App, exposition: &mut Exposition) -> Result<(), StateError> {
    let counts = app.state.count_orders().await?;
    let mut finished = exposition.family("renewd_orders", Kind::Counter, "Orders that are over, by what came of them.");
    for (issuer, state, count) in counts.iter().filter(|(_, state, _)| *state != OrderState::Open) {
        finished.sample(&[("issuer", issuer), ("result", state.as_str())], count);
    }
    let mut open = exposition.family("renewd_orders_open", Kind::Gauge, "Orders on their way.");
    for (issuer, _, count) in counts.iter().filter(|(_, state, _)| *state == OrderState::Open) {
        open.sample(&[("issuer", issuer)], count);
    }
    Ok(())
}

async fn deliveries(app: &App, exposition: &mut Exposition) -> Result<(), StateError> {
    let help = "Current versions that are to be in a store, by whether they are.";
    let mut family = exposition.family("renewd_deliveries", Kind::Gauge, help);
    for (store, stored, count) in app.state.count_deliveries().await? {
        family.sample(&[("store", &store), ("state", if stored { "stored" } else { "due" })], count);
    }
    Ok(())
}

fn process(app: &App, exposition: &mut Exposition) {
    let found = Process::look();
    let started = app.status.started_at().seconds();
    exposition
        .family("process_start_time_seconds", Kind::Gauge, "When the daemon started, in seconds since 1970.")
        .sample(&[], started);
    if let Some(seconds) = found.cpu_seconds {
        exposition.family("process_cpu_seconds", Kind::Counter, "Time on processors.").sample(&[], seconds);
    }
    let gauges = [
        ("process_resident_memory_bytes", "Memory that is really there.", found.resident_octets),
        ("process_open_fds", "Open file descriptors.", found.open_files),
        ("process_max_fds", "As many file descriptors as may be open.", found.most_files),
    ];
    for (name, help, value) in gauges {
        if let Some(value) = value {
            exposition.family(name, Kind::Gauge, help).sample(&[], value);
        }
    }
}
