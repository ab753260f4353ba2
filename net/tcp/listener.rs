//! Listening TCP sockets.

use std::future::ready;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use super::socket::TcpSocket;
use super::{Tcp, TcpStream};
use crate::net::addr::{ToSocketAddrs, first_success};
use crate::net::block::listener::{BACKLOG, Listener, listener_surface};
use crate::net::block::options::{as_int, ttl_option};
use crate::reactor::Home;
use crate::runtime::context::{self, InRuntime};

/// A TCP socket that accepts connections.
///
/// Dropping it closes it at once: its port is free for the next `bind` when `drop` returns.
///
/// # Examples
///
/// ```no_run
/// use aio_runtime::io::{AsyncReadExt, AsyncWriteExt};
/// use aio_runtime::net::TcpListener;
///
/// #[aio_runtime::main]
/// async fn main() -> std::io::Result<()> {
///     let listener = TcpListener::bind("127.0.0.1:7000").await?;
///     loop {
///         let (mut stream, peer) = listener.accept().await?;
///         aio_runtime::spawn(async move {
///             stream.write_all(format!("hello {peer}\n").as_bytes()).await
///         });
///     }
/// }
/// ```
pub struct TcpListener(Listener<Tcp>);

impl TcpListener {
    /// Binds to the first address that is available, with `SO_REUSEADDR`, and listens. Port 0 asks
    /// for any free one; see [`local_addr`](Self::local_addr). [`TcpSocket`] is for other options.
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
    /// `bind(2)`, `listen(2)`.
    pub fn bind(addr: impl ToSocketAddrs) -> impl Future<Output = io::Result<Self>> {
        InRuntime::new(first_success(addr, |addr| ready(Self::bind_to(addr))))
    }

    fn bind_to(addr: SocketAddr) -> io::Result<Self> {
        let socket = TcpSocket::new_for(&addr)?;
        socket.set_reuseaddr(true)?;
        socket.bind(addr)?;
        Self::listen(context::home(), socket.into(), BACKLOG)
    }

    /// Listens on a socket that is in non-blocking mode.
    fn listen(home: Home, fd: OwnedFd, backlog: i32) -> io::Result<Self> {
        Ok(Self(Listener::listen(home, fd, backlog)?))
    }
}

impl TcpSocket {
    /// Listens. The kernel keeps one connection more than `backlog` for
    /// [`accept`](TcpListener::accept), but not more than `net.core.somaxconn`. If the queue is
    /// full, clients that connect have to try again, which their kernels do after a second.
    ///
    /// # Errors
    ///
    /// `EADDRINUSE` if another socket listens at the address; `EINVAL` if it is connected.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    ///
    /// # References
    ///
    /// `listen(2)`.
    #[track_caller]
    pub fn listen(self, backlog: u32) -> io::Result<TcpListener> {
        let home = context::home();
        TcpListener::listen(home, self.into_nonblocking()?, as_int(backlog))
    }
}

ttl_option!(TcpListener);
listener_surface!(TcpListener { kind: Tcp, accepts: TcpStream, addr: SocketAddr, std: std::net::TcpListener });
