//! The front door: what is asked over HTTP, publicly and on the local socket.
//!
//! It never issues anything: it reads the state, or writes down what is asked for, and the write wakes the loop.

mod authority;
mod clients;
mod conditional;
mod crl;
mod download;
mod fast_path;
mod health;
mod hierarchy;
mod limits;
pub mod listen;
mod local;
mod metrics;
mod notifications;
mod ocsp;
mod openmetrics;
mod peer;
mod pkcs7;
pub mod problem;
mod process;
mod range;
pub mod socket;
pub mod status;
mod tls;

use std::sync::Arc;

use arc_swap::ArcSwap;
use axum::Router;
use axum::routing::{any, get};
use tokio::sync::{mpsc, oneshot};
use tower_http::catch_panic::CatchPanicLayer;

pub use listen::{ListenError, Listeners};
pub use problem::Problem;
pub use socket::{SocketError, serve_socket};
pub use status::Status;

use crate::ca::Registry;
use crate::ca::client::Clients;
use crate::ca::crl::Crls;
use crate::ca::ocsp::Responders;
use crate::ca::revoke::Revocations;
use crate::clock::Clock;
use crate::config::{Config, Note, Report};
use crate::notify::Sinks;
use crate::report::Examination;
use crate::state::State;

/// What every answer is made of. Cloning shares it.
#[derive(Debug, Clone)]
pub struct App {
    /// The config in force.
    pub config: Arc<ArcSwap<Config>>,
    /// The database.
    pub state: State,
    /// What the time is.
    pub clock: Clock,
    /// Our own CAs.
    pub registry: Registry,
    /// What answers OCSP for them.
    pub responders: Responders,
    /// What revokes and releases certificates of our CAs.
    pub revocations: Revocations,
    /// The lists of what is revoked.
    pub crls: Crls,
    /// Client certificates.
    pub clients: Clients,
    /// How the daemon itself stands.
    pub status: Arc<Status>,
    /// Where people are told, swapped by a reload.
    pub sinks: Arc<ArcSwap<Sinks>>,
    /// Who reloads the config when asked.
    pub reload: mpsc::Sender<ReloadRequest>,
    /// Who looks at everything live when asked.
    pub doctor: mpsc::Sender<DoctorRequest>,
}

/// Everything, or what concerns one certificate, is to be looked at.
#[derive(Debug)]
pub struct DoctorRequest {
    /// The certificate's name in the config; `None`: everything.
    pub certificate: Option<String>,
    /// Where what was found is waited for.
    pub answer: oneshot::Sender<Examination>,
}

/// The config is to be reloaded.
#[derive(Debug)]
pub struct ReloadRequest {
    /// Where the answer is waited for.
    pub answer: oneshot::Sender<ReloadAnswer>,
}

/// What came of a reload: what is in force now, or every reason against it.
pub type ReloadAnswer = Result<Reloaded, Report>;

/// A config was taken.
#[derive(Debug, Clone)]
pub struct Reloaded {
    /// How many certificates it names.
    pub certificates: usize,
    /// It says something else than the one before.
    pub changed: bool,
    /// What is to be said of it.
    pub notes: Vec<Note>,
}

/// Everything that is open to the network.
pub fn public_router(app: App) -> Router {
    let router = Router::new()
        .route("/health", get(health::health))
        .route("/health/live", get(health::live))
        .route("/health/ready", get(health::ready))
        .route("/health/renewals", get(health::renewals))
        .route("/{name}/tls", get(download::download))
        .route("/ca/{file}", get(authority::newest))
        .route("/ca/{ca}/{file}", get(authority::generation))
        .route("/crl/{file}", get(crl::newest))
        .route("/crl/{ca}/{generation}/{file}", get(crl::shard))
        .route("/crl/{ca}/{generation}/{shard}/delta.crl", get(crl::delta))
        .route("/metrics", get(metrics::metrics))
        .route("/api", any(problem::unauthorized))
        .route("/api/{*path}", any(problem::unauthorized));
    // OCSP has bounds of its own: requests are in paths, and whoever sends too much is heard to the end.
    let ocsp = any(ocsp::answer).layer(CatchPanicLayer::custom(limits::panicked));
    limits::bounded(router).route("/ocsp/{*asked}", ocsp).with_state(app)
}

/// Everything that whoever may open the local socket may do.
pub fn local_router(app: App) -> Router {
    limits::bounded(local::router().merge(authority::local()).merge(hierarchy::router())).with_state(app)
}
