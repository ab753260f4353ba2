//! Tasks: futures that run on their own, each in one allocation (async-task's cell), polled on the
//! runtime's thread only.
//!
//! ```text
//!   spawn ──► ready queue ──run──► TaskFuture::poll ──Ready──► output kept for the JoinHandle
//!                 ▲                     │ Pending
//!                 └────── waker ◄───────┘ (and entered among the runtime's active tasks, until it is dropped)
//! ```
//!
//! What user code can break stays in the task: a panic of the future, of its drop or of its
//! output's drop becomes a [`JoinError`] or is logged; a panicking waker that awaits a
//! [`JoinHandle`] is caught. (async-task aborts the process on the latter three.)
//!
//! The future of a task that has been polled is dropped on the runtime's thread, and not later than
//! the runtime.

mod contain;
mod error;
mod future;
mod join;
mod spawn;
mod yield_now;

pub use error::JoinError;
pub use join::JoinHandle;
pub use spawn::{spawn, spawn_blocking, spawn_local};
pub use yield_now::{YieldNow, yield_now};

pub(super) use spawn::{spawn_on, spawn_send, spawn_with};
