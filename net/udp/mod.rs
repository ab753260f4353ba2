//! UDP: [`UdpSocket`], which `net` exports too; and [`BatchSocket`], which moves many datagrams at
//! once.
//!
//! QUIC implementations that bring quinn-udp along need no `BatchSocket`: quinn-udp does its calls
//! on a `&UdpSocket`, as an attempt of [`try_io`](UdpSocket::try_io) or of
//! [`async_io`](UdpSocket::async_io).

mod batches;
mod options;
mod transmit;

pub use batches::BatchSocket;
pub use transmit::{Ecn, RecvMeta, Transmit};

use std::future::ready;
use std::io;
use std::net::SocketAddr;
use std::os::fd::BorrowedFd;
use std::task::{Context, Poll};

use rustix::io::Errno;
use rustix::net::{RecvFlags, SocketAddrAny, SocketType};

use super::addr::{ToSocketAddrs, family_of, first_success, resolve};
use super::block::datagram::{self, Datagram, datagram_surface};
use super::block::kind::{Datagrams, End, Socket};
use super::block::socket::new_socket;
use crate::reactor::Direction;
use crate::runtime::context::{self, InRuntime};

/// The kind of a UDP socket.
enum Udp {}

impl Socket for Udp {
    type Addr = SocketAddr;

    fn addr(_fd: BorrowedFd<'_>, _end: End, written: SocketAddrAny) -> io::Result<SocketAddr> {
        Ok(SocketAddr::try_from(written)?)
    }
}

impl Datagrams for Udp {
    fn sender(written: Option<SocketAddrAny>) -> io::Result<SocketAddr> {
        // Every datagram has come from somewhere.
        Ok(SocketAddr::try_from(written.ok_or(Errno::AFNOSUPPORT)?)?)
    }
}

/// A UDP socket.
///
/// It sends to and receives from any number of peers, by [`send_to`](Self::send_to) and
/// [`recv_from`](Self::recv_from). [Connected](Self::connect) to one peer, it also sends by
/// [`send`](Self::send), and receives from that peer only. All of these take `&self`: several tasks
/// may share a socket in an [`Rc`](std::rc::Rc) or an [`Arc`](std::sync::Arc). There is nothing to
/// split.
///
/// A datagram that was sent may be lost, may come twice, and may come late. If its peer's host
/// answers that nobody listens there, a connected socket's next operation fails with
/// `ConnectionRefused`, once. The socket stays usable.
///
/// Whoever sends or receives thousands of datagrams a second makes a [`BatchSocket`] of it.
///
/// Dropping it on its runtime's thread closes it at once: its port is free for the next `bind` when
/// `drop` returns.
///
/// # Examples
///
/// A server that returns what it is sent:
///
/// ```no_run
/// use aio_runtime::net::UdpSocket;
///
/// #[aio_runtime::main]
/// async fn main() -> std::io::Result<()> {
///     let socket = UdpSocket::bind("127.0.0.1:7000").await?;
///     let mut buf = vec![0; 65535];
///     loop {
///         let (len, peer) = socket.recv_from(&mut buf).await?;
///         socket.send_to(&buf[..len], peer).await?;
///     }
/// }
/// ```
///
/// One peer, to which one task sends while another one receives:
///
/// ```
/// use std::rc::Rc;
///
/// use aio_runtime::net::UdpSocket;
///
/// # #[aio_runtime::main]
/// # async fn main() -> std::io::Result<()> {
/// # let peer = UdpSocket::bind("127.0.0.1:0").await?;
/// let socket = Rc::new(UdpSocket::bind("127.0.0.1:0").await?);
/// socket.connect(peer.local_addr()?).await?;
/// # peer.connect(socket.local_addr()?).await?;
///
/// let receiver = Rc::clone(&socket);
/// let receiving = aio_runtime::spawn(async move {
///     let mut buf = [0; 16];
///     let len = receiver.recv(&mut buf).await?;
///     std::io::Result::Ok(buf[..len].to_vec())
/// });
/// socket.send(b"ping").await?;
/// # let mut buf = [0; 16];
/// # let len = peer.recv(&mut buf).await?;
/// # peer.send(&buf[..len]).await?;
/// assert_eq!(receiving.await??, b"ping");
/// # Ok(())
/// # }
/// ```
///
/// # References
///
/// `udp(7)`, `ip(7)`.
pub struct UdpSocket(Datagram<Udp>);

