//! Unix streams with one end registered. One is full when the first write fails, and stays so until
//! the peer reads. TCP would move bytes to the peer's buffer later, and take more.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use super::super::{Io, Reactor};
use super::{register, set_nonblocking, wait_until};

/// A registered stream, and its peer. Neither blocks.
pub(super) fn stream_and_peer(reactor: &Reactor) -> (Io, UnixStream) {
    let (near, far) = UnixStream::pair().unwrap();
    set_nonblocking(&near);
    set_nonblocking(&far);
    (register(reactor, near), far)
}

pub(super) fn send(fd: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<usize> {
    Ok(rustix::net::send(fd, bytes, rustix::net::SendFlags::NOSIGNAL)?)
}

/// Sends until the stream is full.
pub(super) fn fill(stream: impl AsFd) {
    loop {
        match send(stream.as_fd(), &[0; 4096]) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
            Err(error) => panic!("{error}"),
        }
    }
}

/// Takes all bytes that have been sent.
pub(super) fn empty(stream: impl AsFd) {
    while rustix::io::read(&stream, &mut [0; 4096]).is_ok_and(|read| read > 0) {}
}

/// Asserts that the peer sees the close of a stream at once, while the loop turns.
#[track_caller]
pub(super) fn assert_sees_close(reactor: &Reactor, peer: impl AsFd) {
    wait_until("the peer sees the close", || {
        reactor.turn();
        // What was sent before comes first.
        rustix::io::read(&peer, &mut [0; 4096]) == Ok(0)
    });
}
