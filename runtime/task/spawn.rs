//! Starting tasks.
//!
//! What this file promises: a future that is not `Send` is spawned on its runtime's thread, and is
//! polled and dropped there.
#![allow(unsafe_code)]

use std::io;
use std::panic::resume_unwind;
use std::rc::Rc;
use std::sync::Arc;

use super::future::TaskFuture;
use super::join::JoinHandle;
use crate::runtime::blocking::Failure;
use crate::runtime::context;
use crate::runtime::scheduler::Scheduler;
use crate::runtime::shared::{Shared, TaskMeta};
use crate::runtime::wake::schedule;

/// Starts a task on the current runtime. It runs on this thread, so the future need not be `Send`.
///
/// It first runs after the current task has gone pending or ended. It keeps running when the handle
/// is dropped, until it completes or the runtime is dropped.
///
/// # Panics
///
/// If called outside a runtime.
///
/// # Examples
///
/// ```
/// # #[aio_runtime::main]
/// # async fn main() {
/// let shared = std::rc::Rc::new(5);
/// let task = aio_runtime::spawn({
///     let shared = shared.clone();
///     async move { *shared + 1 }
/// });
/// assert_eq!(task.await.unwrap(), 6);
/// # }
/// ```
#[track_caller]
pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    spawn_on(&context::current(), future)
}

/// The same as [`spawn`], under tokio's name for it.
///
/// # Panics
///
/// If called outside a runtime.
#[track_caller]
pub fn spawn_local<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    spawn(future)
}

/// Runs a blocking function on a thread of the runtime's blocking pool.
///
/// Threads are started on demand, at most [`Builder::max_blocking_threads`] of them.
///
/// A function that has begun runs to its end, even if the task is aborted or the runtime dropped;
/// its output is then dropped. The runtime's drop waits for it. A function that has not begun by
/// then is not run.
///
/// # Errors
///
/// If the pool has no thread and the system refuses to start one, awaiting the task yields an error
/// for which [`JoinError::is_panic`] is true and whose message says so. The function is then not
/// called.
///
/// # Panics
///
/// If called outside a runtime. The function is then not called.
///
/// # Examples
///
/// ```
/// # #[aio_runtime::main]
/// # async fn main() -> std::io::Result<()> {
/// let hosts = aio_runtime::task::spawn_blocking(|| std::fs::read_to_string("/etc/hosts")).await??;
/// assert!(hosts.contains("localhost"));
/// # Ok(())
/// # }
/// ```
///
/// [`Builder::max_blocking_threads`]: crate::Builder::max_blocking_threads
/// [`JoinError::is_panic`]: super::JoinError::is_panic
#[track_caller]
pub fn spawn_blocking<F, R>(function: F) -> JoinHandle<R>
where
    F: FnOnce() -> R + Send + 'static,
    R: Send + 'static,
{
    let scheduler = context::current();
    let pooled = scheduler.blocking().run((), |()| function());
    spawn_on(&scheduler, async {
        match pooled.await {
            Ok(output) => output,
            Err(Failure::Panicked(payload)) => resume_unwind(payload),
            Err(failure) => panic!("spawn_blocking: {}", io::Error::from(failure)),
        }
    })
}

/// Starts a task on a runtime of this thread. The future need not be `Send`.
pub(in crate::runtime) fn spawn_on<F>(scheduler: &Rc<Scheduler>, future: F) -> JoinHandle<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    let builder = async_task::Builder::new().metadata(TaskMeta::new(scheduler.shared()));
    // SAFETY: `spawn_unchecked` asks four things. The future need not be `Send` if its `Runnable`
    // is used and dropped on this thread: the runnable goes to the ready queue or, woken elsewhere,
    // to the inbox, and both are emptied by this thread alone; the inbox refuses runnables only
    // after all tasks of this runtime are dropped. (`Scheduler::shutdown` waits for those that
    // are on their way, and finds them all, since a task is only ever polled and dropped with its
    // own runtime as the current one, and its waker in `active` keeps async-task from scheduling a
    // last drop elsewhere. It returns early in a forked child, and under a task that exits the
    // process. Then, and where a runtime is leaked, its inbox is never closed, and nobody empties
    // it: `ready` and `active` are forgotten, and a runnable in the inbox keeps its `Shared` alive.
    // So all its tasks are leaked, and dropped on no thread.) The future is 'static but for its
    // borrow of the metadata, which the same allocation holds. `schedule` is a plain function.
    let (runnable, task) = unsafe { builder.spawn_unchecked(move |meta| TaskFuture::new(future, meta), schedule) };
    runnable.schedule();
    JoinHandle::new(task)
}

/// Starts a task on a runtime from any thread.
pub(in crate::runtime) fn spawn_send<F>(shared: &Arc<Shared>, future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    spawn_with(shared, || future)
}

/// Starts a task on a runtime from any thread. The task's first poll makes its future, on the
/// runtime's thread.
pub(in crate::runtime) fn spawn_with<F, Fut>(shared: &Arc<Shared>, make: F) -> JoinHandle<Fut::Output>
where
    F: FnOnce() -> Fut + Send + 'static,
    Fut: Future + 'static,
    Fut::Output: Send + 'static,
{
    let builder = async_task::Builder::new().metadata(TaskMeta::new(shared));
    let future = async move { make().await };
    // SAFETY: as in `spawn_on`, except that the runtime may be gone: then the task is dropped here,
    // on any thread. It was never polled, and before its first poll the future holds nothing but
    // `make`, which is `Send`.
    let (runnable, task) = unsafe { builder.spawn_unchecked(move |meta| TaskFuture::new(future, meta), schedule) };
    runnable.schedule();
    JoinHandle::new(task)
}
