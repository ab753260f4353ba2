//! `io_destroy` fails: the context lives on, so the kernel may still write to the buffers of its
//! requests.
#![allow(unsafe_code)]

use std::fs::File;
use std::sync::Arc;

use rustix::io::Errno;

use super::FOREVER;
use crate::reactor::kernel::fault::{self, Call};
use crate::reactor::tests::{
    ManualPoll, alone, config, fresh_capacity, metrics, new_eventfd, threads_named, wait_until,
};
use crate::reactor::{Buf, Config, FileOperation, Reactor, Request};

/// Has a reactor end, in a way of the test's choice, with reads in flight and `io_destroy` denied,
/// as a seccomp filter may that was installed after the start. Where it has grown, the reads are
/// spread over two contexts, of which at least one is denied.
fn assert_requests_are_kept(end: impl Fn(&Reactor)) {
    // The smallest context has no room for the second half.
    for (halves, denied) in [([1, 0], FOREVER), ([50, 50], FOREVER), ([50, 50], 1)] {
        alone(|| {
            let file = Arc::new(File::from(new_eventfd()));
            let growing = Config { initial: 1, force_syscalls: true, ..config(fresh_capacity() + 1_000) };
            let reactor = Reactor::new(growing).unwrap();
            // The events are never seen.
            fault::inject(Call::Getevents, Errno::INTR, FOREVER);
            let read = || FileOperation::new(reactor.home(), Request::read(&file, Buf::zeroed(8), 0));
            let mut reads = Vec::new();
            for half in halves {
                reads.extend((0..half).map(|_| ManualPoll::pending(&reactor, read())));
                reactor.turn();
            }
            let now = metrics(&reactor);
            assert_eq!((now.submitted_reads, now.growths), (reads.len() as u64, u64::from(halves[1] > 0)));
            let kept = reads.len();
            let contexts = halves.iter().filter(|half| **half > 0).count();
            fault::inject(Call::Destroy, Errno::PERM, denied);
            end(&reactor);
            drop((reads, reactor));
            wait_until("io_destroy is denied", || fault::taken(Call::Destroy) >= denied.min(contexts));
            // It would free the requests at its end.
            wait_until("the thread that met the error has ended", || threads_named("aio-destroy") == 0);
            assert_eq!(Arc::strong_count(&file), 1 + kept, "the kernel may still write to their buffers");
            assert!(fault::clear());
            // The events are in the rings, so the kernel is in fact done with them.
            for _ in 0..kept {
                // SAFETY: this is the count of a request, which is never freed.
                unsafe { Arc::decrement_strong_count(Arc::as_ptr(&file)) };
            }
        });
    }
}

#[test]
fn a_shutdown_frees_nothing_that_the_kernel_may_write_to() {
    assert_requests_are_kept(Reactor::shutdown);
}

#[test]
fn a_driver_that_is_dropped_while_panicking_frees_nothing_that_the_kernel_may_write_to() {
    assert_requests_are_kept(|reactor| drop(reactor.core.take_driver()));
}
