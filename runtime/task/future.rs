//! The future that every task runs: the user's, with its panics turned into errors, abortable, and
//! known to the runtime while it is pending.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::task::{Context, Poll};

use async_task::Runnable;
use pin_project_lite::pin_project;

use super::contain::Contained;
use super::join::JoinError;
use crate::runtime::context;
use crate::runtime::scheduler::Shared;

/// What a task ends with.
pub(super) type Output<T> = Contained<Result<T, JoinError>>;

/// Stands beside the future in its allocation: where it runs, and how an abort reaches it.
#[derive(Debug)]
pub(crate) struct TaskCell {
    runtime: Arc<Shared>,
    aborted: AtomicBool,
    /// The place among the runtime's pending tasks; `NOT_PENDING` before the first poll that left
    /// the task pending.
    place: AtomicU32,
}

const NOT_PENDING: u32 = u32::MAX;

impl TaskCell {
    pub(super) fn new(runtime: &Arc<Shared>) -> Self {
        Self { runtime: Arc::clone(runtime), aborted: AtomicBool::new(false), place: AtomicU32::new(NOT_PENDING) }
    }

    pub(in crate::runtime) fn runtime(&self) -> &Arc<Shared> {
        &self.runtime
    }

    /// Has the task drop its future when it runs next, which comes soon. On any thread.
    pub(super) fn abort(&self) {
        // SeqCst: either this sees the task's place, or the task, entering it, sees the abort
        // (`TaskFuture::poll`).
        self.aborted.store(true, Ordering::SeqCst);
        match self.place.load(Ordering::SeqCst) {
            // It is ready or runs, and looks before it becomes pending.
            NOT_PENDING => {}
            place => self.runtime.wake_aborted(place as usize),
        }
    }

    fn is_aborted(&self) -> bool {
        self.aborted.load(Ordering::SeqCst)
    }

    fn is_pending(&self) -> bool {
        self.place.load(Ordering::Relaxed) != NOT_PENDING
    }
}

/// Ends a task that is ready: its future is dropped, here and now.
pub(in crate::runtime) fn end_now(task: Runnable<TaskCell>) {
    task.metadata().aborted.store(true, Ordering::SeqCst);
    task.run();
}

pin_project! {
    /// See the [module](self).
    pub(super) struct TaskFuture<'a, F> {
        #[pin]
        future: Contained<F>,
        cell: &'a TaskCell,
    }

    impl<F> PinnedDrop for TaskFuture<'_, F> {
        fn drop(this: Pin<&mut Self>) {
            // Nobody else writes it.
            let place = this.cell.place.load(Ordering::Relaxed);
            if place != NOT_PENDING {
                // An abort from now on has nobody to wake.
                this.cell.place.store(NOT_PENDING, Ordering::Relaxed);
                context::with(|scheduler| scheduler.remove_pending(place as usize));
            }
        }
    }
}

impl<'a, F> TaskFuture<'a, F> {
    pub(super) fn new(future: F, cell: &'a TaskCell) -> Self {
        Self { future: Contained::new(future), cell }
    }
}

impl<F: Future> Future for TaskFuture<'_, F> {
    type Output = Output<F::Output>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        if !this.cell.is_aborted() {
            context::with(|scheduler| scheduler.begin_poll(cx.waker()));
            let future = this.future.as_mut().get().expect("a task is not polled after its end");
            match catch_unwind(AssertUnwindSafe(|| future.poll(cx))) {
                Ok(Poll::Pending) => {
                    if !this.cell.is_pending()
                        && let Some(place) = context::with(|scheduler| scheduler.add_pending(cx.waker().clone()))
                    {
                        this.cell.place.store(place as u32, Ordering::SeqCst);
                    }
                    if !this.cell.is_aborted() {
                        return Poll::Pending;
                    }
                }
                Ok(Poll::Ready(output)) => return Poll::Ready(end(this.future, Ok(output))),
                Err(panic) => return Poll::Ready(end(this.future, Err(JoinError::panic(panic)))),
            }
        }
        Poll::Ready(end(this.future, Err(JoinError::cancelled())))
    }
}

/// Drops the future; its panic, if it has one, becomes the task's.
fn end<F, T>(future: Pin<&mut Contained<F>>, result: Result<T, JoinError>) -> Output<T> {
    let result = Contained::new(result);
    match future.clear() {
        Ok(()) => result,
        Err(panic) => Contained::new(Err(JoinError::panic(panic))),
    }
}
