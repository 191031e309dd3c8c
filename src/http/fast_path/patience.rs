//! How long a connection is waited on.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use tokio::sync::watch;
use tokio::time::{Instant, Sleep, sleep};

use super::super::listen::{HEAD_TIMEOUT, asked};

/// Ends what takes too long, and what its listener no longer waits for.
///
/// One timer serves a connection for as long as it lives: it is set anew only where it ran out and something had
/// happened meanwhile.
pub(super) struct Patience {
    closing: Pin<Box<dyn Future<Output = ()> + Send>>,
    timer: Pin<Box<Sleep>>,
}

impl Patience {
    pub(super) fn new(mut closing: watch::Receiver<bool>) -> Self {
        let closing = Box::pin(async move { asked(&mut closing).await });
        Self { closing, timer: Box::pin(sleep(HEAD_TIMEOUT)) }
    }

    /// What comes of something that is to be done in time.
    ///
    /// # Errors
    /// Its own, that it took too long, or that the listener closes.
    pub(super) async fn during<T>(&mut self, doing: impl Future<Output = io::Result<T>>) -> io::Result<T> {
        let (mut doing, mut since) = (pin!(doing), None);
        poll_fn(|context| match doing.as_mut().poll(context) {
            Poll::Ready(done) => Poll::Ready(done),
            Poll::Pending => self.poll_end(*since.get_or_insert_with(Instant::now), context).map(Err),
        })
        .await
    }

    fn poll_end(&mut self, since: Instant, context: &mut Context<'_>) -> Poll<io::Error> {
        if self.closing.as_mut().poll(context).is_ready() {
            return Poll::Ready(io::ErrorKind::ConnectionAborted.into());
        }
        loop {
            ready!(self.timer.as_mut().poll(context));
            if self.timer.deadline() >= since + HEAD_TIMEOUT {
                return Poll::Ready(io::ErrorKind::TimedOut.into());
            }
            self.timer.as_mut().reset(since + HEAD_TIMEOUT);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::time::Duration;

    use super::*;

    async fn nothing() -> io::Result<()> {
        pending().await
    }

    #[tokio::test(start_paused = true)]
    async fn each_thing_has_its_time_and_no_more() {
        let (_open, closing) = watch::channel(false);
        let (mut patience, begin) = (Patience::new(closing), Instant::now());
        for _ in 0..3 {
            let slow = async { Ok(tokio::time::sleep(HEAD_TIMEOUT - Duration::from_secs(1)).await) };
            assert!(patience.during(slow).await.is_ok());
        }
        assert_eq!(patience.during(nothing()).await.unwrap_err().kind(), io::ErrorKind::TimedOut);
        let wanted = 4 * HEAD_TIMEOUT - Duration::from_secs(3);
        assert!(
            begin.elapsed() >= wanted && begin.elapsed() < wanted + Duration::from_secs(1),
            "{:?}",
            begin.elapsed()
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_listener_that_closes_waits_for_nobody() {
        let (open, closing) = watch::channel(false);
        let (mut patience, begin) = (Patience::new(closing), Instant::now());
        let close = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            open.send(true).unwrap();
        };
        let (ended, ()) = tokio::join!(patience.during(nothing()), close);
        assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::ConnectionAborted);
        assert!(begin.elapsed() < Duration::from_secs(2));
    }
}
