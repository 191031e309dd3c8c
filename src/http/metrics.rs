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
use crate::ca::crl::CaLists;
use crate::ca::ocsp::Said;
use crate::clock::Timestamp;
use crate::state::{OrderState, StateError};

/// Certificates with a curve of their own.
const MOST_CERTIFICATES: u32 = 1_000;

/// CRLs whose numbers are told one by one.
const MOST_CRLS: usize = 1_000;

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
    issuers(app, &mut exposition);
    orders(app, &mut exposition).await?;
    deliveries(app, &mut exposition).await?;
    clients(app, &mut exposition).await?;
    notifications(app, &mut exposition).await?;
    ocsp(app, &mut exposition);
    crls(app, &mut exposition);
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

/// Nothing before the first look.
fn issuers(app: &App, exposition: &mut Exposition) {
    let Some(looked) = app.status.readiness().last() else { return };
    let help = "1: the issuer could issue whatever it is named for; 0: it could not.";
    let mut family = exposition.family("renewd_issuer_ready", Kind::Gauge, help);
    for (issuer, why_not) in &looked.issuers {
        family.sample(&[("issuer", issuer)], u8::from(why_not.is_none()));
    }
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

async fn clients(app: &App, exposition: &mut Exposition) -> Result<(), StateError> {
    let now = app.clock.now();
    let mut counts = exposition.family("renewd_clients", Kind::Gauge, "Client certificates, by how they stand.");
    for (status, count) in app.state.count_clients(now).await? {
        counts.sample(&[("status", status)], count);
    }
    let tally = app.state.client_tally(now).await?;
    let help = "Client certificates that should be renewed by themselves and are not; those that are expired are \
                failing, too.";
    let mut troubled = exposition.family("renewd_clients_troubled", Kind::Gauge, help);
    for (trouble, count) in [("failing", tally.failing), ("late", tally.late), ("expired", tally.expired)] {
        troubled.sample(&[("trouble", trouble)], count);
    }
    Ok(())
}

async fn notifications(app: &App, exposition: &mut Exposition) -> Result<(), StateError> {
    let sinks = app.state.sinks().await?;
    let help = "Notifications: events that arrived, attempts that failed, events that were given up.";
    let mut counts = exposition.family("renewd_notifications", Kind::Counter, help);
    for sink in &sinks {
        for (state, count) in [("sent", sink.sent), ("failed", sink.failed), ("given_up", sink.given_up)] {
            counts.sample(&[("sink", &sink.name), ("state", state)], count);
        }
    }
    let mut due = exposition.family("renewd_notifications_due", Kind::Gauge, "Events that are still to be sent.");
    for sink in &sinks {
        due.sample(&[("sink", &sink.name)], sink.due);
    }
    Ok(())
}

fn ocsp(app: &App, exposition: &mut Exposition) {
    let help = "OCSP answers, by what they say of the first certificate that was asked about.";
    let mut family = exposition.family("renewd_ocsp_responses", Kind::Counter, help);
    for responder in app.responders.all() {
        for said in Said::ALL {
            family.sample(&[("ca", responder.name()), ("status", said.as_str())], responder.count(said));
        }
    }
}

/// Nothing before the first list.
fn crls(app: &App, exposition: &mut Exposition) {
    let (now, lists, amiss) = (app.clock.now(), app.crls.lists(), app.crls.amiss());
    let cas: Vec<CaLists<'_>> = lists.cas(now).collect();
    let mut family = |name, help: &str, value: &dyn Fn(&CaLists<'_>) -> Option<i64>| {
        let mut family = exposition.family(name, Kind::Gauge, help);
        for (ca, value) in cas.iter().filter_map(|of| Some((of.ca, value(of)?))) {
            family.sample(&[("ca", ca)], value);
        }
    };
    let seconds = |instant: Option<Timestamp>| instant.map(Timestamp::seconds);
    let help = "When the first CRL of a CA lapses, in seconds since 1970.";
    family("renewd_crl_next_update_seconds", help, &|of| seconds(of.next_update));
    let help = "When the oldest CRL of a CA was made, in seconds since 1970.";
    family("renewd_crl_this_update_seconds", help, &|of| seconds(of.this_update));
    let count = |count| i64::try_from(count).ok();
    family("renewd_crls", "CRLs of a CA, without their deltas.", &|of| count(of.lists));
    family("renewd_crl_bytes", "Size of all CRLs of a CA.", &|of| i64::try_from(of.octets).ok());
    let help = "CRLs of which something else, or nothing, is found at their published URL.";
    family("renewd_crls_amiss", help, &|of| count(amiss.keys().filter(|name| name.ca == of.ca).count()));
    let help = "The number of a CRL; those of the first thousand.";
    let mut numbers = exposition.family("renewd_crl_number", Kind::Gauge, help);
    for list in lists.all().take(MOST_CRLS) {
        let Some(number) = list.head.as_ref().and_then(|head| head.number) else { continue };
        let shard = list.name.shard.map_or_else(|| "all".to_owned(), |shard| shard.to_string());
        let generation = list.name.generation.to_string();
        numbers.sample(&[("ca", &list.name.ca), ("generation", &generation), ("shard", &shard)], number);
    }
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
