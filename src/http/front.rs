//! What a connection's requests meet first: OCSP, which is asked so often, or else the router.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready as unless_ready};

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::response::Response;
use bytes::Bytes;
use futures_util::FutureExt as _;
use http::Request;
use tower::Service;

use super::limits;
use super::ocsp;
use crate::ca::ocsp::Responders;

/// Makes a `Front` for each connection.
#[derive(Debug, Clone)]
pub(super) struct FrontDoor {
    pub responders: Responders,
    pub router: Router,
}

impl Service<SocketAddr> for FrontDoor {
    type Response = Front;
    type Error = Infallible;
    type Future = Ready<Result<Front, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, peer: SocketAddr) -> Self::Future {
        ready(Ok(Front { responders: self.responders.clone(), router: self.router.clone(), peer }))
    }
}

/// Answers the requests of one connection.
#[derive(Debug, Clone)]
pub(super) struct Front {
    responders: Responders,
    router: Router,
    peer: SocketAddr,
}

/// An answer on its way: there already, or to be waited for.
pub(super) enum Answering {
    AtOnce(Option<Response>),
    Waiting(Pin<Box<dyn Future<Output = Response> + Send>>),
}

impl Future for Answering {
    type Output = Result<Response, Infallible>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let response = match &mut *self {
            Self::AtOnce(response) => response.take().expect("a future is not polled again after its end"),
            Self::Waiting(waiting) => unless_ready!(waiting.as_mut().poll(context)),
        };
        Poll::Ready(Ok(response))
    }
}

impl<B> Service<Request<B>> for Front
where
    B: axum::body::HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<axum::BoxError>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Answering;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Answering {
        if !ocsp::is_meant(request.uri().path()) {
            return Answering::Waiting(Box::pin(routed(self.router.clone(), request, self.peer)));
        }
        if let Some(response) = ocsp::at_once(&self.responders, &request) {
            return Answering::AtOnce(Some(response));
        }
        let answer = std::panic::AssertUnwindSafe(ocsp::answer(self.responders.clone(), request)).catch_unwind();
        Answering::Waiting(Box::pin(async move { answer.await.unwrap_or_else(limits::panicked) }))
    }
}

async fn routed<B>(mut router: Router, mut request: Request<B>, peer: SocketAddr) -> Response
where
    B: axum::body::HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<axum::BoxError>,
{
    request.extensions_mut().insert(ConnectInfo(peer));
    match router.call(request.map(Body::new)).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}
