//! Datagram sockets in the Unix domain.

use std::io;
use std::net::Shutdown;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;
use std::task::{Context, Poll};

use rustix::net::{AddressFamily, SocketAddrAny, SocketAddrUnix, SocketType};

use super::{SocketAddr, UnixSocket, descriptors};
use crate::net::block::datagram::{self, Datagram, datagram_surface};
use crate::net::block::kind::{Datagrams, End, Socket};
use crate::net::block::socket::FLAGS;
use crate::reactor::{Direction, Interest};
use crate::runtime::context;

/// The kind of a Unix datagram socket.
enum UnixDatagrams {}

impl Socket for UnixDatagrams {
    type Addr = SocketAddr;

    fn addr(fd: BorrowedFd<'_>, end: End, written: SocketAddrAny) -> io::Result<SocketAddr> {
        SocketAddr::of(fd, end, written)
    }
}

impl Datagrams for UnixDatagrams {
    fn sender(written: Option<SocketAddrAny>) -> io::Result<SocketAddr> {
        SocketAddr::of_sender(written)
    }
}

/// A Unix socket that sends and receives datagrams.
///
/// Bound to a path or to an abstract name, it receives from anybody, by
/// [`recv_from`](Self::recv_from). [Connected](Self::connect) to a peer, it sends there by
/// [`send`](Self::send). All of these take `&self`: several tasks may share a socket in an
/// [`Rc`](std::rc::Rc) or an [`Arc`](std::sync::Arc).
///
/// No datagram is lost or overtaken: where the receiver's queue is full, a send waits. If the
/// sender is connected to that receiver, the kernel says when there is room. If not
/// ([`send_to`](Self::send_to)), nothing says so, and it tries again after pauses of up to 50 ms.
///
/// Dropping it closes it at once: an abstract name is free for the next `bind` when `drop` returns.
/// A path stays, and is yours to remove.
///
/// # Examples
///
/// ```
/// use aio_runtime::net::UnixDatagram;
///
/// # #[aio_runtime::main]
/// # async fn main() -> std::io::Result<()> {
/// # let dir = tempfile::tempdir()?;
/// # let (server_path, client_path) = (dir.path().join("server"), dir.path().join("client"));
/// let server = UnixDatagram::bind(&server_path)?;
/// let client = UnixDatagram::bind(&client_path)?;
/// client.connect(&server_path)?;
/// client.send(b"ping").await?;
///
/// let mut buf = [0; 16];
/// let (len, sender) = server.recv_from(&mut buf).await?;
/// assert_eq!(&buf[..len], b"ping");
/// assert_eq!(sender.as_pathname(), Some(client_path.as_path()));
/// # Ok(())
/// # }
/// ```
///
/// # References
///
/// `unix(7)`.
pub struct UnixDatagram(Datagram<UnixDatagrams>);

impl UnixDatagram {
    /// Binds to a path, or to an abstract name (`"\0name"`).
    ///
    /// # Errors
    ///
    /// `EADDRINUSE` if the name exists, also if nobody receives at it any more; `ENOENT`, `EACCES`,
    /// `EMFILE`; `InvalidInput` for a path that is too long or that has a zero byte inside.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    ///
    /// # References
    ///
    /// `bind(2)`, `unix(7)`.
    #[track_caller]
    pub fn bind(path: impl AsRef<Path>) -> io::Result<Self> {
        // First, so that a panic leaves no path behind.
        let home = context::home();
        let socket = UnixSocket::new_datagram()?;
        socket.bind(path)?;
        Ok(Self(Datagram::new(home, socket.into())?))
    }

    /// A socket without a name: nobody can answer what it sends.
    ///
    /// # Errors
    ///
    /// Those of `socket(2)`.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[track_caller]
    pub fn unbound() -> io::Result<Self> {
        let home = context::home();
        Ok(Self(Datagram::new(home, UnixSocket::new_datagram()?.into())?))
    }

