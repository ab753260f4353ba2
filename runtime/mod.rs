//! Runtimes, one per thread: each runs tasks, timers and I/O on a native-AIO context of its own.
//!
//! [`#[aio_runtime::main]`](macro@crate::main) is all that most programs need. By hand:
//!
//! - [`Runtime::new`] builds a runtime with the default settings, a [`Builder`] one with others.
//! - [`Runtime::block_on`] runs a future, and meanwhile all tasks of the runtime.
//! - A [`Handle`] starts tasks from other threads, and reads the [`Metrics`].
//!
//! # More cores
//!
//! A runtime stays on its thread. [`per_core`] runs one on each core, and [`PerCore`] says how.

// How it works:
//
//    other threads                        the runtime's thread
//   ┌───────────────┐            ┌─────────────────────────────────────────┐
//   │ Handle::spawn │            │ Scheduler: ready queue, active tasks    │
//   │ wakers        │──Shared───►│    run ready ─► Reactor::turn ─► timers │
//   │ aborts        │  + unpark  │    nothing ready: Reactor::park         │
//   └───────────────┘            └─────────────────────────────────────────┘
//
// A file for each part. Each one names only files above it:
//
//   blocking/      threads for what would block the loop
//   shared.rs      what other threads see: the inbox, the flags, the pool, the metadata of a task
//   own_waker.rs   the waker with which the runtime polls, which cannot panic
//   scheduler.rs   the ready queue, the active tasks, and the loop
//   context.rs     which runtime this thread is in: where `spawn`, sleeps and sockets find it
//   wake.rs        how things become ready: a task is woken or aborted, `block_on` is woken
//   task/, time/   tasks, sleeps and time limits, as users see them
//   handle.rs, mod.rs, builder.rs
//                  the runtime as users see it: from other threads, on its own, before it exists
//   per_core/      a runtime on each core

pub(crate) mod blocking;
mod builder;
pub(crate) mod context;
mod handle;
#[cfg(feature = "hyper")]
pub mod hyper;
mod own_waker;
mod per_core;
mod scheduler;
mod shared;
pub mod task;
pub mod time;
mod wake;

use std::io;
use std::marker::PhantomData;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Waker;

pub use builder::Builder;
pub use handle::{Handle, TryCurrentError};
pub use per_core::{Core, PerCore, Stopped, per_core};

pub use crate::reactor::Metrics;

use crate::reactor::is_gone;
use context::Entered;
use scheduler::Scheduler;
use task::JoinHandle;

/// A runtime: one thread, one native-AIO context.
///
/// Tasks run while its thread is in [`block_on`](Self::block_on), and at no other time.
///
/// Dropping the runtime drops all its tasks, and gives back every descriptor and every AIO request
/// that they held. (The kernel's context is kept for the next runtime of the process for a quarter
/// of a second, then destroyed by a thread.) Of the functions on the blocking pool, those that have
/// not begun are dropped too, except for writes to the [standard output](crate::io::stdout), which
/// all run. Then the drop waits for those that run, so that none is cut off at the end of `main`.
/// It waits without a limit: a function that never returns (it reads the standard input by std,
/// say; [`io::stdin`](crate::io::stdin) does not) keeps the program from ending.
///
/// A forked child that drops the runtime waits for nothing, and neither does
/// [`std::process::exit`] in a task.
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
    scheduler: OwnThread<Rc<Scheduler>>,
    handle: Handle,
}

#[cfg(not(feature = "facade"))]
type OwnThread<T> = T;
/// Tokio's tests move runtimes to other threads now and then. That compiles, and panics there.
#[cfg(feature = "facade")]
type OwnThread<T> = send_wrapper::SendWrapper<T>;

impl Runtime {
    fn with_scheduler(scheduler: Rc<Scheduler>) -> Self {
        let handle = Handle::new(scheduler.shared());
        #[cfg(feature = "facade")]
        let scheduler = OwnThread::new(scheduler);
        Self { scheduler, handle }
    }

