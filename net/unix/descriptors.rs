//! Descriptors that travel along with bytes (`SCM_RIGHTS`).

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::cmsg_space;
use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, SocketAddrAny, SocketAddrUnix, recvmsg, sendmsg, sendmsg_addr,
};

use crate::reactor::explain;

/// `SCM_MAX_FD`: the most descriptors that one message carries.
const MOST: usize = 253;

/// What was received at once.
pub(super) struct Received {
    pub(super) len: usize,
    pub(super) fds: Vec<OwnedFd>,
    /// Of a datagram.
    pub(super) sender: Option<SocketAddrAny>,
}

/// Sends bytes and descriptors on a stream. Without a byte the kernel would send nothing, and say
/// nothing.
pub(super) fn send_on_stream(fd: BorrowedFd<'_>, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<usize> {
    if bytes.is_empty() && !fds.is_empty() {
        return Err(explain(Errno::INVAL, "descriptors travel on a stream only with at least one byte"));
    }
    send(fd, bytes, fds, None)
}

/// Sends bytes and descriptors, to `target` or to the peer that the socket is connected to.
pub(super) fn send(
    fd: BorrowedFd<'_>,
    bytes: &[u8],
    fds: &[BorrowedFd<'_>],
    target: Option<&SocketAddrUnix>,
) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(MOST))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    // A message of none is ignored by the kernel.
    if fds.len() > MOST || !control.push(SendAncillaryMessage::ScmRights(fds)) {
        let text = format!("{} descriptors at once, where a message carries at most {MOST}", fds.len());
        return Err(explain(Errno::INVAL, text));
    }
    let bytes = [IoSlice::new(bytes)];
    Ok(match target {
        Some(target) => sendmsg_addr(fd, target, &bytes, &mut control, SendFlags::NOSIGNAL),
        None => sendmsg(fd, &bytes, &mut control, SendFlags::NOSIGNAL),
    }?)
}

/// Receives bytes, and all descriptors that have come with them: there is room for as many as can
/// come.
pub(super) fn recv(fd: BorrowedFd<'_>, buf: &mut [u8]) -> io::Result<Received> {
    // Of a socket with SO_PASSCRED, credentials come first.
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(MOST), ScmCredentials(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let message = recvmsg(fd, &mut [IoSliceMut::new(buf)], &mut control, RecvFlags::CMSG_CLOEXEC)?;
    let mut fds = Vec::new();
    for ancillary in control.drain() {
        if let RecvAncillaryMessage::ScmRights(received) = ancillary {
            fds.extend(received);
        }
    }
    if message.flags.contains(ReturnFlags::CTRUNC) {
        // Those that did come are closed here: a part of them is of no use.
        return Err(io::Error::other(format!(
            "descriptors that came with {} bytes were lost: the process may have no more open (RLIMIT_NOFILE), or a \
             security module keeps them from it",
            message.bytes
        )));
    }
    Ok(Received { len: message.bytes, fds, sender: message.address })
}
