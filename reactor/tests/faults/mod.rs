//! System calls that fail. At the start the error must say what to do; later nothing may be lost,
//! and the loop may not spin.

mod cancel;
mod destroy;
mod grow;
mod setup;
mod submit;
mod wait;

use std::fs::File;
use std::sync::Arc;

use rustix::fs::{MemfdFlags, memfd_create};

use crate::reactor::tests::{FOREVER, ManualPoll, eventfd_pair, fire, next_counter};
use crate::reactor::{Buf, FileOperation, Reactor, Request};

/// Starts waits and writes, has something happen while they are pending, and expects that all of
/// them complete.
fn assert_all_complete(reactor: &Reactor, while_they_wait: impl FnOnce()) {
    let file = Arc::new(File::from(memfd_create("", MemfdFlags::CLOEXEC).unwrap()));
    let (ios, triggers): (Vec<_>, Vec<_>) = (0..20).map(|_| eventfd_pair(reactor)).unzip();
    let waits: Vec<_> = ios.iter().map(|io| ManualPoll::pending(reactor, next_counter(io))).collect();
    let writes: Vec<_> = (0..20)
        .map(|at| FileOperation::new(reactor.home(), Request::write(&file, Buf::from(vec![at; 8]), i64::from(at) * 8)))
        .map(|write| ManualPoll::pending(reactor, write))
        .collect();
    while_they_wait();
    triggers.iter().for_each(fire);
    for wait in waits {
        assert_eq!(wait.complete(reactor).unwrap(), 1);
    }
    for (at, write) in (0..).zip(writes) {
        let (written, buf) = write.complete(reactor);
        assert_eq!((written.unwrap(), &buf[..]), (8, &[at; 8][..]));
    }
}
