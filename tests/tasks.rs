//! Tasks: spawning, joining, detaching, yielding.

mod common;

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;
use std::thread;
use std::time::Duration;

use aio_runtime::task::{spawn_local, yield_now};
use aio_runtime::time::sleep;
use aio_runtime::{Runtime, spawn};
use common::{Clean, Dropped, counter, panic_text, run, soon};

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
fn joining_a_finished_task() {
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

        // The same if the handle is dropped after the end.
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
fn a_second_block_on_continues_the_tasks() {
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
    assert_eq!(steps.get(), 0, "nothing runs before block_on");
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
    assert_eq!(panic_text(&*panic.unwrap_err()), "in block_on");
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
fn a_task_that_wakes_itself_does_not_starve_timers() {
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
fn a_long_chain_of_tasks_that_join_each_other() {
    run(async {
        let mut task = spawn(async { 0_u32 });
        for _ in 0..10_000 {
            task = spawn(async move { task.await.unwrap() + 1 });
        }
        assert_eq!(task.await.unwrap(), 10_000);
    });
}
