//! The blocking pool: threads for what would block the loop.
//!
//! Each runtime has a pool of its own. Nothing of it is process-wide, so a crowd of stuck calls in
//! one runtime holds up no other, and the runtime that a forked child builds has a pool whose
//! threads exist.
//!
//! ```text
//!   the loop                              a thread of the pool
//!   BlockingPool::run(argument, function)
//!     │ Call ──► queue ──────────────────► runs the function
//!     ▼                                      │ output
//!   Pooled (a future) ◄──── its waker ◄──────┘
//! ```
//!
//! A [`Call`] is what the two threads share: first the function with its argument, then the output.
//! Whoever drops the future takes back a function that has not begun; one that has begun runs to
//! its end, and its output is dropped there.
//!
//! # Threads
//!
//! A thread starts when a job finds no idle one, and ends when it has been idle for
//! [`Config::keep_alive`]. Starting one takes tens of microseconds, so it happens outside the lock,
//! and one at a time: jobs that come meanwhile wait for that thread, which starts the next one if
//! it finds more jobs than threads on their way. So the loop starts few of the threads of a burst
//! itself, and short jobs get by with few threads.
//!
//! Invariant: while a job is queued there is a thread (perhaps just starting), and every thread
//! empties the queue before it rests or ends. So where the system gives no further thread, a job
//! waits for one of those there are. A start that fails calls an idle thread for the jobs that
//! counted on it. If there are no threads, it ends the queued jobs with an error.

mod call;
mod pool;

pub(crate) use call::{Failure, Pooled};
pub(crate) use pool::{BlockingPool, Config};
