//! TCP connections.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::sockopt;

use super::Tcp;
use super::options::connection_options;
use super::socket::{TcpSocket, explain_family};
use crate::net::addr::{ToSocketAddrs, first_success};
use crate::net::block::kind::Socket;
use crate::net::block::options::ttl_option;
use crate::net::block::stream::Stream;
use crate::net::block::surface::stream_surface;
use crate::reactor::Direction;
use crate::runtime::context::{self, InRuntime};

/// A TCP connection.
///
/// Reads and writes go through [`futures::io::AsyncRead`] and [`futures::io::AsyncWrite`],
/// implemented for `TcpStream` and for `&TcpStream`. If several tasks read (or write) by these
/// traits at the same time, only the latest is woken.
///
/// Dropping it closes it: the peer sees that at once, also when a read was pending.
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
pub struct TcpStream(Stream<Tcp>);

impl TcpStream {
    /// Connects to the first address that answers. [`TcpSocket`] is for what has to be set before.
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
        InRuntime::new(first_success(addr, async |addr| Self::establish(TcpSocket::new_for(&addr)?.into(), addr).await))
    }

    /// Connects a socket that is in non-blocking mode.
    async fn establish(fd: OwnedFd, addr: SocketAddr) -> io::Result<Self> {
        let pending = match rustix::net::connect(&fd, &addr) {
            Ok(()) => false,
            Err(Errno::INPROGRESS) => true,
            Err(errno) => return Err(explain_family(&fd, &addr, errno).into()),
        };
        let this = Self::register(context::home(), fd)?;
        if pending {
            let io = this.block().io();
            io.clear_ready(Direction::Write);
            io.io(Direction::Write, connect_result).await?;
        }
        Ok(this)
    }

    /// Whether segments are acknowledged at once (`TCP_QUICKACK`).
    ///
    /// # Errors
    ///
    /// Those of `getsockopt(2)`.
    pub fn quickack(&self) -> io::Result<bool> {
        Ok(sockopt::tcp_quickack(self)?)
    }

    /// Sets whether segments are acknowledged at once (`TCP_QUICKACK`), and not a little later,
    /// together with data that is sent meanwhile. It does not last: the kernel changes it as the
    /// connection goes on.
    ///
    /// # Errors
    ///
    /// Those of `setsockopt(2)`.
    pub fn set_quickack(&self, quickack: bool) -> io::Result<()> {
        Ok(sockopt::set_tcp_quickack(self, quickack)?)
    }
}

impl TcpSocket {
    /// Connects to an address.
    ///
    /// # Errors
    ///
    /// `ECONNREFUSED`, `ETIMEDOUT`, `ENETUNREACH`, ...; `EADDRNOTAVAIL` if it is bound to a port
    /// that has a connection to this address already, `EAFNOSUPPORT` if the address is of another
    /// family than the socket.
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
    pub fn connect(self, addr: SocketAddr) -> impl Future<Output = io::Result<TcpStream>> {
        InRuntime::new(async move { TcpStream::establish(self.into_nonblocking()?, addr).await })
    }
}

connection_options!(TcpStream);
ttl_option!(TcpStream);
stream_surface!(TcpStream { kind: Tcp, addr: SocketAddr, std: std::net::TcpStream });

/// How a pending connect ended; `WouldBlock` if it has not, since readiness is only a hint.
fn connect_result(fd: BorrowedFd<'_>) -> io::Result<()> {
    sockopt::socket_error(fd)??;
    match Tcp::peer_addr(fd) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotConnected => Err(io::ErrorKind::WouldBlock.into()),
        Err(error) => Err(error),
    }
}