impl UdpSocket {
    /// Binds to the first address that is available. Port 0 asks for any free one; see
    /// [`local_addr`](Self::local_addr). For a socket that only sends, `0.0.0.0:0` or `[::]:0` will
    /// do.
    ///
    /// # Errors
    ///
    /// `EADDRINUSE`, `EADDRNOTAVAIL`, `EACCES` (a port below 1024), `EMFILE`; `InvalidInput` for
    /// something that is not an address, such as a port that is out of range; the resolver's error
    /// for an unknown host.
    ///
    /// # Panics
    ///
    /// When awaited outside a runtime.
    ///
    /// # References
    ///
    /// `bind(2)`.
    pub fn bind(addr: impl ToSocketAddrs) -> impl Future<Output = io::Result<Self>> {
        InRuntime::new(first_success(addr, |addr| ready(Self::bind_to(addr))))
    }

    fn bind_to(addr: SocketAddr) -> io::Result<Self> {
        let fd = new_socket(family_of(&addr), SocketType::DGRAM)?;
        rustix::net::bind(&fd, &addr)?;
        Ok(Self(Datagram::new(context::home(), fd)?))
    }

    /// Sets the peer: where [`send`](Self::send) sends, and from where alone the socket receives.
    /// Takes the first address that the host has a route to; nothing is sent. What has arrived
    /// before, from anybody, is still received. A later call sets another peer.
    ///
    /// # Errors
    ///
    /// The last address's: `ENETUNREACH`, `EAFNOSUPPORT` or `EINVAL` for an address of another
    /// family, ...; `InvalidInput` for something that is not an address; the resolver's error for
    /// an unknown host.
    ///
    /// # Panics
    ///
    /// When a host name is looked up outside a runtime.
    ///
    /// # References
    ///
    /// `connect(2)`.
    pub async fn connect(&self, addr: impl ToSocketAddrs) -> io::Result<()> {
        first_success(addr, |addr| ready(rustix::net::connect(self, &addr).map_err(io::Error::from))).await
    }

    /// Sends a datagram to an address; of several that `addr` stands for, to the first. Returns its
    /// length: a datagram is sent as a whole or not at all. Any number of tasks may send.
    ///
    /// # Errors
    ///
    /// `EMSGSIZE` if the datagram is too long, `EACCES` for a broadcast address (see
    /// [`set_broadcast`](Self::set_broadcast)), `ENETUNREACH`; see `sendto(2)`. `InvalidInput` for
    /// something that is not an address; the resolver's error for an unknown host.
    ///
    /// # Panics
    ///
    /// When a host name is looked up outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before it is ready, nothing was sent.
    pub async fn send_to(&self, buf: &[u8], addr: impl ToSocketAddrs) -> io::Result<usize> {
        let Some(target) = resolve(addr).await?.first().copied() else {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "no addresses to send data to"));
        };
        self.0.io().io(Direction::Write, |fd| datagram::send_to(fd, buf, &target)).await
    }

    /// [`send_to`](Self::send_to) for hand-written futures. Only the task of the latest call in the
    /// direction of sending is woken.
    ///
    /// # Errors
    ///
    /// As for `send_to`.
    pub fn poll_send_to(&self, cx: &mut Context<'_>, buf: &[u8], target: SocketAddr) -> Poll<io::Result<usize>> {
        self.0.io().poll_io(cx, Direction::Write, |fd| datagram::send_to(fd, buf, &target))
    }

    /// [`send_to`](Self::send_to) without waiting.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if there is no room; otherwise as for `send_to`.
    pub fn try_send_to(&self, buf: &[u8], target: SocketAddr) -> io::Result<usize> {
        self.0.io().try_io(Direction::Write, |fd| datagram::send_to(fd, buf, &target))
    }

    /// Waits for a datagram and says who has sent it, without receiving it.
    ///
    /// # Errors
    ///
    /// As for [`recv`](Self::recv).
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before it is ready, nothing has happened.
    pub async fn peek_sender(&self) -> io::Result<SocketAddr> {
        self.0.io().io(Direction::Read, sender).await
    }

    /// [`peek_sender`](Self::peek_sender) for hand-written futures. Only the task of the latest
    /// call in the direction of receiving is woken.
    ///
    /// # Errors
    ///
    /// As for `recv`.
    pub fn poll_peek_sender(&self, cx: &mut Context<'_>) -> Poll<io::Result<SocketAddr>> {
        self.0.io().poll_io(cx, Direction::Read, sender)
    }

    /// [`peek_sender`](Self::peek_sender) without waiting.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if there is nothing to receive; otherwise as for `recv`.
    pub fn try_peek_sender(&self) -> io::Result<SocketAddr> {
        self.0.io().try_io(Direction::Read, sender)
    }
}

datagram_surface!(UdpSocket { kind: Udp, addr: SocketAddr, std: std::net::UdpSocket });

/// Who has sent the next datagram, which stays.
fn sender(fd: BorrowedFd<'_>) -> io::Result<SocketAddr> {
    let nothing: &mut [u8] = &mut [];
    let (_, sender) = datagram::recv_from::<Udp>(fd, nothing, RecvFlags::PEEK)?;
    Ok(sender)
}
