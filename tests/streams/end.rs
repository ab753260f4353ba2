//! The peer's end: what its closing looks like.

use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::thread;

use aio_runtime::io::{AsyncReadExt, AsyncWriteExt};
use aio_runtime::spawn;

use super::stream_and_peer;
use crate::common::{fill, run, soon, turn};
use crate::kind::reset;

#[test]
fn data_and_end_sent_at_once() {
    run(async {
        for round in 0..50 {
            let (mut stream, mut peer) = stream_and_peer();
            let reading = spawn(async move {
                let mut text = Vec::new();
                // One byte at a time, so that the end is met by a read that waits and by one that
                // does not.
                loop {
                    let mut byte = [0];
                    match stream.read(&mut byte).await.unwrap() {
                        0 => return text,
                        _ => text.push(byte[0]),
                    }
                }
            });
            if round % 2 == 0 {
                turn().await;
            }
            peer.write_all(b"data").unwrap();
            drop(peer);
            assert_eq!(soon("data and end", reading).await.unwrap(), b"data");
        }
    });
}

#[test]
fn the_end_alone() {
    run(async {
        let (mut stream, peer) = stream_and_peer();
        let reading = spawn(async move {
            let read = stream.read(&mut [0]).await.unwrap();
            // The end stays.
            assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
            read
        });
        turn().await;
        drop(peer);
        assert_eq!(soon("the end", reading).await.unwrap(), 0);
    });
}

#[test]
fn half_closed_by_the_peer() {
    run(async {
        let (mut stream, mut peer) = stream_and_peer();
        let reading = spawn(async move {
            assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
            stream.write_all(b"still here").await.unwrap();
        });
        turn().await;
        peer.shutdown(Shutdown::Write).unwrap();
        soon("the half close", reading).await.unwrap();
        let mut text = String::new();
        peer.read_to_string(&mut text).unwrap();
        assert_eq!(text, "still here");
    });
}

#[test]
fn half_closed_while_a_write_waits() {
    run(async {
        let (stream, mut peer) = stream_and_peer();
        let written = fill(&stream);
        let (mut reader, mut writer) = stream.into_split();
        let writing = spawn(async move { writer.write_all(b"the rest").await });
        let reading = spawn(async move { reader.read(&mut [0]).await });
        turn().await;
        // The FIN wakes both, and is the reader's alone.
        peer.shutdown(Shutdown::Write).unwrap();
        assert_eq!(soon("the end", reading).await.unwrap().unwrap(), 0);
        assert!(!writing.is_finished());
        let draining = thread::spawn(move || {
            let mut received = Vec::new();
            peer.read_to_end(&mut received).unwrap();
            received.len()
        });
        soon("the write", writing).await.unwrap().unwrap();
        assert_eq!(draining.join().unwrap(), written + b"the rest".len());
    });
}

#[test]
fn a_reset_wakes_readers_and_writers() {
    run(async {
        let (stream, peer) = stream_and_peer();
        fill(&stream);
        let (mut reader, mut writer) = stream.into_split();
        let reading = spawn(async move { reader.read(&mut [0]).await });
        let writing = spawn(async move { writer.write(b"x").await });
        turn().await;
        reset(peer);
        let read = soon("the reader", reading).await.unwrap();
        let written = soon("the writer", writing).await.unwrap().unwrap_err();
        // The first of the two to look takes the error; the other finds a connection that is no
        // more.
        match read {
            Ok(read) => assert_eq!((read, written.kind()), (0, ErrorKind::ConnectionReset)),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::ConnectionReset);
                assert_eq!(written.kind(), ErrorKind::BrokenPipe);
            }
        }
    });
}

#[test]
fn a_reset_with_nobody_waiting() {
    run(async {
        let (mut stream, peer) = stream_and_peer();
        stream.write_all(b"unread").await.unwrap();
        reset(peer);
        let error = soon("the reset", stream.read(&mut [0])).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        assert_eq!(stream.write(b"x").await.unwrap_err().kind(), ErrorKind::BrokenPipe);
    });
}
