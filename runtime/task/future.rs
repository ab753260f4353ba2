//! The future that every task runs: the user's, with its panics turned into errors, abortable, and known to the runtime while it is pending.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use async_task::Runnable;
use futures::task::AtomicWaker;
use pin_project_lite::pin_project;

use super::contain::Contained;
use super::join::JoinError;
use crate::runtime::context;

/// What a task ends with.
pub(super) type Output<T> = Contained<Result<T, JoinError>>;

/// Stands beside the future in its allocation: how an abort reaches it.
#[derive(Debug, Default)]
pub(crate) struct TaskCell {
    aborted: AtomicBool,
    /// The task's own waker, once it is pending.
    waker: AtomicWaker,
}

impl TaskCell {
    /// Has the task drop its future when it runs next, which comes soon. On any thread.
    pub(super) fn abort(&self) {
        self.mark_aborted();
        self.waker.wake();
    }

    /// Has the task drop its future when it runs next.
    pub(super) fn mark_aborted(&self) {
        self.aborted.store(true, Ordering::Release);
    }

    fn is_aborted(&self) -> bool {
        self.aborted.load(Ordering::Acquire)
    }
}

/// Ends a task that is ready: its future is dropped, here and now.
pub(in crate::runtime) fn end_now(task: Runnable<TaskCell>) {
    task.metadata().mark_aborted();
    task.run();
}

pin_project! {
    /// See the [module](self).
    pub(super) struct TaskFuture<'a, F> {
        #[pin]
        future: Contained<F>,
        cell: &'a TaskCell,
        // The place among the runtime's pending tasks, from the first poll that is not the last.
        pending: Option<usize>,
    }

    impl<F> PinnedDrop for TaskFuture<'_, F> {
        fn drop(this: Pin<&mut Self>) {
            if let Some(at) = this.pending {
                // Breaks the cycle of a cell that holds its own waker.
                drop(this.cell.waker.take());
                context::with(|scheduler| scheduler.remove_pending(at));
            }
        }
    }
}

impl<'a, F> TaskFuture<'a, F> {
    pub(super) fn new(future: F, cell: &'a TaskCell) -> Self {
        Self {
            future: Contained::new(future),
            cell,
            pending: None,
        }
    }
}

impl<F: Future> Future for TaskFuture<'_, F> {
    type Output = Output<F::Output>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        if !this.cell.is_aborted() {
            context::with(|scheduler| scheduler.begin_poll(cx.waker()));
            let future = this
                .future
                .as_mut()
                .get()
                .expect("a task is not polled after its end");
            match catch_unwind(AssertUnwindSafe(|| future.poll(cx))) {
                Ok(Poll::Pending) => {
                    if this.pending.is_none() {
                        this.cell.waker.register(cx.waker());
                        *this.pending =
                            context::with(|scheduler| scheduler.add_pending(cx.waker().clone()));
                    }
                    // An abort that came during the poll found no waker, or made the task ready again.
                    if !this.cell.is_aborted() {
                        return Poll::Pending;
                    }
                }
                Ok(Poll::Ready(output)) => {
                    return Poll::Ready(Contained::new(end(this.future, Ok(output))));
                }
                Err(panic) => {
                    return Poll::Ready(Contained::new(end(
                        this.future,
                        Err(JoinError::panic(panic)),
                    )));
                }
            }
        }
        Poll::Ready(Contained::new(end(
            this.future,
            Err(JoinError::cancelled()),
        )))
    }
}

/// Drops the future; its panic, if it has one, becomes the task's.
fn end<F, T>(future: Pin<&mut Contained<F>>, result: Result<T, JoinError>) -> Result<T, JoinError> {
    match future.clear() {
        Ok(()) => result,
        Err(panic) => {
            drop(Contained::new(result));
            Err(JoinError::panic(panic))
        }
    }
}
