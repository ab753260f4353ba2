//! How a descriptor waits where polls do not do: for edges in the nested epoll, or by a timer; and
//! the directions that few descriptors are used in.

mod back_off;
mod edges;
mod errors;
mod rare;

use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use rustix::io::Errno;

use super::{
    FOREVER, ManualPoll, PATIENCE, arm_own_polls, fire, metrics, next_byte, next_counter, register, set_nonblocking,
    turn_and_park,
};
use crate::reactor::kernel::fault::{self, Call};
use crate::reactor::tests::arm_byte;
use crate::reactor::tests::sockets::stream_and_peer;
use crate::reactor::{Io, Reactor};

/// Drives the reactor for a while, and counts its turns.
fn turns_in(reactor: &Reactor, length: Duration) -> u64 {
    let (begin, before) = (Instant::now(), metrics(reactor).turns);
    while begin.elapsed() < length {
        turn_and_park(reactor);
    }
    metrics(reactor).turns - before
}

/// Has a future that finds nothing, whatever events say, be polled until its descriptor waits for
/// edges.
#[track_caller]
fn until_edge_triggered<T>(reactor: &Reactor, never: &mut ManualPoll<'_, T>) {
    let begin = Instant::now();
    while metrics(reactor).fds_edge_triggered == 0 {
        assert!(begin.elapsed() < PATIENCE, "{:?}", metrics(reactor));
        assert!(never.poll(reactor).is_pending());
        turn_and_park(reactor);
    }
}

/// Has the kernel refuse the polls of a descriptor: from now on it waits for edges. Both directions
/// have been waited for.
fn refuse_polls(reactor: &Reactor, io: &Io) {
    let before = metrics(reactor).fds_edge_triggered;
    arm_own_polls(reactor);
    arm_byte(io);
    fault::inject(Call::Submit, Errno::INVAL, 1);
    reactor.turn();
    assert_eq!(metrics(reactor).fds_edge_triggered, before + 1);
}

/// A registered socket that waits for edges, and its peer.
fn socket_by_edges(reactor: &Reactor) -> (Io, UnixStream) {
    let (io, far) = stream_and_peer(reactor);
    refuse_polls(reactor, &io);
    (io, far)
}
