//! The part of a runtime that other threads may have.

use std::fmt;
use std::sync::Arc;

use super::context;
use super::scheduler::Shared;
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

    /// The handle of the runtime that this thread is in, if it is in one.
    pub fn try_current() -> Option<Self> {
        context::with(|scheduler| Self::new(scheduler.shared()))
    }

    /// Starts a task on the runtime's thread, waking that if it sleeps. If the runtime is gone, the future is
    /// dropped, and the handle's error says that it was cancelled.
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        task::spawn_send(&self.shared, future)
    }

    /// What the loop has done so far.
    pub fn metrics(&self) -> Metrics {
        self.shared.counters().snapshot()
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").finish_non_exhaustive()
    }
}
