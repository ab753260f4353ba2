//! The end of a runtime: its tasks are dropped on its thread, whatever they do meanwhile.

mod common;

use std::cell::{Cell, RefCell};
use std::future::{pending, poll_fn};
use std::io::Read;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use aio_runtime::io::AsyncReadExt;
use aio_runtime::task::{JoinHandle, spawn_blocking, yield_now};
use aio_runtime::time::sleep;
use aio_runtime::{Handle, Runtime, spawn};
use common::{Clean, DropLog, child, is_child, stream_and_peer};

#[test]
fn tasks_are_dropped_on_the_runtimes_thread() {
    let clean = Clean::begin();
    let log = DropLog::default();
    let runtime = Runtime::new().unwrap();
    let forever = |log: &DropLog| {
        let guard = log.guard();
        async move {
            let _guard = guard;
            pending::<()>().await
        }
    };
    let mut tasks = Vec::new();
    // One is pending, one woken but not run again, one never run, one from another thread.
    tasks.push(runtime.spawn(forever(&log)));
    let (wake, woken) = futures::channel::oneshot::channel::<()>();
    let guard = log.guard();
    tasks.push(runtime.spawn(async move {
        let _guard = guard;
        let _ = woken.await;
    }));
    runtime.block_on(async { yield_now().await });
    wake.send(()).unwrap();
    tasks.push(runtime.spawn(forever(&log)));
    let (handle, task) = (runtime.handle().clone(), forever(&log));
    tasks.push(thread::spawn(move || handle.spawn(task)).join().unwrap());

    assert_eq!(log.take(), []);
    drop(runtime);
    assert_eq!(log.take(), [thread::current().id(); 4]);
    for task in tasks {
        assert!(task.is_finished());
        assert!(futures::executor::block_on(task).unwrap_err().is_cancelled());
    }
    clean.end_without_runtime();
}

#[test]
fn a_drop_that_spawns() {
    struct Spawns(DropLog, u32);
    impl Drop for Spawns {
        fn drop(&mut self) {
            self.0.0.lock().unwrap().push(thread::current().id());
            if let Some(left) = self.1.checked_sub(1) {
                let next = Spawns(self.0.clone(), left);
                drop(spawn(async move {
                    let _next = next;
                    pending::<()>().await;
                }));
            }
        }
    }
    let clean = Clean::begin();
    let log = DropLog::default();
    let runtime = Runtime::new().unwrap();
    let first = Spawns(log.clone(), 3);
    drop(runtime.spawn(async move {
        let _first = first;
        pending::<()>().await;
    }));
    runtime.block_on(yield_now());
    clean.end(runtime);
    assert_eq!(log.take().len(), 4, "what the drops spawn is dropped too");
}

#[test]
fn drops_that_abort_wake_and_drop_each_other() {
    /// Every task's handle and waker, known to every task.
    #[derive(Default)]
    struct Club {
        handles: RefCell<Vec<Option<JoinHandle<()>>>>,
        wakers: RefCell<Vec<Waker>>,
        drops: Cell<usize>,
    }
    struct Member(Rc<Club>, usize);
    impl Drop for Member {
        fn drop(&mut self) {
            let club = &self.0;
            club.drops.set(club.drops.get() + 1);
            club.wakers.borrow().iter().for_each(Waker::wake_by_ref);
            for other in club.handles.borrow().iter().flatten() {
                other.abort();
            }
            let next = club.handles.borrow_mut().get_mut(self.1 + 1).and_then(Option::take);
            drop(next);
        }
    }
    const MEMBERS: usize = 50;
    let clean = Clean::begin();
    let runtime = Runtime::new().unwrap();
    let club = Rc::new(Club::default());
    runtime.block_on(async {
        for number in 0..MEMBERS {
            let member = Member(club.clone(), number);
            let task = spawn(async move {
                poll_fn(|cx| {
                    if member.0.wakers.borrow().len() <= member.1 {
                        member.0.wakers.borrow_mut().push(cx.waker().clone());
                    }
                    Poll::<()>::Pending
                })
                .await
            });
            club.handles.borrow_mut().push(Some(task));
        }
        yield_now().await;
        assert_eq!(club.wakers.borrow().len(), MEMBERS);
    });
    let handle = runtime.handle().clone();
    drop(runtime);
    assert_eq!(club.drops.get(), MEMBERS);
    assert_eq!(handle.metrics().slots_in_use, 0);
    drop((club, handle));
    clean.end_without_runtime();
}

