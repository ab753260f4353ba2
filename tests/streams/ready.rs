//! Readiness, for futures that are written by hand.

use std::future::poll_fn;
use std::io::{ErrorKind, Read, Write};
use std::pin::pin;

use aio_runtime::spawn;
use aio_runtime::task::yield_now;

use super::stream_and_peer;
use crate::common::{fill, poll_once, run, soon};
use crate::kind::{Stream, reset};

async fn read_ready(stream: &Stream) {
    soon("read readiness", poll_fn(|cx| stream.poll_read_ready(cx))).await.unwrap();
}

fn is_read_ready(stream: &Stream) -> bool {
    poll_once(pin!(poll_fn(|cx| stream.poll_read_ready(cx))))
}

async fn write_ready(stream: &Stream) {
    soon("write readiness", poll_fn(|cx| stream.poll_write_ready(cx))).await.unwrap();
}

fn is_write_ready(stream: &Stream) -> bool {
    poll_once(pin!(poll_fn(|cx| stream.poll_write_ready(cx))))
}

#[test]
fn data_makes_it_readable_until_it_is_read() {
    run(async {
        let (stream, mut peer) = stream_and_peer();
        for _ in 0..3 {
            assert!(!is_read_ready(&stream));
            peer.write_all(b"xy").unwrap();
            read_ready(&stream).await;
            assert!(is_read_ready(&stream));
            assert_eq!(stream.try_read(&mut [0; 4]).unwrap(), 2);
            assert_eq!(stream.try_read(&mut [0; 4]).unwrap_err().kind(), ErrorKind::WouldBlock);
        }
    });
}

#[test]
fn a_task_that_waits_is_woken() {
    run(async {
        let (stream, mut peer) = stream_and_peer();
        let waits = spawn(async move { read_ready(&stream).await });
        for _ in 0..10 {
            yield_now().await;
        }
        assert!(!waits.is_finished());
        peer.write_all(b"x").unwrap();
        soon("the task", waits).await.unwrap();
    });
}

#[test]
fn room_makes_it_writable_until_it_is_full() {
    run(async {
        let (stream, mut peer) = stream_and_peer();
        write_ready(&stream).await;
        let sent = fill(&stream);
        assert_eq!(stream.try_write(b"x").unwrap_err().kind(), ErrorKind::WouldBlock);
        assert!(!is_write_ready(&stream));
        peer.read_exact(&mut vec![0; sent]).unwrap();
        write_ready(&stream).await;
        assert_eq!(stream.try_write(b"x").unwrap(), 1);
    });
}

#[test]
fn the_end_and_an_error_are_readiness() {
    run(async {
        let (stream, peer) = stream_and_peer();
        drop(peer);
        read_ready(&stream).await;
        assert_eq!(stream.try_read(&mut [0]).unwrap(), 0);

        let (stream, peer) = stream_and_peer();
        stream.try_write(b"unread").unwrap();
        reset(peer);
        read_ready(&stream).await;
        write_ready(&stream).await;
        assert_eq!(stream.try_read(&mut [0]).unwrap_err().kind(), ErrorKind::ConnectionReset);
    });
}
