//! Blocking functions, on the pool.

mod common;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use aio_runtime::task::spawn_blocking;
use aio_runtime::time::sleep;
use common::{panic_text, run, soon};

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
