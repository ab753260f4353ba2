//! What the reactor knows of a registered descriptor: for each direction, whether an attempt is
//! worthwhile, how readiness is waited for, and by whom. Pure state: nothing here makes a call, so
//! a random walk beside a naive model covers it (`reactor/tests/readiness_model.rs`).
//!
//! The law is *try, then wait*: a completed poll is a hint, and only an attempt knows. So one
//! direction is two small machines side by side. The **hint** is what the next attempt will
//! probably find:
//!
//! ```text
//!               ask                     ask (so the attempt before succeeded)
//!   Unknown ───────────► Assumed ──────────────────────► Ready ◄───┐
//!      ▲                    │                              │       │ event, failure
//!      │                    │ EAGAIN                       │ EAGAIN, short transfer
//!      │ retry              ▼                              ▼       │
//!      └───────────────── Blocked ◄────────────────────────┴───────┘
//! ```
//!
//! | hint | set when | cleared when | cannot be with |
//! |---|---|---|---|
//! | `Unknown` | registered; its retry is due | somebody asks whether to attempt; any news (`EAGAIN`, a short transfer, an event, a failure) | `Wait::Retry` |
//! | `Assumed` | an attempt was let through without an event | asked again; any news | `Wait::Retry` |
//! | `Ready` | an event came, or waiting failed; `Assumed` and asked again | `EAGAIN`; a short transfer; its retry is due | - |
//! | `Blocked` | an attempt met `EAGAIN`, or moved less than it could | event, failure, its retry is due | - |
//!
//! The **wait** is how the next event will come:
//!
//! | wait | set when | cleared when | cannot be with |
//! |---|---|---|---|
//! | `Idle` | nothing is armed | a waiter arrives | a stored waker, once the driver has acted |
//! | `Poll` | an `IOCB_CMD_POLL` has a slot, queued or armed | its event, also that of a demotion; refused, or no room; deregistered | - |
//! | `Overflow` | the nested epoll watches the direction | it fires; it cannot be watched again; deregistered | - |
//! | `Retry` | the last polls completed inline, so this one is skipped | next turn; a waiter needs an event | a waiter for an event |
//!
//! (In the picture an event or a failure leads to `Ready` from every hint, and a retry to
//! `Unknown`.)
//!
//! An armed poll outlives its waiter: it stays for the next one. Hence a wait other than `Idle` may
//! have nobody behind it. And when a descriptor hangs up, the event of one direction speaks of
//! both, so `Ready` may be set while the other direction is armed or due for a retry.
//!
//! How a descriptor waits is the driver's choice, made at each arming: [`Readiness::wait`] only
//! says *that* something must be armed ([`Next::Arm`]), and is told what was.

mod source;
mod state;
mod waiters;

pub(crate) use source::Source;
pub(crate) use state::{Next, Readiness, Until, Wait};
pub(crate) use waiters::Waiter;