#[test]
fn a_drop_that_polls_its_neighbour() {
    /// Polls another task's handle while it is dropped.
    struct Polls(Option<JoinHandle<()>>);
    impl Drop for Polls {
        fn drop(&mut self) {
            let mut handle = self.0.take().unwrap();
            let mut cx = Context::from_waker(Waker::noop());
            let _ = Pin::new(&mut handle).poll(&mut cx);
        }
    }
    let clean = Clean::begin();
    let runtime = Runtime::new().unwrap();
    let mut task = runtime.spawn(pending::<()>());
    for _ in 0..20 {
        let polls = Polls(Some(task));
        task = runtime.spawn(async move {
            let _polls = polls;
            pending::<()>().await;
        });
    }
    runtime.block_on(yield_now());
    // A handle keeps the eventfd open that would wake the loop.
    drop(task);
    clean.end(runtime);
}

#[test]
fn wakes_from_another_thread_race_the_end() {
    let clean = Clean::begin();
    let log = DropLog::default();
    for round in 0..300 {
        let runtime = Runtime::new().unwrap();
        let wakers: Arc<Mutex<Vec<Waker>>> = Arc::default();
        let stop = Arc::new(AtomicBool::new(false));
        runtime.block_on(async {
            for _ in 0..4 {
                let (wakers, guard, mut met) = (wakers.clone(), log.guard(), false);
                drop(spawn(async move {
                    let _guard = guard;
                    poll_fn(|cx| {
                        if !std::mem::replace(&mut met, true) {
                            wakers.lock().unwrap().push(cx.waker().clone());
                        }
                        Poll::<()>::Pending
                    })
                    .await
                }));
            }
            yield_now().await;
        });
        let waking = thread::spawn({
            let (stop, wakers) = (stop.clone(), wakers.lock().unwrap().clone());
            move || {
                while !stop.load(Ordering::Relaxed) {
                    wakers.iter().for_each(Waker::wake_by_ref);
                }
            }
        });
        if round % 3 == 0 {
            thread::yield_now();
        }
        drop(runtime);
        assert_eq!(log.take(), [thread::current().id(); 4]);
        stop.store(true, Ordering::Relaxed);
        waking.join().unwrap();
    }
    clean.end_without_runtime();
}

#[test]
fn spawns_from_another_thread_race_the_end() {
    let clean = Clean::begin();
    for _ in 0..100 {
        let runtime = Runtime::new().unwrap();
        let handle = runtime.handle().clone();
        let log = DropLog::default();
        let (began, begin) = mpsc::channel();
        let spawner = thread::spawn({
            let log = log.clone();
            move || {
                let spawn_one = |number: usize| {
                    let guard = log.guard();
                    handle.spawn(async move {
                        let _guard = guard;
                        number
                    })
                };
                let first = spawn_one(0);
                began.send(()).unwrap();
                let mut tasks = vec![first];
                tasks.extend((1..50).map(spawn_one));
                tasks
            }
        });
        begin.recv().unwrap();
        runtime.block_on(yield_now());
        drop(runtime);
        for (number, task) in spawner.join().unwrap().into_iter().enumerate() {
            match futures::executor::block_on(task) {
                Ok(output) => assert_eq!(output, number),
                Err(error) => assert!(error.is_cancelled()),
            }
        }
        assert_eq!(log.take().len(), 50, "each future is dropped once");
    }
    clean.end_without_runtime();
}

#[test]
fn peers_see_the_end_of_the_runtime() {
    let clean = Clean::begin();
    let runtime = Runtime::new().unwrap();
    let mut peers = Vec::new();
    runtime.block_on(async {
        for _ in 0..50 {
            let (mut stream, peer) = stream_and_peer();
            peers.push(peer);
            drop(spawn(async move { stream.read(&mut [0]).await }));
        }
        sleep(Duration::from_millis(1)).await;
    });
    drop(runtime);
    for mut peer in peers {
        peer.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        assert_eq!(peer.read(&mut [0]).unwrap(), 0);
    }
    clean.end_without_runtime();
}

