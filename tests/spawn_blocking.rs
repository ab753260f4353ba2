//! Blocking functions, on the pool.

mod common;

use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use aio_runtime::Builder;
use aio_runtime::fs::File;
use aio_runtime::task::{spawn_blocking, yield_now};
use aio_runtime::time::sleep;
use common::busy::BusyThread;
use common::{Clean, DropLog, panic_of, panic_text, poll_once, run, run_on, soon, wait_until};

#[test]
fn spawn_blocking_yields_the_result() {
    run(async {
        let runtime_thread = thread::current().id();
        let (value, thread) = spawn_blocking(|| (6 * 7, thread::current().id())).await.unwrap();
        assert_eq!(value, 42);
        assert_ne!(thread, runtime_thread);
    });
}

#[test]
fn spawn_blocking_does_not_block_the_loop() {
    run(async {
        let (release, released) = mpsc::channel();
        let blocked = spawn_blocking(move || released.recv().unwrap());
        soon("a sleep meanwhile", sleep(Duration::from_millis(5))).await;
        assert!(!blocked.is_finished());
        release.send("free").unwrap();
        assert_eq!(soon("the function", blocked).await.unwrap(), "free");
    });
}

#[test]
fn a_panic_in_spawn_blocking_is_the_tasks_error() {
    run(async {
        let error = spawn_blocking(|| -> () { panic!("on the pool") }).await.unwrap_err();
        assert!(error.is_panic());
        assert_eq!(panic_text(&*error.into_panic()), "on the pool");
    });
}

#[test]
fn an_aborted_spawn_blocking_runs_to_its_end() {
    run(async {
        let done = Arc::new(AtomicBool::new(false));
        let (release, released) = mpsc::channel();
        let (began, begin) = futures::channel::oneshot::channel();
        let task = spawn_blocking({
            let done = done.clone();
            move || {
                began.send(()).unwrap();
                released.recv().unwrap();
                done.store(true, Ordering::Release);
            }
        });
        begin.await.unwrap();
        task.abort();
        assert!(soon("the abort", task).await.unwrap_err().is_cancelled());
        assert!(!done.load(Ordering::Acquire));
        release.send(()).unwrap();
        let begin = Instant::now();
        while !done.load(Ordering::Acquire) {
            assert!(begin.elapsed() < Duration::from_secs(10), "the function was stopped");
            sleep(Duration::from_millis(1)).await;
        }
    });
}

/// The number of this process's threads of that name.
fn threads_named(name: &str) -> usize {
    statuses_of_threads(name).count()
}

/// Whether all threads of that name sleep.
fn are_asleep(name: &str) -> bool {
    statuses_of_threads(name).all(|status| status.contains("\nState:\tS"))
}

fn statuses_of_threads(name: &str) -> impl Iterator<Item = String> {
    let name = format!("Name:\t{name}\n");
    let threads = std::fs::read_dir("/proc/self/task").unwrap().map(|thread| thread.unwrap().path().join("status"));
    // One that has just ended has no status any more.
    let statuses = threads.filter_map(|status| std::fs::read_to_string(status).ok());
    statuses.filter(move |status| status.starts_with(&name))
}

#[test]
fn the_pool_has_at_most_max_blocking_threads() {
    let mut builder = Builder::new();
    run_on(builder.max_blocking_threads(2).thread_name("at-most-two"), async {
        let first = BusyThread::begin().await;
        let second = BusyThread::begin().await;
        let third = spawn_blocking(|| 3);
        sleep(Duration::from_millis(20)).await;
        assert!(!third.is_finished());
        assert_eq!(threads_named("at-most-two"), 2);
        second.end().await;
        assert_eq!(soon("the third function", third).await.unwrap(), 3);
        first.end().await;
    });
}

#[test]
fn functions_that_wait_for_each_other_get_a_thread_each() {
    const FUNCTIONS: usize = 100;
    run(async {
        let barrier = Arc::new(Barrier::new(FUNCTIONS));
        let tasks: Vec<_> = (0..FUNCTIONS)
            .map(|_| {
                let barrier = barrier.clone();
                spawn_blocking(move || barrier.wait().is_leader())
            })
            .collect();
        let leaders = soon("all functions", futures::future::join_all(tasks)).await;
        assert_eq!(leaders.into_iter().filter(|leader| *leader.as_ref().unwrap()).count(), 1);
    });
}

