//! Many datagrams at once.

use std::fmt;
use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

use quinn_udp::UdpSocketState;
use rustix::net::addr::SocketAddrArg;
use rustix::net::{MMsgHdr, SendAncillaryBuffer, SendFlags, sendmmsg};

use super::UdpSocket;
use super::transmit::{RecvMeta, Transmit};
use crate::reactor::Direction;

/// The most transmissions or buffers that one call takes: more would make the other tasks wait.
const MOST: usize = quinn_udp::BATCH_SIZE;

/// A UDP socket that sends and receives many datagrams at once, for QUIC and other bulk senders.
///
/// It saves system calls: [`send_many`](Self::send_many) takes a list, as `sendmmsg(2)` does, and
/// [`recv_many`](Self::recv_many) fills one, as `recvmmsg(2)` does. And it saves most of the
/// kernel's work for each datagram: a [`Transmit`] with a
/// [`segment_size`](Transmit::segment_size) is many datagrams to one peer that pass the network
/// stack as one (GSO), and those that have come that way share a buffer (GRO). ECN codepoints go
/// both ways, and so does the address of this host that the peer sees.
///
/// All methods take `&self`: several tasks may share a socket in an [`Rc`](std::rc::Rc) or an
/// [`Arc`](std::sync::Arc), and each datagram goes to one of them. The [`UdpSocket`] inside is
/// there by [`AsRef`], for its options.
///
/// # Examples
///
/// Ten datagrams of 1,000 bytes by way of one system call; how many calls receive them is the
/// kernel's choice:
///
/// ```
/// use std::io::IoSliceMut;
///
/// use aio_runtime::net::UdpSocket;
/// use aio_runtime::net::udp::{BatchSocket, RecvMeta, Transmit};
///
/// # #[aio_runtime::main]
/// # async fn main() -> std::io::Result<()> {
/// let sender = BatchSocket::new(UdpSocket::bind("127.0.0.1:0").await?)?;
/// let receiver = BatchSocket::new(UdpSocket::bind("127.0.0.1:0").await?)?;
///
/// let block = [7; 10_000];
/// let address = receiver.as_ref().local_addr()?;
/// let transmit = Transmit { segment_size: Some(1000), ..Transmit::new(address, &block) };
/// if sender.max_segments() >= 10 {
///     sender.send_many(&[transmit]).await?;
/// } else {
///     // Some of them may have to wait for room: see `send_many`.
///     let each: Vec<_> = block.chunks(1000).map(|part| Transmit::new(address, part)).collect();
///     assert_eq!(sender.send_many(&each).await?, 10);
/// }
///
/// let mut memory = vec![0; 2 * 65_536];
/// let mut metas = [RecvMeta::default(); 2];
/// let mut datagrams = 0;
/// while datagrams < 10 {
///     let mut bufs: Vec<_> = memory.chunks_mut(65_536).map(IoSliceMut::new).collect();
///     let filled = receiver.recv_many(&mut bufs, &mut metas).await?;
///     for (buf, meta) in bufs.iter().zip(&metas[..filled]) {
///         datagrams += meta.datagrams(buf).count();
///         assert!(meta.datagrams(buf).all(|datagram| datagram == [7; 1000]));
///     }
/// }
/// # Ok(())
/// # }
/// ```
///
/// # References
///
/// `udp(7)` (`UDP_SEGMENT`, `UDP_GRO`), `sendmmsg(2)`, `recvmmsg(2)`.
pub struct BatchSocket {
    socket: UdpSocket,
    state: UdpSocketState,
}

impl BatchSocket {
    /// Prepares a socket. What follows stays with the socket, and is why this is a type of its own:
    ///
    /// - A receive may bring several datagrams of one sender, one after the other in the buffer
    ///   (`UDP_GRO`). [`UdpSocket::recv`] and its like would not know where each begins.
    /// - Datagrams are not fragmented (`IP_MTU_DISCOVER`): one that is longer than the path takes
    ///   fails with `EMSGSIZE`, or is lost on the way.
    ///
    /// # Errors
    ///
    /// Those of `setsockopt(2)`. That the kernel has no GRO or no GSO is not an error.
    pub fn new(socket: UdpSocket) -> io::Result<Self> {
        let state = UdpSocketState::new((&socket).into())?;
        Ok(Self { socket, state })
    }

    /// The most datagrams that one [`Transmit`] may consist of. It is 1 if the kernel has no GSO.
    ///
    /// It becomes 1 when a transmission has failed with `EIO`, as one with segments does where the
    /// network device cannot compute checksums; or with `EINVAL`, as one does on older kernels
    /// whose segments are too long for the path, or whose [`source`](Transmit::source) is not an
    /// address of this host. So look at it each time, and send the datagrams of a transmission that
    /// has failed one by one. (After `EINVAL` the socket also sends no ECN over IPv4, which is what
    /// that means on old kernels.)
    pub fn max_segments(&self) -> usize {
        self.state.max_gso_segments()
    }

