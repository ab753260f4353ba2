//! What holds for every kind of stream. A test file that has this module says in `kind` on which
//! one it runs.

mod close;
mod end;
mod growing;
mod halves;
mod interest;
mod listening;
mod pooled;
mod ready;
mod sigpipe;
mod socket;
mod transfer;

use std::fmt::Debug;
use std::io::{self, Read};
use std::thread;
use std::time::{Duration, Instant};

use futures::channel::oneshot;

use crate::kind::{Peer, Stream, pair_std};

/// A close is seen within milliseconds. The bound is for a machine that is loaded or short of
/// memory, and far below any time-out of a protocol's.
pub(crate) const AT_ONCE: Duration = Duration::from_secs(5);

/// A connection of which the runtime has one end.
pub(crate) fn stream_and_peer() -> (Stream, Peer) {
    let (stream, peer) = pair_std();
    (Stream::from_std(stream).unwrap(), peer)
}

/// A connection of which the runtime has both ends.
pub(crate) fn stream_pair() -> (Stream, Stream) {
    let (stream, peer) = stream_and_peer();
    (stream, Stream::from_std(peer).unwrap())
}

/// Reads to the end in a thread of its own. Yields when the end was seen, and how: the bytes before
/// it, or the error.
fn watch_end(mut peer: Peer) -> oneshot::Receiver<(Instant, io::Result<usize>)> {
    let (report, reported) = oneshot::channel();
    peer.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    thread::spawn(move || {
        let end = peer.read_to_end(&mut Vec::new());
        let _ = report.send((Instant::now(), end));
    });
    reported
}

/// An address as text: those of std and ours are of different types for some kinds.
fn text_of(address: io::Result<impl Debug>) -> String {
    format!("{:?}", address.unwrap())
}
