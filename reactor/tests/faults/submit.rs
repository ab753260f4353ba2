//! `io_submit` fails: for a while, for one request, or forever.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::io::Errno;

use super::{FOREVER, assert_all_complete};
use crate::reactor::kernel::fault::{self, Call};
use crate::reactor::tests::arm_counter;
use crate::reactor::tests::{
    A_WHILE, ManualPoll, PATIENCE, arm_own_polls, assert_is_unparked, assert_sleeps, block_on, eventfd_pair, fire,
    in_each_mode, metrics, new_eventfd, next_counter, register, turn_and_park,
};
use crate::reactor::{Buf, FileOperation, Request};

#[test]
fn nothing_is_lost_when_the_kernel_has_no_room_for_a_while() {
    in_each_mode(1, |reactor| {
        for times in [1, 2, 3, 10] {
            assert_all_complete(reactor, || fault::inject(Call::Submit, Errno::AGAIN, times));
            assert_sleeps(reactor);
        }
    });
}

#[test]
fn the_loop_does_not_spin_while_the_kernel_has_no_room() {
    in_each_mode(1, |reactor| {
        assert_all_complete(reactor, || {
            fault::inject(Call::Submit, Errno::AGAIN, FOREVER);
            let (begin, before) = (Instant::now(), metrics(reactor));
            let mut sleeps = 0;
            while begin.elapsed() < Duration::from_millis(100) {
                reactor.turn();
                reactor.park(None);
                sleeps += 1;
            }
            let calls = metrics(reactor).submit_calls - before.submit_calls;
            // One every 10 ms, and those of the first flush, which moved the polls to the nested
            // epoll.
            assert!((2..=20).contains(&calls), "{calls} calls of io_submit in 100 ms");
            assert!(sleeps <= 20, "{sleeps} sleeps in 100 ms");
            // Registrations come and go meanwhile.
            for _ in 0..10 {
                let io = register(reactor, new_eventfd());
                arm_counter(&io);
            }
            assert!(fault::clear());
        });
    });
}

#[test]
fn a_wake_from_another_thread_arrives_while_the_kernel_has_no_room() {
    in_each_mode(1, |reactor| {
        fault::inject(Call::Submit, Errno::AGAIN, FOREVER);
        assert_is_unparked(reactor);
        assert!(fault::clear());
    });
}

#[test]
fn a_poll_that_the_kernel_refuses_goes_to_the_nested_epoll_for_good() {
    in_each_mode(1, |reactor| {
        for times in [1, 5, 20] {
            // So that they are not the ones refused.
            arm_own_polls(reactor);
            let before = metrics(reactor);
            // The first `times` of them are refused.
            let (ios, triggers): (Vec<_>, Vec<_>) = (0..20).map(|_| eventfd_pair(reactor)).unzip();
            let waits: Vec<_> = ios.iter().map(|io| ManualPoll::pending(reactor, next_counter(io))).collect();
            fault::inject(Call::Submit, Errno::INVAL, times);
            reactor.turn();
            let now = metrics(reactor);
            assert_eq!(now.overflow_fds, times as u64);
            assert_eq!(now.fds_edge_triggered - before.fds_edge_triggered, times as u64);
            assert_sleeps(reactor);
            triggers.iter().for_each(fire);
            for wait in waits {
                assert_eq!(wait.complete(reactor).unwrap(), 1);
            }
            // The refusal is remembered: only the others submit a poll again.
            let polls = metrics(reactor).submitted_polls;
            let waits: Vec<_> = ios.iter().map(|io| ManualPoll::pending(reactor, next_counter(io))).collect();
            reactor.turn();
            let polls = metrics(reactor).submitted_polls - polls;
            let others = 20 - times as u64;
            assert!((others..=others + 1).contains(&polls), "{polls}; one may be the epoll's own");
            triggers.iter().for_each(fire);
            for wait in waits {
                assert_eq!(wait.complete(reactor).unwrap(), 1);
            }
            assert_eq!(metrics(reactor).contradictions, 0);
        }
    });
}

#[test]
fn members_of_the_nested_epoll_are_woken_while_the_kernel_has_no_room() {
    in_each_mode(1, |reactor| {
        let (io, trigger) = eventfd_pair(reactor);
        fault::inject(Call::Submit, Errno::AGAIN, FOREVER);
        for is_busy in [false, true] {
            for _ in 0..5 {
                let mut waits = ManualPoll::pending(reactor, next_counter(&io));
                turn_and_park(reactor);
                fire(&trigger);
                let begin = Instant::now();
                while waits.wakes() == 0 {
                    assert!(begin.elapsed() < PATIENCE);
                    reactor.turn();
                    if !is_busy {
                        reactor.park(Some(PATIENCE));
                    }
                }
                // The poll of the epoll cannot be submitted; the back-off is 10 ms.
                assert!(begin.elapsed() < PATIENCE / 20, "{:?}", begin.elapsed());
                assert!(waits.poll(reactor).is_ready());
            }
        }
        assert!(fault::clear());
    });
}

#[test]
fn the_nested_epoll_wakes_the_loop_where_the_kernel_refuses_to_poll_the_eventfd() {
    in_each_mode(1, |reactor| {
        // Nothing else is queued.
        fault::inject(Call::Submit, Errno::INVAL, 1);
        reactor.park(Some(A_WHILE));
        let sleeps = metrics(reactor).getevents_calls;
        for _ in 0..3 {
            assert_is_unparked(reactor);
        }
        let sleeps = metrics(reactor).getevents_calls - sleeps;
        // With forced system calls there are some that do not sleep.
        assert!(sleeps <= 20, "{sleeps} looks and sleeps for 3 wakes");
        assert_sleeps(reactor);
    });
}

#[test]
fn an_io_submit_that_is_denied_later_is_an_error_for_every_caller() {
    in_each_mode(1, |reactor| {
        fault::inject(Call::Submit, Errno::PERM, FOREVER);
        let file = Arc::new(tempfile::tempfile().unwrap());
        let (io, trigger) = eventfd_pair(reactor);
        for _ in 0..3 {
            let denied = block_on(reactor, next_counter(&io)).unwrap_err();
            assert_eq!(denied.raw_os_error(), Some(libc::EPERM));
            let read = FileOperation::new(reactor.home(), Request::read(&file, Buf::from(b"mine".to_vec()), 0));
            let (denied, buf) = block_on(reactor, read);
            assert_eq!(denied.unwrap_err().raw_os_error(), Some(libc::EPERM));
            assert_eq!(&buf[..], b"mine");
        }
        let begin = Instant::now();
        let before = metrics(reactor).submit_calls;
        while begin.elapsed() < Duration::from_millis(100) {
            turn_and_park(reactor);
        }
        let calls = metrics(reactor).submit_calls - before;
        assert!(calls <= 30, "{calls} calls of io_submit in 100 ms for the reactor's own poll");
        assert!(fault::clear());
        let waits = ManualPoll::pending(reactor, next_counter(&io));
        fire(trigger);
        assert_eq!(waits.complete(reactor).unwrap(), 1);
    });
}
