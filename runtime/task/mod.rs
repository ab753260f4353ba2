//! Tasks: futures that run concurrently, on the runtime's thread.
//!
//! [`spawn`] starts a task. It stays on its thread, so its future need not be `Send`. Its
//! [`JoinHandle`] awaits the output or aborts the task; dropping the handle detaches the task.
//! [`spawn_blocking`] runs a function that blocks on a thread of a pool.
//!
//! A panic ends the task it happens in, and no other: awaiting that task yields a [`JoinError`].
//!
//! Tasks share the thread cooperatively. One that has done much I/O in one poll lets the others run
//! by itself; one that computes for long should call [`yield_now`] now and then.
//!
//! When the runtime is dropped, so are the futures of its tasks, on its thread.
//!
//! # Examples
//!
//! ```
//! # #[aio_runtime::main]
//! # async fn main() {
//! use aio_runtime::task::{spawn, spawn_blocking};
//!
//! let tasks: Vec<_> = (1..=3).map(|n| spawn(async move { n * n })).collect();
//! let mut sum = 0;
//! for task in tasks {
//!     sum += task.await.unwrap();
//! }
//! assert_eq!(sum, 14);
//!
//! let checksum = spawn_blocking(|| (0..1_000_000_u64).sum::<u64>());
//! assert_eq!(checksum.await.unwrap(), 499_999_500_000);
//! # }
//! ```

// How it works:
//
//   spawn ──► ready queue ──run──► TaskFuture::poll ──Ready──► output kept for the JoinHandle
//                 ▲                     │ Pending
//                 └────── waker ◄───────┘ (from then on one of the runtime's active tasks)
//
// A task is one allocation, async-task's: header, `TaskMeta`, and the future or its output. It is
// polled on the runtime's thread only. A future that has been polled is dropped there too, and not
// later than the runtime.
//
// async-task aborts the process if the drop of a future, the drop of an output or a waker that
// awaits a task panics. `Contained` catches the first two, `ContainedWaker` the third. `TaskFuture`
// catches the panics of polls.

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
