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
//! | `Unknown` | registered; its retry is due | somebody asks whether to attempt | `Wait::Retry` |
//! | `Assumed` | an attempt was let through without an event | asked again; `EAGAIN` | `Wait::Retry` |
//! | `Ready` | an event came, or waiting failed; `Assumed` and asked again | `EAGAIN`; a short transfer | `Wait::Retry` |
//! | `Blocked` | an attempt met `EAGAIN`, or moved less than it could | event, failure, retry | - |
//!
//! The **wait** is how the next event will come:
//!
//! | wait | set when | cleared when | cannot be with |
//! |---|---|---|---|
//! | `Idle` | nothing is armed | a waiter arrives | a stored waker, once the driver has acted |
//! | `Poll` | an `IOCB_CMD_POLL` has a slot, queued or armed | its event; demoted; deregistered | - |
//! | `Overflow` | the nested epoll watches the direction | it fires; deregistered | - |
//! | `Retry` | the last polls completed inline, so this one is skipped | next turn; a waiter needs an event | a waiter for an event |
//!
//! An armed poll outlives its waiter: it stays for the next one. Hence a wait other than `Idle` may
//! have nobody behind it, and `Ready` may be set while a poll is armed (the descriptor hung up, and
//! the other direction's event said so).
//!
//! How a descriptor waits is the driver's choice, made at each arming: [`Readiness::wait`] only
//! says *that* something must be armed ([`Next::Arm`]), and is told what was.

mod source;
mod state;
mod waiters;

pub(crate) use source::Source;
pub(crate) use state::{Next, Readiness, Until, Wait};
pub(crate) use waiters::Waiter;
