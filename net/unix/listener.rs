//! Listening Unix sockets.

use std::io;
use std::path::Path;

use rustix::net::SocketType;

use super::{SocketAddr, Unix, UnixSocket, UnixStream};
use crate::net::block::listener::{BACKLOG, Listener, listener_surface};
use crate::net::block::options::as_int;
use crate::runtime::context;

/// A Unix socket that accepts connections.
///
/// Dropping it closes it at once: an abstract name is free for the next `bind` when `drop` returns.
/// A path stays, and is yours to remove.
///
/// # Examples
///
/// ```no_run
/// use aio_runtime::io::AsyncWriteExt;
/// use aio_runtime::net::UnixListener;
///
/// #[aio_runtime::main]
/// async fn main() -> std::io::Result<()> {
///     let listener = UnixListener::bind("/run/hello.sock")?;
///     loop {
///         let (mut stream, _) = listener.accept().await?;
///         aio_runtime::spawn(async move { stream.write_all(b"hello\n").await });
///     }
/// }
/// ```
pub struct UnixListener(Listener<Unix>);

impl UnixListener {
    /// Binds to a path, or to an abstract name (`"\0name"`), and listens.
    ///
    /// # Errors
    ///
    /// `EADDRINUSE` if the name exists, also if nobody listens at it any more; `ENOENT`, `EACCES`,
    /// `EMFILE`; `InvalidInput` for a path that is too long or that has a zero byte inside.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    ///
    /// # References
    ///
    /// `bind(2)`, `listen(2)`, `unix(7)`.
    #[track_caller]
    pub fn bind(path: impl AsRef<Path>) -> io::Result<Self> {
        Self::bind_addr(&SocketAddr::named(path.as_ref())?)
    }

    /// Binds to an address, and listens.
    ///
    /// # Errors
    ///
    /// As for [`bind`](Self::bind).
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[track_caller]
    pub fn bind_addr(socket_addr: &SocketAddr) -> io::Result<Self> {
        // First, so that a panic leaves no path behind.
        let home = context::home();
        let socket = UnixSocket::new_stream()?;
        socket.bind_addr(socket_addr)?;
        Ok(Self(Listener::listen(home, socket.into(), BACKLOG)?))
    }
}

impl UnixSocket {
    /// Listens. The kernel keeps one connection more than `backlog` for
    /// [`accept`](UnixListener::accept), but not more than `net.core.somaxconn`. If the queue is
    /// full, clients that connect have to wait.
    ///
    /// # Errors
    ///
    /// `EINVAL` if it is not bound, or connected; an error of the kind `Other` if it is a datagram
    /// socket.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    ///
    /// # References
    ///
    /// `listen(2)`.
    #[track_caller]
    pub fn listen(self, backlog: u32) -> io::Result<UnixListener> {
        let home = context::home();
        let fd = self.into_nonblocking("listen", SocketType::DGRAM)?;
        Ok(UnixListener(Listener::listen(home, fd, as_int(backlog))?))
    }
}

listener_surface!(UnixListener {
    kind: Unix,
    accepts: UnixStream,
    addr: SocketAddr,
    std: std::os::unix::net::UnixListener
});
