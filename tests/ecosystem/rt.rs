//! hyper's view of the runtime, in safe code: its I/O traits over our streams, its timer over our
//! sleeps, its executor over our tasks.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use aio_runtime::time::{self, Sleep};
use futures::io::{AsyncRead, AsyncWrite};
use hyper::rt::ReadBufCursor;

/// A stream, for hyper.
pub(crate) struct Io<S>(pub(crate) S);

impl<S: AsyncRead + Unpin> hyper::rt::Read for Io<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, mut buf: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        // The cursor's memory is not initialised, and `futures` reads into what is.
        let mut chunk = [0; 8192];
        let wanted = chunk.len().min(buf.remaining());
        let read = ready!(Pin::new(&mut self.0).poll_read(cx, &mut chunk[..wanted]))?;
        buf.put_slice(&chunk[..read]);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> hyper::rt::Write for Io<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_close(cx)
    }
}

/// Starts tasks on the current runtime. It takes only what is `Send`, as hyper-util's executors do,
/// though our `spawn` would take more.
#[derive(Clone, Copy)]
pub(crate) struct Tasks;

impl<F: Future<Output: Send + 'static> + Send + 'static> hyper::rt::Executor<F> for Tasks {
    fn execute(&self, future: F) {
        drop(aio_runtime::spawn(future));
    }
}

/// The runtime's clock.
#[derive(Clone, Copy)]
pub(crate) struct Timer;

impl hyper::rt::Timer for Timer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn hyper::rt::Sleep>> {
        Box::pin(TimerSleep(time::sleep(duration)))
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn hyper::rt::Sleep>> {
        Box::pin(TimerSleep(time::sleep_until(deadline.into())))
    }
}

/// `hyper::rt::Sleep` asks for `Send + Sync`.
struct TimerSleep(Sleep);

impl Future for TimerSleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.0).poll(cx)
    }
}

impl hyper::rt::Sleep for TimerSleep {}