    /// Two sockets without names that are connected to each other.
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
        let (left, right) = rustix::net::socketpair(AddressFamily::UNIX, SocketType::DGRAM, FLAGS, None)?;
        let (left, right) = (Self(Datagram::new(home, left)?), Self(Datagram::new(home, right)?));
        for socket in [&left, &right] {
            socket.0.io().assume_ready(Interest::WRITABLE);
        }
        Ok((left, right))
    }

    /// Sets the peer: where [`send`](Self::send) sends, and from where alone the socket receives. A
    /// later call sets another peer.
    ///
    /// # Errors
    ///
    /// `ENOENT` if the path does not exist, `ECONNREFUSED` if nobody receives there, `EACCES`,
    /// `EPROTOTYPE` if it is not a datagram socket's; `InvalidInput` for a path that is too long or
    /// that has a zero byte inside.
    ///
    /// # References
    ///
    /// `connect(2)`, `unix(7)`.
    pub fn connect(&self, path: impl AsRef<Path>) -> io::Result<()> {
        Ok(rustix::net::connect(self, &named(path)?)?)
    }

    /// Sends a datagram to the socket at a path, or at an abstract name. Returns its length: a
    /// datagram is sent as a whole or not at all. Waits while the receiver's queue is full, and
    /// tries again after pauses of up to 50 ms. Any number of tasks may send.
    ///
    /// # Errors
    ///
    /// As for [`connect`](Self::connect); `EMSGSIZE` if the datagram is too long.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before it is ready, nothing was sent.
    pub async fn send_to(&self, buf: &[u8], target: impl AsRef<Path>) -> io::Result<usize> {
        let target = named(target)?;
        self.0.io().io(Direction::Write, |fd| datagram::send_to(fd, buf, &target)).await
    }

    /// [`send_to`](Self::send_to) for hand-written futures. Only the task of the latest call in the
    /// direction of sending is woken.
    ///
    /// # Errors
    ///
    /// As for `send_to`.
    pub fn poll_send_to(&self, cx: &mut Context<'_>, buf: &[u8], target: impl AsRef<Path>) -> Poll<io::Result<usize>> {
        let target = named(target)?;
        self.0.io().poll_io(cx, Direction::Write, |fd| datagram::send_to(fd, buf, &target))
    }

    /// [`send_to`](Self::send_to) without waiting.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if there is no room; otherwise as for `send_to`.
    pub fn try_send_to(&self, buf: &[u8], target: impl AsRef<Path>) -> io::Result<usize> {
        let target = named(target)?;
        self.0.io().try_io(Direction::Write, |fd| datagram::send_to(fd, buf, &target))
    }

    /// [`send`](Self::send), and descriptors along with it: see
    /// [passing descriptors](super#passing-descriptors). The datagram may be empty.
    ///
    /// # Errors
    ///
    /// As for `send`; `InvalidInput` for more than 253 descriptors; `ETOOMANYREFS` if too many of
    /// this user are under way.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before it is ready, nothing was sent.
    pub async fn send_with_fds(&self, buf: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<usize> {
        self.0.io().io(Direction::Write, |fd| descriptors::send(fd, buf, fds, None)).await
    }

    /// [`send_with_fds`](Self::send_with_fds) without waiting.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if there is no room; otherwise as for `send_with_fds`.
    pub fn try_send_with_fds(&self, buf: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<usize> {
        self.0.io().try_io(Direction::Write, |fd| descriptors::send(fd, buf, fds, None))
    }

    /// [`send_to`](Self::send_to), and descriptors along with it.
    ///
    /// # Errors
    ///
    /// As for `send_to` and [`send_with_fds`](Self::send_with_fds).
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before it is ready, nothing was sent.
    pub async fn send_to_with_fds(
        &self,
        buf: &[u8],
        fds: &[BorrowedFd<'_>],
        target: impl AsRef<Path>,
    ) -> io::Result<usize> {
        let target = named(target)?;
        self.0.io().io(Direction::Write, |fd| descriptors::send(fd, buf, fds, Some(&target))).await
    }

    /// [`recv`](Self::recv), and the descriptors that have come with the datagram, often none: see
    /// [passing descriptors](super#passing-descriptors).
    ///
    /// # Errors
    ///
    /// As for `recv`; one of the kind `Other` if descriptors were lost: those that did come are
    /// closed, and the datagram is gone.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before it is ready, no datagram is lost, and no descriptor.
    pub async fn recv_with_fds(&self, buf: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>)> {
        let attempt = |fd: BorrowedFd<'_>| descriptors::recv(fd, buf);
        let received = self.0.io().io(Direction::Read, attempt).await?;
        Ok((received.len, received.fds))
    }

    /// [`recv_with_fds`](Self::recv_with_fds) without waiting.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if there is nothing to receive; otherwise as for `recv_with_fds`.
    pub fn try_recv_with_fds(&self, buf: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>)> {
        let received = self.0.io().try_io(Direction::Read, |fd| descriptors::recv(fd, buf))?;
        Ok((received.len, received.fds))
    }

    /// [`recv_with_fds`](Self::recv_with_fds), and who has sent the datagram.
    ///
    /// # Errors
    ///
    /// As for `recv_with_fds`.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before it is ready, no datagram is lost, and no descriptor.
    pub async fn recv_from_with_fds(&self, buf: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>, SocketAddr)> {
        let attempt = |fd: BorrowedFd<'_>| descriptors::recv(fd, buf);
        let received = self.0.io().io(Direction::Read, attempt).await?;
        Ok((received.len, received.fds, SocketAddr::of_sender(received.sender)?))
    }

    /// Ends a direction, or both. Where sending was ended, sends fail with `EPIPE`; where receiving
    /// was, those of connected peers do. Receives that find nothing go on waiting: datagrams have
    /// no end of file.
    ///
    /// # Errors
    ///
    /// Those of `shutdown(2)`.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        let how = match how {
            Shutdown::Read => rustix::net::Shutdown::Read,
            Shutdown::Write => rustix::net::Shutdown::Write,
            Shutdown::Both => rustix::net::Shutdown::Both,
        };
        Ok(rustix::net::shutdown(self, how)?)
    }
}

impl UnixSocket {
    /// Makes it a datagram socket that sends and receives, bound or not.
    ///
    /// # Errors
    ///
    /// An error of the kind `Other` if it is a stream socket.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[track_caller]
    pub fn datagram(self) -> io::Result<UnixDatagram> {
        let home = context::home();
        Ok(UnixDatagram(Datagram::new(home, self.into_nonblocking("datagram", SocketType::STREAM)?)?))
    }
}

datagram_surface!(UnixDatagram { kind: UnixDatagrams, addr: SocketAddr, std: std::os::unix::net::UnixDatagram });

/// What `path` names, for the kernel.
fn named(path: impl AsRef<Path>) -> io::Result<SocketAddrUnix> {
    SocketAddr::named(path.as_ref())?.to_kernel()
}