    /// Sends, in this order, as many of the transmissions as there is room for, of the first 32.
    /// Waits until there is room for one at least, and returns how many were sent. Each one goes as
    /// a whole or not at all, all its segments included.
    ///
    /// The rest is for the next call. An error of the second one or of one after it also ends the
    /// call, which returns the number of those before; the next call then begins with it. That
    /// fails if the error is the datagram's own, as `EMSGSIZE` is. One that the socket reports
    /// once, as `ECONNREFUSED` of datagrams that were sent before, may be lost.
    ///
    /// # Errors
    ///
    /// As for [`UdpSocket::send_to`]; `InvalidInput` for a segment size of 0 or of more than
    /// 65,535, or for more than 64 segments; `EIO` or `EINVAL` where there is no GSO, see
    /// [`max_segments`](Self::max_segments).
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before it is ready, nothing was sent.
    pub async fn send_many(&self, transmits: &[Transmit<'_>]) -> io::Result<usize> {
        self.socket.0.io().io(Direction::Write, |fd| self.send(fd, transmits)).await
    }

    /// [`send_many`](Self::send_many) without waiting.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if there is no room for the first one; otherwise as for `send_many`.
    pub fn try_send_many(&self, transmits: &[Transmit<'_>]) -> io::Result<usize> {
        self.socket.0.io().try_io(Direction::Write, |fd| self.send(fd, transmits))
    }

    /// Receives what is there, into at most 32 buffers, and says of each in `metas` what it got.
    /// Waits until there is one datagram at least, and returns how many buffers were filled. Those
    /// for which there is no place in `metas` are left alone.
    ///
    /// A buffer gets one datagram, or several of one sender: [`RecvMeta::datagrams`] tells them
    /// apart. If it is shorter than what comes, the rest is lost; 65,535 bytes are always enough.
    ///
    /// # Errors
    ///
    /// As for [`UdpSocket::recv`].
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before it is ready, no datagram is lost.
    pub async fn recv_many(&self, bufs: &mut [IoSliceMut<'_>], metas: &mut [RecvMeta]) -> io::Result<usize> {
        self.socket.0.io().io(Direction::Read, |fd| self.recv(fd, bufs, metas)).await
    }

    /// [`recv_many`](Self::recv_many) without waiting.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if there is nothing to receive; otherwise as for `recv_many`.
    pub fn try_recv_many(&self, bufs: &mut [IoSliceMut<'_>], metas: &mut [RecvMeta]) -> io::Result<usize> {
        self.socket.0.io().try_io(Direction::Read, |fd| self.recv(fd, bufs, metas))
    }

    fn send(&self, fd: BorrowedFd<'_>, transmits: &[Transmit<'_>]) -> io::Result<usize> {
        let transmits = &transmits[..transmits.len().min(MOST)];
        let mut sent = 0;
        while let [first, ..] = &transmits[sent..] {
            let plain = transmits[sent..].iter().take_while(|transmit| transmit.is_plain()).count();
            let attempt = match plain {
                0 => self.send_with_extras(fd, first).map(|()| 1),
                _ => send_plain(fd, &transmits[sent..sent + plain]),
            };
            match attempt {
                // A later one's error ends the kernel's call too, which only says how many went
                // before. To go on would lose one such error after the other.
                Ok(more) if more < plain => return Ok(sent + more),
                Ok(more) => sent += more,
                Err(error) if sent == 0 => return Err(error),
                Err(_) => return Ok(sent),
            }
        }
        Ok(sent)
    }

    fn send_with_extras(&self, fd: BorrowedFd<'_>, transmit: &Transmit<'_>) -> io::Result<()> {
        self.state.try_send((&fd).into(), &transmit.checked()?)
    }

    fn recv(&self, fd: BorrowedFd<'_>, bufs: &mut [IoSliceMut<'_>], metas: &mut [RecvMeta]) -> io::Result<usize> {
        let most = bufs.len().min(metas.len()).min(MOST);
        let mut filled = [quinn_udp::RecvMeta::default(); MOST];
        let len = self.state.recv((&fd).into(), &mut bufs[..most], &mut filled)?;
        for (meta, filled) in metas.iter_mut().zip(&filled[..len]) {
            *meta = RecvMeta::of(filled);
        }
        Ok(len)
    }
}

/// Sends datagrams that need no control messages by one call. Returns how many were sent, at least
/// one.
fn send_plain(fd: BorrowedFd<'_>, transmits: &[Transmit<'_>]) -> io::Result<usize> {
    let targets: Vec<_> = transmits.iter().map(|transmit| transmit.destination.as_any()).collect();
    let contents: Vec<_> = transmits.iter().map(|transmit| [IoSlice::new(transmit.contents)]).collect();
    let mut controls: Vec<_> = transmits.iter().map(|_| SendAncillaryBuffer::default()).collect();
    let parts = targets.iter().zip(&contents).zip(&mut controls);
    let mut messages: Vec<_> =
        parts.map(|((target, contents), control)| MMsgHdr::new_with_addr(target, contents, control)).collect();
    Ok(sendmmsg(fd, &mut messages, SendFlags::NOSIGNAL)?)
}

impl AsRef<UdpSocket> for BatchSocket {
    fn as_ref(&self) -> &UdpSocket {
        &self.socket
    }
}

impl AsFd for BatchSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl AsRawFd for BatchSocket {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

impl fmt::Debug for BatchSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let socket = &self.socket;
        f.debug_struct("BatchSocket").field("socket", socket).field("max_segments", &self.max_segments()).finish()
    }
}
