//! Sockets with something unread in their error queue: `POLLERR` for as long as it is there, though
//! a read or a write would block. The loop sleeps nevertheless, and misses nothing.
#![allow(unsafe_code)] // setsockopt(2) and send(2), with flags that nobody wraps.

mod common;

use std::fmt::Debug;
use std::future::poll_fn;
use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd};
use std::rc::Rc;
use std::time::Duration;

use aio_runtime::io::{AsyncReadExt, AsyncWriteExt};
use aio_runtime::net::{TcpStream, UdpSocket};
use aio_runtime::time::{sleep, timeout};
use aio_runtime::{Handle, spawn};
use common::datagrams::{deserted, received, socket};
use common::{fill, processor_time, run, soon, stream_and_peer};

/// How long a wait is watched.
const WHILE: Duration = Duration::from_millis(500);

fn set_option(socket: impl AsFd, level: libc::c_int, option: libc::c_int, value: libc::c_int) {
    let fd = socket.as_fd().as_raw_fd();
    let len = size_of_val(&value) as libc::socklen_t;
    // SAFETY: the kernel reads `len` bytes at `value`.
    let set = unsafe { libc::setsockopt(fd, level, option, (&raw const value).cast(), len) };
    assert_eq!(set, 0, "{}", std::io::Error::last_os_error());
}

/// A stream whose bytes were sent by `MSG_ZEROCOPY`, and nobody has read that this is done.
fn with_zerocopy() -> (TcpStream, std::net::TcpStream) {
    let (stream, mut peer) = stream_and_peer();
    set_option(&stream, libc::SOL_SOCKET, libc::SO_ZEROCOPY, 1);
    let bytes = vec![7; 64 << 10];
    // SAFETY: the kernel reads the bytes, which live until the peer has them all.
    let sent =
        unsafe { libc::send(stream.as_fd().as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), libc::MSG_ZEROCOPY) };
    assert!(sent > 0, "{}", std::io::Error::last_os_error());
    peer.read_exact(&mut vec![0; sent as usize]).unwrap();
    (stream, peer)
}

/// A stream whose byte was sent with a time stamp, which nobody has read.
fn with_time_stamp() -> (TcpStream, std::net::TcpStream) {
    let (stream, mut peer) = stream_and_peer();
    let (tx_software, software, ts_only) = (1 << 1, 1 << 4, 1 << 11);
    set_option(&stream, libc::SOL_SOCKET, libc::SO_TIMESTAMPING, tx_software | software | ts_only);
    // SAFETY: the kernel reads one byte, which is static.
    let sent = unsafe { libc::send(stream.as_fd().as_raw_fd(), b"t".as_ptr().cast(), 1, 0) };
    assert_eq!(sent, 1);
    peer.read_exact(&mut [0]).unwrap();
    (stream, peer)
}

/// Runs a wait that does not end, for a while, and expects that the loop sleeps.
async fn assert_sleeps<T: Debug>(wait: impl Future<Output = T>) {
    let (before, busy_before) = (Handle::current().metrics(), processor_time());
    let found = timeout(WHILE, wait).await;
    assert!(found.is_err(), "there is nothing to find: {found:?}");
    let (after, busy) = (Handle::current().metrics(), processor_time() - busy_before);
    let turns = after.turns - before.turns;
    assert!(turns < 50, "{turns} turns in {WHILE:?}: {after:#?}");
    assert!(busy < WHILE / 5, "{busy:?} of {WHILE:?} on the processor");
    assert!(after.contradictions >= 3, "{after:#?}");
    assert_eq!(after.fds_edge_triggered, 1, "{after:#?}");
}

/// Reads that wait, then bytes, then the end.
fn reads(connect: fn() -> (TcpStream, std::net::TcpStream)) {
    run(async {
        let (stream, mut peer) = connect();
        let mut stream = &stream;
        assert_sleeps(stream.read(&mut [0])).await;
        for round in 0..10 {
            let mut buf = [0; 16];
            let writes = spawn({
                let mut peer = peer.try_clone().unwrap();
                async move {
                    sleep(Duration::from_millis(1)).await;
                    peer.write_all(&[round]).unwrap();
                }
            });
            assert_eq!(soon("a byte", stream.read(&mut buf)).await.unwrap(), 1);
            assert_eq!(buf[0], round);
            writes.await.unwrap();
        }
        // Short, and the end may have been signalled with it.
        peer.write_all(b"end").unwrap();
        peer.shutdown(Shutdown::Write).unwrap();
        let mut rest = Vec::new();
        soon("the end", stream.read_to_end(&mut rest)).await.unwrap();
        assert_eq!(rest, b"end");
        let after = Handle::current().metrics();
        assert!(after.turns < 300, "{after:#?}");
    });
}

#[test]
fn a_read_sleeps_while_a_zerocopy_completion_is_unread() {
    reads(with_zerocopy);
}

#[test]
fn a_read_sleeps_while_a_time_stamp_is_unread() {
    reads(with_time_stamp);
}

#[test]
fn a_write_sleeps_while_a_completion_is_unread_and_goes_on_when_there_is_room() {
    run(async {
        let (stream, mut peer) = with_zerocopy();
        let mut stream = &stream;
        let sent = fill(stream);
        assert_sleeps(stream.write_all(&[1])).await;
        let reader = std::thread::spawn(move || {
            let mut bytes = vec![0; sent + 3];
            peer.read_exact(&mut bytes).unwrap();
            peer
        });
        soon("room", stream.write_all(b"end")).await.unwrap();
        reader.join().unwrap();
    });
}

/// Waits for readiness that attempts deny, then for a byte.
fn readiness(wait: impl AsyncFn(&TcpStream) -> io::Result<()>) {
    run(async {
        let (stream, mut peer) = with_time_stamp();
        let mut attempts = 0;
        let all_in_vain = async {
            loop {
                wait(&stream).await.unwrap();
                attempts += 1;
                assert_eq!(stream.try_read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
            }
        };
        assert_sleeps(all_in_vain).await;
        assert!(attempts < 10, "{attempts}");
        peer.write_all(b"x").unwrap();
        soon("a byte", wait(&stream)).await.unwrap();
        assert_eq!(stream.try_read(&mut [0]).unwrap(), 1);
    });
}

#[test]
fn a_receive_sleeps_while_a_refusal_is_unread() {
    run(async {
        let (socket, address) = socket().await;
        let deserted = deserted();
        set_option(&socket, libc::IPPROTO_IP, libc::IP_RECVERR, 1);
        socket.connect(deserted).await.unwrap();
        socket.send(b"anybody?").await.unwrap();
        // The receive is told, and the queue has it too.
        let error = soon("the refusal", socket.recv(&mut [0])).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        assert_sleeps(socket.recv(&mut [0])).await;
        let peer = Rc::new(UdpSocket::bind(deserted).await.unwrap());
        for round in 0..10 {
            let sends = spawn({
                let peer = Rc::clone(&peer);
                async move {
                    sleep(Duration::from_millis(1)).await;
                    peer.send_to(&[round], address).await.unwrap();
                }
            });
            assert_eq!(received(&socket).await, [round]);
            sends.await.unwrap();
        }
    });
}

#[test]
fn readiness_is_not_claimed_again_and_again() {
    readiness(async |stream| stream.readable().await);
    readiness(async |stream| poll_fn(|cx| stream.poll_read_ready(cx)).await);
}
