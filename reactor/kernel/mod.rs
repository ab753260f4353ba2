//! The AIO calls, one context with its mapped ring, and the nested epoll. Almost all unsafe code of
//! the library is here; so are the one socket option that rustix cannot read ([`credentials`]) and
//! the writes that raise no signal ([`sigpipe`]), for which a third door would be too many.
//!
//! ```text
//!    Batch ──io_submit──►  ┌────────┐  ──events──► Ring (reaped in user space)
//!     one iocb per slot    │ Kioctx │  ◄─io_getevents, to sleep
//!    Overflow ───poll────► └────────┘  ◄─io_setup, io_destroy── context_pool
//!     one epoll descriptor
//! ```
//!
//! Why it is sound: native AIO writes to four things.
//!
//! 1. An iocb's key, inside `io_submit` only. [`batch`] keeps each iocb in a place that never
//!    moves.
//! 2. The array given to `io_getevents`, inside the call only ([`kioctx`]).
//! 3. The [`ring`], which is read between `head` and `tail` by one owner, and no longer than the
//!    context lives.
//! 4. The buffers of reads. They belong to the requests above ([`Requests`]) from submission to
//!    event, or until `io_destroy` has succeeded; a future never owns one while the kernel does.
//!
//! A forked child shares none of it: [`process`] tells parent and child apart.
//!
//! [`Requests`]: super::requests::Requests

pub(super) mod abi;
pub(super) mod batch;
pub(super) mod context_pool;
pub(super) mod credentials;
#[cfg(test)]
pub(crate) mod fault;
pub(super) mod kioctx;
pub(super) mod level;
pub(super) mod overflow;
pub(super) mod probe;
pub(super) mod process;
mod ring;
pub(super) mod sigpipe;
