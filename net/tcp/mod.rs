//! TCP: listeners, streams and their halves.

mod listener;
mod stream;

pub use listener::TcpListener;
pub use stream::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, ReuniteError, TcpStream, WriteHalf};

use std::io;
use std::net::SocketAddr;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::net::{AddressFamily, SocketAddrAny, SocketFlags, SocketType};

use super::block::kind::{End, Socket};

/// The kind of a TCP socket.
enum Tcp {}

impl Socket for Tcp {
    type Addr = SocketAddr;

    fn addr(_fd: BorrowedFd<'_>, _end: End, written: SocketAddrAny) -> io::Result<SocketAddr> {
        Ok(SocketAddr::try_from(written)?)
    }
}

/// A new socket for an address's family, non-blocking and closed on exec.
fn socket_for(addr: &SocketAddr) -> io::Result<OwnedFd> {
    let family = if addr.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    Ok(rustix::net::socket_with(family, SocketType::STREAM, flags, None)?)
}
