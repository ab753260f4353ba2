//! Halves, borrowed and owned, and what shutting one side down does.

use std::io::ErrorKind;
use std::time::Duration;

use aio_runtime::io::{AsyncReadExt, AsyncWriteExt};
use aio_runtime::spawn;
use aio_runtime::time::timeout;
use futures::future::join;

use super::{stream_and_peer, stream_pair, text_of};
use crate::common::{run, soon};
use crate::kind::{Stream, reset};

#[test]
fn halves_that_borrow() {
    run(async {
        let (mut near, mut far) = stream_pair();
        // By method call it would be `AsyncReadExt::split`, which takes the stream.
        let (mut reader, mut writer) = Stream::split(&mut near);
        let echo = async {
            let mut buf = [0; 4];
            far.read_exact(&mut buf).await.unwrap();
            far.write_all(&buf).await.unwrap();
        };
        let mut buf = [0; 4];
        let (read, _) = join(reader.read_exact(&mut buf), async {
            writer.write_all(b"half").await.unwrap();
            echo.await
        })
        .await;
        read.unwrap();
        assert_eq!(&buf, b"half");
        assert!(reader.as_ref().peer_addr().is_ok() && writer.as_ref().local_addr().is_ok());
        // The stream is whole again.
        near.write_all(b"whole").await.unwrap();
    });
}

#[test]
fn halves_that_own() {
    run(async {
        let (near, mut far) = stream_pair();
        let (mut reader, mut writer) = near.into_split();
        let reading = spawn(async move {
            let mut text = String::new();
            reader.read_to_string(&mut text).await.unwrap();
            (text, reader)
        });
        let writing = spawn(async move {
            writer.write_all(b"to the far end").await.unwrap();
            writer
        });
        let writer = writing.await.unwrap();
        far.write_all(b"to the near end").await.unwrap();
        far.close().await.unwrap();
        let (text, reader) = soon("the reading half", reading).await.unwrap();
        assert_eq!(text, "to the near end");
        // Dropping the write half ends its side, and only that.
        drop(writer);
        let mut text = String::new();
        soon("the end of the write side", far.read_to_string(&mut text)).await.unwrap();
        assert_eq!(text, "to the far end");
        drop(reader);
    });
}

#[test]
fn halves_have_what_the_stream_has() {
    run(async {
        let (mut near, mut far) = stream_pair();
        let (near_addr, far_addr) = (text_of(near.local_addr()), text_of(near.peer_addr()));
        far.write_all(b"ab").await.unwrap();
        let mut buf = [0; 2];

        let (mut reader, writer) = Stream::split(&mut near);
        assert_eq!((&text_of(reader.local_addr()), &text_of(writer.peer_addr())), (&near_addr, &far_addr));
        soon("data", reader.readable()).await.unwrap();
        assert_eq!(reader.peek(&mut buf).await.unwrap(), 2);
        assert_eq!((reader.try_read(&mut buf[..1]).unwrap(), buf), (1, *b"ab"));
        soon("room", writer.writable()).await.unwrap();
        assert_eq!(writer.try_write(b"cd").unwrap(), 2);

        let (mut reader, mut writer) = near.into_split();
        assert_eq!((text_of(reader.peer_addr()), text_of(writer.local_addr())), (far_addr, near_addr));
        assert_eq!((reader.peek(&mut buf).await.unwrap(), buf[0]), (1, b'b'));
        soon("data", reader.readable()).await.unwrap();
        assert_eq!(reader.try_read(&mut buf).unwrap(), 1);
        assert_eq!(reader.try_read(&mut buf).unwrap_err().kind(), ErrorKind::WouldBlock);
        soon("room", writer.writable()).await.unwrap();
        assert_eq!(writer.try_write(b"ef").unwrap(), 2);
        writer.shutdown().await.unwrap();
        let mut text = String::new();
        soon("the end of the write side", far.read_to_string(&mut text)).await.unwrap();
        assert_eq!(text, "cdef");
    });
}

#[test]
fn halves_are_reunited() {
    run(async {
        let (near, mut far) = stream_pair();
        let (reader, writer) = near.into_split();
        let mut near = writer.reunite(reader).unwrap();
        near.write_all(b"x").await.unwrap();
        far.read_exact(&mut [0]).await.unwrap();

        let (near_reader, near_writer) = near.into_split();
        let (far_reader, far_writer) = far.into_split();
        let error = near_reader.reunite(far_writer).unwrap_err();
        assert!(error.to_string().contains("not from the same stream"));
        let (near_reader, far_writer) = (error.0, error.1);
        let mut near = near_reader.reunite(near_writer).unwrap();
        let mut far = far_writer.reunite(far_reader).unwrap();
        far.write_all(b"y").await.unwrap();
        soon("a byte after all that", near.read_exact(&mut [0])).await.unwrap();
    });
}

#[test]
fn a_forgotten_write_half_leaves_its_side_open() {
    run(async {
        let (near, mut far) = stream_pair();
        let (reader, writer) = near.into_split();
        writer.forget();
        assert!(timeout(Duration::from_millis(5), far.read(&mut [0])).await.is_err(), "the side was ended");
        drop(reader);
        assert_eq!(soon("the end of the stream", far.read(&mut [0])).await.unwrap(), 0);
    });
}

#[test]
fn shutdown_closes_one_side() {
    run(async {
        let (mut near, mut far) = stream_pair();
        near.write_all(b"last words").await.unwrap();
        near.shutdown().await.unwrap();
        assert_eq!(near.write(b"more").await.unwrap_err().kind(), ErrorKind::BrokenPipe);
        let mut text = String::new();
        soon("the end of the write side", far.read_to_string(&mut text)).await.unwrap();
        assert_eq!(text, "last words");
        far.write_all(b"answer").await.unwrap();
        far.close().await.unwrap();
        text.clear();
        soon("the other side", near.read_to_string(&mut text)).await.unwrap();
        assert_eq!(text, "answer");
    });
}

#[test]
fn shutdown_after_a_reset() {
    run(async {
        let (mut stream, peer) = stream_and_peer();
        stream.write_all(b"unread").await.unwrap();
        reset(peer);
        soon("the reset", stream.readable()).await.unwrap();
        stream.shutdown().await.unwrap();
        stream.close().await.unwrap();
        let (_reader, mut writer) = stream.into_split();
        writer.close().await.unwrap();
    });
}
