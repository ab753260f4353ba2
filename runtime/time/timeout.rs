//! A future with a time limit.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use pin_project_lite::pin_project;

use super::sleep::{Sleep, sleep, sleep_until};
use crate::runtime::context;

/// Lets a future run for a duration at the most; then it is dropped. The future is polled before
/// the clock is looked at, so one that is ready wins.
///
/// # Errors
///
/// [`Elapsed`], if the time is over first.
///
/// # Panics
///
/// When awaited outside a runtime.
///
/// # Examples
///
/// ```
/// # #[aio_runtime::main]
/// # async fn main() {
/// use aio_runtime::time::{Duration, timeout};
///
/// let never = std::future::pending::<()>();
/// assert!(timeout(Duration::from_millis(1), never).await.is_err());
/// # }
/// ```
pub fn timeout<F: IntoFuture>(duration: Duration, future: F) -> Timeout<F::IntoFuture> {
    Timeout { future: future.into_future(), delay: sleep(duration) }
}

/// Lets a future run until an instant at the most; see [`timeout`].
///
/// # Errors
///
/// [`Elapsed`], if the time is over first.
pub fn timeout_at<F: IntoFuture>(deadline: Instant, future: F) -> Timeout<F::IntoFuture> {
    Timeout { future: future.into_future(), delay: sleep_until(deadline) }
}

pin_project! {
    /// The future of [`timeout`] and [`timeout_at`].
    #[derive(Debug)]
    #[must_use = "futures do nothing unless they are awaited"]
    pub struct Timeout<F> {
        #[pin]
        future: F,
        #[pin]
        delay: Sleep,
    }
}

impl<F> Timeout<F> {
    /// Gives the future back, without its limit.
    pub fn into_inner(self) -> F {
        self.future
    }
}

impl<F: Future> Future for Timeout<F> {
    type Output = Result<F::Output, Elapsed>;

    #[track_caller]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let has_budget = || context::with(|scheduler| scheduler.reactor().coop().has_budget()).unwrap_or(false);
        let had_budget = has_budget();
        if let Poll::Ready(output) = this.future.poll(cx) {
            return Poll::Ready(Ok(output));
        }
        let elapsed = if had_budget && !has_budget() {
            // The future used it up, maybe each time anew: that must not keep the limit from being
            // looked at.
            this.delay.get_mut().poll_unbudgeted(&context::current(), cx)
        } else {
            this.delay.poll(cx)
        };
        elapsed.map(|()| Err(Elapsed(())))
    }
}

/// The time was over before the future was ready. Converts into an [`io::Error`] of kind
/// `TimedOut`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Elapsed(());

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("deadline has elapsed")
    }
}

impl std::error::Error for Elapsed {}

impl From<Elapsed> for io::Error {
    fn from(elapsed: Elapsed) -> Self {
        io::Error::new(io::ErrorKind::TimedOut, elapsed)
    }
}
