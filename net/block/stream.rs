//! A stream of any kind: the code behind every stream type and every half.

use std::io::{self, IoSlice, IoSliceMut};
use std::marker::PhantomData;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::task::{Context, Poll, ready};

use bytes::BufMut;
use rustix::io::Errno;
use rustix::net::{RecvFlags, Shutdown};

use super::kind::{MAX_BUFS, Reads, Socket, Writes};
use super::socket::register_blocking;
use super::unfilled;
#[cfg(any(feature = "tokio-io", feature = "hyper"))]
use super::unfilled::Unfilled;
use crate::net::pool::{Chunk, Pool};
use crate::reactor::{Close, Direction, Home, Io};

const CLOSE: Close = Close::Soon;

/// A registered descriptor of kind `K`.
pub(crate) struct Stream<K> {
    io: Io,
    kind: PhantomData<K>,
}

impl<K> Stream<K> {
    /// Registers a descriptor that is in non-blocking mode.
    pub(crate) fn new(home: Home, fd: OwnedFd) -> io::Result<Self> {
        Ok(Self { io: Io::new(home, fd, CLOSE)?, kind: PhantomData })
    }

    /// Registers a descriptor of any mode with the current runtime.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[track_caller]
    pub(crate) fn from_blocking(fd: OwnedFd) -> io::Result<Self> {
        Ok(Self { io: register_blocking(fd, CLOSE)?, kind: PhantomData })
    }

    pub(crate) fn into_fd(self) -> io::Result<OwnedFd> {
        self.io.into_fd()
    }

    pub(crate) fn io(&self) -> &Io {
        &self.io
    }

    /// Tries `attempt` until it moves something, of at most `wanted` bytes.
    fn poll_transfer(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
        wanted: usize,
        attempt: impl FnMut(BorrowedFd<'_>) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        let moved = ready!(self.io.poll_io(cx, direction, attempt))?;
        self.note_moved(direction, moved, wanted);
        Poll::Ready(Ok(moved))
    }

    /// It is a stream of bytes: if less was moved than was wanted, the next attempt would find
    /// nothing, or no room.
    fn note_moved(&self, direction: Direction, moved: usize, wanted: usize) {
        if 0 < moved && moved < wanted {
            self.io.clear_ready(direction);
        }
    }
}

impl<K: Reads> Stream<K> {
    pub(crate) async fn readable(&self) -> io::Result<()> {
        self.io.ready(Direction::Read).await
    }

    pub(crate) fn poll_read(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        self.poll_transfer(cx, Direction::Read, buf.len(), |fd| K::read(fd, &mut *buf))
    }

    /// Reads into the memory of `buf` that is to be filled next, for which there is that much
    /// `room`.
    #[cfg(any(feature = "tokio-io", feature = "hyper"))]
    pub(crate) fn poll_fill(&self, cx: &mut Context<'_>, buf: &mut impl Unfilled, room: usize) -> Poll<io::Result<()>> {
        self.poll_transfer(cx, Direction::Read, room, |fd| unfilled::read::<K>(fd, buf)).map_ok(drop)
    }

    pub(crate) fn poll_read_vectored(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        let taken = bufs.len().min(MAX_BUFS);
        let bufs = &mut bufs[..taken];
        let wanted = bufs.iter().map(|buf| buf.len()).sum();
        self.poll_transfer(cx, Direction::Read, wanted, |fd| K::read_vectored(fd, bufs))
    }

    pub(crate) fn poll_read_pooled(&self, cx: &mut Context<'_>, pool: &Pool) -> Poll<io::Result<Chunk>> {
        let attempt = |fd: BorrowedFd<'_>| pool.fill(|buf| K::read(fd, buf));
        let chunk = ready!(self.io.poll_io(cx, Direction::Read, attempt))?;
        self.note_moved(Direction::Read, chunk.len(), pool.buffer_len());
        Poll::Ready(Ok(chunk))
    }

    pub(crate) fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.io.try_io(Direction::Read, |fd| K::read(fd, buf))
    }

    pub(crate) fn try_read_buf(&self, buf: &mut impl BufMut) -> io::Result<usize> {
        self.io.try_io(Direction::Read, |fd| unfilled::read::<K>(fd, &mut unfilled::NextChunk(buf)))
    }

    pub(crate) fn try_read_vectored(&self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        let taken = bufs.len().min(MAX_BUFS);
        self.io.try_io(Direction::Read, |fd| K::read_vectored(fd, &mut bufs[..taken]))
    }
}

