//! TCP connections.

use std::io;
use std::net::{self, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;

use rustix::io::Errno;
use rustix::net::{RecvFlags, sockopt};

use super::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, WriteHalf, local_addr, socket_for};
use crate::net::addr::{ToSocketAddrs, first_success};
use crate::net::block::split;
use crate::net::block::stream::{Socket, Stream, stream_traits};
use crate::reactor::{Direction, Reactor};
use crate::runtime::context::{self, InRuntime};

/// A TCP connection.
///
/// Reads and writes go through [`futures::io::AsyncRead`] and [`futures::io::AsyncWrite`],
/// implemented for `TcpStream` and for `&TcpStream`. Of several tasks that read (or write) by these
/// traits at the same time only the latest is woken.
///
/// Dropped, it is closed: the peer sees that at once, also when a read was pending.
///
/// # Examples
///
/// ```
/// use aio_runtime::io::{AsyncReadExt, AsyncWriteExt};
/// use aio_runtime::net::{TcpListener, TcpStream};
///
/// # #[aio_runtime::main]
/// # async fn main() -> std::io::Result<()> {
/// let listener = TcpListener::bind("127.0.0.1:0").await?;
/// let mut client = TcpStream::connect(listener.local_addr()?).await?;
/// let (mut server, _) = listener.accept().await?;
///
/// client.write_all(b"ping").await?;
/// client.shutdown().await?;
/// let mut text = String::new();
/// server.read_to_string(&mut text).await?;
/// assert_eq!(text, "ping");
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct TcpStream {
    stream: Stream<Socket>,
}

impl TcpStream {
    /// Connects to the first address that answers.
    ///
    /// # Errors
    ///
    /// The last address's: `ECONNREFUSED`, `ETIMEDOUT`, `ENETUNREACH`, ...; the resolver's for an
    /// unknown host.
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
    /// `connect(2)`.
    pub fn connect(addr: impl ToSocketAddrs) -> impl Future<Output = io::Result<Self>> {
        InRuntime::new(first_success(addr, Self::connect_to))
    }

    async fn connect_to(addr: SocketAddr) -> io::Result<Self> {
        let fd = socket_for(&addr)?;
        let pending = match rustix::net::connect(&fd, &addr) {
            Ok(()) => false,
            Err(Errno::INPROGRESS) => true,
            Err(errno) => return Err(errno.into()),
        };
        let this = Self::connected(context::current().reactor(), fd)?;
        if pending {
            let io = this.stream.io();
            io.clear_ready(Direction::Write);
            io.io(Direction::Write, connect_result).await?;
        }
        Ok(this)
    }

    /// Registers a non-blocking socket that is connected, or about to be.
    pub(super) fn connected(reactor: &Rc<Reactor>, fd: OwnedFd) -> io::Result<Self> {
        Ok(Self { stream: Stream::new(reactor, fd)? })
    }

    /// Takes over a stream of std's, and puts it into non-blocking mode.
    ///
    /// # Errors
    ///
    /// Those of `ioctl(FIONBIO)`.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[track_caller]
    pub fn from_std(stream: net::TcpStream) -> io::Result<Self> {
        Ok(Self { stream: Stream::from_blocking(stream.into())? })
    }

    /// Gives the socket back to std. It stays in non-blocking mode.
    ///
    /// # Errors
    ///
    /// None at present.
    pub fn into_std(self) -> io::Result<net::TcpStream> {
        Ok(self.stream.into_fd().into())
    }

    /// Reads without taking: the same bytes come with the next read.
    ///
    /// # Errors
    ///
    /// Those of `recv(2)`.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when it is dropped.
    pub async fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        let peek = |fd: BorrowedFd<'_>| Ok(rustix::net::recv(fd, &mut *buf, RecvFlags::PEEK)?.0);
        self.stream.io().io(Direction::Read, peek).await
    }

    /// Waits until a read may find something: data, the end of the stream, an error. May be wrong;
    /// then the read says `WouldBlock`.
    ///
    /// # Errors
    ///
    /// If the reactor cannot wait for the socket.
    pub async fn readable(&self) -> io::Result<()> {
        self.stream.io().ready(Direction::Read).await
    }

    /// Waits until there may be room to write. May be wrong; then the write says `WouldBlock`.
    ///
    /// # Errors
    ///
    /// If the reactor cannot wait for the socket.
    pub async fn writable(&self) -> io::Result<()> {
        self.stream.io().ready(Direction::Write).await
    }

    /// Reads what is there.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if that is nothing; otherwise those of `recv(2)`.
    pub fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.stream.try_read(buf)
    }

    /// Writes what there is room for.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if there is none; otherwise those of `send(2)`.
    pub fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
        self.stream.try_write(buf)
    }

    /// Splits it into halves that borrow it.
    ///
    /// With `AsyncReadExt` in scope, `stream.split()` is that trait's method, which takes the
    /// stream; this one is then called as `TcpStream::split(&mut stream)`.
    pub fn split(&mut self) -> (ReadHalf<'_>, WriteHalf<'_>) {
        split::split(self)
    }

    /// Splits it into halves that own it together, for two tasks.
    pub fn into_split(self) -> (OwnedReadHalf, OwnedWriteHalf) {
        split::into_split(self)
    }

    /// Ends the write side: the peer reads end of file after what was written. Reading goes on.
    /// Where the connection is gone already, there is nothing to end, and no error.
    ///
    /// # Errors
    ///
    /// Those of `shutdown(2)`, but for `ENOTCONN`.
    pub async fn shutdown(&self) -> io::Result<()> {
        self.stream.shutdown_write()
    }

    /// Whether small writes are sent at once (`TCP_NODELAY`).
    ///
    /// # Errors
    ///
    /// Those of `getsockopt(2)`.
    pub fn nodelay(&self) -> io::Result<bool> {
        Ok(sockopt::tcp_nodelay(self)?)
    }

    /// Sets whether small writes are sent at once (`TCP_NODELAY`), and not held back until the peer
    /// has acknowledged earlier ones.
    ///
    /// # Errors
    ///
    /// Those of `setsockopt(2)`.
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        Ok(sockopt::set_tcp_nodelay(self, nodelay)?)
    }

    /// The address of this end.
    ///
    /// # Errors
    ///
    /// Those of `getsockname(2)`.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        local_addr(self.as_fd())
    }

    /// The address of the other end.
    ///
    /// # Errors
    ///
    /// `ENOTCONN` if the connection is gone.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        peer_addr(self.as_fd())
    }
}

fn peer_addr(fd: BorrowedFd<'_>) -> io::Result<SocketAddr> {
    let peer = rustix::net::getpeername(fd)?.ok_or(Errno::NOTCONN)?;
    Ok(SocketAddr::try_from(peer)?)
}

/// How a pending connect ended; `WouldBlock` if it has not, since readiness is only a hint.
fn connect_result(fd: BorrowedFd<'_>) -> io::Result<()> {
    sockopt::socket_error(fd)??;
    match peer_addr(fd) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotConnected => Err(io::ErrorKind::WouldBlock.into()),
        Err(error) => Err(error),
    }
}

stream_traits!(TcpStream);
