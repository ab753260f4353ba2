//! Closing: what is dropped is closed at once, though an armed poll would keep it open.

use std::io::{ErrorKind, Read, Write};
use std::pin::pin;
use std::time::{Duration, Instant};

use aio_runtime::io::{AsyncReadExt, AsyncWriteExt};
use aio_runtime::time::sleep;
use aio_runtime::{Runtime, spawn};

use super::{AT_ONCE, stream_and_peer, text_of, watch_end};
use crate::common::{Clean, pattern, poll_once, run, soon, turn};
use crate::kind::{Deserted, Stream, bind_now, connect_std, listen};

#[test]
fn a_stream_dropped_with_a_read_pending() {
    run(async {
        for _ in 0..20 {
            let (stream, peer) = stream_and_peer();
            let end = watch_end(peer);
            assert!(!poll_once(pin!((&stream).read(&mut [0]))));
            turn().await;
            let dropped = Instant::now();
            drop(stream);
            let (seen, read) = soon("the end of the stream", end).await.unwrap();
            assert_eq!(read.unwrap(), 0);
            assert!(seen - dropped < AT_ONCE, "{:?}", seen - dropped);
        }
    });
}

/// Writes until a write would wait. Returns the bytes written.
fn fill_for_now(stream: &Stream) -> usize {
    let block = pattern(65536);
    std::iter::from_fn(|| stream.try_write(&block).ok()).sum()
}

#[test]
fn a_stream_dropped_with_a_read_and_a_write_pending() {
    run(async {
        for _ in 0..5 {
            let (stream, peer) = stream_and_peer();
            let mut written = fill_for_now(&stream);
            assert!(!poll_once(pin!((&stream).read(&mut [0]))));
            // TCP finds some more room at times.
            while poll_once(pin!((&stream).write(b"x"))) {
                written += 1;
            }
            turn().await;
            let dropped = Instant::now();
            drop(stream);
            let (seen, read) = soon("the end of the stream", watch_end(peer)).await.unwrap();
            assert_eq!(read.unwrap(), written);
            assert!(seen - dropped < AT_ONCE, "{:?}", seen - dropped);
        }
    });
}

#[test]
fn a_task_aborted_with_a_read_pending() {
    run(async {
        let (mut stream, peer) = stream_and_peer();
        let end = watch_end(peer);
        let task = spawn(async move { stream.read(&mut [0]).await });
        sleep(Duration::from_millis(1)).await;
        let aborted = Instant::now();
        task.abort();
        let (seen, read) = soon("the end of the stream", end).await.unwrap();
        assert_eq!(read.unwrap(), 0);
        assert!(seen - aborted < AT_ONCE, "{:?}", seen - aborted);
    });
}

#[test]
fn a_stream_dropped_after_its_read_was_forgotten() {
    run(async {
        let (stream, peer) = stream_and_peer();
        let end = watch_end(peer);
        let stream = Box::new(stream);
        let mut readable = Box::pin(async {
            assert!(stream.try_read(&mut [0]).is_err());
            stream.readable().await
        });
        assert!(!poll_once(readable.as_mut()));
        turn().await;
        std::mem::forget(readable);
        drop(stream);
        assert_eq!(soon("the end of the stream", end).await.unwrap().1.unwrap(), 0);
    });
}

#[test]
fn a_stream_dropped_in_the_future_of_block_on() {
    let clean = Clean::begin();
    let runtime = Runtime::new().unwrap();
    let mut peer = runtime.block_on(async {
        let (stream, peer) = stream_and_peer();
        assert!(!poll_once(pin!((&stream).read(&mut [0]))));
        turn().await;
        peer
    });
    // Nothing drives the runtime any more.
    peer.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    assert_eq!(peer.read(&mut [0]).unwrap(), 0);
    drop(peer);
    clean.end(runtime);
}

#[test]
fn a_stream_dropped_outside_block_on() {
    let clean = Clean::begin();
    let runtime = Runtime::new().unwrap();
    let (stream, mut peer) = runtime.block_on(async {
        let (stream, peer) = stream_and_peer();
        assert!(!poll_once(pin!((&stream).read(&mut [0]))));
        turn().await;
        (stream, peer)
    });
    drop(stream);
    peer.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    assert_eq!(peer.read(&mut [0]).unwrap(), 0);
    drop(peer);
    clean.end(runtime);
}

