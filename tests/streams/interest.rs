//! `ready`, `try_io` and `async_io`: waiting for readiness of several kinds, and attempts of one's
//! own.

use std::cell::Cell;
use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::pin::pin;
use std::time::Duration;

use aio_runtime::io::{Interest, Ready};
use aio_runtime::time::timeout;
use rustix::net::{RecvFlags, SendFlags, recv};

use super::stream_and_peer;
use crate::common::{fill, poll_once, run, soon, turn};
use crate::kind::Stream;

const BOTH: Interest = Interest::READABLE.add(Interest::WRITABLE);

fn peek(stream: &Stream) -> io::Result<u8> {
    let mut buf = [0];
    recv(stream, &mut buf, RecvFlags::PEEK)?;
    Ok(buf[0])
}

#[test]
fn what_is_ready_is_told() {
    run(async {
        let (stream, mut peer) = stream_and_peer();
        assert_eq!(soon("room", stream.ready(BOTH)).await.unwrap(), Ready::WRITABLE);
        peer.write_all(b"x").unwrap();
        let ready = soon("data", stream.ready(Interest::READABLE)).await.unwrap();
        assert_eq!(ready, Ready::READABLE);
        assert_eq!(stream.try_read(&mut [0; 8]).unwrap(), 1);
        assert_eq!(stream.try_read(&mut [0; 8]).unwrap_err().kind(), ErrorKind::WouldBlock);
        drop(peer);
        let ready = soon("the end", stream.ready(Interest::READABLE)).await.unwrap();
        assert!(ready.is_readable() && ready.is_read_closed(), "{ready:?}");
    });
}

/// Nobody attempts anything, and the last attempt has found something.
#[test]
fn an_end_that_comes_later_is_told() {
    run(async {
        let (stream, mut peer) = stream_and_peer();
        peer.write_all(b"x").unwrap();
        soon("data", stream.readable()).await.unwrap();
        assert_eq!(stream.try_read(&mut [0; 1]).unwrap(), 1);
        assert!(!poll_once(pin!(stream.ready(Interest::READABLE))), "there is nothing");
        drop(peer);
        let closed = async { while !stream.ready(Interest::READABLE).await.unwrap().is_read_closed() {} };
        soon("the end", closed).await;
    });
}

