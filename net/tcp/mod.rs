//! TCP: listeners, streams and their halves.

mod halves;
mod listener;
mod stream;

pub use listener::TcpListener;
pub use stream::TcpStream;

/// The half of a borrowed [`TcpStream`] that reads.
pub type ReadHalf<'a> = super::block::split::ReadHalf<'a, TcpStream>;
/// The half of a borrowed [`TcpStream`] that writes.
pub type WriteHalf<'a> = super::block::split::WriteHalf<'a, TcpStream>;
/// The half of a [`TcpStream`] that reads.
pub type OwnedReadHalf = super::block::split::OwnedReadHalf<TcpStream>;
/// The half of a [`TcpStream`] that writes; dropped, it ends the write side.
pub type OwnedWriteHalf = super::block::split::OwnedWriteHalf<TcpStream>;
/// The halves are not of one stream.
pub type ReuniteError = super::block::split::ReuniteError<TcpStream>;

use std::io;
use std::net::SocketAddr;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::net::{AddressFamily, SocketFlags, SocketType};

/// A new socket for an address's family, non-blocking and closed on exec.
fn socket_for(addr: &SocketAddr) -> io::Result<OwnedFd> {
    let family = if addr.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    Ok(rustix::net::socket_with(family, SocketType::STREAM, flags, None)?)
}

/// The address that a socket is bound to.
fn local_addr(fd: BorrowedFd<'_>) -> io::Result<SocketAddr> {
    Ok(SocketAddr::try_from(rustix::net::getsockname(fd)?)?)
}
