//! What the reactor knows of a registered descriptor: for each direction, whether an attempt is
//! worthwhile, how readiness is waited for, and by whom. Pure state: nothing here makes a call, so
//! a random walk beside a naive model covers it (`reactor/tests/readiness_model`).
//!
//! The law is *try, then wait*: an event is a hint, and only an attempt knows. So one direction is
//! two small machines side by side. The **hint** is what the next attempt will probably find:
//!
//! ```text
//!   Unknown ────ask────► Assumed ─────────────ask────────────► Ready
//!                           │                                   ▲ │
//!                           │    Signalled ──ask──► Tried ──ask─┘ │
//!                           │      │ look            ▲ │          │
//!                           │      └───► Seen ──ask──┘ │          │
//!                           │ EAGAIN                   │ EAGAIN   │ EAGAIN, short transfer
//!   Blocked ◄───────────────┴──────────────────────────┴──────────┘
//! ```
//!
//! (To *ask* is to ask whether to attempt; to *look*, whether an event has come. Asked again, the
//! attempt before has found something, or it would have said otherwise. An event leads to
//! `Signalled` from every hint, a retry and a failure to `Unknown`. A new socket that is assumed to
//! be ready begins at `Ready`.)
//!
//! | hint | set when | cleared when | cannot be with |
//! |---|---|---|---|
//! | `Unknown` | registered; its retry is due; waiting failed | somebody asks; any news (`EAGAIN`, a short transfer, an event) | `Wait::Retry` |
//! | `Assumed` | an attempt was let through without an event | asked again; any news | `Wait::Retry` |
//! | `Signalled` | an event came; a back-off is over | somebody asks or looks; `EAGAIN` or a short transfer, which may be older than the event (then `Seen`) | - |
//! | `Seen` | a waiter for an event was told; at the end, and an attempt met `EAGAIN` or moved less than it could, or the user denies the event | somebody asks; any news | - |
//! | `Tried` | the first attempt since the event was let through | asked again; any news | - |
//! | `Ready` | an attempt has found something; it is new, and assumed to be ready | any news | - |
//! | `Blocked` | an attempt met `EAGAIN`, or moved less than it could have; the user denies the event | an event, a failure, its retry is due | `at_end`, but for an `EAGAIN` on another thread where edges are watched for |
//!
//! The **wait** is how the next event will come:
//!
//! | wait | set when | cleared when | cannot be with |
//! |---|---|---|---|
//! | `Idle` | nothing is armed | a waiter arrives | a stored waker, once the driver has acted |
//! | `Poll` | an `IOCB_CMD_POLL` has a slot, queued or armed | its event, also if it was cancelled; refused, or no room; deregistered | - |
//! | `Overflow` | the nested epoll watches the direction for one event | it fires; edges are watched for; it cannot be watched again; deregistered | - |
//! | `Edge` | the nested epoll watches the direction for every edge | edges lie (then `BackOff`, and `Edge` again); the epoll is lost; deregistered | a source that waits by polls |
//! | `Retry` | the last polls completed inline, so this one is skipped | next turn; a waiter needs an event | a waiter for an event |
//! | `BackOff` | the epoll cannot watch it; edges lie, or one may have been missed | its time is over | - |
//!
//! An armed poll outlives its waiter: it stays for the next one, for some turns
//! (`driver/abandon.rs`). Hence a wait other than `Idle` may have nobody behind it. And when a
//! descriptor hangs up, the event of one direction speaks of all, so `Signalled` may be set while
//! another direction is armed or due for a retry.
//!
//! How a descriptor waits is the driver's choice, made at each arming: [`Readiness::wait`] only
//! says *that* something must be armed ([`Next::Arm`]), and is told what was. Once a source is
//! edge-triggered it stays so.
//!
//! **Contradictions.** An event and an `EAGAIN` contradict each other if nothing has moved between
//! them. One may be chance. Three in a row make the source edge-triggered: an error or a hang-up
//! lasts that attempts do not see, and whatever looks at the level would complete again and again.
//! If an edge then claims room to write where there is none, edges lie too, and waits back off. No
//! edge ends such a back-off: the attempt before may have caused it.
//!
//! | of a direction | set when | cleared when |
//! |---|---|---|
//! | `contradictions`, `edges_lie`, `back_offs` | as said above | something moves |
//! | `at_end` | an event says that the end has come (`POLLRDHUP`, `POLLHUP`) | attempts deny it three times in a row; an `EAGAIN` on another thread, unless edges are watched for |
//! | an error, for each waiter | waiting failed while it waited | it is told; something moves; an event |
//!
//! **Attempts of the user's.** An attempt for several directions that meets `EAGAIN`, or a guard of
//! an `AsyncFd` that is cleared, *denies* an event. It does not say which direction blocks, nor
//! what it tried. So it contradicts nothing, and makes the source edge-triggered at once. It denies
//! what was known when the user looked: an event since then has another number, and stays.
//!
//! **Who is told.** A future that waits for an event has it when it is woken, though another one
//! may have found nothing left. Whoever attempts looks at the hint again.
//!
//! **Edges** come once. Three rules keep them:
//!
//! - `EAGAIN` counts only if somebody has asked or looked since the event. Else it may be older.
//! - A short transfer does not hide an end that was signalled before it: no edge will tell of that
//!   again. Whatever else comes after the transfer is an edge of its own.
//! - An epoll looks at the level when it is told to watch, so nothing is missed between the last
//!   `EAGAIN` and that call.
//!
//! A waiter on another thread tells of its `EAGAIN` late, and never of a success. It is believed
//! where arming looks at the level anyway; where it waits for edges it backs off as well.

mod interest;
mod ready;
mod source;
mod state;
mod waiters;

pub use interest::Interest;
pub use ready::Ready;

pub(crate) use source::{ReadyEvent, Source};
pub(crate) use state::{Next, Readiness, Until, Wait};
pub(crate) use waiters::Waiter;