    /// Runs a future until it is complete, and all tasks of the runtime meanwhile.
    ///
    /// Tasks that are not complete by then stay, and continue in the next `block_on`.
    ///
    /// # Panics
    ///
    /// - If the future panics.
    /// - If called inside a `block_on` of the same thread, of this runtime or another.
    /// - In a process that was forked after the runtime was built.
    #[track_caller]
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        assert!(
            !context::is_running(),
            "cannot block_on within a runtime: this thread is already driving one; use .await or aio_runtime::spawn \
             here, or a runtime on another thread"
        );
        self.scheduler.assert_ours();
        let _entered = context::enter_to_run(&self.scheduler);
        let _in_loop = self.scheduler.reactor().enter_loop();
        // Dropped before the guards, so what it holds open is closed when this returns.
        let future = pin!(future);
        let waker = Waker::from(Arc::clone(self.scheduler.shared()));
        self.scheduler.run(future, &waker)
    }

    /// Starts a task, which will run in [`block_on`](Self::block_on). See [`spawn`](crate::spawn).
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        task::spawn_on(&self.scheduler, future)
    }

    /// Makes this runtime the current one of the thread until the guard is dropped, so that
    /// sockets, sleeps and tasks can be made. They make progress in [`block_on`](Self::block_on),
    /// as always.
    ///
    /// Drop guards in the reverse order of their creation, and do not hold one across an `.await`.
    ///
    /// # Panics
    ///
    /// - Inside a `block_on` of another runtime.
    /// - When a guard is dropped before one that was made after it, or after the `block_on` that it
    ///   was made in.
    ///
    /// # Examples
    ///
    /// ```
    /// use aio_runtime::Runtime;
    /// use aio_runtime::net::UdpSocket;
    ///
    /// let runtime = Runtime::new()?;
    /// let socket = {
    ///     let _guard = runtime.enter();
    ///     UdpSocket::from_std(std::net::UdpSocket::bind("127.0.0.1:0")?)?
    /// };
    /// let addr = socket.local_addr()?;
    /// assert_eq!(runtime.block_on(socket.send_to(b"to itself", addr))?, 9);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn enter(&self) -> EnterGuard<'_> {
        assert!(
            !context::is_running() || context::is_inside_of(self.scheduler.shared()),
            "cannot enter a runtime inside the block_on of another one, which would go on in the wrong one"
        );
        EnterGuard { _entered: context::enter(&self.scheduler), _runtime: PhantomData }
    }

    /// A handle by which other threads start tasks on the runtime.
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// What the loop has done so far, and what it holds now.
    pub fn metrics(&self) -> Metrics {
        self.scheduler.reactor().metrics()
    }
}

/// The thread is in a runtime until this is dropped: see [`Runtime::enter`].
#[must_use = "the thread leaves the runtime when the guard is dropped"]
#[derive(Debug)]
pub struct EnterGuard<'a> {
    _entered: Entered,
    _runtime: PhantomData<&'a Runtime>,
}

/// Whether an error says that the runtime of a socket or file has been dropped (or is another
/// process's, before a fork).
///
/// # Examples
///
/// ```
/// use aio_runtime::Runtime;
/// use aio_runtime::net::TcpListener;
/// use aio_runtime::runtime::is_rt_shutdown_err;
///
/// let (first, second) = (Runtime::new()?, Runtime::new()?);
/// let listener = first.block_on(TcpListener::bind("127.0.0.1:0"))?;
/// drop(first);
/// let error = second.block_on(listener.accept()).unwrap_err();
/// assert!(is_rt_shutdown_err(&error));
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn is_rt_shutdown_err(error: &io::Error) -> bool {
    is_gone(error)
}

impl Drop for Runtime {
    fn drop(&mut self) {
        let _entered = context::enter_to_run(&self.scheduler);
        self.scheduler.shutdown();
    }
}
