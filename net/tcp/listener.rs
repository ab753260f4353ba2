//! Listening TCP sockets.

use std::future::ready;
use std::io;
use std::net::{self, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::task::{Context, Poll};

use rustix::net::{SocketFlags, sockopt};

use super::{TcpStream, local_addr, socket_for};
use crate::net::addr::{ToSocketAddrs, first_success};
use crate::reactor::{Close, Direction, Io};
use crate::runtime::context::{self, InRuntime};

/// Connections that the kernel keeps for `accept`; it cuts the number to `net.core.somaxconn`.
const BACKLOG: i32 = 1024;

/// A TCP socket that accepts connections.
///
/// Dropped, it is closed at once, with its port free for the next `bind` when `drop` returns.
///
/// # Examples
///
/// ```no_run
/// use aio_runtime::io::{AsyncReadExt, AsyncWriteExt};
/// use aio_runtime::net::TcpListener;
///
/// #[aio_runtime::main]
/// async fn main() -> std::io::Result<()> {
///     let listener = TcpListener::bind("127.0.0.1:7000").await?;
///     loop {
///         let (mut stream, peer) = listener.accept().await?;
///         aio_runtime::spawn(async move {
///             stream.write_all(format!("hello {peer}\n").as_bytes()).await
///         });
///     }
/// }
/// ```
#[derive(Debug)]
pub struct TcpListener {
    io: Io,
}

impl TcpListener {
    /// Binds to the first address that can be had, with `SO_REUSEADDR`, and listens. Port 0 asks
    /// for any free one; see [`local_addr`](Self::local_addr).
    ///
    /// # Errors
    ///
    /// `EADDRINUSE`, `EADDRNOTAVAIL`, `EACCES` (a port below 1024), `EMFILE`; `InvalidInput` for an
    /// address that is none, such as one whose port is out of range; the resolver's error for an
    /// unknown host.
    ///
    /// # Panics
    ///
    /// When awaited outside a runtime.
    ///
    /// # References
    ///
    /// `bind(2)`, `listen(2)`.
    pub fn bind(addr: impl ToSocketAddrs) -> impl Future<Output = io::Result<Self>> {
        InRuntime::new(first_success(addr, |addr| ready(Self::bind_to(addr))))
    }

    fn bind_to(addr: SocketAddr) -> io::Result<Self> {
        let fd = socket_for(&addr)?;
        sockopt::set_socket_reuseaddr(&fd, true)?;
        rustix::net::bind(&fd, &addr)?;
        rustix::net::listen(&fd, BACKLOG)?;
        Self::new(fd)
    }

    #[track_caller]
    fn new(fd: OwnedFd) -> io::Result<Self> {
        // Its port is to be free when it is dropped.
        Ok(Self { io: Io::new(context::current().reactor(), fd, Close::BeforeReturn)? })
    }

    /// Takes the next connection.
    ///
    /// # Errors
    ///
    /// `EMFILE` and `ENFILE` when descriptors are used up: the connection stays in the queue, so
    /// pause before trying again. `ECONNABORTED` if it was gone already.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is ready, it has taken no connection.
    pub async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let accepted = self.io.io(Direction::Read, accept).await?;
        self.registered(accepted)
    }

    /// [`accept`](Self::accept) for hand-written futures; the task of the latest call is woken.
    ///
    /// # Errors
    ///
    /// As for `accept`.
    pub fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        self.io.poll_io(cx, Direction::Read, accept).map(|accepted| self.registered(accepted?))
    }

    /// A new connection belongs to the listener's runtime, wherever it was accepted.
    fn registered(&self, (fd, peer): (OwnedFd, SocketAddr)) -> io::Result<(TcpStream, SocketAddr)> {
        Ok((TcpStream::connected(self.io.reactor(), fd)?, peer))
    }

    /// The address that it is bound to.
    ///
    /// # Errors
    ///
    /// Those of `getsockname(2)`.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        local_addr(self.io.as_fd())
    }

    /// Takes over a listener of std's, and puts it into non-blocking mode.
    ///
    /// # Errors
    ///
    /// Those of `ioctl(FIONBIO)`.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[track_caller]
    pub fn from_std(listener: net::TcpListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        Self::new(listener.into())
    }

    /// Gives the socket back to std. It stays in non-blocking mode.
    ///
    /// # Errors
    ///
    /// None at present.
    pub fn into_std(self) -> io::Result<net::TcpListener> {
        Ok(self.io.into_fd().into())
    }
}

fn accept(fd: BorrowedFd<'_>) -> io::Result<(OwnedFd, SocketAddr)> {
    let (fd, peer) = rustix::net::acceptfrom_with(fd, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC)?;
    let peer = peer.ok_or_else(|| io::Error::other("accept4 named no peer"))?;
    Ok((fd, SocketAddr::try_from(peer)?))
}

impl AsFd for TcpListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.io.as_fd()
    }
}

impl AsRawFd for TcpListener {
    fn as_raw_fd(&self) -> RawFd {
        self.io.as_fd().as_raw_fd()
    }
}
