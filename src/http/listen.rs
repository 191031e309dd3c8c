//! The listeners of `[http] listen`: opened and closed as the config says, while the daemon runs.

use std::collections::BTreeMap;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum_server::Handle;
use axum_server::accept::NoDelayAcceptor;
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use hyper_util::rt::TokioTimer;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::fast_path::FastPath;
use super::limits::LONGEST_HEAD;
use super::status::ListenerState;
use super::tls::{self, LiveCertificate};
use super::{App, public_router};
use crate::config::Listen;

/// As long as a client may take to send the head of a request, and may stay silent between two.
pub(super) const HEAD_TIMEOUT: Duration = Duration::from_secs(15);

/// As long as requests in progress may take at shutdown.
const GRACE: Duration = Duration::from_secs(10);

/// The managed certificate is looked at this often.
const REFRESH: Duration = Duration::from_secs(5);

/// An address is tried again this often.
const RETRY: Duration = Duration::from_secs(5);

/// Why a listener does not open.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The address cannot be bound.
    #[error("cannot listen on `{}`", .listen.address)]
    Bind {
        /// Where.
        listen: Listen,
        /// Why.
        source: io::Error,
    },
    /// TLS cannot be set up.
    #[error("cannot set up TLS on `{}`", .listen.address)]
    Tls {
        /// Where.
        listen: Listen,
        /// Why.
        source: rustls::Error,
    },
}

/// All listeners of the daemon.
#[derive(Debug)]
pub struct Listeners {
    app: App,
    router: Router,
    certificate: Arc<LiveCertificate>,
    open: BTreeMap<Listen, Open>,
    tasks: JoinSet<()>,
}

#[derive(Debug)]
struct Open {
    handle: Handle<SocketAddr>,
    /// Tells the fast path, whose connections the handle does not know yet.
    closing: watch::Sender<bool>,
    address: SocketAddr,
}

impl Open {
    /// Takes no more requests, and ends when those that came are answered.
    fn close(&self) {
        self.closing.send_replace(true);
        self.handle.graceful_shutdown(Some(GRACE));
    }
}

impl Listeners {
    /// Nothing is open yet.
    #[must_use]
    pub fn new(app: App) -> Self {
        let router = public_router(app.clone());
        Self { app, router, certificate: Arc::default(), open: BTreeMap::new(), tasks: JoinSet::new() }
    }

    /// Opens what the config names. What cannot be bound is said in the log and on `/health`, and tried again by
    /// `run`; https listeners whose certificate is not there yet open when it is.
    pub async fn open(&mut self) {
        for error in self.apply().await {
            tracing::error!(error = &error as &dyn std::error::Error, "a listener does not open: it is tried again");
        }
    }

    /// The addresses that are really listened on: port 0 of the config has become a port here.
    #[must_use]
    pub fn addresses(&self) -> Vec<(Listen, SocketAddr)> {
        self.open.iter().map(|(listen, open)| (*listen, open.address)).collect()
    }

    /// Serves until `shutdown` becomes true, follows the config and the managed certificate, and ends when the last
    /// request is answered, or after ten seconds.
    pub async fn run(mut self, mut shutdown: watch::Receiver<bool>) {
        let (status, state) = (Arc::clone(&self.app.status), self.app.state.clone());
        loop {
            // Registered before config and state are read, so that no change is missed.
            let mut changed = std::pin::pin!(status.config_changed());
            let mut written = std::pin::pin!(state.woken());
            changed.as_mut().enable();
            written.as_mut().enable();
            self.open().await;
            let wait = self.time_to_next_look();
            tokio::select! {
                () = asked(&mut shutdown) => break,
                () = changed => {}
                () = written => {}
                () = wait => {}
            }
        }
        self.stop().await;
    }

    /// Takes up the current version of `[http] certificate`.
    pub async fn refresh_certificate(&self) {
        let config = self.app.config.load_full();
        let name = config.http.certificate.as_ref().map(crate::identifier::CertificateName::as_str);
        if let Err(error) = self.certificate.refresh(&self.app.state, name).await {
            tracing::error!(
                certificate = name,
                error = &error as &dyn std::error::Error,
                "the https listeners keep the certificate that they have"
            );
        }
    }

