//! `io_destroy` fails: the context lives on, so the kernel may still write to the buffers of its
//! requests.
#![allow(unsafe_code)]

use std::fs::File;
use std::sync::Arc;
use std::thread;

use rustix::io::Errno;

use super::FOREVER;
use crate::reactor::kernel::fault::{self, Call};
use crate::reactor::tests::{A_WHILE, ManualPoll, alone, config, fresh_capacity, new_eventfd};
use crate::reactor::{Buf, Config, FileOperation, Reactor, Request};

/// Has a reactor end, in a way of the test's choice, with a read in flight and `io_destroy` denied,
/// as a seccomp filter may that was installed after the start.
fn assert_request_is_kept(end: impl FnOnce(&Reactor)) {
    alone(|| {
        let file = Arc::new(File::from(new_eventfd()));
        let reactor = Reactor::new(Config { force_syscalls: true, ..config(fresh_capacity()) }).unwrap();
        // The event is never seen.
        fault::inject(Call::Getevents, Errno::INTR, FOREVER);
        let read = FileOperation::new(reactor.home(), Request::read(&file, Buf::zeroed(8), 0));
        let read = ManualPoll::pending(&reactor, read);
        reactor.turn();
        fault::inject(Call::Destroy, Errno::PERM, FOREVER);
        end(&reactor);
        drop((read, reactor));
        // Another thread has met the error by now, and would have freed the request.
        thread::sleep(10 * A_WHILE);
        assert_eq!(Arc::strong_count(&file), 2, "the kernel may still write to its buffer");
        assert!(fault::clear());
        // The event is in the ring, so the kernel is in fact done with it.
        // SAFETY: this is the count of the request, which is never freed.
        unsafe { Arc::decrement_strong_count(Arc::as_ptr(&file)) };
    });
}

#[test]
fn a_shutdown_frees_nothing_that_the_kernel_may_write_to() {
    assert_request_is_kept(Reactor::shutdown);
}

#[test]
fn a_driver_that_is_dropped_while_panicking_frees_nothing_that_the_kernel_may_write_to() {
    assert_request_is_kept(|reactor| drop(reactor.core.take_driver()));
}
