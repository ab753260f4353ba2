//! The handle of a runtime, for other threads.

use std::fmt;
use std::sync::Arc;

use super::context;
use super::shared::Shared;
use super::task::{self, JoinHandle};
use crate::reactor::Metrics;

/// A handle to a runtime, for any thread: it starts tasks there and reads the metrics.
///
/// It does not keep the runtime alive. Cloning it is cheap.
///
/// # Examples
///
/// ```
/// let runtime = aio_runtime::Runtime::new()?;
/// let handle = runtime.handle().clone();
/// let (sender, receiver) = std::sync::mpsc::channel();
/// let thread = std::thread::spawn(move || {
///     sender.send(handle.spawn(async { "from another thread" }))
/// });
/// let task = receiver.recv().unwrap();
/// assert_eq!(runtime.block_on(task).unwrap(), "from another thread");
/// # thread.join().unwrap().unwrap();
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone)]
pub struct Handle {
    shared: Arc<Shared>,
}

impl Handle {
    pub(super) fn new(shared: &Arc<Shared>) -> Self {
        Self { shared: Arc::clone(shared) }
    }

    /// The handle of the runtime that this thread is in.
    ///
    /// # Panics
    ///
    /// If this thread is not in a runtime.
    #[track_caller]
    pub fn current() -> Self {
        Self::new(context::current().shared())
    }

    /// The handle of the runtime that this thread is in.
    ///
    /// # Errors
    ///
    /// If this thread is not in a runtime.
    pub fn try_current() -> Result<Self, TryCurrentError> {
        context::with(|scheduler| Self::new(scheduler.shared())).ok_or(TryCurrentError(()))
    }

    /// Starts a task on the runtime's thread, and wakes that thread if it sleeps.
    ///
    /// The future moves to the runtime's thread, so it must be `Send`. For one that is not see
    /// [`spawn_with`](Self::spawn_with).
    ///
    /// If the runtime has been dropped, the future is dropped here, and awaiting the task yields an
    /// error for which [`JoinError::is_cancelled`](task::JoinError::is_cancelled) is true.
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        task::spawn_send(&self.shared, future)
    }

    /// Starts a task whose future is made on the runtime's thread. Only the function that makes it
    /// must be `Send`, and the future may hold what is not.
    ///
    /// If the runtime has been dropped, the function is dropped and not called, and awaiting the
    /// task yields an error for which [`JoinError::is_cancelled`](task::JoinError::is_cancelled) is
    /// true.
    ///
    /// # Examples
    ///
    /// ```
    /// # let runtime = aio_runtime::Runtime::new()?;
    /// # let handle = runtime.handle().clone();
    /// // On another thread:
    /// let task = handle.spawn_with(|| async {
    ///     let shared = std::rc::Rc::new("not `Send`");
    ///     aio_runtime::time::sleep(std::time::Duration::from_millis(1)).await;
    ///     shared.len()
    /// });
    /// # assert_eq!(runtime.block_on(task).unwrap(), 10);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn spawn_with<F, Fut>(&self, make: F) -> JoinHandle<Fut::Output>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future + 'static,
        Fut::Output: Send + 'static,
    {
        task::spawn_with(&self.shared, make)
    }

    /// What the loop has done so far, and what it holds now. From another thread, the latter is as
    /// of the end of the loop's latest turn.
    pub fn metrics(&self) -> Metrics {
        match context::current_if(&self.shared) {
            Some(scheduler) => scheduler.reactor().metrics(),
            None => self.shared.counters().snapshot(),
        }
    }
}

/// [`Handle::try_current`] was called outside a runtime.
#[derive(Debug)]
pub struct TryCurrentError(());

impl TryCurrentError {
    /// Whether this thread is not in a runtime. Always true: there is no other reason.
    pub fn is_missing_context(&self) -> bool {
        true
    }

    /// Whether the thread-local that holds the current runtime was destroyed. Always false: it can
    /// be used until the thread has ended.
    pub fn is_thread_local_destroyed(&self) -> bool {
        false
    }
}

impl fmt::Display for TryCurrentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("there is no aio-runtime on this thread")
    }
}

impl std::error::Error for TryCurrentError {}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").finish_non_exhaustive()
    }
}
