//! The part of a runtime that other threads may have.

use std::fmt;
use std::sync::Arc;

use super::context;
use super::shared::Shared;
use super::task::{self, JoinHandle};
use crate::reactor::Metrics;

/// A runtime, from any thread: to start tasks on it, and to read its metrics.
///
/// # Examples
///
/// ```
/// let runtime = aio_runtime::Runtime::new()?;
/// let handle = runtime.handle().clone();
/// let (sender, receiver) = std::sync::mpsc::channel();
/// let thread = std::thread::spawn(move || sender.send(handle.spawn(async { "from another thread" })));
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
    /// Outside a runtime.
    #[track_caller]
    pub fn current() -> Self {
        Self::new(context::current().shared())
    }

    /// The handle of the runtime that this thread is in.
    ///
    /// # Errors
    ///
    /// Outside a runtime.
    pub fn try_current() -> Result<Self, TryCurrentError> {
        context::with(|scheduler| Self::new(scheduler.shared())).ok_or(TryCurrentError(()))
    }

    /// Starts a task on the runtime's thread, waking that if it sleeps. If the runtime is gone, the
    /// future is dropped, and the handle's error says that it was cancelled.
    ///
    /// The future crosses to the runtime's thread, so it must be `Send`. For one that sleeps or
    /// does I/O, see [`spawn_with`](Self::spawn_with).
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        task::spawn_send(&self.shared, future)
    }

    /// Starts a task whose future is made on the runtime's thread, and so need not be `Send`: one
    /// that sleeps, or does I/O. If the runtime is gone, the function is dropped, and the handle's
    /// error says that the task was cancelled.
    ///
    /// # Examples
    ///
    /// ```
    /// # let runtime = aio_runtime::Runtime::new()?;
    /// # let handle = runtime.handle().clone();
    /// // On another thread:
    /// let task = handle.spawn_with(|| async {
    ///     aio_runtime::time::sleep(std::time::Duration::from_millis(1)).await;
    ///     "slept on the runtime's thread"
    /// });
    /// # assert_eq!(runtime.block_on(task).unwrap(), "slept on the runtime's thread");
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

    /// What the loop has done so far.
    pub fn metrics(&self) -> Metrics {
        self.shared.counters().snapshot()
    }
}

/// [`Handle::try_current`] was called outside a runtime.
#[derive(Debug)]
pub struct TryCurrentError(());

impl TryCurrentError {
    /// Whether the thread is in no runtime: there is no other reason.
    pub fn is_missing_context(&self) -> bool {
        true
    }

    /// Whether the thread ends and its variables are gone. That does not matter here.
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
