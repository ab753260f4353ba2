//! The runtime: tasks and time on top of the reactor, all on one thread.
//!
//! ```text
//!    other threads                        the runtime's thread
//!   ┌──────────────┐            ┌─────────────────────────────────────────┐
//!   │ Handle::spawn│──inbox────►│ Scheduler: ready queue, pending tasks   │
//!   │ wakers       │  + unpark  │    run ready ─► Reactor::turn ─► timers │
//!   └──────────────┘            │    nothing ready: Reactor::park         │
//!                               └─────────────────────────────────────────┘
//! ```
//!
//! The thread is inside a runtime while `block_on` runs (`context`); there the current runtime is
//! found by `spawn`, by sleeps and by everything that is registered with the reactor. Only
//! `scheduler::Shared` is known to other threads.

mod builder;
pub(crate) mod context;
mod handle;
mod own_waker;
pub(crate) mod scheduler;
mod shared;
pub mod task;
pub mod time;
mod wake;

use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Waker;

pub use builder::Builder;
pub use handle::{Handle, TryCurrentError};

pub use crate::reactor::Metrics;

use scheduler::Scheduler;
use task::JoinHandle;

/// A runtime: one thread, one native-AIO context.
///
/// It runs tasks while its thread is in [`block_on`](Self::block_on), and only then. For more
/// cores, build one on each thread.
///
/// Dropped, it drops all its tasks on its thread and gives back every descriptor and every AIO
/// request that they held. Functions that run on the blocking pool run on.
///
/// # Examples
///
/// ```
/// let runtime = aio_runtime::Runtime::new()?;
/// let answer = runtime.block_on(async { aio_runtime::spawn(async { 42 }).await.unwrap() });
/// assert_eq!(answer, 42);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Runtime {
    scheduler: Rc<Scheduler>,
    handle: Handle,
}

impl Runtime {
    fn with_scheduler(scheduler: Rc<Scheduler>) -> Self {
        let handle = Handle::new(scheduler.shared());
        Self { scheduler, handle }
    }

    /// Runs a future, and with it all tasks of the runtime, until the future is complete.
    ///
    /// Tasks that are not complete then stay, and go on with the next `block_on`.
    ///
    /// # Panics
    ///
    /// If the future panics; inside another `block_on` of the same thread; in a process that was
    /// forked off after the runtime was built.
    #[track_caller]
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        assert!(
            !context::is_inside(),
            "cannot block_on within a runtime: this thread is already driving one; use .await or aio_runtime::spawn \
             here, or a runtime on another thread"
        );
        self.scheduler.assert_ours();
        let _entered = context::enter(&self.scheduler);
        let _in_loop = self.scheduler.reactor().drive();
        // Dropped before the guards: what it holds open is closed when this returns.
        let future = pin!(future);
        let waker = Waker::from(Arc::clone(self.scheduler.shared()));
        self.scheduler.run(future, &waker)
    }

    /// Starts a task, which runs when `block_on` does. See [`spawn`](crate::spawn).
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        task::spawn_on(&self.scheduler, future)
    }

    /// What other threads may have of the runtime.
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// What the loop has done so far.
    pub fn metrics(&self) -> Metrics {
        self.handle.metrics()
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        let _entered = context::enter(&self.scheduler);
        self.scheduler.shutdown();
    }
}
