//! Streams, sleeps and file operations on other threads than their runtime's, between two
//! `block_on`s, and in another runtime of their thread.

mod common;

use std::future::poll_fn;
use std::io::{ErrorKind, Read, Write};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::task::{Context, Wake, Waker};
use std::thread;
use std::time::Duration;

use aio_runtime::fs::{Buf, File};
use aio_runtime::io::{AsyncReadExt, AsyncWriteExt};
use aio_runtime::net::{TcpListener, TcpStream};
use aio_runtime::time::{Instant, Sleep, sleep, timeout};
use aio_runtime::{Handle, Runtime, spawn};
use common::{
    ANY_PORT, Clean, fill, open_direct, pattern, poll_once, real_dir, run, soon, stream_and_peer, turn, wait_until,
};
use futures::channel::oneshot;
use futures::executor::block_on;
use futures::future::BoxFuture;

/// Runs `work` on another thread, and this thread's runtime meanwhile.
async fn elsewhere<R: Send + 'static>(work: impl FnOnce() -> R + Send + 'static) -> R {
    let (sender, receiver) = oneshot::channel();
    let thread = thread::spawn(move || {
        let _ = sender.send(work());
    });
    let output = soon("another thread's work", receiver).await.expect("it does not panic");
    thread.join().unwrap();
    output
}

/// A stream of this runtime with a read armed in the kernel, and its peer.
async fn armed_stream() -> (TcpStream, std::net::TcpStream) {
    let (mut stream, peer) = stream_and_peer();
    assert!(timeout(Duration::from_millis(1), stream.read(&mut [0])).await.is_err());
    (stream, peer)
}

#[track_caller]
fn assert_at_end(peer: &mut std::net::TcpStream) {
    peer.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    assert_eq!(peer.read(&mut [0]).unwrap(), 0, "the peer sees the close");
}

#[track_caller]
fn assert_names_the_runtime(error: &std::io::Error) {
    let text = error.to_string();
    assert!(text.contains("aio-runtime #") && text.contains("from_std"), "{text}");
}

#[test]
fn a_stream_dropped_on_another_thread_is_closed() {
    run(async {
        let (stream, mut peer) = armed_stream().await;
        elsewhere(move || {
            drop(stream);
            assert_at_end(&mut peer);
        })
        .await;
    });
}

#[test]
fn a_stream_dropped_elsewhere_while_nobody_drives_is_closed_at_the_next_chance() {
    for by_drop in [false, true] {
        let clean = Clean::begin();
        let runtime = Runtime::new().unwrap();
        let (stream, mut peer) = runtime.block_on(armed_stream());
        thread::spawn(move || drop(stream)).join().unwrap();
        if by_drop {
            drop(runtime);
            assert_at_end(&mut peer);
            drop(peer);
            clean.end_without_runtime();
        } else {
            runtime.block_on(async {});
            assert_at_end(&mut peer);
            drop(peer);
            clean.end(runtime);
        }
    }
}

#[test]
fn another_thread_reads_and_writes() {
    run(async {
        let (stream, mut peer) = armed_stream().await;
        elsewhere(move || {
            block_on(async {
                let mut stream = stream;
                let echo = thread::spawn(move || {
                    let mut bytes = vec![0; 1 << 20];
                    peer.read_exact(&mut bytes).unwrap();
                    // The reader waits by now.
                    thread::sleep(Duration::from_millis(5));
                    peer.write_all(&bytes).unwrap();
                });
                // More than the socket takes at once.
                let sent = pattern(1 << 20);
                stream.write_all(&sent).await.unwrap();
                let mut received = vec![0; sent.len()];
                stream.read_exact(&mut received).await.unwrap();
                assert!(sent == received);
                assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
                echo.join().unwrap();
            });
        })
        .await;
    });
}