#[test]
fn a_wait_for_either_ends_with_the_first() {
    run(async {
        let (stream, mut peer) = stream_and_peer();
        fill(&stream);
        assert_eq!(stream.try_write(b"x").unwrap_err().kind(), ErrorKind::WouldBlock);
        assert_eq!(stream.try_read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
        let mut either = pin!(stream.ready(BOTH));
        assert!(!poll_once(either.as_mut()));
        turn().await;
        assert!(!poll_once(either.as_mut()));
        peer.write_all(b"x").unwrap();
        assert_eq!(soon("data", either).await.unwrap(), Ready::READABLE);
    });
}

#[test]
fn a_wait_for_either_that_is_dropped_leaves_nothing() {
    run(async {
        let (stream, peer) = stream_and_peer();
        fill(&stream);
        for _ in 0..3 {
            assert!(!poll_once(pin!(stream.ready(BOTH))));
            turn().await;
        }
        // `run` waits until nothing is armed any more.
        drop((stream, peer));
    });
}

#[test]
fn an_attempt_of_ones_own_waits() {
    run(async {
        for interest in [Interest::READABLE, BOTH, Interest::READABLE | Interest::PRIORITY] {
            let (stream, mut peer) = stream_and_peer();
            let mut peeked = pin!(stream.async_io(interest, || peek(&stream)));
            assert!(!poll_once(peeked.as_mut()));
            turn().await;
            peer.write_all(b"x").unwrap();
            assert_eq!(soon("a byte", peeked).await.unwrap(), b'x');
            assert_eq!(stream.try_read(&mut [0; 2]).unwrap(), 1, "it is still there");
        }
    });
}

/// A TLS library that reads when it is to write, say: there is room all the time.
#[test]
fn an_attempt_that_blocks_on_one_of_two_sleeps() {
    run(async {
        let (stream, mut peer) = stream_and_peer();
        for byte in *b"abc" {
            let attempts = Cell::new(0);
            let mut read = pin!(stream.async_io(BOTH, || {
                attempts.set(attempts.get() + 1);
                let mut buf = [0];
                rustix::io::read(&stream, &mut buf)?;
                Ok(buf[0])
            }));
            timeout(Duration::from_millis(20), read.as_mut()).await.unwrap_err();
            peer.write_all(&[byte]).unwrap();
            assert_eq!(soon("a byte", read).await.unwrap(), byte);
            assert!(attempts.get() < 10, "{attempts:?}");
        }
    });
}

/// The end is no reason to attempt again and again what blocks on something else.
#[test]
fn an_attempt_that_blocks_beside_an_end_sleeps() {
    run(async {
        let (stream, mut peer) = stream_and_peer();
        peer.shutdown(Shutdown::Write).unwrap();
        fill(&stream);
        let attempts = Cell::new(0);
        let mut write = pin!(stream.async_io(BOTH, || {
            attempts.set(attempts.get() + 1);
            Ok(rustix::net::send(&stream, b"x", SendFlags::NOSIGNAL)?)
        }));
        timeout(Duration::from_millis(20), write.as_mut()).await.unwrap_err();
        assert!(attempts.get() < 20, "{attempts:?}");
        let reads = std::thread::spawn(move || {
            let mut drained = vec![0; 1 << 22];
            assert!(peer.read(&mut drained).unwrap() > 0);
            peer
        });
        assert_eq!(soon("room", write).await.unwrap(), 1);
        reads.join().unwrap();
    });
}

#[test]
fn an_attempt_without_waiting_is_made_once() {
    run(async {
        let (stream, mut peer) = stream_and_peer();
        let mut attempts = 0;
        let blocked = stream.try_io(Interest::READABLE, || -> io::Result<()> {
            attempts += 1;
            Err(ErrorKind::WouldBlock.into())
        });
        assert_eq!((blocked.unwrap_err().kind(), attempts), (ErrorKind::WouldBlock, 1));
        assert_eq!(stream.try_io(Interest::WRITABLE, || Ok(rustix::io::write(&stream, b"x")?)).unwrap(), 1);
        peer.read_exact(&mut [0]).unwrap();
        assert_eq!(stream.try_io(BOTH, || peek(&stream)).unwrap_err().kind(), ErrorKind::WouldBlock);
        peer.write_all(b"x").unwrap();
        // What blocked was reading, or writing: nobody knows, so both are waited for.
        soon("data", stream.readable()).await.unwrap();
        assert_eq!(stream.try_io(BOTH, || peek(&stream)).unwrap(), b'x');
    });
}

#[test]
fn a_shared_wait_wakes_each_task() {
    run(async {
        let (stream, mut peer) = stream_and_peer();
        fill(&stream);
        let waits = [(); 3].map(|()| Box::pin(stream.ready(BOTH)));
        let all = futures::future::join_all(waits);
        let send = async {
            turn().await;
            peer.write_all(b"x").unwrap();
        };
        let (all, ()) = soon("all of them", futures::future::join(all, send)).await;
        all.into_iter().for_each(|ready| assert!(ready.unwrap().is_readable()));
    });
}

#[test]
fn halves_wait_too() {
    run(async {
        let (stream, mut peer) = stream_and_peer();
        peer.write_all(b"x").unwrap();
        let (reader, writer) = stream.into_split();
        assert!(soon("data", reader.ready(Interest::READABLE)).await.unwrap().is_readable());
        assert!(soon("room", writer.ready(Interest::WRITABLE)).await.unwrap().is_writable());
    });
}

#[test]
fn on_another_thread_it_waits_too() {
    run(async {
        let (stream, mut peer) = stream_and_peer();
        fill(&stream);
        let thread = std::thread::spawn(move || {
            let ready = futures::executor::block_on(stream.ready(BOTH)).unwrap();
            let read = futures::executor::block_on(stream.async_io(BOTH, || peek(&stream))).unwrap();
            (stream, ready, read)
        });
        aio_runtime::time::sleep(Duration::from_millis(5)).await;
        peer.write_all(b"x").unwrap();
        let joined = aio_runtime::task::spawn_blocking(|| thread.join().unwrap());
        let (_stream, ready, read) = soon("the thread", joined).await.unwrap();
        assert_eq!((ready, read), (Ready::READABLE, b'x'));
    });
}
