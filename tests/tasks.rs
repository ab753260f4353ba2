//! Tasks: spawning, joining, detaching, aborting, blocking functions.

mod common;

use std::cell::{Cell, RefCell};
use std::future::{pending, poll_fn};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use aio_runtime::task::{JoinHandle, spawn_blocking, spawn_local, yield_now};
use aio_runtime::time::sleep;
use aio_runtime::{Runtime, spawn};
use common::{Clean, run, soon};

/// Counts its drops.
struct Dropped(Rc<Cell<u32>>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.set(self.0.get() + 1);
    }
}

fn counter() -> Rc<Cell<u32>> {
    Rc::default()
}

#[test]
fn join_yields_the_output() {
    run(async {
        let not_send = Rc::new(40);
        assert_eq!(spawn(async move { *not_send + 2 }).await.unwrap(), 42);
        let local = spawn_local(async {
            yield_now().await;
            "after a yield"
        });
        assert_eq!(local.await.unwrap(), "after a yield");
    });
}

#[test]
fn joining_a_task_that_is_finished_already() {
    run(async {
        let task = spawn(async { 1 });
        while !task.is_finished() {
            yield_now().await;
        }
        assert_eq!(task.await.unwrap(), 1);
    });
}

#[test]
#[should_panic(expected = "polled after completion")]
fn joining_twice_panics() {
    run(async {
        let mut task = spawn(async {});
        (&mut task).await.unwrap();
        let _ = (&mut task).await;
    });
}

#[test]
fn a_dropped_handle_detaches() {
    run(async {
        let done = counter();
        drop(spawn({
            let done = done.clone();
            async move {
                sleep(Duration::from_millis(1)).await;
                done.set(1);
            }
        }));
        while done.get() == 0 {
            sleep(Duration::from_millis(1)).await;
        }
    });
}

#[test]
fn the_output_of_a_detached_task_is_dropped() {
    run(async {
        let drops = counter();
        let output = Dropped(drops.clone());
        drop(spawn(async move { output }));
        yield_now().await;
        assert_eq!(drops.get(), 1);

        // Likewise where the handle is dropped after the end.
        let output = Dropped(drops.clone());
        let task = spawn(async move { output });
        yield_now().await;
        assert!(task.is_finished());
        assert_eq!(drops.get(), 1, "the handle may still be awaited");
        drop(task);
        assert_eq!(drops.get(), 2);
    });
}

#[test]
fn abort_of_a_pending_task_drops_its_future() {
    run(async {
        let drops = counter();
        let guard = Dropped(drops.clone());
        let task = spawn(async move {
            let _guard = guard;
            pending::<()>().await;
        });
        yield_now().await;
        assert!(!task.is_finished());
        task.abort();
        task.abort();
        let error = soon("the abort", task).await.unwrap_err();
        assert!(error.is_cancelled() && !error.is_panic());
        assert_eq!(error.to_string(), "task was cancelled");
        assert_eq!(drops.get(), 1);
        assert!(error.try_into_panic().unwrap_err().is_cancelled());
    });
}

#[test]
fn abort_of_a_ready_task_drops_it_unpolled() {
    run(async {
        let (drops, polls) = (counter(), counter());
        let task = spawn({
            let (guard, polls) = (Dropped(drops.clone()), polls.clone());
            async move {
                let _guard = guard;
                polls.set(1);
            }
        });
        task.abort();
        assert!(soon("the abort", task).await.unwrap_err().is_cancelled());
        assert_eq!((drops.get(), polls.get()), (1, 0));
    });
}

#[test]
fn abort_of_a_woken_task_wins_over_the_wake() {
    run(async {
        let (sender, receiver) = futures::channel::oneshot::channel::<()>();
        let ran_on = counter();
        let task = spawn({
            let ran_on = ran_on.clone();
            async move {
                receiver.await.unwrap();
                ran_on.set(1);
            }
        });
        yield_now().await;
        sender.send(()).unwrap();
        task.abort();
        assert!(soon("the abort", task).await.unwrap_err().is_cancelled());
        assert_eq!(ran_on.get(), 0);
    });
}

#[test]
fn abort_of_a_finished_task_changes_nothing() {
    run(async {
        let task = spawn(async { 7 });
        yield_now().await;
        assert!(task.is_finished());
        task.abort();
        assert_eq!(task.await.unwrap(), 7);
    });
}

/// A task that is given its own handle, and its place to put it.
fn spawn_knowing_itself<T: 'static, F: Future<Output = T> + 'static>(
    future: impl FnOnce(Rc<RefCell<Option<JoinHandle<T>>>>) -> F,
) -> Rc<RefCell<Option<JoinHandle<T>>>> {
    let own = Rc::new(RefCell::new(None));
    let task = spawn(future(own.clone()));
    *own.borrow_mut() = Some(task);
    own
}

#[test]
fn a_task_aborts_itself_at_its_next_wait() {
    run(async {
        let own = spawn_knowing_itself(|own| async move {
            own.borrow().as_ref().unwrap().abort();
            pending::<()>().await;
        });
        yield_now().await;
        let task = own.borrow_mut().take().unwrap();
        assert!(soon("the abort", task).await.unwrap_err().is_cancelled());
    });
}

#[test]
fn a_task_that_aborts_itself_and_ends_has_its_output() {
    run(async {
        let own = spawn_knowing_itself(|own| async move {
            own.borrow().as_ref().unwrap().abort();
            5
        });
        yield_now().await;
        let task = own.borrow_mut().take().unwrap();
        assert_eq!(soon("the output", task).await.unwrap(), 5);
    });
}

