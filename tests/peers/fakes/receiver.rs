//! A webhook's receiver: it records what it gets and answers as it is told to, until it is stopped, and again after.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::Value;

/// One request.
#[derive(Debug, Clone)]
pub struct Received {
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

/// What the receiver does with the next requests.
#[derive(Debug, Clone)]
pub enum Behaviour {
    Take,
    Refuse(u16),
    Redirect(String),
    Hang,
}

type Shared = Arc<(Mutex<Vec<Received>>, Mutex<Behaviour>)>;

/// A running receiver; gone when dropped.
pub struct Receiver {
    address: SocketAddr,
    shared: Shared,
    runtime: Option<tokio::runtime::Runtime>,
}

impl Receiver {
    pub fn start() -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let shared = Arc::new((Mutex::default(), Mutex::new(Behaviour::Take)));
        let mut receiver = Self { address: listener.local_addr().unwrap(), shared, runtime: None };
        receiver.serve(listener);
        receiver
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn behave(&self, behaviour: Behaviour) {
        *self.shared.1.lock().unwrap() = behaviour;
    }

    /// Nobody listens any more.
    pub fn stop(&mut self) {
        self.runtime.take().unwrap().shutdown_background();
    }

    /// Listens again, at the same address.
    pub fn start_again(&mut self) {
        let listener = std::net::TcpListener::bind(self.address).unwrap();
        self.serve(listener);
    }

    fn serve(&mut self, listener: std::net::TcpListener) {
        listener.set_nonblocking(true).unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let router = Router::new().fallback(take).with_state(Arc::clone(&self.shared));
        runtime.handle().block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            let mut tasks = tokio::task::JoinSet::new();
            tasks.spawn(async move { axum::serve(listener, router).await.unwrap() });
            tasks.detach_all();
        });
        self.runtime = Some(runtime);
    }

    pub fn received(&self) -> Vec<Received> {
        self.shared.0.lock().unwrap().clone()
    }

    /// The events that came, in the order in which they came.
    pub fn events(&self) -> Vec<Value> {
        self.received().iter().map(|one| serde_json::from_slice(&one.body).expect("an event is JSON")).collect()
    }

    /// The events of this kind.
    pub fn of_kind(&self, kind: &str) -> Vec<Value> {
        self.events().into_iter().filter(|event| event["kind"] == kind).collect()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn take(State(shared): State<Shared>, headers: HeaderMap, body: Bytes) -> Response {
    shared.0.lock().unwrap().push(Received { headers, body: body.to_vec() });
    let behaviour = shared.1.lock().unwrap().clone();
    match behaviour {
        Behaviour::Take => StatusCode::NO_CONTENT.into_response(),
        Behaviour::Refuse(status) => (StatusCode::from_u16(status).unwrap(), "no").into_response(),
        Behaviour::Redirect(to) => (StatusCode::FOUND, [(header::LOCATION, to)]).into_response(),
        Behaviour::Hang => {
            tokio::time::sleep(Duration::from_secs(3600)).await;
            StatusCode::OK.into_response()
        }
    }
}
