//! Connections between Unix sockets.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketType};

use super::{SocketAddr, UCred, Unix, UnixSocket, descriptors};
use crate::net::block::socket::FLAGS;
use crate::net::block::stream::Stream;
use crate::net::block::surface::stream_surface;
use crate::reactor::{Direction, Interest};
use crate::runtime::context::{self, InRuntime};
use crate::runtime::time::sleep;

/// The pauses of a connect that finds the listener's queue full: they start at the first, double
/// each time, and stop at the last.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LAST_PAUSE: Duration = Duration::from_millis(50);

/// A connection between two Unix sockets.
///
/// Reads and writes go through [`futures::io::AsyncRead`] and [`futures::io::AsyncWrite`],
/// implemented for `UnixStream` and for `&UnixStream`. If several tasks read (or write) by these
/// traits at the same time, only the latest is woken.
///
/// Dropping it closes it: the peer sees that at once, also when a read was pending.
///
/// # Examples
///
/// ```
/// use aio_runtime::io::{AsyncReadExt, AsyncWriteExt};
/// use aio_runtime::net::UnixStream;
///
/// # #[aio_runtime::main]
/// # async fn main() -> std::io::Result<()> {
/// let (mut left, mut right) = UnixStream::pair()?;
/// left.write_all(b"ping").await?;
/// left.shutdown().await?;
/// let mut text = String::new();
/// right.read_to_string(&mut text).await?;
/// assert_eq!(text, "ping");
/// # Ok(())
/// # }
/// ```
pub struct UnixStream(Stream<Unix>);

impl UnixStream {
    /// Connects to the listener at a path, or at an abstract name (`"\0name"`). If its queue of
    /// connections is full (tokio's connect then fails), it tries again, after pauses of up to 50
    /// ms, until there is room. Put a [time limit](crate::time::timeout) on it if that may never
    /// be.
    ///
    /// # Errors
    ///
    /// `ENOENT` if the path does not exist, `ECONNREFUSED` if nobody listens there, `EACCES`,
    /// `EMFILE`; `InvalidInput` for a path that is too long or that has a zero byte inside.
    ///
    /// # Panics
    ///
    /// When awaited outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is ready, it closes the socket.
    ///
    /// # References
    ///
    /// `connect(2)`, `unix(7)`.
    pub fn connect(path: impl AsRef<Path>) -> impl Future<Output = io::Result<Self>> {
        InRuntime::new(async move { Self::connect_to(&SocketAddr::named(path.as_ref())?).await })
    }

    /// Connects to the listener at an address, as [`connect`](Self::connect) does.
    ///
    /// # Errors
    ///
    /// As for `connect`.
    ///
    /// # Panics
    ///
    /// When awaited outside a runtime.
    pub fn connect_addr(socket_addr: &SocketAddr) -> impl Future<Output = io::Result<Self>> {
        InRuntime::new(Self::connect_to(socket_addr))
    }

    async fn connect_to(address: &SocketAddr) -> io::Result<Self> {
        Self::establish(UnixSocket::new_stream()?.into(), address).await
    }

    /// Connects a socket that is in non-blocking mode.
    async fn establish(fd: OwnedFd, address: &SocketAddr) -> io::Result<Self> {
        let address = address.to_kernel()?;
        let mut pause = FIRST_PAUSE;
        loop {
            match rustix::net::connect(&fd, &address) {
                Ok(()) => return Ok(Self(Stream::new(context::home(), fd)?)),
                // The queue is full. Unlike EINPROGRESS of TCP this starts nothing, and no event
                // says that there is room: the socket has no peer yet that could cause one.
                Err(Errno::AGAIN) => sleep(pause).await,
                Err(errno) => return Err(errno.into()),
            }
            pause = (2 * pause).min(LAST_PAUSE);
        }
    }

