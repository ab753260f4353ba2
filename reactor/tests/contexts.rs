//! Contexts between reactors: reused while they are idle, given back after a while, destroyed if
//! something is in flight.

use std::fs::File;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rustix::fs::{MemfdFlags, memfd_create};
use rustix::io::Errno;

use super::super::{Buf, Config, FileOperation, Reactor, Request};
use super::{ManualPoll, alone, assert_at_rest, config, eventfd_pair, fire, fresh_capacity, next_counter, wait_until};
use crate::reactor::kernel::fault::{self, Call};

/// Whether a reactor could be made without a new context.
fn is_made_without_setup(capacity: u32) -> bool {
    fault::inject(Call::Setup, Errno::PERM, usize::MAX);
    let made = Reactor::new(config(capacity)).is_ok();
    fault::clear();
    made
}

#[test]
fn an_idle_context_serves_the_next_reactor_and_then_it_is_given_back() {
    alone(|| {
        let capacity = fresh_capacity();
        assert!(!is_made_without_setup(capacity));
        // It lingers for a quarter of a second. That is long enough unless this thread is not
        // scheduled.
        let is_used_again = (0..20).any(|_| {
            drop(Reactor::new(config(capacity)).unwrap());
            is_made_without_setup(capacity)
        });
        assert!(is_used_again);
        drop(Reactor::new(config(capacity)).unwrap());
        assert!(!is_made_without_setup(fresh_capacity()), "another capacity is another context");
        // Each check that finds it makes it linger for as long again.
        let is_given_back = (0..20).any(|_| {
            thread::sleep(Duration::from_millis(400));
            !is_made_without_setup(capacity)
        });
        assert!(is_given_back);
    });
}

#[test]
fn a_reused_context_has_no_events_of_the_past() {
    alone(|| {
        let capacity = fresh_capacity();
        for round in 0..50 {
            let reactor = Reactor::new(config(capacity)).unwrap();
            let pairs: Vec<_> = (0..round).map(|_| eventfd_pair(&reactor)).collect();
            let waits: Vec<_> = pairs.iter().map(|(io, _)| ManualPoll::pending(&reactor, next_counter(io))).collect();
            reactor.turn();
            assert!(waits.iter().all(|wait| wait.wakes() == 0));
            // Some fire, some are cancelled.
            pairs.iter().step_by(2).for_each(|(_, trigger)| fire(trigger));
            drop(waits);
            reactor.shutdown();
        }
    });
}

#[test]
fn a_context_that_is_smaller_than_asked_for_is_not_used_again() {
    alone(|| {
        let capacity = fresh_capacity();
        fault::inject(Call::Setup, Errno::AGAIN, 3);
        drop(Reactor::new(config(capacity)).unwrap());
        assert!(!is_made_without_setup(capacity), "the quota may have recovered");
    });
}

#[test]
fn idle_contexts_make_way_before_a_new_one_is_reduced() {
    alone(|| {
        let idle = fresh_capacity();
        drop(Reactor::new(config(idle)).unwrap());
        // Refused once, while the idle one holds its part of the quota.
        fault::inject(Call::Setup, Errno::AGAIN, 1);
        let capacity = fresh_capacity();
        let reactor = Reactor::new(config(capacity)).unwrap();
        assert!(!is_made_without_setup(idle));
        drop(reactor);
        assert!(is_made_without_setup(capacity), "a reduced one would not have been kept");
    });
}

#[test]
fn a_context_with_something_in_flight_is_not_used_again() {
    alone(|| {
        let capacity = fresh_capacity();
        let file = Arc::new(File::from(memfd_create("", MemfdFlags::CLOEXEC).unwrap()));
        let reactor = Reactor::new(Config { force_syscalls: true, ..config(capacity) }).unwrap();
        drop(ManualPoll::pending(
            &reactor,
            FileOperation::new(reactor.home(), Request::read(&file, Buf::zeroed(8), 0)),
        ));
        assert_at_rest(&reactor);
        // It is submitted, but its event is never seen.
        fault::inject(Call::Getevents, Errno::INTR, usize::MAX);
        let read =
            ManualPoll::pending(&reactor, FileOperation::new(reactor.home(), Request::read(&file, Buf::zeroed(8), 0)));
        reactor.turn();
        drop((read, reactor));
        assert!(fault::clear());
        assert!(!is_made_without_setup(capacity));
        wait_until("the request is freed, after its context", || Arc::strong_count(&file) == 1);
    });
}
