//! Addresses of Unix sockets.

use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::os::fd::BorrowedFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net;
use std::path::Path;

use rustix::net::{SocketAddrAny, SocketAddrUnix};

use crate::net::block::kind::End;

/// The address of a Unix socket: a path, an abstract name, or none at all.
///
/// It converts from and to [`std::os::unix::net::SocketAddr`].
#[derive(Clone)]
pub struct SocketAddr(net::SocketAddr);

impl SocketAddr {
    /// Whether the socket is unnamed, like a client's socket or the sockets of a
    /// [pair](super::UnixStream::pair).
    pub fn is_unnamed(&self) -> bool {
        self.0.is_unnamed()
    }

    /// The path, if it is named by one.
    pub fn as_pathname(&self) -> Option<&Path> {
        self.0.as_pathname()
    }

    /// The name in the abstract namespace, without the leading zero byte, if it has one.
    pub fn as_abstract_name(&self) -> Option<&[u8]> {
        self.0.as_abstract_name()
    }

    /// What `path` names: a path, or an abstract name if it starts with a zero byte.
    pub(super) fn named(path: &Path) -> io::Result<Self> {
        let address = match path.as_os_str().as_bytes() {
            [0, name @ ..] => net::SocketAddr::from_abstract_name(name),
            _ => net::SocketAddr::from_pathname(path),
        };
        address.map(Self)
    }

    /// The address of an end of `fd`, as the kernel has `written` it.
    pub(super) fn of(fd: BorrowedFd<'_>, end: End, written: SocketAddrAny) -> io::Result<Self> {
        if is_longest(&written) { Self::longest_of(fd, end) } else { Self::from_kernel(written) }
    }

    /// The address of a datagram's sender, as the kernel has `written` it; nothing for one without
    /// a name.
    pub(super) fn of_sender(written: Option<SocketAddrAny>) -> io::Result<Self> {
        match written {
            // There is no socket to ask for the longest ones, and the datagram has been received.
            Some(written) if !is_longest(&written) => Self::from_kernel(written),
            _ => Self::unnamed(),
        }
    }

    /// An empty path is std's unnamed address.
    fn unnamed() -> io::Result<Self> {
        net::SocketAddr::from_pathname("").map(Self)
    }

    fn from_kernel(written: SocketAddrAny) -> io::Result<Self> {
        if written.addr_len() as usize <= size_of::<libc::sa_family_t>() {
            return Self::unnamed();
        }
        let address = SocketAddrUnix::try_from(written)?;
        match (address.abstract_name(), address.path_bytes()) {
            (Some(name), _) => net::SocketAddr::from_abstract_name(name),
            (None, path) => net::SocketAddr::from_pathname(OsStr::from_bytes(path.unwrap_or_default())),
        }
        .map(Self)
    }

    /// A path may take all 108 bytes of `sun_path`, and then the kernel writes a zero byte behind
    /// the structure. rustix panics at that. std constructs no such address, but can ask for one.
    #[cold]
    fn longest_of(fd: BorrowedFd<'_>, end: End) -> io::Result<Self> {
        let socket = net::UnixStream::from(fd.try_clone_to_owned()?);
        match end {
            End::Local => socket.local_addr(),
            End::Peer => socket.peer_addr(),
        }
        .map(Self)
    }

    /// For `bind` and `connect`.
    pub(super) fn to_kernel(&self) -> io::Result<SocketAddrUnix> {
        match (self.as_pathname(), self.as_abstract_name()) {
            (Some(path), _) => Ok(SocketAddrUnix::new(path)?),
            (None, Some(name)) => Ok(SocketAddrUnix::new_abstract_name(name)?),
            (None, None) => Ok(SocketAddrUnix::new_unnamed()),
        }
    }
}

impl fmt::Debug for SocketAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<net::SocketAddr> for SocketAddr {
    fn from(address: net::SocketAddr) -> Self {
        Self(address)
    }
}

impl From<SocketAddr> for net::SocketAddr {
    fn from(address: SocketAddr) -> Self {
        address.0
    }
}

/// Whether a path takes more than its field: see [`SocketAddr::longest_of`].
fn is_longest(written: &SocketAddrAny) -> bool {
    written.addr_len() as usize > size_of::<libc::sockaddr_un>()
}
