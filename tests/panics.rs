//! A panic of user code stays where it happens: in a future, an output, a waker.

mod common;

use std::future::{pending, poll_fn};
use std::net::Shutdown;
use std::panic::panic_any;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use aio_runtime::fs::Buf;
use aio_runtime::io::AsyncReadExt;
use aio_runtime::task::{JoinError, spawn_blocking, yield_now};
use aio_runtime::time::{Instant, sleep, sleep_until};
use aio_runtime::{Handle, Runtime, spawn};
use common::listener::{Listener, listen};
use common::{Clean, Dropped, counter, open_direct, panic_text, pattern, real_dir, run, soon, stream_and_peer};

/// Panics when it is dropped.
struct PanicsInDrop(&'static str);

impl Drop for PanicsInDrop {
    fn drop(&mut self) {
        panic!("{}", self.0);
    }
}

/// The text of the panic that a task ended with.
fn panicked(result: Result<(), JoinError>) -> String {
    let error = result.unwrap_err();
    assert!(error.is_panic() && !error.is_cancelled());
    panic_text(&*error.into_panic())
}

#[test]
fn a_panic_ends_its_own_task_only() {
    run(async {
        let other = spawn(async {
            yield_now().await;
            "alive"
        });
        let number = 3;
        let error = spawn(async move { assert_eq!(number, 4, "wrong number {number}") }).await.unwrap_err();
        assert!(error.to_string().contains("wrong number 3"), "{error}");
        assert!(format!("{error:?}").contains("wrong number 3"), "{error:?}");
        assert!(panic_text(&*error.into_panic()).contains("wrong number 3"));
        assert_eq!(other.await.unwrap(), "alive");
    });
}

#[test]
fn a_panics_payload_is_kept_whatever_it_is() {
    run(async {
        let error = spawn(async {
            yield_now().await;
            std::panic::panic_any(vec![1_u8, 2]);
        })
        .await
        .unwrap_err();
        assert_eq!(error.to_string(), "task panicked");
        assert_eq!(*error.try_into_panic().unwrap().downcast::<Vec<u8>>().unwrap(), [1, 2]);
    });
}

#[test]
fn a_panic_in_a_detached_task_goes_unnoticed() {
    run(async {
        drop(spawn(async { panic!("nobody is told") }));
        yield_now().await;
        assert_eq!(spawn(async { 1 }).await.unwrap(), 1);
    });
}

#[test]
fn a_panic_in_a_futures_drop_after_its_end() {
    run(async {
        let mut future = Some(PanicsInDrop("in drop"));
        let task = spawn(poll_fn(move |_| {
            let _stays_in_the_future = &mut future;
            Poll::Ready(())
        }));
        assert_eq!(panicked(task.await), "in drop");
    });
}

#[test]
fn a_panic_in_a_futures_drop_after_a_panic_in_its_poll() {
    run(async {
        let bomb = PanicsInDrop("in drop");
        let task = spawn(poll_fn(move |_| -> Poll<()> {
            let _stays_in_the_future = &bomb;
            panic!("in poll");
        }));
        assert!(["in poll", "in drop"].contains(&panicked(task.await).as_str()));
    });
}

#[test]
fn a_panic_in_the_drop_of_an_aborted_future() {
    run(async {
        let bomb = PanicsInDrop("at the abort");
        let task = spawn(async move {
            let _bomb = bomb;
            pending::<()>().await;
        });
        yield_now().await;
        task.abort();
        assert_eq!(panicked(soon("the abort", task).await), "at the abort");
    });
}

#[test]
fn a_panic_in_the_drop_of_an_output_that_nobody_takes() {
    run(async {
        drop(spawn(async { PanicsInDrop("detached before the end") }));
        yield_now().await;
        let task = spawn(async { PanicsInDrop("detached after the end") });
        yield_now().await;
        drop(task);
        let task = spawn(async { PanicsInDrop("aborted after the end") });
        yield_now().await;
        task.abort();
        drop(task);
        assert_eq!(spawn(async { 1 }).await.unwrap(), 1);
    });
}

#[test]
fn panics_in_drops_at_the_runtimes_end() {
    let clean = Clean::begin();
    let runtime = Runtime::new().unwrap();
    let drops = counter();
    runtime.block_on(async {
        for _ in 0..3 {
            let bomb = PanicsInDrop("at the runtime's end");
            drop(spawn(async move {
                let _bomb = bomb;
                pending::<()>().await;
            }));
        }
        let guard = Dropped(drops.clone());
        drop(spawn(async move {
            let _guard = guard;
            pending::<()>().await;
        }));
        yield_now().await;
    });
    let bomb = PanicsInDrop("never polled");
    drop(runtime.spawn(async move { drop(bomb) }));
    clean.end(runtime);
    assert_eq!(drops.get(), 1, "the others are dropped anyway");
}

#[test]
fn a_panic_on_the_blocking_pool_leaves_the_pool_usable() {
    run(async {
        for _ in 0..20 {
            let task = spawn_blocking(|| panic!("on the pool"));
            assert_eq!(panicked(soon("the panic", task).await), "on the pool");
        }
        assert_eq!(soon("the pool", spawn_blocking(|| 1)).await.unwrap(), 1);
    });
}

/// A waker that panics when it is woken, and remembers that it was.
#[derive(Default)]
struct Bomb {
    went_off: AtomicBool,
}

impl Bomb {
    fn went_off(&self) -> bool {
        self.went_off.load(Ordering::Acquire)
    }
}

impl Wake for Bomb {
    fn wake(self: Arc<Self>) {
        self.went_off.store(true, Ordering::Release);
        panic!("in wake");
    }
}

/// Polls a future with a panicking waker. It must not be ready yet.
fn lay_bomb<F: Future>(future: Pin<&mut F>) -> Arc<Bomb> {
    let bomb = Arc::new(Bomb::default());
    let waker = Waker::from(bomb.clone());
    assert!(future.poll(&mut Context::from_waker(&waker)).is_pending(), "the bomb has nothing to wait for");
    bomb
}

#[test]
fn a_panicking_waker_on_a_socket() {
    run(async {
        let (stream, peer) = stream_and_peer();
        assert!(stream.try_read(&mut [0]).is_err());
        let mut bombed = pin!(stream.readable());
        let bomb = lay_bomb(bombed.as_mut());
        let mut text = String::new();
        let mut reader = &stream;
        let reading = reader.read_to_string(&mut text);
        peer.shutdown(Shutdown::Write).unwrap();
        soon("the other waiter's wake", reading).await.unwrap();
        assert!(bomb.went_off());
        soon("the bombed future", bombed).await.unwrap();
    });
}

#[test]
fn a_panicking_waker_on_a_timer() {
    run(async {
        let deadline = Instant::now() + Duration::from_millis(5);
        let mut before = pin!(sleep_until(deadline));
        let bomb = lay_bomb(before.as_mut());
        let mut tasks: Vec<_> = (0..3).map(|_| spawn(sleep_until(deadline))).collect();
        tasks.push(spawn(sleep(Duration::from_millis(10))));
        for task in tasks {
            soon("the other timers", task).await.unwrap();
        }
        assert!(bomb.went_off());
        soon("the bombed future", before).await;
    });
}

#[test]
fn a_panicking_waker_on_a_file_read() {
    run(async {
        let dir = real_dir();
        let path = dir.path().join("file");
        std::fs::write(&path, pattern(8192)).unwrap();
        let file = open_direct(&path).await;
        let mut bombed = pin!(file.read_at(Buf::aligned(4096, 4096), 0));
        let bomb = lay_bomb(bombed.as_mut());
        let (read, buf) = soon("the other read", file.read_at(Buf::aligned(4096, 4096), 4096)).await;
        assert_eq!((read.unwrap(), &buf[..]), (4096, &pattern(8192)[4096..]));
        while !bomb.went_off() {
            yield_now().await;
        }
        let (read, buf) = soon("the bombed read", bombed).await;
        assert_eq!((read.unwrap(), &buf[..]), (4096, &pattern(4096)[..]));
    });
}

#[test]
fn a_panicking_waker_on_a_join_handle() {
    run(async {
        let (end, ended) = futures::channel::oneshot::channel::<()>();
        let mut bombed = pin!(spawn(async { ended.await.unwrap() }));
        let bomb = lay_bomb(bombed.as_mut());
        let other = spawn(async { 2 });
        end.send(()).unwrap();
        assert_eq!(soon("the other task", other).await.unwrap(), 2);
        while !bomb.went_off() {
            yield_now().await;
        }
        soon("the bombed handle", bombed).await.unwrap();
    });
}

#[test]
fn a_panicking_waker_on_a_task_of_another_thread() {
    run(async {
        let handle = Handle::current();
        let (end, ended) = futures::channel::oneshot::channel::<()>();
        let spawner = thread::spawn(move || (handle.spawn(async { ended.await.unwrap() }), end));
        let (task, end) = spawner.join().unwrap();
        let mut bombed = pin!(task);
        let bomb = lay_bomb(bombed.as_mut());
        thread::spawn(move || end.send(()).unwrap()).join().unwrap();
        while !bomb.went_off() {
            soon("the loop", sleep(Duration::from_millis(1))).await;
        }
        soon("the bombed handle", bombed).await.unwrap();
    });
}

#[test]
fn a_panicking_waker_at_the_runtimes_end() {
    let clean = Clean::begin();
    let runtime = Runtime::new().unwrap();
    let task = runtime.spawn(pending::<()>());
    let (stream, peer) = runtime.block_on(async {
        yield_now().await;
        stream_and_peer()
    });
    assert!(stream.try_read(&mut [0]).is_err());
    let mut readable = Box::pin(stream.readable());
    let mut task = Box::pin(task);
    let bombs = [lay_bomb(readable.as_mut()), lay_bomb(task.as_mut())];
    drop(runtime);
    assert!(bombs.iter().all(|bomb| bomb.went_off()));
    drop(readable);
    drop((stream, peer));
    assert!(futures::executor::block_on(task).unwrap_err().is_cancelled());
    clean.end_without_runtime();
}

/// The payload of a panic, which panics when it is dropped.
struct Fragment;

impl Drop for Fragment {
    fn drop(&mut self) {
        panic!("in the drop of a panic's payload");
    }
}

/// Throws a [`Fragment`] when it is dropped, or woken.
struct Shell;

impl Drop for Shell {
    fn drop(&mut self) {
        panic_any(Fragment);
    }
}

struct Mine;

impl Wake for Mine {
    fn wake(self: Arc<Self>) {
        panic_any(Fragment);
    }
}

/// Has a waker, an output that nobody takes, and a future throw fragments.
async fn throw_fragments() {
    let (end, ended) = futures::channel::oneshot::channel::<()>();
    let mut bombed = pin!(spawn(async { ended.await.unwrap() }));
    let mine = Waker::from(Arc::new(Mine));
    assert!(bombed.as_mut().poll(&mut Context::from_waker(&mine)).is_pending());
    end.send(()).unwrap();
    drop(spawn(async { Shell }));
    let aborted = spawn(async {
        let _shell = Shell;
        pending::<()>().await;
    });
    yield_now().await;
    aborted.abort();
    drop(aborted);
    for _ in 0..3 {
        yield_now().await;
    }
    assert_eq!(soon("another task", spawn(async { 2 })).await.unwrap(), 2);
    soon("the bombed task", bombed).await.unwrap();
}

#[test]
fn a_panic_whose_payload_panics_in_its_drop() {
    run(throw_fragments());
}

/// A subscriber that panics at whatever it is asked about at its level.
struct Panicking {
    level: tracing::Level,
    was_asked: Arc<AtomicBool>,
}

impl Panicking {
    fn panic(&self) -> ! {
        self.was_asked.store(true, Ordering::Relaxed);
        panic!("in a subscriber");
    }
}

impl Listener for Panicking {
    fn wants(&self, metadata: &tracing::Metadata<'_>) -> bool {
        *metadata.level() == self.level
    }

    fn new_span(&self, _: &tracing::Metadata<'_>) {
        self.panic()
    }

    fn event(&self, _: &tracing::Event<'_>) {
        self.panic()
    }
}

#[test]
fn a_panicking_subscriber_stops_nothing() {
    for level in [tracing::Level::ERROR, tracing::Level::TRACE] {
        let was_asked = Arc::<AtomicBool>::default();
        listen(Panicking { level, was_asked: Arc::clone(&was_asked) }, || run(throw_fragments()));
        assert!(was_asked.load(Ordering::Relaxed), "at {level}");
    }
}
