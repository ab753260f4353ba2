//! What `io` adds to the traits: copying both ways, streams in memory, halves and buffers.

mod common;

use std::cell::{Cell, RefCell};
use std::io::ErrorKind;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::thread;

use aio_runtime::io::{
    self, AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader, BufStream, Cursor,
    DuplexStream, IoSlice, copy_bidirectional, copy_bidirectional_with_sizes, duplex,
};
use aio_runtime::net::TcpStream;
use aio_runtime::spawn;
use common::{panic_of, pattern, poll_once, run, soon, stream_pair};
use futures::future::join;

/// Reads to the end.
async fn rest_of(stream: &mut (impl AsyncRead + Unpin)) -> Vec<u8> {
    let mut bytes = Vec::new();
    soon("the end of a stream", stream.read_to_end(&mut bytes)).await.unwrap();
    bytes
}

/// Sends bytes, and meanwhile receives what the other side sends.
async fn exchange(stream: TcpStream, bytes: &[u8]) -> Vec<u8> {
    let (mut reader, mut writer) = stream.into_split();
    let send = async {
        writer.write_all(bytes).await.unwrap();
        writer.close().await.unwrap();
    };
    join(send, rest_of(&mut reader)).await.1
}

#[test]
fn both_ways_at_once() {
    run(async {
        let (client, mut a) = stream_pair();
        let (mut b, server) = stream_pair();
        let proxy = spawn(async move { copy_bidirectional(&mut a, &mut b).await });
        // Many times the buffers of 8 KiB.
        let (up, down) = (pattern(300_000), pattern(500_000));
        let talk = join(exchange(client, &up), exchange(server, &down));
        let (at_client, at_server) = soon("all of it", talk).await;
        assert!(at_client == down && at_server == up);
        assert_eq!(soon("the proxy", proxy).await.unwrap().unwrap(), (300_000, 500_000));
    });
}

#[test]
fn the_end_of_one_side_leaves_the_other_open() {
    run(async {
        let (mut client, mut a) = stream_pair();
        let (mut b, mut server) = stream_pair();
        let proxy = spawn(async move { copy_bidirectional(&mut a, &mut b).await });
        client.write_all(b"question").await.unwrap();
        client.close().await.unwrap();
        assert_eq!(rest_of(&mut server).await, b"question");
        assert!(!proxy.is_finished());
        for _ in 0..3 {
            server.write_all(b"answer").await.unwrap();
            let mut answer = [0; 6];
            soon("an answer", client.read_exact(&mut answer)).await.unwrap();
            assert_eq!(&answer, b"answer");
        }
        drop(server);
        assert_eq!(rest_of(&mut client).await, b"");
        assert_eq!(soon("the proxy", proxy).await.unwrap().unwrap(), (8, 18));
    });
}

#[test]
fn an_error_of_one_side_ends_both() {
    run(async {
        let (mut client, mut a) = duplex(16);
        let (mut b, server) = duplex(16);
        drop(server);
        // It has ended for reading, and is broken for writing.
        client.write_all(b"lost").await.unwrap();
        let copied = soon("the error", copy_bidirectional(&mut a, &mut b)).await;
        assert_eq!(copied.unwrap_err().kind(), ErrorKind::BrokenPipe);
    });
}

/// A writer that passes on nothing until it is flushed.
struct Holding {
    held: Vec<u8>,
    out: Rc<RefCell<Vec<u8>>>,
    closed: Rc<Cell<bool>>,
}

impl AsyncRead for Holding {
    fn poll_read(self: Pin<&mut Self>, _cx: &mut Context<'_>, _buf: &mut [u8]) -> Poll<io::Result<usize>> {
        Poll::Pending
    }
}

impl AsyncWrite for Holding {
    fn poll_write(mut self: Pin<&mut Self>, _cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        // One byte at a time.
        self.held.extend(&buf[..1]);
        Poll::Ready(Ok(1))
    }

    fn poll_flush(mut self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let held = std::mem::take(&mut self.held);
        self.out.borrow_mut().extend(held);
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.closed.set(true);
        self.poll_flush(cx)
    }
}

#[test]
fn what_was_copied_is_flushed_before_a_wait() {
    run(async {
        let (mut near, mut a) = duplex(64);
        let (out, closed) = (Rc::new(RefCell::new(Vec::new())), Rc::new(Cell::new(false)));
        let mut b = Holding { held: Vec::new(), out: out.clone(), closed: closed.clone() };
        let mut copy = pin!(copy_bidirectional_with_sizes(&mut a, &mut b, 2, 2));
        near.write_all(b"hello").await.unwrap();
        assert!(!poll_once(copy.as_mut()));
        assert_eq!(*out.borrow(), b"hello");
        assert!(!closed.get());
        near.close().await.unwrap();
        assert!(!poll_once(copy.as_mut()));
        assert!(closed.get());
    });
}