#[test]
fn abort_from_another_thread_wakes_a_sleeping_loop() {
    run(async {
        let task = spawn(pending::<()>());
        let sleeper = spawn(pending::<()>());
        let aborter = thread::spawn(move || {
            // By then the loop sleeps; if not, the test is merely easier.
            thread::sleep(Duration::from_millis(20));
            task.abort();
            task
        });
        while !aborter.is_finished() {
            sleep(Duration::from_millis(5)).await;
        }
        let task = aborter.join().unwrap();
        assert!(soon("the abort", task).await.unwrap_err().is_cancelled());
        sleeper.abort();
        let _ = sleeper.await;
    });
}

#[test]
fn aborts_from_another_thread_race_running_tasks() {
    run(async {
        for _ in 0..200 {
            let task = spawn(async {
                for _ in 0..20 {
                    yield_now().await;
                }
            });
            let (give, take) = mpsc::channel();
            let aborter = thread::spawn(move || {
                task.abort();
                give.send(task).unwrap();
            });
            let task = loop {
                yield_now().await;
                if let Ok(task) = take.try_recv() {
                    break task;
                }
            };
            // Which of the two was first is open; that it ends is not.
            if let Err(error) = soon("the task's end", task).await {
                assert!(error.is_cancelled());
            }
            aborter.join().unwrap();
        }
    });
}

#[test]
fn a_handle_is_awaited_on_another_thread_without_a_runtime() {
    run(async {
        let task = spawn(async {
            sleep(Duration::from_millis(20)).await;
            String::from("over there")
        });
        let joiner = thread::spawn(move || futures::executor::block_on(task).unwrap());
        while !joiner.is_finished() {
            sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(joiner.join().unwrap(), "over there");
    });
}

#[test]
fn block_on_again_goes_on_with_the_tasks() {
    let clean = Clean::begin();
    let runtime = Runtime::new().unwrap();
    let steps = counter();
    let task = runtime.spawn({
        let steps = steps.clone();
        async move {
            for _ in 0..3 {
                steps.set(steps.get() + 1);
                sleep(Duration::from_millis(5)).await;
            }
            "all steps"
        }
    });
    assert_eq!(steps.get(), 0, "spawned is not run");
    runtime.block_on(async {
        while steps.get() == 0 {
            yield_now().await;
        }
    });
    let so_far = steps.get();
    thread::sleep(Duration::from_millis(20));
    assert_eq!(steps.get(), so_far, "nothing runs outside block_on");
    assert_eq!(runtime.block_on(task).unwrap(), "all steps");
    assert_eq!(steps.get(), 3);
    clean.end(runtime);
}

#[test]
fn block_on_after_a_panic_in_block_on() {
    let clean = Clean::begin();
    let runtime = Runtime::new().unwrap();
    let task = runtime.spawn(sleep(Duration::from_millis(5)));
    let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        runtime.block_on(async {
            yield_now().await;
            panic!("in block_on");
        })
    }));
    assert_eq!(*panic.unwrap_err().downcast::<&str>().unwrap(), "in block_on");
    runtime.block_on(task).unwrap();
    clean.end(runtime);
}

#[test]
fn the_future_of_block_on_is_polled_only_when_woken() {
    let clean = Clean::begin();
    let runtime = Runtime::new().unwrap();
    let polls = counter();
    let others = runtime.spawn(async {
        for _ in 0..100 {
            yield_now().await;
        }
    });
    let mut others = Some(others);
    runtime.block_on(async {
        let others = others.take().unwrap();
        futures::pin_mut!(others);
        poll_fn(|cx| {
            polls.set(polls.get() + 1);
            others.as_mut().poll(cx)
        })
        .await
        .unwrap();
    });
    assert_eq!(polls.get(), 2, "at the start, and when the other task is done");
    clean.end(runtime);
}

#[test]
fn yielding_tasks_take_turns() {
    run(async {
        let log = Rc::new(RefCell::new(Vec::new()));
        let tasks: Vec<_> = (0..3)
            .map(|name| {
                let log = log.clone();
                spawn(async move {
                    for _ in 0..4 {
                        log.borrow_mut().push(name);
                        yield_now().await;
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(*log.borrow(), [0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2]);
    });
}

#[test]
fn a_task_that_wakes_itself_leaves_timers_their_turn() {
    run(async {
        let stop = Rc::new(Cell::new(false));
        let spinner = spawn({
            let stop = stop.clone();
            poll_fn(move |cx| {
                if stop.get() {
                    return Poll::Ready(());
                }
                cx.waker().wake_by_ref();
                Poll::Pending
            })
        });
        soon("the sleep", sleep(Duration::from_millis(5))).await;
        stop.set(true);
        spinner.await.unwrap();
    });
}

#[test]
fn many_tasks_that_wait_for_each_other() {
    run(async {
        let mut task = spawn(async { 0_u32 });
        for _ in 0..10_000 {
            task = spawn(async move { task.await.unwrap() + 1 });
        }
        assert_eq!(task.await.unwrap(), 10_000);
    });
}

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
fn a_panic_in_spawn_blocking_is_the_handles() {
    run(async {
        let error = spawn_blocking(|| -> () { panic!("on the pool") }).await.unwrap_err();
        assert!(error.is_panic());
        assert_eq!(*error.into_panic().downcast::<&str>().unwrap(), "on the pool");
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
