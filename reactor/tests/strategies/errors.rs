//! An error of waiting is told to everyone who waited, and to nobody later.

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::thread;

use super::super::crowd::Crowd;
use super::*;
use crate::reactor::ids::Direction;
use crate::reactor::tests::{arm_counter, eventfd_pair, in_each_mode, read_counter, turn_until};

#[test]
fn everyone_who_waited_is_told() {
    in_each_mode(1, |reactor| {
        let (io, _trigger) = eventfd_pair(reactor);
        let waits = [(); 3].map(|()| ManualPoll::pending(reactor, next_counter(&io)));
        let events = [(); 2].map(|()| ManualPoll::pending(reactor, io.ready(Direction::Read)));
        fault::inject(Call::Submit, Errno::PERM, 1);
        reactor.turn();
        for wait in waits {
            assert_eq!(wait.complete(reactor).unwrap_err().raw_os_error(), Some(libc::EPERM));
        }
        for event in events {
            assert_eq!(event.complete(reactor).unwrap_err().raw_os_error(), Some(libc::EPERM));
        }
        // Each once; and whoever comes later waits.
        arm_counter(&io);
    });
}

#[test]
fn a_wait_after_a_success_is_not_told() {
    in_each_mode(1, |reactor| {
        let (io, trigger) = eventfd_pair(reactor);
        let mut cx = Context::from_waker(Waker::noop());
        let mut poll = || io.poll_io(&mut cx, Direction::Read, read_counter);
        assert!(poll().is_pending());
        let future = ManualPoll::pending(reactor, next_counter(&io));
        fire(&trigger);
        fault::inject(Call::Submit, Errno::PERM, 1);
        reactor.turn();
        // Data has arrived nevertheless, ...
        assert!(matches!(poll(), Poll::Ready(Ok(1))));
        // ... and now there is none, which is no reason for an error.
        assert!(poll().is_pending());
        drop(future);
        let waits = ManualPoll::pending(reactor, next_counter(&io));
        fire(&trigger);
        assert_eq!(waits.complete(reactor).unwrap(), 1);
    });
}

#[test]
fn a_wait_after_a_waiter_that_was_dropped_is_not_told() {
    in_each_mode(1, |reactor| {
        let (io, trigger) = eventfd_pair(reactor);
        let dropped = ManualPoll::pending(reactor, next_counter(&io));
        fault::inject(Call::Submit, Errno::PERM, 1);
        reactor.turn();
        assert_eq!(dropped.wakes(), 1, "to be told");
        drop(dropped);
        arm_counter(&io);
        fault::inject(Call::Submit, Errno::PERM, 1);
        reactor.turn();
        let waits = ManualPoll::pending(reactor, next_counter(&io));
        fire(&trigger);
        assert_eq!(waits.complete(reactor).unwrap(), 1);
    });
}

#[test]
fn a_wait_for_an_event_is_told_at_once() {
    in_each_mode(1, |reactor| {
        let _crowd = Crowd::new(reactor);
        let (io, _trigger) = eventfd_pair(reactor);
        fault::inject(Call::Watch, Errno::NOSPC, 1);
        let told: Poll<io::Result<()>> = ManualPoll::new(io.ready(Direction::Read)).poll(reactor);
        let Poll::Ready(Err(told)) = told else { panic!("{told:?}") };
        assert!(told.to_string().contains("max_user_watches"), "{told}");
    });
}

#[test]
fn a_wait_elsewhere_that_is_impossible_backs_off() {
    in_each_mode(1, |reactor| {
        let _crowd = Crowd::new(reactor);
        let (io, trigger) = eventfd_pair(reactor);
        fault::inject(Call::Watch, Errno::NOSPC, usize::MAX);
        let attempts = AtomicUsize::new(0);
        let attempt = |fd: BorrowedFd<'_>| {
            attempts.fetch_add(1, Ordering::Relaxed);
            read_counter(fd)
        };
        thread::scope(|scope| {
            let reader = scope.spawn(|| futures::executor::block_on(io.io(Direction::Read, attempt)));
            turn_until(reactor, |now| now.waits_backed_off >= 5);
            assert!(attempts.load(Ordering::Relaxed) < 10, "{attempts:?}");
            assert!(!reader.is_finished());
            fault::clear();
            fire(&trigger);
            turn_until(reactor, |_| reader.is_finished());
            assert_eq!(reader.join().unwrap().unwrap(), 1);
        });
    });
}
