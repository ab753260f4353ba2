//! No runtime: one loop on native AIO, as a C program would write it. It shows what the kernel's part costs.
//!
//! The rules are the same for all three workloads. A turn of the loop submits everything that was queued in one
//! io_submit, then takes what the ring has, and sleeps only if that is nothing. A socket is armed again right after its
//! answer was sent, without trying it first: the short read before has shown that it is empty, and a poll is checked
//! when submitted.

mod connections;
mod echo;
mod kioctx;
mod read;
mod unified;

use super::Peer;

pub const PEER: Peer = Peer {
    name: "bare",
    echo: Some(echo::serve),
    unified: Some(unified::serve),
    read: Some(read::run),
    spawn_join: None,
    yield_now: None,
    sleep: None,
};
