//! `SO_PEERCRED`: who is at the other end of a socket. rustix 1.1 cannot read it, as it assumes
//! that the process id is not zero. The kernel says 0 for a peer in another PID namespace, as
//! between containers; rustix then reads an invalid value, and returns an error that the kernel did
//! not.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// `SO_PEERCRED`.
pub(crate) fn peer_credentials(fd: BorrowedFd<'_>) -> io::Result<libc::ucred> {
    let mut credentials = libc::ucred { pid: 0, uid: 0, gid: 0 };
    let mut len = size_of::<libc::ucred>() as libc::socklen_t;
    let (value, len) = (&raw mut credentials, &raw mut len);
    // SAFETY: `fd` is open. `value` and `len` point to locals that outlive the call, `len` says how
    // many bytes `value` has, and every value of those bytes is a `ucred`.
    let failed = unsafe { libc::getsockopt(fd.as_raw_fd(), libc::SOL_SOCKET, libc::SO_PEERCRED, value.cast(), len) };
    match failed {
        0 => Ok(credentials),
        _ => Err(io::Error::last_os_error()),
    }
}