#[test]
fn a_stream_turned_into_std_keeps_nothing_armed() {
    run(async {
        let (stream, peer) = stream_and_peer();
        assert!(!poll_once(pin!((&stream).read(&mut [0]))));
        turn().await;
        let stream = stream.into_std().unwrap();
        let end = watch_end(peer);
        drop(stream);
        assert_eq!(soon("the end of the stream", end).await.unwrap().1.unwrap(), 0);
    });
}

#[test]
fn halves_dropped_in_either_order() {
    run(async {
        for read_half_first in [true, false] {
            for _ in 0..5 {
                let (stream, peer) = stream_and_peer();
                let mut written = fill_for_now(&stream);
                let (mut reader, mut writer) = stream.into_split();
                assert!(!poll_once(pin!(reader.read(&mut [0]))));
                while poll_once(pin!(writer.write(b"x"))) {
                    written += 1;
                }
                turn().await;
                let end = watch_end(peer.try_clone().unwrap());
                if read_half_first {
                    drop(reader);
                    turn().await;
                    drop(writer);
                } else {
                    drop(writer);
                    turn().await;
                    drop(reader);
                }
                assert_eq!(soon("the end of the stream", end).await.unwrap().1.unwrap(), written);
                // Both sides are closed: the peer's writes meet nobody.
                let mut peer = peer;
                peer.set_nonblocking(true).unwrap();
                let refused = async {
                    while !peer.write(b"x").is_err_and(|error| error.kind() != ErrorKind::WouldBlock) {
                        sleep(Duration::from_millis(1)).await;
                    }
                };
                soon("the reset", refused).await;
            }
        }
    });
}

#[test]
fn a_listener_dropped_and_bound_again() {
    run(async {
        let mut listener = listen().await;
        let address = listener.local_addr().unwrap();
        for _ in 0..20 {
            drop(listener);
            listener = bind_now(&address);
        }
    });
}

#[test]
fn a_listener_dropped_and_bound_again_after_a_dropped_accept() {
    run(async {
        let mut listener = listen().await;
        let address = listener.local_addr().unwrap();
        for _ in 0..20 {
            assert!(!poll_once(pin!(listener.accept())));
            turn().await;
            drop(listener);
            listener = bind_now(&address);
        }
        // The last one is the one that accepts.
        let peer = connect_std(&address).unwrap();
        let (_, accepted) = soon("an accept", listener.accept()).await.unwrap();
        assert_eq!(text_of(Ok(accepted)), text_of(peer.local_addr()));
    });
}

#[test]
fn a_listener_dropped_and_bound_again_after_a_forgotten_accept() {
    run(async {
        let listener = Box::new(listen().await);
        let address = listener.local_addr().unwrap();
        let mut accepting = Box::pin(listener.accept());
        assert!(!poll_once(accepting.as_mut()));
        turn().await;
        std::mem::forget(accepting);
        drop(listener);
        drop(bind_now(&address));
    });
}

#[test]
fn a_listener_dropped_with_its_task_and_bound_again() {
    run(async {
        let listener = listen().await;
        let address = listener.local_addr().unwrap();
        let accepting = spawn(async move { listener.accept().await.map(drop) });
        sleep(Duration::from_millis(1)).await;
        accepting.abort();
        assert!(soon("the abort", accepting).await.unwrap_err().is_cancelled());
        drop(bind_now(&address));
    });
}

#[test]
fn a_dropped_listener_accepts_nobody() {
    run(async {
        let listener = listen().await;
        let address = listener.local_addr().unwrap();
        assert!(!poll_once(pin!(listener.accept())));
        turn().await;
        drop(listener);
        let deserted = Deserted::at(&address);
        let error = connect_std(&deserted.address()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    });
}

#[test]
fn a_descriptor_number_is_reused() {
    run(async {
        // Each stream has the descriptor of the one before, whose cancelled poll's event is still
        // to come.
        for round in 0..200_u8 {
            let (stream, mut peer) = stream_and_peer();
            let mut reading = Box::pin(async move {
                let mut byte = [0];
                (&stream).read_exact(&mut byte).await.unwrap();
                byte
            });
            assert!(!poll_once(reading.as_mut()));
            if round % 2 == 0 {
                turn().await;
                drop(reading);
            } else {
                peer.write_all(&[round]).unwrap();
                assert_eq!(soon("the byte", reading).await, [round]);
            }
        }
    });
}