#[test]
fn an_idle_thread_is_used_again_and_ends_in_time() {
    let mut builder = Builder::new();
    run_on(builder.thread_keep_alive(Duration::from_millis(300)).thread_name("keep-alive"), async {
        assert_eq!(threads_named("keep-alive"), 0, "a runtime starts no threads");
        for _ in 0..100 {
            spawn_blocking(|| ()).await.unwrap();
            // Its thread becomes idle a little after the output is there.
            wait_until("the thread is idle", || are_asleep("keep-alive"));
            let threads = threads_named("keep-alive");
            assert!(threads <= 1, "{threads} threads for one function after the other");
        }
        wait_until("the threads have ended", || threads_named("keep-alive") == 0);
        soon("a function on a new thread", spawn_blocking(|| ())).await.unwrap();
    });
}

#[test]
fn functions_race_with_threads_that_end() {
    for keep_alive in [Duration::ZERO, Duration::from_micros(60)] {
        run_on(Builder::new().thread_keep_alive(keep_alive).max_blocking_threads(3), async {
            for round in 0..1000_u64 {
                let burst: Vec<_> = (0..round % 5).map(|number| spawn_blocking(move || number)).collect();
                for (number, task) in burst.into_iter().enumerate() {
                    assert_eq!(soon("a function", task).await.unwrap(), number as u64);
                }
                // At about that time the threads give up.
                if round % 3 == 0 {
                    sleep(Duration::from_micros(round % 100)).await;
                }
            }
        });
    }
}

#[test]
fn the_threads_of_a_runtime_end_with_it() {
    let clean = Clean::begin();
    let runtime = Builder::new().thread_name("ends-with-it").build().unwrap();
    runtime.block_on(async {
        let busy = BusyThread::begin().await;
        spawn_blocking(|| ()).await.unwrap();
        busy.end().await;
    });
    assert!(threads_named("ends-with-it") > 0);
    let begin = Instant::now();
    drop(runtime);
    assert!(begin.elapsed() < Duration::from_secs(5), "it waited until the threads had been idle for long");
    // The last thing that a thread does is to say that it ends.
    wait_until("the threads have ended", || threads_named("ends-with-it") == 0);
    clean.end_without_runtime();
}

#[test]
fn the_end_of_a_runtime_waits_for_functions_that_have_begun() {
    let clean = Clean::begin();
    let ended = Arc::new(AtomicBool::new(false));
    let runtime = Builder::new().build().unwrap();
    let (began, begun) = mpsc::channel();
    runtime.block_on(async {
        let ended = Arc::clone(&ended);
        drop(spawn_blocking(move || {
            began.send(()).unwrap();
            thread::sleep(Duration::from_millis(100));
            ended.store(true, Ordering::Release);
        }));
    });
    begun.recv().unwrap();
    drop(runtime);
    assert!(ended.load(Ordering::Acquire), "it was left behind");
    clean.end_without_runtime();
}

#[test]
fn a_function_may_spawn_a_task_and_wait_for_it_while_the_runtime_ends() {
    let clean = Clean::begin();
    let runtime = Builder::new().build().unwrap();
    let handle = runtime.handle().clone();
    let ends = DropLog::default();
    let (began, begun) = mpsc::channel();
    let (told, tells) = mpsc::channel();
    runtime.block_on(async {
        // Dropped with the runtime's tasks.
        let (alive, ending) = mpsc::channel::<()>();
        drop(aio_runtime::spawn(async move {
            let _alive = alive;
            std::future::pending::<()>().await;
        }));
        let guard = ends.guard();
        drop(spawn_blocking(move || {
            let _guard = guard;
            began.send(()).unwrap();
            ending.recv().unwrap_err();
            told.send(futures::executor::block_on(handle.spawn(async {}))).unwrap();
        }));
        yield_now().await;
    });
    begun.recv().unwrap();
    drop(runtime);
    assert!(tells.recv().unwrap().unwrap_err().is_cancelled());
    assert_eq!(ends.take().len(), 1);
    clean.end_without_runtime();
}

