//! The future that every task runs. It wraps the user's: panics become errors, it can be aborted,
//! and the runtime knows it once it has been polled.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use super::contain::Contained;
use super::error::JoinError;
use crate::runtime::context;
use crate::runtime::own_waker;
use crate::runtime::shared::TaskMeta;

/// What a task ends with. Its drop is user code too.
pub(super) type Output<T> = Contained<Result<T, JoinError>>;

pin_project! {
    /// See the [module](self).
    pub(super) struct TaskFuture<'a, F> {
        #[pin]
        future: Contained<F>,
        meta: &'a TaskMeta,
    }

    impl<F> PinnedDrop for TaskFuture<'_, F> {
        fn drop(this: Pin<&mut Self>) {
            if let Some(index) = this.meta.deactivate() {
                debug_assert!(context::is_inside_of(this.meta.runtime()), "a task is dropped in its own runtime");
                context::with(|scheduler| scheduler.remove_active(index));
            }
        }
    }
}

impl<'a, F> TaskFuture<'a, F> {
    pub(super) fn new(future: F, meta: &'a TaskMeta) -> Self {
        Self { future: Contained::new(future), meta }
    }
}

impl<F: Future> Future for TaskFuture<'_, F> {
    type Output = Output<F::Output>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        if this.meta.is_aborted() {
            return Poll::Ready(end(this.future, Err(JoinError::cancelled())));
        }
        own_waker::set(cx.waker());
        let future = this.future.as_mut().get().expect("a task is not polled after its end");
        match catch_unwind(AssertUnwindSafe(|| future.poll(cx))) {
            Ok(Poll::Ready(output)) => return Poll::Ready(end(this.future, Ok(output))),
            Err(panic) => return Poll::Ready(end(this.future, Err(JoinError::panic(panic)))),
            Ok(Poll::Pending) => {}
        }
        if !this.meta.is_active() {
            debug_assert!(context::is_inside_of(this.meta.runtime()), "a task is polled in its own runtime");
            let index = context::with(|scheduler| scheduler.add_active(cx.waker().clone()));
            this.meta.activate(index.expect("a task is polled inside its runtime"));
        }
        // Once active: see `TaskMeta::set_aborted`.
        if this.meta.is_aborted() {
            return Poll::Ready(end(this.future, Err(JoinError::cancelled())));
        }
        Poll::Pending
    }
}

/// Drops the future. If that panics, the panic becomes the task's result.
fn end<F, T>(future: Pin<&mut Contained<F>>, result: Result<T, JoinError>) -> Output<T> {
    let result = Contained::new(result);
    match future.clear() {
        Ok(()) => result,
        Err(panic) => Contained::new(Err(JoinError::panic(panic))),
    }
}
