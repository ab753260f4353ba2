//! A datagram socket of any kind: the code behind every datagram type, and the methods that they
//! show.
//!
//! A datagram moves as a whole or not at all, and a short one says nothing about the next. So a
//! receive tries until one has met `EAGAIN`, and only then waits.

use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::buffer::Buffer;
use rustix::net::addr::SocketAddrArg;
use rustix::net::{RecvFlags, SendFlags};

use super::kind::Datagrams;
use super::socket::register_blocking;
use crate::reactor::{Close, Home, Io};

/// Its address is to be free when it has been dropped.
const CLOSE: Close = Close::BeforeReturn;

/// A registered datagram socket of kind `K`.
pub(crate) struct Datagram<K> {
    io: Io,
    kind: PhantomData<K>,
}

impl<K: Datagrams> Datagram<K> {
    /// Registers a socket that is in non-blocking mode.
    pub(crate) fn new(home: Home, fd: OwnedFd) -> io::Result<Self> {
        Ok(Self { io: Io::new(home, fd, CLOSE)?, kind: PhantomData })
    }

    /// Registers a socket of any mode with the current runtime.
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
}

impl<K> AsFd for Datagram<K> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.io.as_fd()
    }
}

// ---- attempts, which the types make in three ways: waiting, polled, and without waiting ----

/// To the peer that the socket is connected to.
pub(crate) fn send(fd: BorrowedFd<'_>, buf: &[u8]) -> io::Result<usize> {
    Ok(rustix::net::send(fd, buf, SendFlags::NOSIGNAL)?)
}

pub(crate) fn send_to(fd: BorrowedFd<'_>, buf: &[u8], target: &impl SocketAddrArg) -> io::Result<usize> {
    Ok(rustix::net::sendto(fd, buf, SendFlags::NOSIGNAL, target)?)
}

pub(crate) fn recv(fd: BorrowedFd<'_>, buf: impl Buffer<u8>, flags: RecvFlags) -> io::Result<usize> {
    let (_, received) = rustix::net::recv(fd, buf, flags)?;
    Ok(received)
}

/// And who has sent it.
pub(crate) fn recv_from<K: Datagrams>(
    fd: BorrowedFd<'_>,
    buf: impl Buffer<u8>,
    flags: RecvFlags,
) -> io::Result<(usize, K::Addr)> {
    let (_, received, sender) = rustix::net::recvfrom(fd, buf, flags)?;
    Ok((received, K::sender(sender)?))
}

