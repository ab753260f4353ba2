//! Listening TCP sockets.

use std::future::ready;
use std::io;
use std::net::SocketAddr;

use rustix::net::sockopt;

use super::{Tcp, TcpStream, socket_for};
use crate::net::addr::{ToSocketAddrs, first_success};
use crate::net::block::listener::{Listener, listener_surface};
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
    /// for any free one; see [`local_addr`](Self::local_addr).
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
        let fd = socket_for(&addr)?;
        sockopt::set_socket_reuseaddr(&fd, true)?;
        rustix::net::bind(&fd, &addr)?;
        Ok(Self(Listener::listen(context::home(), fd)?))
    }
}

listener_surface!(TcpListener { kind: Tcp, accepts: TcpStream, addr: SocketAddr, std: std::net::TcpListener });
