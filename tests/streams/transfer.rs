//! Reading and writing.

use std::io::{ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::time::Duration;

use aio_runtime::io::{AsyncReadExt, AsyncWriteExt};
use aio_runtime::task::yield_now;
use aio_runtime::time::{sleep, timeout};
use aio_runtime::{Handle, Runtime, spawn};
use futures::future::{join, join_all};
use rustix::net::sockopt;

use super::{stream_and_peer, stream_pair};
use crate::common::{Clean, fill, pattern, run, soon};
use crate::kind::{connect, listen};

#[test]
fn echo_with_many_connections() {
    const CONNECTIONS: usize = 200;
    const MESSAGES: usize = 20;
    run(async {
        let listener = listen().await;
        let address = listener.local_addr().unwrap();
        let server = spawn(async move {
            let mut connections = Vec::new();
            for _ in 0..CONNECTIONS {
                let (mut stream, _) = listener.accept().await.unwrap();
                connections.push(spawn(async move {
                    let mut buf = [0; 64];
                    loop {
                        match stream.read(&mut buf).await.unwrap() {
                            0 => return,
                            read => stream.write_all(&buf[..read]).await.unwrap(),
                        }
                    }
                }));
            }
            join_all(connections).await.into_iter().for_each(Result::unwrap);
        });
        let clients = (0..CONNECTIONS).map(|client| {
            let connecting = connect(&address);
            spawn(async move {
                let mut stream = connecting.await.unwrap();
                for message in 0..MESSAGES {
                    let sent = format!("message {message:4} of client {client:4}");
                    stream.write_all(sent.as_bytes()).await.unwrap();
                    let mut echoed = vec![0; sent.len()];
                    stream.read_exact(&mut echoed).await.unwrap();
                    assert_eq!(echoed, sent.as_bytes());
                }
            })
        });
        for client in clients.collect::<Vec<_>>() {
            soon("a client", client).await.unwrap();
        }
        soon("the server", server).await.unwrap();
    });
}

#[test]
fn more_than_the_socket_buffers_hold() {
    run(async {
        // Left alone, the buffers grow to megabytes.
        let sent = pattern(1 << 20);
        let (mut near, mut far) = stream_pair();
        sockopt::set_socket_send_buffer_size(&near, 64 << 10).unwrap();
        sockopt::set_socket_recv_buffer_size(&far, 64 << 10).unwrap();
        let writer = spawn({
            let sent = sent.clone();
            async move {
                near.write_all(&sent).await.unwrap();
                near.close().await.unwrap();
            }
        });
        let mut received = Vec::new();
        soon("all of it", far.read_to_end(&mut received)).await.unwrap();
        assert!(received == sent);
        writer.await.unwrap();
    });
}

#[test]
fn vectored_reads_and_writes() {
    run(async {
        let (mut near, mut far) = stream_pair();
        let written = near
            .write_vectored(&[IoSlice::new(b"one"), IoSlice::new(b""), IoSlice::new(b"three"), IoSlice::new(b"five5")])
            .await
            .unwrap();
        assert_eq!(written, 13);
        let (mut first, mut second) = ([0; 4], [0; 20]);
        let bufs = &mut [IoSliceMut::new(&mut first), IoSliceMut::new(&mut second)];
        let read = far.read_vectored(bufs).await.unwrap();
        assert_eq!((read, &first, &second[..9]), (13, b"onet", &b"hreefive5"[..]));

        // More slices than one sendmsg takes.
        let many = vec![IoSlice::new(b"x"); 3000];
        let written = near.write_vectored(&many).await.unwrap();
        assert!((1..=3000).contains(&written));
        let mut received = vec![0; written];
        far.read_exact(&mut received).await.unwrap();
        assert!(received.iter().all(|byte| *byte == b'x'));
    });
}

#[test]
fn more_buffers_than_one_call_takes_are_not_a_short_write() {
    run(async {
        let (mut near, mut far) = stream_pair();
        let before = Handle::current().metrics().submitted_polls;
        let many = vec![IoSlice::new(b"x"); 3000];
        for _ in 0..3 {
            assert_eq!(near.write_vectored(&many).await.unwrap(), 1024);
        }
        for _ in 0..3 {
            let mut received = [[0]; 3000];
            let mut bufs: Vec<_> = received.iter_mut().map(|byte| IoSliceMut::new(byte)).collect();
            assert_eq!(far.read_vectored(&mut bufs).await.unwrap(), 1024);
        }
        assert_eq!(Handle::current().metrics().submitted_polls, before, "nothing had to be waited for");
    });
}

#[test]
fn vectored_reads_wait() {
    run(async {
        let (near, mut far) = stream_pair();
        let reader = spawn(async move {
            let (mut first, mut second) = ([0; 1], [0; 2]);
            let bufs = &mut [IoSliceMut::new(&mut first), IoSliceMut::new(&mut second)];
            let read = (&near).read_vectored(bufs).await.unwrap();
            (read, first, second)
        });
        sleep(Duration::from_millis(1)).await;
        far.write_all(b"abc").await.unwrap();
        assert_eq!(soon("the read", reader).await.unwrap(), (3, *b"a", *b"bc"));
    });
}

#[test]
fn an_empty_buffer_reads_and_writes_nothing() {
    run(async {
        let (mut near, mut far) = stream_pair();
        far.write_all(b"x").await.unwrap();
        assert_eq!(soon("no write", near.write(b"")).await.unwrap(), 0);
        assert_eq!(soon("no read", near.read(&mut [])).await.unwrap(), 0);
        near.read_exact(&mut [0]).await.unwrap();
    });
}

#[test]
fn peek_leaves_the_data() {
    run(async {
        let (near, mut far) = stream_pair();
        let peeked = async {
            let mut buf = [0; 8];
            let peeked = near.peek(&mut buf).await.unwrap();
            buf[..peeked].to_vec()
        };
        let (peeked, _) = join(peeked, far.write_all(b"data")).await;
        assert_eq!(peeked, b"data");
        let mut buf = [0; 2];
        assert_eq!(near.peek(&mut buf).await.unwrap(), 2);
        let mut text = [0; 4];
        (&near).read_exact(&mut text).await.unwrap();
        assert_eq!(&text, b"data");
        far.close().await.unwrap();
        assert_eq!(soon("peek at the end", near.peek(&mut buf)).await.unwrap(), 0);
    });
}

#[test]
fn readiness_and_tries() {
    run(async {
        let (near, mut peer) = stream_and_peer();
        assert_eq!(near.try_read(&mut [0; 4]).unwrap_err().kind(), ErrorKind::WouldBlock);
        assert!(timeout(Duration::from_millis(5), near.readable()).await.is_err(), "nothing to read");
        peer.write_all(b"some").unwrap();
        soon("readable", near.readable()).await.unwrap();
        let mut buf = [0; 8];
        assert_eq!(near.try_read(&mut buf).unwrap(), 4);

        soon("writable", near.writable()).await.unwrap();
        let block = vec![1; 65536];
        let mut written = 0;
        while let Ok(more) = near.try_write(&block) {
            written += more;
        }
        written += fill(&near);
        assert!(timeout(Duration::from_millis(5), near.writable()).await.is_err(), "the buffers are full");
        peer.set_nonblocking(false).unwrap();
        let mut received = vec![0; written];
        peer.read_exact(&mut received).unwrap();
        soon("writable again", near.writable()).await.unwrap();
        assert!(near.try_write(b"x").is_ok());
    });
}

#[test]
fn vectored_tries() {
    run(async {
        let (near, far) = stream_pair();
        let (mut first, mut second) = ([0; 2], [0; 4]);
        let bufs = &mut [IoSliceMut::new(&mut first), IoSliceMut::new(&mut second)];
        assert_eq!(far.try_read_vectored(bufs).unwrap_err().kind(), ErrorKind::WouldBlock);
        let written = near.try_write_vectored(&[IoSlice::new(b"a"), IoSlice::new(b"bcd")]).unwrap();
        assert_eq!(written, 4);
        soon("data", far.readable()).await.unwrap();
        let read = far.try_read_vectored(bufs).unwrap();
        assert_eq!((read, &first, &second), (4, b"ab", b"cd\0\0"));
        // More buffers than one call takes.
        assert_eq!(near.try_write_vectored(&vec![IoSlice::new(b"x"); 3000]).unwrap(), 1024);
        fill(&near);
        let error = near.try_write_vectored(&[IoSlice::new(&[0; 65536])]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
    });
}

#[test]
fn any_number_of_futures_wait_for_one_direction() {
    run(async {
        let (near, mut peer) = stream_and_peer();
        assert!(near.try_read(&mut [0]).is_err());
        let waiting = join_all((0..10).map(|_| near.readable()));
        let (ready, ()) = join(waiting, async {
            yield_now().await;
            peer.write_all(b"x").unwrap();
        })
        .await;
        assert!(ready.into_iter().all(|ready| ready.is_ok()));
    });
}

#[test]
fn a_dropped_read_takes_no_data() {
    run(async {
        let (mut stream, mut peer) = stream_and_peer();
        for number in 0..50 {
            let mut buf = [0];
            assert!(timeout(Duration::from_micros(50), stream.read(&mut buf)).await.is_err());
            peer.write_all(&[number]).unwrap();
            soon("the byte", stream.read_exact(&mut buf)).await.unwrap();
            assert_eq!(buf, [number]);
        }
    });
}

#[test]
fn a_stream_is_used_while_its_runtime_rests() {
    let clean = Clean::begin();
    let runtime = Runtime::new().unwrap();
    let (mut stream, mut peer) = runtime.block_on(async { stream_and_peer() });
    // Nothing here has to wait, so no runtime is needed. The writes are more than a task's budget,
    // and not more than a Unix socket takes, which counts some hundred bytes for each.
    let write = async {
        for _ in 0..200 {
            stream.write_all(b"x").await.unwrap();
        }
    };
    futures::executor::block_on(write);
    peer.read_exact(&mut [0; 200]).unwrap();
    drop((stream, peer));
    clean.end(runtime);
}

#[test]
fn nothing_is_armed_for_streams_that_never_wait() {
    run(async {
        let before = Handle::current().metrics();
        for _ in 0..50 {
            let (mut near, mut far) = stream_pair();
            near.write_all(b"x").await.unwrap();
            far.read_exact(&mut [0]).await.unwrap();
        }
        let after = Handle::current().metrics();
        assert_eq!(after.cancels, before.cancels);
        assert_eq!(after.submitted_polls, before.submitted_polls);
    });
}