#[test]
fn the_last_handle_may_be_dropped_by_a_function() {
    let clean = Clean::begin();
    let runtime = Builder::new().build().unwrap();
    let handle = runtime.handle().clone();
    let (began, begun) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let releasing = runtime.block_on(async {
        drop(spawn_blocking(move || {
            began.send(()).unwrap();
            let _ = released.recv();
            drop(handle);
        }));
        begun.recv().unwrap();
        thread::spawn(move || {
            thread::sleep(Duration::from_millis(20));
            drop(release);
        })
    });
    drop(runtime);
    releasing.join().unwrap();
    clean.end_without_runtime();
}

#[test]
fn a_function_that_has_not_begun_ends_with_the_runtime() {
    let clean = Clean::begin();
    let runtime = Builder::new().max_blocking_threads(1).build().unwrap();
    let dropped = DropLog::default();
    let (busy, queued, open) = runtime.block_on(async {
        let busy = BusyThread::begin().await;
        let guard = dropped.guard();
        let queued = spawn_blocking(move || drop(guard));
        let mut open = Box::pin(File::open("/proc/self/stat"));
        assert!(!poll_once(open.as_mut()));
        (busy, queued, open)
    });
    // The runtime's end waits for the busy thread, after it has dropped what has not begun.
    let releasing = thread::spawn({
        let dropped = dropped.clone();
        move || {
            wait_until("the function is dropped", || !dropped.0.lock().unwrap().is_empty());
            drop(busy);
        }
    });
    drop(runtime);
    releasing.join().unwrap();
    assert_eq!(dropped.take(), [thread::current().id()], "it was dropped, and not run");
    assert!(futures::executor::block_on(queued).unwrap_err().is_cancelled());
    // Its future has outlived the runtime.
    Builder::new().build().unwrap().block_on(async move {
        let error = soon("an error", open).await.unwrap_err();
        assert!(error.to_string().contains("has been dropped"), "{error}");
    });
    clean.end_without_runtime();
}

#[test]
fn an_aborted_function_that_has_not_begun_is_not_run() {
    run_on(Builder::new().max_blocking_threads(1), async {
        let busy = BusyThread::begin().await;
        let (ran, has_run) = mpsc::channel::<()>();
        let queued = spawn_blocking(move || ran.send(()));
        yield_now().await;
        queued.abort();
        assert!(soon("the abort", queued).await.unwrap_err().is_cancelled());
        busy.end().await;
        soon("the next function", spawn_blocking(|| ())).await.unwrap();
        assert!(has_run.recv().is_err(), "it ran");
    });
}

#[test]
fn a_dropped_open_that_has_begun_closes_its_file() {
    // `Clean`, in `run`, looks for the descriptor.
    run(async {
        for _ in 0..100 {
            let open = pin!(File::open("/proc/self/stat"));
            let _ = futures::poll!(open);
        }
    });
}

#[test]
fn an_output_that_panics_in_its_drop_leaves_the_thread_usable() {
    struct PanicsInDrop;
    impl Drop for PanicsInDrop {
        fn drop(&mut self) {
            std::panic::panic_any(PanicsInDrop2);
        }
    }
    struct PanicsInDrop2;
    impl Drop for PanicsInDrop2 {
        fn drop(&mut self) {
            if !thread::panicking() {
                panic!("the payload, too");
            }
        }
    }
    run_on(Builder::new().max_blocking_threads(1), async {
        let (release, released) = mpsc::channel::<()>();
        let (began, begun) = futures::channel::oneshot::channel();
        let task = spawn_blocking(move || {
            began.send(()).unwrap();
            let _ = released.recv();
            PanicsInDrop
        });
        begun.await.unwrap();
        task.abort();
        assert!(soon("the abort", task).await.is_err());
        drop(release);
        assert_eq!(soon("the next function", spawn_blocking(|| 1)).await.unwrap(), 1);
    });
}

#[test]
fn a_pool_that_could_not_work_is_refused() {
    let clean = Clean::begin();
    let (file, text) = panic_of(|| drop(Builder::new().max_blocking_threads(0).build()));
    assert!(file == file!() && text.contains("max_blocking_threads"), "{file}: {text}");
    let (file, text) = panic_of(|| drop(Builder::new().thread_name("a\0b").build()));
    assert!(file == file!() && text.contains("thread_name"), "{file}: {text}");
    clean.end_without_runtime();
}
