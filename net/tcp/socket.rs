//! TCP sockets before they are connected or listen.

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpStream as StdStream};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, IntoRawFd, OwnedFd, RawFd};

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketType, sockopt};

use super::Tcp;
use super::options::connection_options;
use crate::net::addr::family_of;
use crate::net::block::kind::Socket;
use crate::net::block::options::{as_int, route_options};
use crate::net::block::socket::new_socket;

/// A TCP socket that is neither connected nor listens yet: its options can be set, and it can be
/// bound.
///
/// [`TcpStream::connect`](super::TcpStream::connect) and
/// [`TcpListener::bind`](super::TcpListener::bind) are enough for most programs. This type is for
/// the others: those that choose the address they connect from, or the length of a listener's
/// queue, or share a port among listeners. Connections inherit the options of the listener that
/// accepts them.
///
/// It needs no runtime until it connects or listens. For options that it does not know,
/// `socket2::SockRef` takes a reference to it. Dropping it closes it.
///
/// (tokio's type is `FromRawFd`, which takes `unsafe` to implement. A descriptor becomes a socket
/// by [`from_std_stream`](Self::from_std_stream) here.)
///
/// # Examples
///
/// One listener of several, as each thread of a server may have one. The kernel divides the
/// connections among them:
///
/// ```
/// use aio_runtime::net::TcpSocket;
///
/// # #[aio_runtime::main]
/// # async fn main() -> std::io::Result<()> {
/// let socket = TcpSocket::new_v4()?;
/// socket.set_reuseport(true)?;
/// socket.bind("127.0.0.1:0".parse().unwrap())?;
/// let listener = socket.listen(1024)?;
///
/// let client = TcpSocket::new_v4()?;
/// client.bind("127.0.0.2:0".parse().unwrap())?;
/// let stream = client.connect(listener.local_addr()?).await?;
///
/// let (_, peer) = listener.accept().await?;
/// assert_eq!(peer, stream.local_addr()?);
/// assert_eq!(peer.ip().to_string(), "127.0.0.2");
/// # Ok(())
/// # }
/// ```
///
/// # References
///
/// `socket(7)`, `ip(7)`, `ipv6(7)` and `tcp(7)` describe the options.
pub struct TcpSocket(OwnedFd);

connection_options!(TcpSocket);
route_options!(TcpSocket);

// `connect` and `listen` are beside what they make, in stream.rs and listener.rs: those stand on
// this file.
impl TcpSocket {
    /// A new socket for IPv4.
    ///
    /// # Errors
    ///
    /// `EMFILE`, `ENFILE`.
    ///
    /// # References
    ///
    /// `socket(2)`.
    pub fn new_v4() -> io::Result<Self> {
        Self::new(AddressFamily::INET)
    }

    /// A new socket for IPv6.
    ///
    /// # Errors
    ///
    /// `EAFNOSUPPORT` if the host has no IPv6; `EMFILE`, `ENFILE`.
    ///
    /// # References
    ///
    /// `socket(2)`.
    pub fn new_v6() -> io::Result<Self> {
        Self::new(AddressFamily::INET6)
    }

    /// A new socket for the family of an address.
    pub(super) fn new_for(addr: &SocketAddr) -> io::Result<Self> {
        Self::new(family_of(addr))
    }

    fn new(family: AddressFamily) -> io::Result<Self> {
        Ok(Self(new_socket(family, SocketType::STREAM)?))
    }

    /// Converts from a [`std::net::TcpStream`] that is not connected, such as one that `socket2`
    /// has made. It is put into non-blocking mode when it connects or listens.
    pub fn from_std_stream(std_stream: StdStream) -> Self {
        Self(std_stream.into())
    }

    /// Whether the kernel asks a silent peer from time to time if it is still there
    /// (`SO_KEEPALIVE`).
    ///
    /// # Errors
    ///
    /// Those of `getsockopt(2)`.
    pub fn keepalive(&self) -> io::Result<bool> {
        Ok(sockopt::socket_keepalive(self)?)
    }

    /// Sets whether the kernel asks a silent peer from time to time if it is still there
    /// (`SO_KEEPALIVE`).
    ///
    /// # Errors
    ///
    /// Those of `setsockopt(2)`.
    pub fn set_keepalive(&self, keepalive: bool) -> io::Result<()> {
        Ok(sockopt::set_socket_keepalive(self, keepalive)?)
    }

    /// Whether it may bind to an address that former connections still occupy (`SO_REUSEADDR`).
    ///
    /// # Errors
    ///
    /// Those of `getsockopt(2)`.
    pub fn reuseaddr(&self) -> io::Result<bool> {
        Ok(sockopt::socket_reuseaddr(self)?)
    }

    /// Sets whether it may bind to an address that former connections still occupy
    /// (`SO_REUSEADDR`), as [`TcpListener::bind`](super::TcpListener::bind) does. While a socket
    /// listens at the address, it is refused anyway.
    ///
    /// # Errors
    ///
    /// Those of `setsockopt(2)`.
    pub fn set_reuseaddr(&self, reuseaddr: bool) -> io::Result<()> {
        Ok(sockopt::set_socket_reuseaddr(self, reuseaddr)?)
    }

