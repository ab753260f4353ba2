//! What outlives its runtime is harmless: wakers, handles, streams, sleeps.

mod common;

use std::future::{pending, poll_fn};
use std::io::Read;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::thread;
use std::time::Duration;

use aio_runtime::Runtime;
use aio_runtime::io::{AsyncReadExt, AsyncWriteExt};
use aio_runtime::net::TcpListener;
use aio_runtime::task::yield_now;
use aio_runtime::time::{Instant, Sleep, sleep};
use common::{ANY_PORT, Clean, DropLog, stream_and_peer};

#[test]
fn wakers_that_outlive_the_runtime_are_harmless() {
    let clean = Clean::begin();
    let runtime = Runtime::new().unwrap();
    let wakers: Arc<Mutex<Vec<Waker>>> = Arc::default();
    let keep_waker = |wakers: &Arc<Mutex<Vec<Waker>>>| {
        let wakers = wakers.clone();
        poll_fn(move |cx| {
            wakers.lock().unwrap().push(cx.waker().clone());
            Poll::Ready(())
        })
    };
    // The wakers of a complete task, of an incomplete one, and of block_on.
    let complete = runtime.spawn(keep_waker(&wakers));
    let keep = keep_waker(&wakers);
    let incomplete = runtime.spawn(async move {
        keep.await;
        pending::<()>().await
    });
    runtime.block_on(async {
        keep_waker(&wakers).await;
        complete.await.unwrap();
        yield_now().await;
    });
    assert_eq!(wakers.lock().unwrap().len(), 3);
    drop(runtime);
    drop(incomplete);
    let use_all = move || {
        for waker in wakers.lock().unwrap().drain(..) {
            waker.wake_by_ref();
            let clone = waker.clone();
            clone.wake();
            waker.wake();
        }
    };
    thread::spawn(use_all).join().unwrap();
    clean.end_without_runtime();
}

#[test]
fn a_task_spawned_on_a_dropped_runtime_is_cancelled() {
    let clean = Clean::begin();
    let runtime = Runtime::new().unwrap();
    let handle = runtime.handle().clone();
    drop(runtime);
    let log = DropLog::default();
    let guard = log.guard();
    let task = handle.spawn(async move { drop(guard) });
    assert_eq!(log.take().len(), 1, "the future is dropped");
    assert!(task.is_finished());
    assert!(futures::executor::block_on(task).unwrap_err().is_cancelled());
    drop(handle);
    clean.end_without_runtime();
}

#[test]
fn sockets_that_outlive_the_runtime_return_an_error() {
    let clean = Clean::begin();
    let runtime = Runtime::new().unwrap();
    let (mut stream, mut peer, listener) = runtime.block_on(async {
        let (mut stream, peer) = stream_and_peer();
        // With a poll armed in the kernel.
        let mut byte = [0];
        assert!(aio_runtime::time::timeout(Duration::from_millis(1), stream.read(&mut byte)).await.is_err());
        (stream, peer, TcpListener::bind(ANY_PORT).await.unwrap())
    });
    drop(runtime);
    let other = Runtime::new().unwrap();
    other.block_on(async {
        let mut byte = [0];
        for error in [stream.read(&mut byte).await.unwrap_err(), listener.accept().await.unwrap_err()] {
            let text = error.to_string();
            assert!(text.contains("aio-runtime") && text.contains("dropped"), "{text}");
        }
        let _ = stream.write_all(b"x").await;
    });
    drop((stream, listener));
    let mut rest = Vec::new();
    peer.read_to_end(&mut rest).unwrap();
    drop(peer);
    clean.end(other);
}

#[test]
fn a_sleep_moves_from_a_runtime_to_another() {
    let clean = Clean::begin();
    for keep_first in [true, false] {
        let first = Runtime::new().unwrap();
        let mut moved: Pin<Box<Sleep>> = Box::pin(sleep(Duration::from_millis(20)));
        first.block_on(poll_fn(|cx| {
            assert!(moved.as_mut().poll(cx).is_pending());
            Poll::Ready(())
        }));
        let first = keep_first.then_some(first);
        let second = Runtime::new().unwrap();
        second.block_on(moved.as_mut());
        assert!(Instant::now() >= moved.deadline());
        drop((first, second));
    }
    clean.end_without_runtime();
}
