//! Priority and error: urgent data, error queues.
#![allow(unsafe_code)]

use std::io::{self, Read};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use rustix::net::{RecvFlags, SendFlags, recv, send};

use super::super::crowd::Crowd;
use super::*;
use crate::reactor::ids::Direction;
use crate::reactor::readiness::{Readiness, Source};
use crate::reactor::tests::sockets::{assert_sees_close, fill, stream_and_peer};
use crate::reactor::tests::{arm_byte, assert_sleeps, in_each_mode, turn_until};

fn tcp_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (far, _) = listener.accept().unwrap();
    set_nonblocking(&near);
    (near, far)
}

fn read_urgent(fd: BorrowedFd<'_>) -> io::Result<u8> {
    let mut byte = [0];
    match recv(fd, &mut byte[..], RecvFlags::OOB) {
        Ok(_) => Ok(byte[0]),
        // There is none.
        Err(Errno::INVAL) => Err(io::ErrorKind::WouldBlock.into()),
        Err(errno) => Err(errno.into()),
    }
}

/// Takes a message from the error queue.
fn read_error(fd: BorrowedFd<'_>) -> io::Result<()> {
    let mut control = [0_u64; 64];
    // SAFETY: all zero is a message header without anything.
    let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
    header.msg_control = control.as_mut_ptr().cast();
    header.msg_controllen = size_of_val(&control) as _;
    // SAFETY: the kernel writes to the header and, within its length, to the control buffer.
    let received = unsafe { libc::recvmsg(fd.as_raw_fd(), &raw mut header, libc::MSG_ERRQUEUE) };
    if received < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn stamp_transmissions(stream: &TcpStream) {
    let flags: libc::c_int = 1 << 1 | 1 << 4 | 1 << 11;
    let len = size_of_val(&flags) as libc::socklen_t;
    // SAFETY: the kernel reads `len` bytes at `flags`.
    let set = unsafe {
        libc::setsockopt(stream.as_raw_fd(), libc::SOL_SOCKET, libc::SO_TIMESTAMPING, (&raw const flags).cast(), len)
    };
    assert_eq!(set, 0);
}

#[test]
fn urgent_data_is_waited_for_beside_plain_data() {
    in_each_mode(1, |reactor| {
        for is_crowded in [false, true] {
            let _crowd = is_crowded.then(|| Crowd::new(reactor));
            let (near, mut far) = tcp_pair();
            let io = register(reactor, near);
            for byte in *b"urgent" {
                let urgent = ManualPoll::pending(reactor, io.io(Direction::Priority, read_urgent));
                let mut plain = ManualPoll::pending(reactor, next_byte(&io));
                assert_sleeps(reactor);
                send(&far, &[byte], SendFlags::OOB).unwrap();
                assert_eq!(urgent.complete(reactor).unwrap(), byte);
                io::Write::write_all(&mut far, b"plain").unwrap();
                let mut rest = 4;
                let begin = Instant::now();
                while plain.poll(reactor).is_pending() {
                    assert!(begin.elapsed() < Duration::from_secs(20));
                    turn_and_park(reactor);
                }
                while rest > 0 {
                    rest -= rustix::io::read(&io, &mut [0; 8]).unwrap();
                }
            }
            assert_sleeps(reactor);
            drop(io);
            let _ = far.read(&mut [0]);
        }
    });
}

#[test]
fn an_error_queue_is_waited_for_beside_reads() {
    in_each_mode(1, |reactor| {
        for is_crowded in [false, true] {
            let _crowd = is_crowded.then(|| Crowd::new(reactor));
            let (near, mut far) = tcp_pair();
            stamp_transmissions(&near);
            let io = register(reactor, near);
            for _ in 0..10 {
                let error = ManualPoll::pending(reactor, io.io(Direction::Error, read_error));
                arm_byte(&io);
                assert_sleeps(reactor);
                send(&io, b"s", SendFlags::empty()).unwrap();
                error.complete(reactor).unwrap();
                far.read_exact(&mut [0]).unwrap();
                // Nothing is left in the queue.
                assert!(read_error(io.as_fd()).is_err());
                let waits = ManualPoll::pending(reactor, next_byte(&io));
                io::Write::write_all(&mut far, b"r").unwrap();
                assert_eq!(waits.complete(reactor).unwrap(), Some(b'r'));
            }
        }
    });
}

#[test]
fn a_close_ends_the_waits_of_all_directions() {
    in_each_mode(1, |reactor| {
        let (io, far) = stream_and_peer(reactor);
        fill(&io);
        arm_own_polls(reactor);
        let before = metrics(reactor);
        for direction in Direction::ALL {
            let attempt = |_: BorrowedFd<'_>| Err::<(), _>(io::ErrorKind::WouldBlock.into());
            drop(ManualPoll::pending(reactor, io.io(direction, attempt)));
        }
        reactor.turn();
        assert_eq!(metrics(reactor).slots_in_use, before.slots_in_use + 4);
        drop(io);
        turn_until(reactor, |now| now.slots_in_use == before.slots_in_use);
        assert_sees_close(reactor, &far);
        assert_eq!(metrics(reactor).cancels, before.cancels + 4);
    });
}

#[test]
fn a_descriptor_without_rare_directions_needs_no_room_for_them() {
    assert!(size_of::<Source>() <= 2 * size_of::<Readiness>() + 32);
    let mut source = Source::new(-1, false);
    assert_eq!(source.directions().count(), 2);
    source.direction(Direction::Error).wait(
        crate::reactor::readiness::Until::Event,
        &mut crate::reactor::readiness::Waiter::Task,
        std::task::Waker::noop().clone(),
        false,
    );
    assert_eq!(source.directions().count(), 4);
}
