//! The reactor: the kernel below, wakers above. It knows file descriptors, buffers and wakers; no
//! task, no socket type, no path.
//!
//! Everything that a runtime waits for goes through one native-AIO context:
//!
//! ```text
//!            Io (fd readiness)                FileOperation (file I/O)          Unparker (other threads)
//!                  │ arm                            │ start                       │ eventfd
//!                  ▼                                ▼                             ▼
//!   ┌─ Driver ─────────────────────────────────────────────────────────────────────────────┐
//!   │  sources ◄───────────── Requests: slots, operations, buffers ─────────────► own polls   │
//!   │     │ no slot, EINVAL          │ queue                    ▲ completions             │
//!   │     ▼                          ▼                          │                         │
//!   │  Overflow (epoll) ──poll──► Batch ─io_submit─►    Kioctx + Ring ◄─ io_pgetevents│
//!   └──────────────────────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! - [`abi`], [`ring`], [`kioctx`]: what the kernel offers. [`contexts`]: contexts between
//!   runtimes.
//!   [`fork`]: whose process is this?
//! - [`table`]: the pure state machine of requests. [`submission`]: the iocbs, in one batch a turn.
//! - [`source`]: readiness of one descriptor. [`overflow`]: the nested epoll for what an AIO poll
//!   cannot wait for.
//! - [`park`], [`unpark`]: waking the loop from other threads.
//! - [`driver`]: the parts put together. [`front`]: [`Reactor`], the driver behind a `RefCell`,
//!   which runs wakers only with the borrow released.
//! - [`io`], [`operation`]: what the layers above use.
//!
//! Why it is sound: the kernel writes to four things. Two of them only inside a call: an iocb's key
//! (`io_submit`) and the array of `io_getevents`. The third is the ring, which is read between
//! `head` and `tail` by one owner. The fourth is the buffers of reads, which belong to the table
//! from submission to event, or until `io_destroy` has returned; a future never owns one while the
//! kernel does. `unsafe` stands in `abi`, `ring`, `kioctx`, `submission`, `fork` and one line of
//! `overflow`.

mod buf;
mod driver;
mod error;
mod front;
mod io;
mod kernel;
mod metrics;
mod operation;
mod park;
mod readiness;
mod requests;
mod unpark;

#[cfg(test)]
mod tests;

/// Where [`park`] takes its atomics from.
mod sync {
    pub(super) use std::sync::atomic::{AtomicU8, Ordering};
}

pub use buf::Buf;
pub use metrics::Metrics;

pub(crate) use driver::Config;
pub(crate) use error::explain;
pub(crate) use front::{Reactor, wake_all};
pub(crate) use io::{Close, Io};
pub(crate) use metrics::Counters;
pub(crate) use operation::{FileOperation, Request};
pub(crate) use readiness::Direction;
pub(crate) use unpark::Unparker;