    /// Whether it shares its port with other sockets (`SO_REUSEPORT`).
    ///
    /// # Errors
    ///
    /// Those of `getsockopt(2)`.
    pub fn reuseport(&self) -> io::Result<bool> {
        Ok(sockopt::socket_reuseport(self)?)
    }

    /// Sets whether it shares its port with other sockets (`SO_REUSEPORT`), which all have to set
    /// that before they bind, and to be of one user. The kernel divides the connections among those
    /// that listen.
    ///
    /// # Errors
    ///
    /// Those of `setsockopt(2)`.
    pub fn set_reuseport(&self, reuseport: bool) -> io::Result<()> {
        Ok(sockopt::set_socket_reuseport(self, reuseport)?)
    }

    /// The size of the send buffer in bytes (`SO_SNDBUF`): twice the size that was set, since the
    /// kernel adds room for its own use.
    ///
    /// # Errors
    ///
    /// Those of `getsockopt(2)`.
    pub fn send_buffer_size(&self) -> io::Result<u32> {
        Ok(sockopt::socket_send_buffer_size(self)? as u32)
    }

    /// Sets the size of the send buffer in bytes (`SO_SNDBUF`), which then no longer adapts itself.
    /// The kernel raises what is too small, and lowers the size to `net.core.wmem_max`.
    ///
    /// # Errors
    ///
    /// Those of `setsockopt(2)`.
    pub fn set_send_buffer_size(&self, size: u32) -> io::Result<()> {
        Ok(sockopt::set_socket_send_buffer_size(self, as_int(size) as usize)?)
    }

    /// The size of the receive buffer in bytes (`SO_RCVBUF`): twice the size that was set, since
    /// the kernel adds room for its own use.
    ///
    /// # Errors
    ///
    /// Those of `getsockopt(2)`.
    pub fn recv_buffer_size(&self) -> io::Result<u32> {
        Ok(sockopt::socket_recv_buffer_size(self)? as u32)
    }

    /// Sets the size of the receive buffer in bytes (`SO_RCVBUF`), which then no longer adapts
    /// itself. The kernel raises what is too small, and lowers the size to `net.core.rmem_max`.
    ///
    /// # Errors
    ///
    /// Those of `setsockopt(2)`.
    pub fn set_recv_buffer_size(&self, size: u32) -> io::Result<()> {
        Ok(sockopt::set_socket_recv_buffer_size(self, as_int(size) as usize)?)
    }

    /// The address that it is bound to: the unspecified one with port 0, until it is bound.
    ///
    /// # Errors
    ///
    /// Those of `getsockname(2)`.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        Tcp::local_addr(self.as_fd())
    }

    /// The error that is pending on the socket (`SO_ERROR`), which is then cleared.
    ///
    /// # Errors
    ///
    /// Those of `getsockopt(2)`.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        Tcp::take_error(self.as_fd())
    }

    /// Binds it to an address: a listener's own, or the one that a connection comes from. Port 0
    /// asks for any free one.
    ///
    /// # Errors
    ///
    /// `EADDRINUSE`, `EADDRNOTAVAIL`, `EACCES` (a port below 1024); `EINVAL` if it is bound
    /// already, `EAFNOSUPPORT` if the address is of another family than the socket.
    ///
    /// # References
    ///
    /// `bind(2)`.
    pub fn bind(&self, addr: SocketAddr) -> io::Result<()> {
        Ok(rustix::net::bind(self, &addr).map_err(|errno| explain_family(self, &addr, errno))?)
    }

    /// The descriptor, in non-blocking mode: that of a std stream may not be.
    pub(super) fn into_nonblocking(self) -> io::Result<OwnedFd> {
        rustix::io::ioctl_fionbio(&self.0, true)?;
        Ok(self.0)
    }
}

/// `bind` and `connect` of an IPv6 socket say `EINVAL` to an IPv4 address, as it is too short, and
/// so does much else. An IPv4 socket says what is wrong, and this makes both say it.
pub(super) fn explain_family(fd: impl AsFd, addr: &SocketAddr, errno: Errno) -> Errno {
    let is_for_v6 = || sockopt::socket_domain(fd) == Ok(AddressFamily::INET6);
    if errno == Errno::INVAL && addr.is_ipv4() && is_for_v6() { Errno::AFNOSUPPORT } else { errno }
}

impl AsFd for TcpSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for TcpSocket {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

impl From<TcpSocket> for OwnedFd {
    fn from(socket: TcpSocket) -> Self {
        socket.0
    }
}

impl IntoRawFd for TcpSocket {
    fn into_raw_fd(self) -> RawFd {
        self.0.into_raw_fd()
    }
}

impl fmt::Debug for TcpSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Tcp::describe(self.as_fd(), "TcpSocket", f)
    }
}