    /// Two streams without names that are connected to each other.
    ///
    /// # Errors
    ///
    /// Those of `socketpair(2)`.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[track_caller]
    pub fn pair() -> io::Result<(Self, Self)> {
        let home = context::home();
        let (left, right) = rustix::net::socketpair(AddressFamily::UNIX, SocketType::STREAM, FLAGS, None)?;
        let (left, right) = (Self(Stream::new(home, left)?), Self(Stream::new(home, right)?));
        for stream in [&left, &right] {
            stream.0.io().assume_ready(Interest::WRITABLE);
        }
        Ok((left, right))
    }

    /// Writes bytes, and sends descriptors along with the first of them: see
    /// [passing descriptors](super#passing-descriptors). Returns how many bytes were written, at
    /// least one. They may be fewer than all, as with any write; the descriptors have gone then,
    /// and only the other bytes are left to be written. Without descriptors it is just a write.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for more than 253 descriptors, or for descriptors without a byte;
    /// `ETOOMANYREFS` if too many of this user are under way; see `sendmsg(2)` and `unix(7)`.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before it is ready, nothing was sent.
    pub async fn send_with_fds(&self, buf: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<usize> {
        self.0.io().io(Direction::Write, |fd| descriptors::send_on_stream(fd, buf, fds)).await
    }

    /// [`send_with_fds`](Self::send_with_fds) without waiting.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if there is no room; otherwise as for `send_with_fds`.
    pub fn try_send_with_fds(&self, buf: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<usize> {
        self.0.io().try_io(Direction::Write, |fd| descriptors::send_on_stream(fd, buf, fds))
    }

    /// Reads bytes, and receives the descriptors that have come with them: see
    /// [passing descriptors](super#passing-descriptors). Returns how many bytes it were, and the
    /// descriptors, often none. 0 bytes are the end of the stream, unless the buffer is empty.
    ///
    /// # Errors
    ///
    /// One of the kind `Other` if descriptors were lost: those that did come are closed, and how
    /// many bytes came with them is not known; see `recvmsg(2)` otherwise.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before it is ready, neither bytes nor descriptors are lost.
    pub async fn recv_with_fds(&self, buf: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>)> {
        let attempt = |fd: BorrowedFd<'_>| descriptors::recv(fd, buf);
        let received = self.0.io().io(Direction::Read, attempt).await?;
        Ok((received.len, received.fds))
    }

    /// [`recv_with_fds`](Self::recv_with_fds) without waiting.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if there is nothing to read; otherwise as for `recv_with_fds`.
    pub fn try_recv_with_fds(&self, buf: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>)> {
        let received = self.0.io().try_io(Direction::Read, |fd| descriptors::recv(fd, buf))?;
        Ok((received.len, received.fds))
    }

    /// The credentials of the process at the other end, as they were when it called `connect`,
    /// `listen` or [`pair`](Self::pair).
    ///
    /// # Errors
    ///
    /// Those of `getsockopt(2)`.
    pub fn peer_cred(&self) -> io::Result<UCred> {
        UCred::of_peer(self.0.as_fd())
    }
}

impl UnixSocket {
    /// Connects to the listener at a path, or at an abstract name (`"\0name"`), as
    /// [`UnixStream::connect`] does: while the listener's queue is full, it tries again.
    ///
    /// # Errors
    ///
    /// As for `UnixStream::connect`; an error of the kind `Other` if it is a datagram socket.
    ///
    /// # Panics
    ///
    /// When awaited outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is ready, it closes the socket.
    ///
    /// # References
    ///
    /// `connect(2)`, `unix(7)`.
    pub fn connect(self, path: impl AsRef<Path>) -> impl Future<Output = io::Result<UnixStream>> {
        InRuntime::new(async move {
            let fd = self.into_nonblocking("connect", SocketType::DGRAM)?;
            UnixStream::establish(fd, &SocketAddr::named(path.as_ref())?).await
        })
    }
}

stream_surface!(UnixStream { kind: Unix, addr: SocketAddr, std: std::os::unix::net::UnixStream });
