//! OCSP's fast path: what can be answered from memory is answered before the HTTP library sees it.
//!
//! A connection's requests are read here for as long as they are plain (`head`) and their answers at hand. The first one
//! that is anything else goes to the library, with all that follows it and every octet that was read: there is one
//! answer to each request, and only one place that knows the whole of HTTP.

mod head;
mod patience;
mod rewound;
mod writing;

use std::io;
use std::pin::Pin;

use axum_server::accept::Accept;
use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::watch;

use self::head::{Plain, Reading};
use self::patience::Patience;
use self::rewound::Rewound;
use self::writing::Writer;
use super::listen::HEAD_TIMEOUT;
use super::ocsp;
use crate::ca::ocsp::Responders;

/// So much is read at once, in octets; a plain request has a few hundred.
const BUFFER: usize = 4 * 1024;

/// Answers are sent once they have so many octets, though more requests were read already.
const MOST_UNSENT: usize = 64 * 1024;

/// Accepts connections, and stays with them while their requests are plain.
#[derive(Debug, Clone)]
pub(super) struct FastPath<A> {
    pub acceptor: A,
    pub responders: Responders,
    /// Becomes true when the listener closes.
    pub closing: watch::Receiver<bool>,
}

impl<A, I, S> Accept<I, S> for FastPath<A>
where
    A: Accept<I, S>,
    A::Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    A::Service: Send + 'static,
    A::Future: Send + 'static,
{
    type Stream = Rewound<A::Stream>;
    type Service = A::Service;
    type Future = Pin<Box<dyn Future<Output = io::Result<(Self::Stream, Self::Service)>> + Send>>;

    fn accept(&self, stream: I, service: S) -> Self::Future {
        let accepting = self.acceptor.accept(stream, service);
        let (responders, closing) = (self.responders.clone(), self.closing.clone());
        Box::pin(async move {
            let (stream, service) = accepting.await?;
            let connection = Connection::new(stream, responders, closing);
            Ok((connection.serve().await?, service))
        })
    }
}

/// What comes when the answers that there are were sent.
enum Next {
    /// There is more to be answered.
    Answer,
    /// There is no whole request.
    Receive,
    /// There is a request that is not for here.
    Leave,
}

/// One connection, while it is here.
struct Connection<S> {
    stream: S,
    responders: Responders,
    patience: Patience,
    received: BytesMut,
    answers: Writer,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    fn new(stream: S, responders: Responders, closing: watch::Receiver<bool>) -> Self {
        let received = BytesMut::with_capacity(BUFFER);
        Self {
            stream,
            responders,
            patience: Patience::new(HEAD_TIMEOUT, closing),
            received,
            answers: Writer::default(),
        }
    }

    /// Answers until something comes that is not for here; the stream as it is from there on.
    ///
    /// # Errors
    /// Where the connection is over: its client closed it or is silent for too long, or the listener closes.
    async fn serve(mut self) -> io::Result<Rewound<S>> {
        loop {
            let next = self.answer_what_is_there();
            self.send().await?;
            match next {
                Next::Answer => {}
                Next::Receive => self.receive().await?,
                Next::Leave => return Ok(Rewound::new(self.received.freeze(), self.stream)),
            }
        }
    }

    /// Answers requests that are there as a whole, and says what comes then.
    fn answer_what_is_there(&mut self) -> Next {
        while self.answers.octets().len() < MOST_UNSENT {
            match head::read(&self.received) {
                Reading::Whole(request) => match answer(&self.responders, &mut self.answers, &request) {
                    Some(()) => {
                        let length = request.length;
                        self.received.advance(length);
                        self.patience.renew();
                    }
                    None => return Next::Leave,
                },
                Reading::Partial if self.received.len() < head::LONGEST => return Next::Receive,
                Reading::Partial | Reading::Other => return Next::Leave,
            }
        }
        Next::Answer
    }

    async fn send(&mut self) -> io::Result<()> {
        if !self.answers.octets().is_empty() {
            self.patience.during(self.stream.write_all(self.answers.octets())).await?;
            self.patience.during(self.stream.flush()).await?;
            self.answers.clear();
        }
        Ok(())
    }

    async fn receive(&mut self) -> io::Result<()> {
        self.received.reserve(BUFFER);
        match self.patience.during(self.stream.read_buf(&mut self.received)).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}

/// Writes the answer down; `None` where it must be waited for.
fn answer(responders: &Responders, answers: &mut Writer, request: &Plain<'_>) -> Option<()> {
    let (responder, now) = (responders.opened(request.ca)?, responders.now());
    let answer = match request.asked {
        head::Asked::InPath(text) => responder.answer_at_once(&ocsp::decode(text), now)?,
        head::Asked::InBody(der) => responder.answer_at_once(der, now)?,
    };
    answers.add(&answer, now);
    Some(())
}
