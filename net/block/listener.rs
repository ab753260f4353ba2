//! A listening socket of any kind: the code behind every listener type, and the methods that they
//! show.

use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::task::{Context, Poll};

use rustix::io::Errno;

use super::kind::{End, Socket};
use super::socket::{FLAGS, register_blocking};
use crate::reactor::{Close, Direction, Home, Io};
use crate::runtime::context;

/// Connections that the kernel keeps for `accept` where nobody asks for another number. It lowers
/// that to `net.core.somaxconn`.
pub(crate) const BACKLOG: i32 = 1024;

/// Its address is to be free when it has been dropped.
const CLOSE: Close = Close::BeforeReturn;

/// A registered listening socket of kind `K`.
pub(crate) struct Listener<K> {
    io: Io,
    kind: PhantomData<K>,
}

impl<K: Socket> Listener<K> {
    /// Listens on a socket that is bound and in non-blocking mode.
    pub(crate) fn listen(home: Home, fd: OwnedFd, backlog: i32) -> io::Result<Self> {
        rustix::net::listen(&fd, backlog)?;
        Self::new(home, fd)
    }

    /// Registers a listening socket of any mode with the current runtime.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[track_caller]
    pub(crate) fn from_blocking(fd: OwnedFd) -> io::Result<Self> {
        Ok(Self { io: register_blocking(fd, CLOSE)?, kind: PhantomData })
    }

    fn new(home: Home, fd: OwnedFd) -> io::Result<Self> {
        Ok(Self { io: Io::new(home, fd, CLOSE)?, kind: PhantomData })
    }

    pub(crate) fn into_fd(self) -> io::Result<OwnedFd> {
        self.io.into_fd()
    }

    /// Where a connection lives that is accepted now: with the listener on its thread; on another
    /// one, in the runtime which that is in. Fails where there is none: the connection stays in the
    /// queue.
    pub(crate) fn home_of_accepted(&self) -> io::Result<Home> {
        let home = self.io.home();
        if home.is_here() {
            return Ok(home);
        }
        context::with(|scheduler| scheduler.reactor().home()).ok_or_else(|| home.wait_error())
    }

    pub(crate) async fn accept(&self) -> io::Result<(OwnedFd, K::Addr)> {
        self.home_of_accepted()?;
        self.io.io(Direction::Read, accept::<K>).await
    }

    pub(crate) fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(OwnedFd, K::Addr)>> {
        self.home_of_accepted()?;
        self.io.poll_io(cx, Direction::Read, accept::<K>)
    }
}

impl<K> AsFd for Listener<K> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.io.as_fd()
    }
}

fn accept<K: Socket>(fd: BorrowedFd<'_>) -> io::Result<(OwnedFd, K::Addr)> {
    let (fd, peer) = rustix::net::acceptfrom_with(fd, FLAGS)?;
    let peer = K::addr(fd.as_fd(), End::Peer, peer.ok_or(Errno::NOTCONN)?)?;
    Ok((fd, peer))
}

/// What a newtype of [`Listener`] of some kind has in common with those of other kinds.
macro_rules! listener_surface {
    ($Listener:ident { kind: $Kind:ty, accepts: $Stream:ident, addr: $Addr:ty, std: $Std:ty }) => {
        const _: () = {
            use std::os::fd::{AsFd, OwnedFd};
            use std::task::{Context, Poll};
            use std::{fmt, io};

            use $crate::net::block::kind::Socket;
            use $crate::reactor::Interest;

            impl $Listener {
                /// Takes the next connection.
                ///
                /// # Errors
                ///
                /// `EMFILE` and `ENFILE` when descriptors have run out: the connection stays in the
                /// queue, so pause before trying again. `ECONNABORTED` if it was gone already.
                ///
                /// # Cancel safety
                ///
                /// If the future is dropped before it is ready, no connection is lost.
                pub async fn accept(&self) -> io::Result<($Stream, $Addr)> {
                    self.registered(self.0.accept().await?)
                }

                /// [`accept`](Self::accept) for hand-written futures. Only the task of the latest
                /// call is woken.
                ///
                /// # Errors
                ///
                /// As for `accept`.
                pub fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<($Stream, $Addr)>> {
                    self.0.poll_accept(cx).map(|accepted| self.registered(accepted?))
                }

                fn registered(&self, (fd, peer): (OwnedFd, $Addr)) -> io::Result<($Stream, $Addr)> {
                    let stream = $Stream::register(self.0.home_of_accepted()?, fd)?;
                    // Most clients have sent their request by now.
                    stream.block().io().assume_ready(Interest::READABLE | Interest::WRITABLE);
                    Ok((stream, peer))
                }

                /// The address that it is bound to.
                ///
                /// # Errors
                ///
                /// Those of `getsockname(2)`.
                pub fn local_addr(&self) -> io::Result<$Addr> {
                    <$Kind as Socket>::local_addr(self.0.as_fd())
                }
            }

            impl fmt::Debug for $Listener {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    <$Kind as Socket>::describe(self.0.as_fd(), stringify!($Listener), f)
                }
            }
        };

        $crate::net::block::methods::std_methods!(
            $Listener,
            $Kind,
            $crate::net::block::listener::Listener<$Kind>,
            $Std
        );
    };
}

pub(crate) use listener_surface;
