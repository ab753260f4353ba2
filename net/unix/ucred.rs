//! The credentials of a process.

use std::io;
use std::os::fd::BorrowedFd;

use crate::reactor::peer_credentials;

/// A user's ID.
#[expect(non_camel_case_types, reason = "tokio's name, and C's")]
pub type uid_t = u32;

/// A group's ID.
#[expect(non_camel_case_types, reason = "tokio's name, and C's")]
pub type gid_t = u32;

/// A process's ID.
#[expect(non_camel_case_types, reason = "tokio's name, and C's")]
pub type pid_t = i32;

/// The credentials of the process at the other end of a Unix socket; see
/// [`UnixStream::peer_cred`](super::UnixStream::peer_cred).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct UCred {
    pid: pid_t,
    uid: uid_t,
    gid: gid_t,
}

impl UCred {
    /// Of the peer of a connected socket.
    pub(super) fn of_peer(fd: BorrowedFd<'_>) -> io::Result<Self> {
        let libc::ucred { pid, uid, gid } = peer_credentials(fd)?;
        Ok(Self { pid, uid, gid })
    }

    /// Its effective user ID.
    pub fn uid(&self) -> uid_t {
        self.uid
    }

    /// Its effective group ID.
    pub fn gid(&self) -> gid_t {
        self.gid
    }

    /// Its process ID; 0 if it has none in this process's PID namespace, as between containers.
    /// Always `Some` on Linux.
    pub fn pid(&self) -> Option<pid_t> {
        Some(self.pid)
    }
}
