//! Unix sockets before they are connected, listen or receive.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, IntoRawFd, OwnedFd, RawFd};
use std::path::Path;

use rustix::net::{AddressFamily, SocketType, sockopt};

use super::{SocketAddr, Unix};
use crate::net::block::kind::Socket;
use crate::net::block::socket::new_socket;

/// A Unix socket that is not yet a [`UnixStream`], a [`UnixListener`] or a [`UnixDatagram`].
///
/// Their own `connect` and `bind` are enough for most programs. This type is for the others: those
/// that give a client a name, choose the length of a listener's queue, or set options before
/// (`socket2::SockRef` takes a reference to it).
///
/// It needs no runtime until it becomes one of the three. Dropping it closes it.
///
/// (tokio's type is `FromRawFd`, which takes `unsafe` to implement. An [`OwnedFd`] becomes a socket
/// by `From` here.)
///
/// # Examples
///
/// A client with a name, by which the server knows it:
///
/// ```
/// use aio_runtime::net::UnixSocket;
///
/// # #[aio_runtime::main]
/// # async fn main() -> std::io::Result<()> {
/// # let dir = tempfile::tempdir()?;
/// # let (server_path, client_path) = (dir.path().join("server"), dir.path().join("client"));
/// let socket = UnixSocket::new_stream()?;
/// socket.bind(&server_path)?;
/// let listener = socket.listen(16)?;
///
/// let socket = UnixSocket::new_stream()?;
/// socket.bind(&client_path)?;
/// let _stream = socket.connect(&server_path).await?;
///
/// let (_, client) = listener.accept().await?;
/// assert_eq!(client.as_pathname(), Some(client_path.as_path()));
/// # Ok(())
/// # }
/// ```
///
/// # References
///
/// `unix(7)`, `socket(7)`.
///
/// [`UnixStream`]: super::UnixStream
/// [`UnixListener`]: super::UnixListener
/// [`UnixDatagram`]: super::UnixDatagram
pub struct UnixSocket(OwnedFd);

// `connect`, `listen` and `datagram` are beside what they make, in stream.rs, listener.rs and
// datagram.rs: those stand on this file.
impl UnixSocket {
    /// A new datagram socket.
    ///
    /// # Errors
    ///
    /// `EMFILE`, `ENFILE`.
    ///
    /// # References
    ///
    /// `socket(2)`.
    pub fn new_datagram() -> io::Result<Self> {
        Ok(Self(new_socket(AddressFamily::UNIX, SocketType::DGRAM)?))
    }

    /// A new stream socket.
    ///
    /// # Errors
    ///
    /// `EMFILE`, `ENFILE`.
    ///
    /// # References
    ///
    /// `socket(2)`.
    pub fn new_stream() -> io::Result<Self> {
        Ok(Self(new_socket(AddressFamily::UNIX, SocketType::STREAM)?))
    }

    /// Binds it to a path, or to an abstract name (`"\0name"`).
    ///
    /// # Errors
    ///
    /// `EADDRINUSE` if the name exists, also if nobody uses it any more; `EINVAL` if the socket is
    /// bound already; `ENOENT`, `EACCES`; `InvalidInput` for a path that is too long or that has a
    /// zero byte inside.
    ///
    /// # References
    ///
    /// `bind(2)`, `unix(7)`.
    pub fn bind(&self, path: impl AsRef<Path>) -> io::Result<()> {
        self.bind_addr(&SocketAddr::named(path.as_ref())?)
    }

    pub(super) fn bind_addr(&self, address: &SocketAddr) -> io::Result<()> {
        Ok(rustix::net::bind(self, &address.to_kernel()?)?)
    }

    /// The descriptor, in non-blocking mode: that of an [`OwnedFd`] may not be. `call` is refused
    /// if the socket is of the `wrong` type.
    pub(super) fn into_nonblocking(self, call: &str, wrong: SocketType) -> io::Result<OwnedFd> {
        if sockopt::socket_type(&self)? == wrong {
            let kind = if wrong == SocketType::DGRAM { "datagram" } else { "stream" };
            return Err(io::Error::other(format!("{call} cannot be called on a {kind} socket")));
        }
        rustix::io::ioctl_fionbio(&self.0, true)?;
        Ok(self.0)
    }
}

impl AsFd for UnixSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for UnixSocket {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

impl From<OwnedFd> for UnixSocket {
    /// Takes a Unix socket that `socket2`, for example, has made. It is put into non-blocking mode
    /// when it becomes a stream, a listener or a datagram socket.
    fn from(fd: OwnedFd) -> Self {
        Self(fd)
    }
}

impl From<UnixSocket> for OwnedFd {
    fn from(socket: UnixSocket) -> Self {
        socket.0
    }
}

impl IntoRawFd for UnixSocket {
    fn into_raw_fd(self) -> RawFd {
        self.0.into_raw_fd()
    }
}

impl fmt::Debug for UnixSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Unix::describe(self.as_fd(), "UnixSocket", f)
    }
}