#[test]
fn the_halves_of_a_stream_may_be_on_two_threads() {
    run(async {
        let (stream, mut peer) = stream_and_peer();
        let (mut read, mut write) = stream.into_split();
        let reading = spawn(async move {
            let mut text = String::new();
            read.read_to_string(&mut text).await.map(|_| text)
        });
        elsewhere(move || {
            block_on(write.write_all(b"ping")).unwrap();
            let mut ping = [0; 4];
            peer.read_exact(&mut ping).unwrap();
            peer.write_all(b"pong").unwrap();
            // The half ends its side.
            drop(write);
            assert_at_end(&mut peer);
        })
        .await;
        assert_eq!(soon("the other half", reading).await.unwrap().unwrap(), "pong");
    });
}

/// A wait that owns its stream.
fn readable(stream: &Arc<TcpStream>) -> BoxFuture<'static, std::io::Result<()>> {
    let stream = Arc::clone(stream);
    Box::pin(async move { stream.readable().await })
}

#[test]
fn a_wait_may_begin_here_and_end_elsewhere() {
    run(async {
        let (stream, mut peer) = stream_and_peer();
        let stream = Arc::new(stream);
        let mut waits = readable(&stream);
        assert!(!poll_once(waits.as_mut()));
        let mut peer = elsewhere(move || {
            assert!(!poll_once(waits.as_mut()));
            peer.write_all(b"x").unwrap();
            block_on(waits).unwrap();
            peer
        })
        .await;
        assert_eq!(stream.try_read(&mut [0; 2]).unwrap(), 1);
        assert_eq!(stream.try_read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
        // And one that is dropped there, beside one that goes on here.
        let (mut gone, mut stays) = (readable(&stream), readable(&stream));
        assert!(!poll_once(gone.as_mut()) && !poll_once(stays.as_mut()));
        elsewhere(move || drop(gone)).await;
        peer.write_all(b"y").unwrap();
        soon("the wait that stayed", stays).await.unwrap();
    });
}

/// Waits and attempts in turn, on another thread, until an attempt moves something. Returns how
/// many attempts that took.
fn attempts_until_moved(
    wait: impl AsyncFn() -> std::io::Result<()>,
    attempt: impl Fn() -> std::io::Result<usize>,
) -> usize {
    for attempts in 1.. {
        block_on(wait()).unwrap();
        match attempt() {
            Ok(_) => return attempts,
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
        }
    }
    unreachable!()
}

/// Waits on another thread for what this one believes to be there already.
fn readiness_elsewhere<R, W>(read_ready: R, write_ready: W)
where
    R: AsyncFn(&TcpStream) -> std::io::Result<()> + Send + 'static,
    W: AsyncFn(&TcpStream) -> std::io::Result<()> + Send + 'static,
{
    run(async {
        let (stream, mut peer) = stream_and_peer();
        // As far as this thread knows there is more to read and room to write.
        peer.write_all(b"x").unwrap();
        soon("a byte", read_ready(&stream)).await.unwrap();
        assert_eq!(stream.try_read(&mut [0]).unwrap(), 1);
        soon("room", write_ready(&stream)).await.unwrap();
        assert_eq!(stream.try_write(b"y").unwrap(), 1);
        elsewhere(move || {
            let sent = fill(&stream);
            let later = thread::spawn(move || {
                thread::sleep(Duration::from_millis(100));
                peer.write_all(b"z").unwrap();
                thread::sleep(Duration::from_millis(100));
                peer.read_exact(&mut vec![0; 1 + sent]).unwrap();
                peer
            });
            let reads = attempts_until_moved(async || read_ready(&stream).await, || stream.try_read(&mut [0]));
            let writes = attempts_until_moved(async || write_ready(&stream).await, || stream.try_write(b"w"));
            assert!(reads < 10 && writes < 10, "{reads} attempts to read, {writes} to write");
            later.join().unwrap();
        })
        .await;
    });
}

#[test]
fn readiness_that_an_attempt_has_denied_is_not_claimed_again_elsewhere() {
    readiness_elsewhere(async |stream| stream.readable().await, async |stream| stream.writable().await);
    readiness_elsewhere(
        async |stream| poll_fn(|cx| stream.poll_read_ready(cx)).await,
        async |stream| poll_fn(|cx| stream.poll_write_ready(cx)).await,
    );
}

#[test]
fn waits_that_are_dropped_elsewhere_are_withdrawn() {
    run(async {
        let (stream, _peer) = stream_and_peer();
        let _stream = elsewhere(move || {
            for _ in 0..100 {
                assert!(!poll_once(pin!(stream.readable())));
                assert!(!poll_once(pin!(stream.peek(&mut [0]))));
            }
            stream
        })
        .await;
        let abandoned = async {
            while Handle::current().metrics().polls_abandoned == 0 {
                turn().await;
            }
        };
        soon("the end of the poll that nobody waits for", abandoned).await;
    });
}

#[test]
fn waits_elsewhere_end_with_the_runtime() {
    let clean = Clean::begin();
    let runtime = Runtime::new().unwrap();
    let (stream, peer) = runtime.block_on(async { stream_and_peer() });
    let (started, starts) = channel();
    let thread = thread::spawn(move || {
        let mut stream = stream;
        let mut byte = [0];
        let mut read = pin!(stream.read(&mut byte));
        block_on(poll_fn(|cx| {
            let polled = read.as_mut().poll(cx);
            let _ = started.send(());
            polled
        }))
    });
    starts.recv().unwrap();
    runtime.block_on(sleep(Duration::from_millis(1)));
    drop(runtime);
    let text = thread.join().unwrap().unwrap_err().to_string();
    assert!(text.contains("dropped"), "{text}");
    drop(peer);
    clean.end_without_runtime();
}

#[test]
fn a_connection_accepted_elsewhere_lives_there() {
    run(async {
        let listener = TcpListener::bind(ANY_PORT).await.unwrap();
        let address = listener.local_addr().unwrap();
        elsewhere(move || {
            let early = std::net::TcpStream::connect(address).unwrap();
            // No runtime could take the connection, so it is not taken.
            assert_names_the_runtime(&block_on(listener.accept()).unwrap_err());
            let runtime = Runtime::new().unwrap();
            runtime.block_on(async {
                let (_, peer) = soon("the first accept", listener.accept()).await.unwrap();
                assert_eq!(peer, early.local_addr().unwrap());
                let mut accepting = pin!(listener.accept());
                assert!(!poll_once(accepting.as_mut()));
                let mut late = std::net::TcpStream::connect(address).unwrap();
                let (mut stream, _) = soon("an accept that waits", accepting).await.unwrap();
                late.write_all(b"x").unwrap();
                assert_eq!(soon("a read", stream.read(&mut [0])).await.unwrap(), 1);
            });
        })
        .await;
    });
}

#[test]
fn a_stream_is_converted_on_another_thread() {
    run(async {
        let (stream, mut peer) = armed_stream().await;
        elsewhere(move || {
            let mut stream = stream.into_std().unwrap();
            stream.set_nonblocking(false).unwrap();
            stream.write_all(b"x").unwrap();
            assert_eq!(peer.read(&mut [0]).unwrap(), 1);
            drop(stream);
            assert_at_end(&mut peer);
        })
        .await;
    });
}

#[test]
fn a_stream_cannot_be_waited_for_in_another_runtime_of_its_thread() {
    let clean = Clean::begin();
    let runtime = Runtime::new().unwrap();
    let (mut stream, mut peer) = runtime.block_on(armed_stream());
    let other = Runtime::new().unwrap();
    other.block_on(async {
        // What is there can be had.
        peer.write_all(b"x").unwrap();
        wait_until("a byte", || stream.try_read(&mut [0]).is_ok());
        stream.write_all(b"y").await.unwrap();
        assert_eq!(peer.read(&mut [0]).unwrap(), 1);
        // To wait would be in vain.
        assert_names_the_runtime(&stream.read(&mut [0]).await.unwrap_err());
        assert_names_the_runtime(&stream.readable().await.unwrap_err());
    });
    // Nothing has been spoilt.
    runtime.block_on(async {
        let mut byte = [0];
        let mut read = pin!(stream.read(&mut byte));
        assert!(!poll_once(read.as_mut()));
        peer.write_all(b"z").unwrap();
        assert_eq!(soon("a read at home", read).await.unwrap(), 1);
    });
    // In the other one's loop it is closed at once.
    other.block_on(async { drop(stream) });
    assert_at_end(&mut peer);
    drop((other, peer));
    clean.end(runtime);
}

#[test]
fn a_wait_that_begins_between_two_runs_ends_in_the_next() {
    let clean = Clean::begin();
    let runtime = Runtime::new().unwrap();
    let (mut stream, mut peer) = runtime.block_on(async { stream_and_peer() });
    let mut byte = [0];
    let mut read = Box::pin(stream.read(&mut byte));
    assert!(!poll_once(read.as_mut()));
    peer.write_all(b"x").unwrap();
    runtime.block_on(async { assert_eq!(soon("a read", read).await.unwrap(), 1) });
    drop((stream, peer));
    clean.end(runtime);
}

/// A waker that counts, for what is polled by hand.
struct Counting(AtomicUsize);

impl Wake for Counting {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn a_sleep_dropped_or_reset_elsewhere_leaves_no_timer() {
    for reset in [false, true] {
        run(async move {
            let waker = Arc::new(Counting(AtomicUsize::new(0)));
            let mut slept: Pin<Box<Sleep>> = Box::pin(sleep(Duration::from_secs(3600)));
            assert!(slept.as_mut().poll(&mut Context::from_waker(&Waker::from(Arc::clone(&waker)))).is_pending());
            assert_eq!(Arc::strong_count(&waker), 2, "the timer has one");
            let slept = elsewhere(move || {
                if !reset {
                    return None;
                }
                slept.as_mut().reset(Instant::now() + Duration::from_millis(1));
                Some(slept)
            })
            .await;
            while Arc::strong_count(&waker) > 1 {
                turn().await;
            }
            if let Some(slept) = slept {
                assert_eq!(waker.0.load(Ordering::SeqCst), 1, "whoever waits looks again");
                soon("a sleep that was reset", slept).await;
            }
        });
    }
}

#[test]
fn a_sleep_goes_on_in_another_thread_s_runtime() {
    run(async {
        let mut slept: Pin<Box<Sleep>> = Box::pin(sleep(Duration::from_millis(5)));
        assert!(!poll_once(slept.as_mut()));
        elsewhere(move || {
            let deadline = slept.deadline();
            Runtime::new().unwrap().block_on(slept);
            assert!(Instant::now() >= deadline);
        })
        .await;
    });
}

#[test]
fn a_file_operation_cannot_end_elsewhere_and_loses_nothing_at_home() {
    run(async {
        let dir = real_dir();
        let path = dir.path().join("blocks");
        std::fs::write(&path, pattern(64 << 10)).unwrap();
        let file = Arc::new(open_direct(&path).await);
        let reading = |file: &Arc<File>| -> BoxFuture<'static, _> {
            let file = Arc::clone(file);
            Box::pin(async move { file.read_at(Buf::aligned(4096, 4096), 4096).await })
        };
        let mut dropped = reading(&file);
        let mut polled = reading(&file);
        assert!(!poll_once(dropped.as_mut()) && !poll_once(polled.as_mut()));
        elsewhere(move || {
            drop(dropped);
            let (result, _) = Runtime::new().unwrap().block_on(polled);
            assert_names_the_runtime(&result.unwrap_err());
        })
        .await;
        let (result, buf) = soon("a read at home", reading(&file)).await;
        assert_eq!(result.unwrap(), 4096);
        assert!(buf[..] == pattern(64 << 10)[4096..8192]);
    });
}
