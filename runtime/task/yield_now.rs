//! Letting other tasks run.

use std::pin::Pin;
use std::task::{Context, Poll};

/// Lets the other ready tasks run and the loop look for completions, before the current task
/// continues.
///
/// For long computations, which would keep the runtime's thread to themselves. Tasks that do I/O
/// yield by themselves now and then.
///
/// # Examples
///
/// ```
/// # #[aio_runtime::main]
/// # async fn main() {
/// for chunk in [1, 2, 3] {
///     // ... a part of a long computation, on `chunk` ...
///     aio_runtime::task::yield_now().await;
/// }
/// # }
/// ```
pub fn yield_now() -> YieldNow {
    YieldNow { yielded: false }
}

/// The future of [`yield_now`].
#[derive(Debug)]
#[must_use = "futures do nothing unless they are awaited"]
pub struct YieldNow {
    yielded: bool,
}

impl Future for YieldNow {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.yielded, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}
