//! The handle of a task.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker, ready};

use async_task::Task;

use super::contain::Contained;
use super::error::JoinError;
use super::future::Output;
use crate::reactor::{contain, coop};
use crate::runtime::own_waker;
use crate::runtime::shared::TaskMeta;
use crate::runtime::wake;

/// Awaits the output of a task. Dropping the handle detaches the task, which keeps running.
///
/// It can be awaited on any thread, inside a runtime or not.
///
/// # Errors
///
/// Awaiting it yields a [`JoinError`] if the task panicked, was aborted, or was dropped with its
/// runtime.
///
/// # Panics
///
/// If polled again after it was ready.
///
/// # Cancel safety
///
/// Awaiting `&mut handle` in a `select!` is cancel safe: the output is kept until it is taken.
///
/// # Examples
///
/// ```
/// # #[aio_runtime::main]
/// # async fn main() {
/// let handle = aio_runtime::spawn(async { 6 * 7 });
/// assert_eq!(handle.await.unwrap(), 42);
///
/// let handle = aio_runtime::spawn(std::future::pending::<()>());
/// handle.abort();
/// assert!(handle.await.unwrap_err().is_cancelled());
/// # }
/// ```
pub struct JoinHandle<T> {
    /// `None` only while dropped.
    task: Option<Task<Output<T>, TaskMeta>>,
}

impl<T> JoinHandle<T> {
    pub(super) fn new(task: Task<Output<T>, TaskMeta>) -> Self {
        Self { task: Some(task) }
    }

    /// Asks the task to end. From any thread.
    ///
    /// Its future is dropped when the task would run next, and the handle then yields an error for
    /// which [`JoinError::is_cancelled`] is true. Nothing happens if the task is complete, or
    /// completes first. A function that has begun on the blocking pool is not stopped, and its
    /// output is lost.
    pub fn abort(&self) {
        wake::abort(self.task().metadata());
    }

    /// Whether the task has ended: it is complete, or was aborted or dropped with its runtime.
    pub fn is_finished(&self) -> bool {
        self.task().is_finished()
    }

    fn task(&self) -> &Task<Output<T>, TaskMeta> {
        self.task.as_ref().expect("a handle has its task until it is dropped")
    }
}

impl<T> Future for JoinHandle<T> {
    type Output = Result<T, JoinError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let unit = ready!(coop::poll_proceed(cx));
        let task = self.task.as_mut().expect("a handle has its task until it is dropped");
        let ended = if own_waker::is_current(cx.waker()) {
            ready!(Pin::new(task).poll(cx))
        } else {
            // Somebody's own waker may panic, and async-task would abort the process.
            let waker = Waker::from(Arc::new(ContainedWaker(Contained::new(cx.waker().clone()))));
            ready!(Pin::new(task).poll(&mut Context::from_waker(&waker)))
        };
        unit.made_progress();
        Poll::Ready(ended.into_inner())
    }
}

impl<T> Drop for JoinHandle<T> {
    fn drop(&mut self) {
        if let Some(task) = self.task.take() {
            task.detach();
        }
    }
}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinHandle").field("is_finished", &self.is_finished()).finish_non_exhaustive()
    }
}

/// A waker whose panics, in its drop as well, are logged and go no further.
struct ContainedWaker(Contained<Waker>);

impl Wake for ContainedWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        contain("a waker that awaits a task panicked", || self.0.as_ref().wake_by_ref());
    }
}