    /// Opens what the config names and is not open, closes what it no longer names, and tells what does not open.
    async fn apply(&mut self) -> Vec<ListenError> {
        self.refresh_certificate().await;
        while self.tasks.try_join_next().is_some() {}
        let wanted = self.app.config.load().http.listen.clone();
        self.open.retain(|listen, open| {
            let stays = wanted.contains(listen) && (!listen.tls || self.certificate.is_there());
            if !stays {
                open.close();
                tracing::info!(address = %open.address, "listener closed");
            }
            stays
        });
        let mut errors = Vec::new();
        let mut states = BTreeMap::new();
        for listen in wanted {
            let state = match self.ensure(listen) {
                Ok(state) => state,
                Err(error) => {
                    let state = ListenerState::Failed { error: whole(&error) };
                    errors.push(error);
                    state
                }
            };
            states.insert(listen, state);
        }
        self.app.status.set_listeners(states);
        errors
    }

    /// Opens one listener, unless it is open or waits for its certificate.
    fn ensure(&mut self, listen: Listen) -> Result<ListenerState, ListenError> {
        if self.open.contains_key(&listen) {
            return Ok(ListenerState::Open);
        }
        if listen.tls && !self.certificate.is_there() {
            return Ok(ListenerState::Waiting);
        }
        let socket = bind(listen)?;
        let address = socket.local_addr().map_err(|source| ListenError::Bind { listen, source })?;
        let open = Open { handle: Handle::new(), closing: watch::Sender::new(false), address };
        self.serve(listen, socket, &open)?;
        tracing::info!(%address, tls = listen.tls, "listening");
        self.open.insert(listen, open);
        Ok(ListenerState::Open)
    }

    fn serve(&mut self, listen: Listen, socket: TcpListener, open: &Open) -> Result<(), ListenError> {
        let refuse = |source| ListenError::Bind { listen, source };
        let mut server = axum_server::from_tcp(socket).map_err(refuse)?.handle(open.handle.clone()).http1_only();
        // A client that sends its request drop by drop, or none at all, does not keep a connection.
        server
            .http_builder()
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .max_buf_size(LONGEST_HEAD);
        let service = self.router.clone().into_make_service_with_connect_info::<SocketAddr>();
        if listen.tls {
            let certificate = Arc::clone(&self.certificate);
            let config = tls::server_config(certificate).map_err(|source| ListenError::Tls { listen, source })?;
            let acceptor = RustlsAcceptor::new(RustlsConfig::from_config(Arc::new(config))).acceptor(NoDelayAcceptor);
            let server = server.acceptor(self.fast_path(acceptor, open));
            self.tasks.spawn(async move { ended(listen, server.serve(service).await) });
        } else {
            let server = server.acceptor(self.fast_path(NoDelayAcceptor, open));
            self.tasks.spawn(async move { ended(listen, server.serve(service).await) });
        }
        Ok(())
    }

    fn fast_path<A>(&self, acceptor: A, open: &Open) -> FastPath<A> {
        FastPath { acceptor, responders: self.app.responders.clone(), closing: open.closing.subscribe() }
    }

    /// Waits until there may be something to do without being told.
    fn time_to_next_look(&self) -> impl Future<Output = ()> + use<> {
        let listeners = self.app.status.listeners();
        let failed = listeners.values().any(|state| matches!(state, ListenerState::Failed { .. }));
        let wait = match self.app.config.load().http.certificate {
            _ if failed => Some(RETRY),
            Some(_) => Some(REFRESH),
            None => None,
        };
        async move {
            match wait {
                Some(wait) => tokio::time::sleep(wait).await,
                None => std::future::pending().await,
            }
        }
    }

    async fn stop(mut self) {
        for open in self.open.values() {
            open.close();
        }
        while self.tasks.join_next().await.is_some() {}
    }
}

/// Returns when `shutdown` is true, or nobody is left who could make it so.
pub(super) async fn asked(shutdown: &mut watch::Receiver<bool>) {
    // An error says that the sender is gone: time to go.
    let _ = shutdown.wait_for(|asked| *asked).await;
}

fn bind(listen: Listen) -> Result<TcpListener, ListenError> {
    let bound = TcpListener::bind(listen.address).and_then(|socket| socket.set_nonblocking(true).map(|()| socket));
    bound.map_err(|source| ListenError::Bind { listen, source })
}

fn ended(listen: Listen, outcome: io::Result<()>) {
    if let Err(error) = outcome {
        tracing::error!(address = %listen.address, error = &error as &dyn std::error::Error, "a listener ended");
    }
}

/// An error with all its sources.
fn whole(error: &dyn std::error::Error) -> String {
    let sources = std::iter::successors(Some(error), |error| error.source());
    sources.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
