//! A stream of std's, waited for by `AsyncFd`: what a user would write around a descriptor.
#![allow(unsafe_code)] // `AsyncFd::register` is unsafe to call.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use aio_runtime::io::unix::AsyncFd;
use aio_runtime::io::{AsyncRead, AsyncWrite, Interest, Ready};

type Shared = Arc<AsyncFd<UnixStream>>;

pub(crate) struct ReadSide(Shared);

/// Dropped, it ends the stream.
pub(crate) struct WriteSide(Shared);

/// The two sides of a stream.
pub(crate) fn sides(stream: UnixStream) -> (ReadSide, WriteSide) {
    stream.set_nonblocking(true).unwrap();
    // SAFETY: a stream keeps its descriptor open, and has no other.
    let shared = Arc::new(unsafe { AsyncFd::register(stream) }.unwrap());
    (ReadSide(Arc::clone(&shared)), WriteSide(shared))
}

impl ReadSide {
    pub(crate) async fn ready(&self, interest: Interest) -> io::Result<Ready> {
        Ok(self.0.ready(interest).await?.ready())
    }

    pub(crate) fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.try_io(Interest::READABLE, |mut stream| stream.read(buf))
    }
}

impl WriteSide {
    pub(crate) async fn ready(&self, interest: Interest) -> io::Result<Ready> {
        Ok(self.0.ready(interest).await?.ready())
    }

    pub(crate) fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
        self.0.try_io(Interest::WRITABLE, |mut stream| stream.write(buf))
    }
}

impl AsyncRead for ReadSide {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        loop {
            let mut guard = ready!(self.0.poll_read_ready(cx))?;
            if let Ok(result) = guard.try_io(|fd| fd.get_ref().read(buf)) {
                return Poll::Ready(result);
            }
        }
    }
}

impl AsyncWrite for WriteSide {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            let mut guard = ready!(self.0.poll_write_ready(cx))?;
            if let Ok(result) = guard.try_io(|fd| fd.get_ref().write(buf)) {
                return Poll::Ready(result);
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.0.get_ref().shutdown(Shutdown::Write))
    }
}

impl Drop for WriteSide {
    fn drop(&mut self) {
        // The reader may have gone.
        let _ = self.0.get_ref().shutdown(Shutdown::Write);
    }
}
