//! TCP: [`TcpListener`], [`TcpStream`] and [`TcpSocket`], which `net` exports too, and the halves
//! that [`TcpStream::split`] and [`TcpStream::into_split`] return.
//!
//! # Examples
//!
//! One task reads from a connection while another writes to it:
//!
//! ```
//! use aio_runtime::io::{AsyncReadExt, AsyncWriteExt};
//! use aio_runtime::net::{TcpListener, TcpStream};
//!
//! # #[aio_runtime::main]
//! # async fn main() -> std::io::Result<()> {
//! # let listener = TcpListener::bind("127.0.0.1:0").await?;
//! # let address = listener.local_addr()?;
//! # let server = aio_runtime::spawn(async move {
//! #     let (stream, _) = listener.accept().await?;
//! #     let (reader, mut writer) = stream.into_split();
//! #     aio_runtime::io::copy(reader, &mut writer).await
//! # });
//! let (mut reader, mut writer) = TcpStream::connect(address).await?.into_split();
//! let writing = aio_runtime::spawn(async move {
//!     writer.write_all(b"there and back").await
//!     // Dropped here, the half ends its side of the connection.
//! });
//! let mut text = String::new();
//! reader.read_to_string(&mut text).await?;
//! assert_eq!(text, "there and back");
//! writing.await?
//! # }
//! ```

mod listener;
mod options;
mod socket;
mod stream;

pub use listener::TcpListener;
pub use socket::TcpSocket;
pub use stream::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, ReuniteError, TcpStream, WriteHalf};

use std::io;
use std::net::SocketAddr;
use std::os::fd::BorrowedFd;

use rustix::net::SocketAddrAny;

use super::block::kind::{ByteStream, End, Socket};

/// The kind of a TCP socket.
enum Tcp {}

impl Socket for Tcp {
    type Addr = SocketAddr;

    fn addr(_fd: BorrowedFd<'_>, _end: End, written: SocketAddrAny) -> io::Result<SocketAddr> {
        Ok(SocketAddr::try_from(written)?)
    }
}

impl ByteStream for Tcp {}