/// What a newtype of [`Datagram`] of some kind has in common with those of other kinds. Who is
/// named by an address to send to differs.
macro_rules! datagram_surface {
    ($Datagram:ident { kind: $Kind:ty, addr: $Addr:ty, std: $Std:ty }) => {
        const _: () = {
            use std::io;
            use std::os::fd::BorrowedFd;
            use std::task::{Context, Poll};

            use rustix::net::RecvFlags;

            use $crate::net::block::datagram::{self, Datagram};
            use $crate::reactor::Direction;

            impl $Datagram {
                fn block(&self) -> &Datagram<$Kind> {
                    &self.0
                }

                /// Waits until the socket is probably readable: there is a datagram, or an error. A
                /// false positive is possible: [`try_recv`](Self::try_recv) then returns
                /// `WouldBlock`. Any number of tasks may wait.
                ///
                /// # Errors
                ///
                /// If the runtime cannot wait for the descriptor.
                ///
                /// # Cancel safety
                ///
                /// If the future is dropped before it is ready, nothing has happened.
                pub async fn readable(&self) -> io::Result<()> {
                    self.0.io().ready(Direction::Read).await
                }

                /// Waits until the socket is probably writable: there is room for a datagram, or an
                /// error. A false positive is possible: [`try_send`](Self::try_send) then returns
                /// `WouldBlock`. Any number of tasks may wait.
                ///
                /// # Errors
                ///
                /// If the runtime cannot wait for the descriptor.
                ///
                /// # Cancel safety
                ///
                /// If the future is dropped before it is ready, nothing has happened.
                pub async fn writable(&self) -> io::Result<()> {
                    self.0.io().ready(Direction::Write).await
                }

                /// [`readable`](Self::readable) for hand-written futures. Only the task of the
                /// latest call is woken, of this and of every other `poll_` function that receives.
                ///
                /// # Errors
                ///
                /// As for `readable`.
                pub fn poll_recv_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                    self.0.io().poll_ready(cx, Direction::Read)
                }

                /// [`writable`](Self::writable) for hand-written futures. Only the task of the
                /// latest call is woken, of this and of every other `poll_` function that sends.
                ///
                /// # Errors
                ///
                /// As for `writable`.
                pub fn poll_send_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                    self.0.io().poll_ready(cx, Direction::Write)
                }

                /// Sends a datagram to the address that the socket is connected to. Returns its
                /// length: a datagram is sent as a whole or not at all. Any number of tasks may
                /// send.
                ///
                /// # Errors
                ///
                /// `EDESTADDRREQ` or `ENOTCONN` if it is not connected, `EMSGSIZE` if the datagram
                /// is too long, `ECONNREFUSED` if nobody is there to receive; see `send(2)`.
                ///
                /// # Cancel safety
                ///
                /// If the future is dropped before it is ready, nothing was sent.
                pub async fn send(&self, buf: &[u8]) -> io::Result<usize> {
                    self.0.io().io(Direction::Write, |fd| datagram::send(fd, buf)).await
                }

                /// [`send`](Self::send) for hand-written futures. Only the task of the latest call
                /// in the direction of sending is woken.
                ///
                /// # Errors
                ///
                /// As for `send`.
                pub fn poll_send(&self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
                    self.0.io().poll_io(cx, Direction::Write, |fd| datagram::send(fd, buf))
                }

                /// [`send`](Self::send) without waiting.
                ///
                /// # Errors
                ///
                /// `WouldBlock` if there is no room; otherwise as for `send`.
                pub fn try_send(&self, buf: &[u8]) -> io::Result<usize> {
                    self.0.io().try_io(Direction::Write, |fd| datagram::send(fd, buf))
                }

                /// Receives a datagram, and returns its length. One that is longer than the buffer
                /// is cut, and its rest is lost. Any number of tasks may receive; each datagram
                /// goes to one of them.
                ///
                /// A connected socket receives only what its peer sends.
                ///
                /// # Errors
                ///
                /// `ECONNREFUSED` if something that was sent from a connected socket did not reach
                /// anybody; see `recv(2)`.
                ///
                /// # Cancel safety
                ///
                /// If the future is dropped before it is ready, no datagram is lost.
                pub async fn recv(&self, buf: &mut [u8]) -> io::Result<usize> {
                    let attempt = |fd: BorrowedFd<'_>| datagram::recv(fd, &mut *buf, RecvFlags::empty());
                    self.0.io().io(Direction::Read, attempt).await
                }

                /// [`recv`](Self::recv) without waiting.
                ///
                /// # Errors
                ///
                /// `WouldBlock` if there is nothing to receive; otherwise as for `recv`.
                pub fn try_recv(&self, buf: &mut [u8]) -> io::Result<usize> {
                    self.0.io().try_io(Direction::Read, |fd| datagram::recv(fd, buf, RecvFlags::empty()))
                }

                /// Receives a datagram, as [`recv`](Self::recv) does, and returns its length and
                /// who has sent it.
                ///
                /// # Errors
                ///
                /// As for `recv`.
                ///
                /// # Cancel safety
                ///
                /// If the future is dropped before it is ready, no datagram is lost.
                pub async fn recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, $Addr)> {
                    let attempt = |fd: BorrowedFd<'_>| datagram::recv_from::<$Kind>(fd, &mut *buf, RecvFlags::empty());
                    self.0.io().io(Direction::Read, attempt).await
                }

                /// [`recv_from`](Self::recv_from) without waiting.
                ///
                /// # Errors
                ///
                /// `WouldBlock` if there is nothing to receive; otherwise as for `recv_from`.
                pub fn try_recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, $Addr)> {
                    let attempt = |fd: BorrowedFd<'_>| datagram::recv_from::<$Kind>(fd, buf, RecvFlags::empty());
                    self.0.io().try_io(Direction::Read, attempt)
                }

                /// Receives a datagram, as [`recv`](Self::recv) does, and leaves it there: the next
                /// receive returns the same one.
                ///
                /// # Errors
                ///
                /// As for `recv`.
                ///
                /// # Cancel safety
                ///
                /// If the future is dropped before it is ready, nothing has happened.
                pub async fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
                    let attempt = |fd: BorrowedFd<'_>| datagram::recv(fd, &mut *buf, RecvFlags::PEEK);
                    self.0.io().io(Direction::Read, attempt).await
                }

                /// [`peek`](Self::peek) without waiting.
                ///
                /// # Errors
                ///
                /// `WouldBlock` if there is nothing to receive; otherwise as for `recv`.
                pub fn try_peek(&self, buf: &mut [u8]) -> io::Result<usize> {
                    self.0.io().try_io(Direction::Read, |fd| datagram::recv(fd, buf, RecvFlags::PEEK))
                }

                /// Receives a datagram, as [`recv_from`](Self::recv_from) does, and leaves it
                /// there: the next receive returns the same one.
                ///
                /// # Errors
                ///
                /// As for `recv`.
                ///
                /// # Cancel safety
                ///
                /// If the future is dropped before it is ready, nothing has happened.
                pub async fn peek_from(&self, buf: &mut [u8]) -> io::Result<(usize, $Addr)> {
                    let attempt = |fd: BorrowedFd<'_>| datagram::recv_from::<$Kind>(fd, &mut *buf, RecvFlags::PEEK);
                    self.0.io().io(Direction::Read, attempt).await
                }

                /// [`peek_from`](Self::peek_from) without waiting.
                ///
                /// # Errors
                ///
                /// `WouldBlock` if there is nothing to receive; otherwise as for `recv`.
                pub fn try_peek_from(&self, buf: &mut [u8]) -> io::Result<(usize, $Addr)> {
                    self.0.io().try_io(Direction::Read, |fd| datagram::recv_from::<$Kind>(fd, buf, RecvFlags::PEEK))
                }
            }
        };

        $crate::net::block::methods::ready_method!($Datagram);
        $crate::net::block::methods::try_io_method!($Datagram);
        $crate::net::block::methods::async_io_method!($Datagram);
        $crate::net::block::buf_mut::receive_buf_methods!($Datagram, $Kind, $Addr);
        #[cfg(feature = "tokio-io")]
        $crate::net::block::read_buf::poll_receive_methods!($Datagram, $Kind, $Addr);
        $crate::net::block::methods::socket_methods!($Datagram, $Kind, $Addr);
        $crate::net::block::methods::std_methods!(
            $Datagram,
            $Kind,
            $crate::net::block::datagram::Datagram<$Kind>,
            $Std
        );
    };
}

pub(crate) use datagram_surface;
