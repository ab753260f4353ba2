//! The block that every kind of stream is built on: reading, writing, closing.

use std::io::{self, IoSlice, IoSliceMut};
use std::marker::PhantomData;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags, Shutdown};

use crate::reactor::{Close, Direction, Io, Reactor};
use crate::runtime::context;

/// How bytes go in and out of a kind of descriptor.
pub(crate) trait Transfer {
    fn read(fd: BorrowedFd<'_>, buf: &mut [u8]) -> io::Result<usize>;
    fn read_vectored(fd: BorrowedFd<'_>, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize>;
    fn write(fd: BorrowedFd<'_>, buf: &[u8]) -> io::Result<usize>;
    fn write_vectored(fd: BorrowedFd<'_>, bufs: &[IoSlice<'_>]) -> io::Result<usize>;
    /// The end of what is written, as far as the other side is concerned.
    fn shutdown_write(fd: BorrowedFd<'_>) -> io::Result<()>;
}

/// Sockets: a peer that is gone is an error (EPIPE) and never a signal.
#[derive(Debug)]
pub(crate) struct Socket;

impl Transfer for Socket {
    fn read(fd: BorrowedFd<'_>, buf: &mut [u8]) -> io::Result<usize> {
        let (received, _) = rustix::net::recv(fd, buf, RecvFlags::empty())?;
        Ok(received)
    }

    fn read_vectored(fd: BorrowedFd<'_>, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        Ok(rustix::io::readv(fd, bufs)?)
    }

    fn write(fd: BorrowedFd<'_>, buf: &[u8]) -> io::Result<usize> {
        Ok(rustix::net::send(fd, buf, SendFlags::NOSIGNAL)?)
    }

    fn write_vectored(fd: BorrowedFd<'_>, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        // writev has no MSG_NOSIGNAL.
        Ok(rustix::net::sendmsg(fd, bufs, &mut SendAncillaryBuffer::default(), SendFlags::NOSIGNAL)?)
    }

    fn shutdown_write(fd: BorrowedFd<'_>) -> io::Result<()> {
        match rustix::net::shutdown(fd, Shutdown::Write) {
            // The peer has reset the connection.
            Err(Errno::NOTCONN) => Ok(()),
            result => Ok(result?),
        }
    }
}

/// `UIO_MAXIOV`, the most that one call takes: above it sendmsg fails with EMSGSIZE.
const MAX_SLICES: usize = 1024;

/// A stream of bytes in both directions.
#[derive(Debug)]
pub(crate) struct Stream<K> {
    io: Io,
    kind: PhantomData<K>,
}

impl<K: Transfer> Stream<K> {
    /// Registers a descriptor that is in non-blocking mode.
    pub(crate) fn new(reactor: &Rc<Reactor>, fd: OwnedFd) -> io::Result<Self> {
        Ok(Self { io: Io::new(reactor, fd, Close::Soon)?, kind: PhantomData })
    }

    /// Registers a descriptor of any mode with the current runtime.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[track_caller]
    pub(crate) fn from_blocking(fd: OwnedFd) -> io::Result<Self> {
        rustix::io::ioctl_fionbio(&fd, true)?;
        Self::new(context::current().reactor(), fd)
    }

    pub(crate) fn into_fd(self) -> OwnedFd {
        self.io.into_fd()
    }

    pub(crate) fn io(&self) -> &Io {
        &self.io
    }

    pub(crate) fn poll_read(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        let wanted = buf.len();
        let read = ready!(self.io.poll_io(cx, Direction::Read, |fd| K::read(fd, buf)))?;
        Poll::Ready(Ok(self.noted(Direction::Read, read, wanted)))
    }

    pub(crate) fn poll_read_vectored(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        let wanted = bufs.iter().take(MAX_SLICES).map(|buf| buf.len()).sum();
        let read = ready!(self.io.poll_io(cx, Direction::Read, |fd| K::read_vectored(fd, bufs)))?;
        Poll::Ready(Ok(self.noted(Direction::Read, read, wanted)))
    }

    pub(crate) fn poll_write(&self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(self.io.poll_io(cx, Direction::Write, |fd| K::write(fd, buf)))?;
        Poll::Ready(Ok(self.noted(Direction::Write, written, buf.len())))
    }

    pub(crate) fn poll_write_vectored(&self, cx: &mut Context<'_>, bufs: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let bufs = &bufs[..bufs.len().min(MAX_SLICES)];
        let wanted = bufs.iter().map(|buf| buf.len()).sum();
        let written = ready!(self.io.poll_io(cx, Direction::Write, |fd| K::write_vectored(fd, bufs)))?;
        Poll::Ready(Ok(self.noted(Direction::Write, written, wanted)))
    }

    pub(crate) fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.io.try_io(Direction::Read, |fd| K::read(fd, buf))
    }

    pub(crate) fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
        self.io.try_io(Direction::Write, |fd| K::write(fd, buf))
    }

    pub(crate) fn shutdown_write(&self) -> io::Result<()> {
        K::shutdown_write(self.as_fd())
    }

    /// A short transfer has emptied, or filled, the socket's buffer: the next one waits before it
    /// tries. An end of file stays.
    fn noted(&self, direction: Direction, moved: usize, wanted: usize) -> usize {
        if 0 < moved && moved < wanted {
            self.io.clear_ready(direction);
        }
        moved
    }
}

impl<K> AsFd for Stream<K> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.io.as_fd()
    }
}