#[test]
fn a_runtime_ends_while_another_one_runs() {
    let clean = Clean::begin();
    let (outer, inner) = (Runtime::new().unwrap(), Runtime::new().unwrap());
    let log = DropLog::default();
    let (stream, peer) = inner.block_on(async { stream_and_peer() });
    let guard = log.guard();
    drop(inner.spawn(async move {
        let _guard = guard;
        let _ = (&stream).read(&mut [0]).await;
    }));
    inner.block_on(yield_now());
    outer.block_on(async {
        let task = spawn(async {
            sleep(Duration::from_millis(2)).await;
            Handle::current();
        });
        drop(inner);
        task.await.unwrap();
    });
    assert_eq!(log.take().len(), 1);
    drop(peer);
    clean.end(outer);
}

#[test]
fn a_runtime_in_a_thread_local_ends_with_its_thread() {
    thread_local! {
        static RUNTIME: Runtime = Runtime::new().unwrap();
    }
    let clean = Clean::begin();
    let log = DropLog::default();
    let guard = log.guard();
    let local = thread::spawn(move || {
        RUNTIME.with(|runtime| {
            drop(runtime.spawn(async move {
                let _guard = guard;
                pending::<()>().await;
            }));
            runtime.block_on(yield_now());
        });
        thread::current().id()
    });
    let thread = local.join().unwrap();
    assert_eq!(log.take(), [thread]);
    clean.end_without_runtime();
}

#[test]
fn a_waker_that_spawns_at_the_very_end() {
    /// Spawns a task when it is woken.
    #[derive(Default)]
    struct Spawns(Mutex<Option<JoinHandle<()>>>);
    impl Wake for Spawns {
        fn wake(self: Arc<Self>) {
            *self.0.lock().unwrap() = Some(spawn(async {}));
        }
    }
    let clean = Clean::begin();
    let runtime = Runtime::new().unwrap();
    let (stream, peer) = runtime.block_on(async { stream_and_peer() });
    assert!(stream.try_read(&mut [0]).is_err());
    let spawns = Arc::<Spawns>::default();
    let waker = Waker::from(spawns.clone());
    let mut readable = Box::pin(stream.readable());
    assert!(readable.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    // The waiters on descriptors are woken last.
    drop(runtime);
    let task = spawns.0.lock().unwrap().take().expect("the waker was woken");
    assert!(futures::executor::block_on(task).unwrap_err().is_cancelled());
    drop(readable);
    drop((stream, peer));
    clean.end_without_runtime();
}

#[test]
fn a_task_of_a_runtime_in_a_thread_local_may_exit_the_process() {
    if is_child() {
        thread_local! {
            static RUNTIME: Runtime = Runtime::new().unwrap();
        }
        // The thread's locals are dropped by `exit`, under the frame of the task.
        RUNTIME.with(|runtime| {
            runtime.block_on(async {
                spawn(pending::<()>());
                // Nobody waits for a function, either.
                spawn_blocking(|| thread::sleep(Duration::from_secs(3600)));
                let exiting = spawn(async {
                    yield_now().await;
                    std::process::exit(7)
                });
                exiting.await.unwrap()
            })
        });
    }
    let mut child = child("a_task_of_a_runtime_in_a_thread_local_may_exit_the_process").spawn().unwrap();
    let begin = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if begin.elapsed() > Duration::from_secs(10) {
            child.kill().unwrap();
            panic!("it does not exit");
        }
        thread::sleep(Duration::from_millis(1));
    };
    assert_eq!(status.code(), Some(7));
}

/// Its drop panics.
struct Explosive;

impl Wake for Explosive {
    fn wake(self: Arc<Self>) {}
}

impl Drop for Explosive {
    fn drop(&mut self) {
        panic!("dropped");
    }
}

#[test]
fn a_waker_whose_drop_panics_does_not_stop_the_end() {
    let clean = Clean::begin();
    let log = DropLog::default();
    let runtime = Runtime::new().unwrap();
    let guard = log.guard();
    let mut slept = Box::pin(sleep(Duration::from_secs(3600)));
    runtime.block_on(async {
        spawn(async move {
            let _guard = guard;
            pending::<()>().await;
        });
        yield_now().await;
        let waker = Waker::from(Arc::new(Explosive));
        assert!(slept.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        // The timer's clone is the last one.
    });
    drop(runtime);
    assert_eq!(log.take().len(), 1, "the tasks are dropped");
    drop(slept);
    clean.end_without_runtime();
}
