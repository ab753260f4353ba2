//! Unix sockets: [`UnixListener`], [`UnixStream`], [`UnixDatagram`] and [`UnixSocket`], which `net`
//! exports too, their addresses, and the halves that [`UnixStream::split`] and
//! [`UnixStream::into_split`] return. And pipes, in [`pipe`].
//!
//! A socket is named by a path of the file system or, if the path starts with a zero byte, in
//! Linux's abstract namespace: `"\0name"`. A name of the file system stays when its socket has
//! gone, and has to be removed before the next `bind`. An abstract one goes with the socket.
//!
//! # Examples
//!
//! ```
//! use aio_runtime::io::{AsyncReadExt, AsyncWriteExt};
//! use aio_runtime::net::{UnixListener, UnixStream};
//!
//! # #[aio_runtime::main]
//! # async fn main() -> std::io::Result<()> {
//! # let dir = tempfile::tempdir()?;
//! # let path = dir.path().join("echo.sock");
//! let listener = UnixListener::bind(&path)?;
//! let mut client = UnixStream::connect(&path).await?;
//! let (mut server, _) = listener.accept().await?;
//!
//! client.write_all(b"ping").await?;
//! let mut buf = [0; 4];
//! server.read_exact(&mut buf).await?;
//! assert_eq!(&buf, b"ping");
//!
//! drop(listener);
//! std::fs::remove_file(&path)
//! # }
//! ```

mod addr;
mod datagram;
mod listener;
pub mod pipe;
mod socket;
mod stream;
mod ucred;

pub use addr::SocketAddr;
pub use datagram::UnixDatagram;
pub use listener::UnixListener;
pub use socket::UnixSocket;
pub use stream::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, ReuniteError, UnixStream, WriteHalf};
pub use ucred::{UCred, gid_t, pid_t, uid_t};

use std::io;
use std::os::fd::BorrowedFd;

use rustix::net::SocketAddrAny;

use super::block::kind::{ByteStream, End, Socket};

/// The kind of a Unix stream socket.
enum Unix {}

impl Socket for Unix {
    type Addr = SocketAddr;

    fn addr(fd: BorrowedFd<'_>, end: End, written: SocketAddrAny) -> io::Result<SocketAddr> {
        SocketAddr::of(fd, end, written)
    }
}

impl ByteStream for Unix {}