/// The traits of a public stream type with a field `stream: Stream<_>`, by value and by shared
/// reference.
macro_rules! stream_traits {
    ($stream:ty) => {
        $crate::net::block::stream::stream_traits!(@io $stream);
        $crate::net::block::stream::stream_traits!(@io &$stream);

        impl std::os::fd::AsFd for $stream {
            fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
                self.stream.as_fd()
            }
        }

        impl std::os::fd::AsRawFd for $stream {
            fn as_raw_fd(&self) -> std::os::fd::RawFd {
                self.stream.as_fd().as_raw_fd()
            }
        }

        impl $crate::net::block::split::ShutdownWrite for $stream {
            fn shutdown_write(&self) -> std::io::Result<()> {
                self.stream.shutdown_write()
            }
        }
    };
    (@io $stream:ty) => {
        impl futures::io::AsyncRead for $stream {
            fn poll_read(
                self: std::pin::Pin<&mut Self>,
                cx: &mut std::task::Context<'_>,
                buf: &mut [u8],
            ) -> std::task::Poll<std::io::Result<usize>> {
                self.stream.poll_read(cx, buf)
            }

            fn poll_read_vectored(
                self: std::pin::Pin<&mut Self>,
                cx: &mut std::task::Context<'_>,
                bufs: &mut [std::io::IoSliceMut<'_>],
            ) -> std::task::Poll<std::io::Result<usize>> {
                self.stream.poll_read_vectored(cx, bufs)
            }
        }

        impl futures::io::AsyncWrite for $stream {
            fn poll_write(
                self: std::pin::Pin<&mut Self>,
                cx: &mut std::task::Context<'_>,
                buf: &[u8],
            ) -> std::task::Poll<std::io::Result<usize>> {
                self.stream.poll_write(cx, buf)
            }

            fn poll_write_vectored(
                self: std::pin::Pin<&mut Self>,
                cx: &mut std::task::Context<'_>,
                bufs: &[std::io::IoSlice<'_>],
            ) -> std::task::Poll<std::io::Result<usize>> {
                self.stream.poll_write_vectored(cx, bufs)
            }

            /// Does nothing: a stream has no buffer of its own.
            fn poll_flush(
                self: std::pin::Pin<&mut Self>,
                _cx: &mut std::task::Context<'_>,
            ) -> std::task::Poll<std::io::Result<()>> {
                std::task::Poll::Ready(Ok(()))
            }

            /// Shuts the write side down.
            fn poll_close(
                self: std::pin::Pin<&mut Self>,
                _cx: &mut std::task::Context<'_>,
            ) -> std::task::Poll<std::io::Result<()>> {
                std::task::Poll::Ready(self.stream.shutdown_write())
            }
        }
    };
}

pub(crate) use stream_traits;
