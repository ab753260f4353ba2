//! Aborting tasks.

mod common;

use std::cell::RefCell;
use std::future::pending;
use std::rc::Rc;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use aio_runtime::spawn;
use aio_runtime::task::{JoinHandle, yield_now};
use aio_runtime::time::sleep;
use common::{Dropped, counter, run, soon};

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

/// Spawns a task whose future is made with the cell that will hold the task's own handle.
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
fn a_task_that_aborts_itself_and_completes_keeps_its_output() {
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
            // By then the loop sleeps. If not, the test is only weaker.
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
            // Either may come first, but the task must end.
            if let Err(error) = soon("the task's end", task).await {
                assert!(error.is_cancelled());
            }
            aborter.join().unwrap();
        }
    });
}
