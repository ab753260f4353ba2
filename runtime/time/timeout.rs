//! A future with a time limit.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use pin_project_lite::pin_project;

use super::instant::Instant;
use super::sleep::{Sleep, sleep, sleep_until};
use crate::reactor::coop;
use crate::runtime::context;

/// Limits the time that a future may take. If time runs out, the future is dropped together with
/// the [`Timeout`].
///
/// The future is polled before the clock is looked at, so a future that is ready wins. A future
/// that never returns from its poll cannot be interrupted.
///
/// # Errors
///
/// Awaiting it yields [`Elapsed`] if the time is up before the future is ready.
///
/// # Panics
///
/// If awaited outside a runtime.
///
/// # Cancel safety
///
/// It is as cancel safe as the future.
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

/// Limits a future to the time until an instant. See [`timeout`].
///
/// # Errors
///
/// Awaiting it yields [`Elapsed`] if the time is up before the future is ready.
///
/// # Panics
///
/// If awaited outside a runtime.
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
    /// Returns the future, without its limit.
    pub fn into_inner(self) -> F {
        self.future
    }
}

impl<F: Future> Future for Timeout<F> {
    type Output = Result<F::Output, Elapsed>;

    #[track_caller]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let had_budget = coop::has_budget();
        if let Poll::Ready(output) = this.future.poll(cx) {
            return Poll::Ready(Ok(output));
        }
        let elapsed = if had_budget && !coop::has_budget() {
            // The future used up the budget, perhaps on every poll; the deadline must be checked
            // regardless.
            this.delay.get_mut().poll_unbudgeted(&context::current(), cx)
        } else {
            this.delay.poll(cx)
        };
        elapsed.map(|()| Err(Elapsed(())))
    }
}

/// The error of [`timeout`]: the time was up before the future was ready.
///
/// Converts into an [`io::Error`] of kind `TimedOut`.
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
