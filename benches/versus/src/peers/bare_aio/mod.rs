//! No runtime: one loop on native AIO, as a C program would write it. It shows what the kernel's
//! part costs.
//!
//! The rules are the same for all workloads. A turn of the loop submits everything that is queued
//! in one io_submit, then takes the events of the ring, and sleeps only if there are none. A socket
//! is armed again right after its answer was sent, without trying it first: the short read before
//! has shown that it is empty, and the kernel checks a poll when it is submitted.

mod connections;
mod echo;
mod files;
mod kioctx;
mod mixed;
mod unified;

use super::{Kind, Peer};

pub const PEER: Peer = Peer {
    name: "bare-aio",
    kind: Kind::Bare,
    package: None,
    echo: Some(echo::serve),
    unified: Some(unified::serve),
    mixed: Some(mixed::serve),
    read: Some(files::read),
    write: Some(files::write),
    micro: None,
    net: None,
};
