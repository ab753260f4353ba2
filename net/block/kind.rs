//! What one kind of stream, listener or datagram socket has of its own. A kind is a type without
//! values, such as `Tcp`; the rest of the block is generic over it.
//!
//! What holds for all kinds:
//!
//! - *Nothing blocks.* The descriptor is in non-blocking mode, and "not now" is `WouldBlock`.
//! - *No signal.* Writing to a peer that has gone is an error (`EPIPE`) and never a `SIGPIPE`.
//!
//! What holds for those that [`Reads`] and [`Writes`] are for, but not for [`Datagrams`]:
//!
//! - *They are streams of bytes*: a short read has emptied the pipe, or the socket's receive
//!   buffer; a short write has filled the pipe, or the socket's send buffer. The next one waits
//!   before it tries. Where that guess is wrong (a descriptor that was passed along ends a read of
//!   a Unix socket) it costs a poll that completes at once. Where the boundaries of messages are
//!   kept, a short message says nothing about the next one.
//! - *The end stays*: after a read of 0 bytes into a buffer with room, every read gives 0. Not for
//!   a FIFO, which another writer may open: the reactor then finds that `EAGAIN` contradicts the
//!   end, and the receiver waits for edges in the nested epoll from then on.

use std::fmt;
use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::buffer::Buffer;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags, SocketAddrAny, sockopt};

/// `UIO_MAXIOV`: the most buffers that one call takes.
pub(crate) const MAX_BUFS: usize = 1024;

/// A kind that can be read.
pub(crate) trait Reads {
    /// Reads once. The buffer may be initialised (`&mut [u8]`), not yet (`&mut [MaybeUninit<u8>]`),
    /// or the spare capacity of a `Vec`. What is returned can only come from rustix, so it is true:
    /// the number of bytes, or the two parts of the buffer, of which the first is initialised.
    fn read<B: Buffer<u8>>(fd: BorrowedFd<'_>, buf: B) -> io::Result<B::Output>;
    /// The same into at most [`MAX_BUFS`] buffers.
    fn read_vectored(fd: BorrowedFd<'_>, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize>;
}

/// A kind that can be written.
pub(crate) trait Writes {
    /// Writes once and returns the number of bytes.
    fn write(fd: BorrowedFd<'_>, buf: &[u8]) -> io::Result<usize>;
    /// The same from at most [`MAX_BUFS`] buffers.
    fn write_vectored(fd: BorrowedFd<'_>, bufs: &[IoSlice<'_>]) -> io::Result<usize>;
}

/// A kind of socket: its ends have addresses.
pub(crate) trait Socket {
    type Addr: fmt::Debug;

    /// The address of an end of `fd`, given what the kernel has `written` about it.
    fn addr(fd: BorrowedFd<'_>, end: End, written: SocketAddrAny) -> io::Result<Self::Addr>;

    /// The address that a socket is bound to.
    fn local_addr(fd: BorrowedFd<'_>) -> io::Result<Self::Addr> {
        Self::addr(fd, End::Local, rustix::net::getsockname(fd)?)
    }

    /// The address that a socket is connected to.
    fn peer_addr(fd: BorrowedFd<'_>) -> io::Result<Self::Addr> {
        Self::addr(fd, End::Peer, rustix::net::getpeername(fd)?.ok_or(Errno::NOTCONN)?)
    }

    /// What `SO_ERROR` says, which is then cleared.
    fn take_error(fd: BorrowedFd<'_>) -> io::Result<Option<io::Error>> {
        Ok(sockopt::socket_error(fd)?.err().map(io::Error::from))
    }

    /// Shows a socket by its descriptor and its addresses. One that it does not have, such as the
    /// peer's of a listener, is left out.
    fn describe(fd: BorrowedFd<'_>, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut socket = f.debug_struct(name);
        socket.field("fd", &fd.as_raw_fd());
        if let Ok(local) = Self::local_addr(fd) {
            socket.field("local", &local);
        }
        if let Ok(peer) = Self::peer_addr(fd) {
            socket.field("peer", &peer);
        }
        socket.finish()
    }
}

/// A kind of socket that is a stream of bytes in both directions.
pub(crate) trait ByteStream: Socket {}

/// A kind of socket that keeps the boundaries of messages. One of 0 bytes is a message, too.
pub(crate) trait Datagrams: Socket {
    /// Who has sent a datagram, given what the kernel has `written` about it.
    fn sender(written: Option<SocketAddrAny>) -> io::Result<Self::Addr>;
}

/// One of the two ends of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Local,
    Peer,
}

impl<K: ByteStream> Reads for K {
    fn read<B: Buffer<u8>>(fd: BorrowedFd<'_>, buf: B) -> io::Result<B::Output> {
        let (received, _) = rustix::net::recv(fd, buf, RecvFlags::empty())?;
        Ok(received)
    }

    fn read_vectored(fd: BorrowedFd<'_>, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        Ok(rustix::io::readv(fd, bufs)?)
    }
}

impl<K: ByteStream> Writes for K {
    fn write(fd: BorrowedFd<'_>, buf: &[u8]) -> io::Result<usize> {
        Ok(rustix::net::send(fd, buf, SendFlags::NOSIGNAL)?)
    }

    fn write_vectored(fd: BorrowedFd<'_>, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        // Not writev, which has no MSG_NOSIGNAL.
        Ok(rustix::net::sendmsg(fd, bufs, &mut SendAncillaryBuffer::default(), SendFlags::NOSIGNAL)?)
    }
}
