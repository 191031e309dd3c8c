//! How long a connection is waited on.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, Sleep, sleep};

use super::super::listen::asked;

/// Ends what takes too long, and what its listener no longer waits for: a request has its time as a whole, so that nobody
/// holds a connection by sending it octet by octet.
///
/// One timer serves a connection for as long as it lives: it is set anew only where it ran out and something had
/// happened meanwhile.
pub(super) struct Patience {
    closing: Pin<Box<dyn Future<Output = ()> + Send>>,
    timer: Pin<Box<Sleep>>,
    longest: Duration,
    /// Since when somebody is waited for.
    since: Option<Instant>,
}

impl Patience {
    /// Waits for nothing longer than `longest`, and for nothing at all once `closing` is true.
    pub(super) fn new(longest: Duration, mut closing: watch::Receiver<bool>) -> Self {
        let closing = Box::pin(async move { asked(&mut closing).await });
        Self { closing, timer: Box::pin(sleep(longest)), longest, since: None }
    }

    /// A request was answered: the next one has all the time again.
    pub(super) fn renew(&mut self) {
        self.since = None;
    }

    /// What comes of something that is to be done in time.
    ///
    /// # Errors
    /// Its own, that it took too long, or that the listener closes.
    pub(super) async fn during<T>(&mut self, doing: impl Future<Output = io::Result<T>>) -> io::Result<T> {
        let mut doing = pin!(doing);
        poll_fn(|context| match doing.as_mut().poll(context) {
            Poll::Ready(done) => Poll::Ready(done),
            Poll::Pending => self.poll_end(context).map(Err),
        })
        .await
    }

    fn poll_end(&mut self, context: &mut Context<'_>) -> Poll<io::Error> {
        let end = *self.since.get_or_insert_with(Instant::now) + self.longest;
        if self.closing.as_mut().poll(context).is_ready() {
            return Poll::Ready(io::ErrorKind::ConnectionAborted.into());
        }
        loop {
            ready!(self.timer.as_mut().poll(context));
            if self.timer.deadline() >= end {
                return Poll::Ready(io::ErrorKind::TimedOut.into());
            }
            self.timer.as_mut().reset(end);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    const LONGEST: Duration = Duration::from_millis(300);

    async fn nothing() -> io::Result<()> {
        pending().await
    }

    async fn slow() -> io::Result<()> {
        sleep(LONGEST * 2 / 3).await;
        Ok(())
    }

    #[tokio::test]
    async fn each_request_has_its_time_and_no_more() {
        let (_open, closing) = watch::channel(false);
        let (mut patience, begin) = (Patience::new(LONGEST, closing), Instant::now());
        for _ in 0..3 {
            patience.during(slow()).await.unwrap();
            patience.renew();
        }
        assert_eq!(patience.during(nothing()).await.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert!(begin.elapsed() >= LONGEST * 3, "{:?}", begin.elapsed());
    }

    #[tokio::test]
    async fn a_request_that_comes_in_pieces_has_no_more_time_than_another() {
        let (_open, closing) = watch::channel(false);
        let mut patience = Patience::new(LONGEST, closing);
        patience.during(slow()).await.unwrap();
        assert_eq!(patience.during(slow()).await.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn a_listener_that_closes_waits_for_nobody() {
        let (open, closing) = watch::channel(false);
        let mut patience = Patience::new(Duration::from_secs(3600), closing);
        let (ended, _) = tokio::join!(patience.during(nothing()), async { open.send(true) });
        assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::ConnectionAborted);
    }
}
