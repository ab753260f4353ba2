//! Descriptors before they are registered.

use std::io;
use std::os::fd::OwnedFd;

use rustix::net::{AddressFamily, SocketFlags, SocketType};

use crate::reactor::{Close, Io};
use crate::runtime::context;

/// Non-blocking and closed on exec, as all our sockets are.
pub(crate) const FLAGS: SocketFlags = SocketFlags::NONBLOCK.union(SocketFlags::CLOEXEC);

pub(crate) fn new_socket(family: AddressFamily, socket_type: SocketType) -> io::Result<OwnedFd> {
    Ok(rustix::net::socket_with(family, socket_type, FLAGS, None)?)
}

/// Registers a descriptor of any mode with the current runtime.
///
/// # Panics
///
/// Outside a runtime.
#[track_caller]
pub(crate) fn register_blocking(fd: OwnedFd, close: Close) -> io::Result<Io> {
    // First, so that a panic changes nothing.
    let home = context::home();
    rustix::io::ioctl_fionbio(&fd, true)?;
    Io::new(home, fd, close)
}
