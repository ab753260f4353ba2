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
//!
//! # Passing descriptors
//!
//! Bytes can take descriptors along to another process, which then has duplicates of them
//! (`SCM_RIGHTS`): [`UnixStream::send_with_fds`] and [`recv_with_fds`](UnixStream::recv_with_fds),
//! and the methods of the same names of [`UnixDatagram`]. (The halves of a stream have them by
//! [`AsRef`].) tokio has nothing like it.
//!
//! - The sender's descriptors stay its own, and may be closed as soon as the send is ready.
//! - A message carries 253 at most. A receive has room for all of them, so there is no number to
//!   agree upon: what is not wanted is dropped, which closes it.
//! - On a stream they travel with the first byte of a send, so there has to be one, and they come
//!   with the receive that takes it. Bytes that were sent before may come in the same receive.
//!   Bytes of a later send never do: two sends' descriptors are not mixed.
//! - Received descriptors are closed on exec. They have the mode of the description that they
//!   share, so a socket that is non-blocking for the sender is so for the receiver.
//! - If the receiving process cannot have them (`RLIMIT_NOFILE`), the receive is an error, and
//!   those that did come are closed. The bytes have been taken, so a stream is of no use after
//!   that.
//! - Bytes that are received in any other way lose their descriptors; the kernel closes them.
//! - A future that is dropped before it is ready has neither sent nor received one.
//! - The options `SO_PASSSEC` and `SO_PASSPIDFD` (Linux 6.5) are not supported with
//!   `recv_with_fds`. By the second one each message brings a descriptor of its sender's process
//!   (pidfd), which would stay open forever, and what either brings leaves too little room for 253
//!   descriptors. Credentials (`SO_PASSCRED`) do no harm, and are not returned.
//!
//! ```
//! use std::io::Read;
//! use std::os::fd::AsFd;
//!
//! use aio_runtime::net::UnixStream;
//!
//! # #[aio_runtime::main]
//! # async fn main() -> std::io::Result<()> {
//! # let dir = tempfile::tempdir()?;
//! # let path = dir.path().join("letter");
//! # std::fs::write(&path, "hello")?;
//! let (left, right) = UnixStream::pair()?;
//! let file = std::fs::File::open(&path)?;
//! left.send_with_fds(b"a letter", &[file.as_fd()]).await?;
//!
//! let mut buf = [0; 16];
//! let (len, mut fds) = right.recv_with_fds(&mut buf).await?;
//! assert_eq!(&buf[..len], b"a letter");
//! let mut text = String::new();
//! std::fs::File::from(fds.remove(0)).read_to_string(&mut text)?;
//! assert_eq!(text, "hello");
//! # Ok(())
//! # }
//! ```

mod addr;
mod datagram;
mod descriptors;
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