#[test]
fn a_full_stream_in_memory_waits() {
    run(async {
        let (mut near, mut far) = duplex(4);
        assert_eq!(near.write(b"abcdef").await.unwrap(), 4, "as many as there is room for");
        assert!(!poll_once(pin!(near.write(b"ef"))));
        assert!(poll_once(pin!(near.write(b""))), "nothing has room");
        let mut bytes = [0; 3];
        assert_eq!(far.read(&mut bytes).await.unwrap(), 3);
        assert_eq!(near.write_vectored(&[IoSlice::new(b"e"), IoSlice::new(b"fgh")]).await.unwrap(), 3);
        // Each end wakes the other.
        let writer = spawn(async move {
            near.write_all(&pattern(1000)).await.unwrap();
            near
        });
        let mut bytes = vec![0; 1004];
        soon("all bytes", far.read_exact(&mut bytes)).await.unwrap();
        assert_eq!((&bytes[..4], &bytes[4..]), (&b"defg"[..], &pattern(1000)[..]));
        // The other direction is a different buffer.
        far.write_all(b"back").await.unwrap();
        let mut near = writer.await.unwrap();
        assert_eq!(near.read(&mut bytes).await.unwrap(), 4);
    });
}

#[test]
fn an_end_in_memory_is_seen() {
    run(async {
        let (mut near, mut far) = duplex(16);
        let reads = spawn(async move { (rest_of(&mut far).await, far) });
        near.write_all(b"last").await.unwrap();
        near.close().await.unwrap();
        assert_eq!(near.write(b"x").await.unwrap_err().kind(), ErrorKind::BrokenPipe);
        let (read, mut far) = soon("the end", reads).await.unwrap();
        assert_eq!(read, b"last");
        // It was closed in one direction only.
        far.write_all(b"answer").await.unwrap();
        let waits = spawn(async move { far.write_all(&pattern(100)).await });
        let mut answer = [0; 6];
        near.read_exact(&mut answer).await.unwrap();
        drop(near);
        let broken = soon("the drop is seen", waits).await.unwrap();
        assert_eq!(broken.unwrap_err().kind(), ErrorKind::BrokenPipe);
        // What was left before a drop can be read.
        let (mut near, mut far) = duplex(16);
        near.write_all(b"left").await.unwrap();
        drop(near);
        assert_eq!(rest_of(&mut far).await, b"left");
    });
}

#[test]
fn streams_in_memory_work_between_threads() {
    run(async {
        let (near, mut far) = duplex(7);
        let other = thread::spawn(move || futures::executor::block_on(async move { rest_of_other(&mut far).await }));
        let (_, mut writer) = io::split(near);
        writer.write_all(&pattern(10_000)).await.unwrap();
        writer.close().await.unwrap();
        assert_eq!(other.join().unwrap(), pattern(10_000));
    });
}

/// Reads to the end, outside a runtime.
async fn rest_of_other(stream: &mut DuplexStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.unwrap();
    bytes
}

#[test]
fn a_stream_that_is_always_ready_lets_others_run() {
    run(async {
        let (mut near, mut far) = duplex(1024);
        let others = Rc::new(Cell::new(false));
        let task = spawn({
            let others = others.clone();
            async move { others.set(true) }
        });
        let mut byte = [0];
        for _ in 0..1000 {
            near.write_all(b"x").await.unwrap();
            far.read_exact(&mut byte).await.unwrap();
        }
        assert!(others.get(), "the task has starved");
        task.await.unwrap();
    });
}

#[test]
fn no_room_is_refused() {
    let (file, text) = panic_of(|| duplex(0));
    assert!(file == file!() && text.contains("room for 0 bytes"), "{file}: {text}");
    let (_, text) =
        panic_of(|| run(async { copy_bidirectional_with_sizes(&mut duplex(1).0, &mut duplex(1).0, 1, 0).await }));
    assert!(text.contains("a buffer of 0 bytes"), "{text}");
}

#[test]
fn a_reader_and_a_writer_are_one_stream() {
    run(async {
        let mut joined = io::join(BufReader::new(Cursor::new(b"one\ntwo\n")), Vec::new());
        let mut line = String::new();
        joined.read_line(&mut line).await.unwrap();
        assert_eq!(joined.write_vectored(&[IoSlice::new(b"a"), IoSlice::new(b"b")]).await.unwrap(), 2);
        joined.writer_mut().push(b'c');
        joined.close().await.unwrap();
        assert_eq!(joined.reader_mut().buffer(), b"two\n");
        let (reader, writer) = joined.into_inner();
        assert_eq!((line.as_str(), reader.buffer(), writer), ("one\n", &b"two\n"[..], b"abc".to_vec()));
    });
}

#[test]
fn a_stream_with_buffers() {
    run(async {
        let (near, mut far) = duplex(64);
        let mut near = BufStream::with_capacity(8, 4, near);
        near.write_all(b"ab").await.unwrap();
        assert!(!poll_once(pin!(far.read(&mut [0]))), "it is in the buffer");
        near.flush().await.unwrap();
        let mut bytes = [0; 2];
        far.read_exact(&mut bytes).await.unwrap();
        far.write_all(b"one\ntwo").await.unwrap();
        let mut line = String::new();
        near.read_line(&mut line).await.unwrap();
        assert_eq!((&bytes, line.as_str()), (b"ab", "one\n"));
        assert_eq!(near.fill_buf().await.unwrap(), b"two");
        near.get_mut().write_all(b"past the buffer").await.unwrap();
        drop(near.into_inner());
        assert_eq!(rest_of(&mut far).await, b"past the buffer");
    });
}