impl<K: Writes> Stream<K> {
    pub(crate) async fn writable(&self) -> io::Result<()> {
        self.io.ready(Direction::Write).await
    }

    pub(crate) fn poll_write(&self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_transfer(cx, Direction::Write, buf.len(), |fd| K::write(fd, buf))
    }

    pub(crate) fn poll_write_vectored(&self, cx: &mut Context<'_>, bufs: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let bufs = &bufs[..bufs.len().min(MAX_BUFS)];
        let wanted = bufs.iter().map(|buf| buf.len()).sum();
        self.poll_transfer(cx, Direction::Write, wanted, |fd| K::write_vectored(fd, bufs))
    }

    pub(crate) fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
        self.io.try_io(Direction::Write, |fd| K::write(fd, buf))
    }

    pub(crate) fn try_write_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.io.try_io(Direction::Write, |fd| K::write_vectored(fd, &bufs[..bufs.len().min(MAX_BUFS)]))
    }
}

impl<K: Socket> Stream<K> {
    pub(crate) async fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        let peek = |fd: BorrowedFd<'_>| Ok(rustix::net::recv(fd, &mut *buf, RecvFlags::PEEK)?.1);
        self.io.io(Direction::Read, peek).await
    }

    #[cfg(feature = "tokio-io")]
    pub(crate) fn poll_peek(&self, cx: &mut Context<'_>, buf: &mut impl Unfilled) -> Poll<io::Result<usize>> {
        self.io.poll_io(cx, Direction::Read, |fd| unfilled::recv(fd, buf, RecvFlags::PEEK))
    }

    pub(crate) fn shutdown_write(&self) -> io::Result<()> {
        match rustix::net::shutdown(self, Shutdown::Write) {
            // The peer has reset the connection.
            Err(Errno::NOTCONN) => Ok(()),
            result => Ok(result?),
        }
    }
}

impl<K> AsFd for Stream<K> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.io.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::mem::MaybeUninit;

    use rustix::buffer::spare_capacity;
    use rustix::net::{AddressFamily, SocketAddrAny, SocketFlags, SocketType};

    use super::super::kind::{ByteStream, End};
    use super::*;
    use crate::runtime::Runtime;

    /// Sockets without addresses.
    enum Anonymous {}

    impl Socket for Anonymous {
        type Addr = ();

        fn addr(_fd: BorrowedFd<'_>, _end: End, _written: SocketAddrAny) -> io::Result<()> {
            Ok(())
        }
    }

    impl ByteStream for Anonymous {}

    /// A registered stream and its peer.
    fn stream_and_peer() -> (Stream<Anonymous>, OwnedFd) {
        let (stream, peer) =
            rustix::net::socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None).unwrap();
        (Stream::from_blocking(stream).unwrap(), peer)
    }

    #[test]
    fn reads_into_memory_that_is_not_initialised() {
        Runtime::new().unwrap().block_on(async {
            let (stream, peer) = stream_and_peer();
            rustix::io::write(&peer, b"four, five").unwrap();
            let mut buf = [MaybeUninit::uninit(); 4];
            let (read, rest) = Anonymous::read(stream.as_fd(), &mut buf[..]).unwrap();
            assert_eq!((&*read, rest.len()), (&b"four"[..], 0));
            let mut rest = Vec::with_capacity(16);
            assert_eq!(Anonymous::read(stream.as_fd(), spare_capacity(&mut rest)).unwrap(), 6);
            assert_eq!(rest, b", five");
        });
    }

    #[test]
    fn a_short_transfer_is_followed_by_a_wait() {
        let runtime = Runtime::new().unwrap();
        runtime.block_on(async {
            let (stream, peer) = stream_and_peer();
            let read = async |len| poll_fn(|cx| stream.poll_read(cx, &mut vec![0; len])).await.unwrap();
            let polls = || runtime.handle().metrics().submitted_polls;
            rustix::io::write(&peer, b"abcd").unwrap();
            assert_eq!((read(2).await, read(1).await), (2, 1));
            let before = polls();
            // Short, so nothing is left: the next read waits for an event before it tries.
            assert_eq!(read(2).await, 1);
            rustix::io::write(&peer, b"e").unwrap();
            assert_eq!((polls(), read(2).await), (before, 1));
            assert_eq!(polls(), before + 1);
        });
    }
}
