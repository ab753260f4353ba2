//! Abandoned polls beside closes, moves, demotions and failures, and with events that come late.

use std::io;
use std::os::unix::net::UnixStream;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use rustix::io::Errno;

use super::super::{Config, Direction, Reactor};
use super::crowd::Crowd;
use super::{
    FOREVER, ManualPoll, OWN_POLLS, alone, arm_own_polls, assert_sleeps, config, eventfd_pair, fire, fresh_capacity,
    in_each_mode, metrics, new_eventfd, next_byte, next_counter, register, run, set_nonblocking, turn_until,
    with_reactor,
};
use crate::reactor::kernel::fault::{self, Call};

/// More turns than a poll stays armed that nobody waits for.
const SOME_TURNS: usize = 6;

fn turn(reactor: &Reactor, times: usize) {
    (0..times).for_each(|_| reactor.turn());
}

#[test]
fn a_loop_that_sleeps_cancels_what_is_abandoned_and_then_sleeps_for_good() {
    in_each_mode(1, |reactor| {
        let (io, trigger) = eventfd_pair(reactor);
        let waits = ManualPoll::pending(reactor, next_counter(&io));
        reactor.turn();
        drop(waits);
        let before = metrics(reactor);
        loop {
            reactor.turn();
            if metrics(reactor).polls_abandoned > 0 {
                break;
            }
            // Without a limit of its own it would sleep forever.
            reactor.park(None);
        }
        let now = metrics(reactor);
        assert!(now.turns - before.turns <= 4, "one short sleep: {now:?}");
        assert_sleeps(reactor);

        let waits = ManualPoll::pending(reactor, next_counter(&io));
        fire(&trigger);
        assert_eq!(waits.complete(reactor).unwrap(), 1);
    });
}

#[test]
fn a_sleep_that_ends_at_once_does_not_end_the_grace() {
    in_each_mode(1, |reactor| {
        let (io, trigger) = eventfd_pair(reactor);
        // The reactor's own poll first, whose event would end a sleep.
        reactor.park(Some(Duration::ZERO));
        for is_interrupted in [false, true] {
            drop(ManualPoll::pending(reactor, next_counter(&io)));
            reactor.turn();
            if is_interrupted {
                // By a signal. (All completions may be taken by this call, too.)
                fault::inject(Call::Getevents, Errno::INTR, 3);
                reactor.park(None);
                fault::clear();
            } else {
                // By a timer that is due.
                reactor.park(Some(Duration::ZERO));
            }
            reactor.turn();
            let waits = ManualPoll::pending(reactor, next_counter(&io));
            assert_eq!(metrics(reactor).cancels, 0, "only two turns have gone by");
            fire(&trigger);
            assert_eq!(waits.complete(reactor).unwrap(), 1);
        }
    });
}

#[test]
fn a_wait_that_is_dropped_on_another_thread_is_dropped_for_good_too() {
    in_each_mode(1, |reactor| {
        let (io, _trigger) = eventfd_pair(reactor);
        let mut waits = Box::pin(io.ready(Direction::Read));
        super::coop::refill();
        assert!(waits.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        reactor.turn();
        thread::scope(|scope| scope.spawn(move || drop(waits)).join().unwrap());
        turn_until(reactor, |now| now.slots_in_use == 0);
        assert_eq!((metrics(reactor).polls_abandoned, metrics(reactor).cancels), (1, 1));
    });
}

#[test]
fn of_two_waits_the_last_one_counts() {
    in_each_mode(1, |reactor| {
        let (io, trigger) = eventfd_pair(reactor);
        let [first, second, third] = [(); 3].map(|()| ManualPoll::pending(reactor, next_counter(&io)));
        reactor.turn();
        drop(second);
        drop(third);
        turn(reactor, SOME_TURNS);
        assert_eq!(metrics(reactor).cancels, 0, "one still waits");
        fire(&trigger);
        assert_eq!(first.complete(reactor).unwrap(), 1);
    });
}

#[test]
fn a_poll_that_cannot_be_cancelled_stays_armed_for_the_next_wait() {
    in_each_mode(1, |reactor| {
        let (io, trigger) = eventfd_pair(reactor);
        for _ in 0..3 {
            drop(ManualPoll::pending(reactor, next_counter(&io)));
            fault::inject(Call::Cancel, Errno::PERM, 1);
            turn(reactor, 2 * SOME_TURNS);
            assert!(!fault::clear(), "it was tried, once");
        }
        assert_sleeps(reactor);
        let now = metrics(reactor);
        assert_eq!((now.polls_abandoned, now.cancels), (0, 3));
        let waits = ManualPoll::pending(reactor, next_counter(&io));
        fire(&trigger);
        assert_eq!(waits.complete(reactor).unwrap(), 1);
    });
}

#[test]
fn what_waits_in_the_nested_epoll_needs_no_cancel() {
    in_each_mode(1, |reactor| {
        let mut crowd = Crowd::new(reactor);
        let (io, trigger) = eventfd_pair(reactor);
        drop(ManualPoll::pending(reactor, next_counter(&io)));
        assert_eq!(metrics(reactor).overflow_fds, 1);
        turn(reactor, SOME_TURNS);
        assert_sleeps(reactor);
        assert_eq!(metrics(reactor).cancels, 0);
        let waits = ManualPoll::pending(reactor, next_counter(&io));
        fire(&trigger);
        assert_eq!(waits.complete(reactor).unwrap(), 1);
        crowd.idle.clear();
    });
}

// ---- beside other cancels ----

#[test]
fn nobody_waits_in_the_epoll_for_a_demoted_poll_that_was_abandoned() {
    in_each_mode(1, |reactor| {
        let ios: Vec<_> = (0..metrics(reactor).capacity).map(|_| register(reactor, new_eventfd())).collect();
        let waits: Vec<_> = ios.iter().map(|io| ManualPoll::pending(reactor, next_counter(io))).collect();
        let (busy, trigger) = eventfd_pair(reactor);
        let members = loop {
            let comes = ManualPoll::pending(reactor, next_counter(&busy));
            if metrics(reactor).polls_demoted > 0 {
                break metrics(reactor).overflow_fds;
            }
            reactor.turn();
            fire(&trigger);
            assert_eq!(comes.complete(reactor).unwrap(), 1);
        };
        // The event of the cancel has not been reaped.
        drop(waits);
        turn_until(reactor, |now| now.slots_in_use <= OWN_POLLS);
        assert_eq!(metrics(reactor).overflow_fds, members);
    });
}

#[test]
fn polls_that_are_abandoned_during_a_growth_are_not_armed_on_the_new_context() {
    let growing = || Config { initial: 1, ..config(fresh_capacity() + 3_000) };
    alone(|| {
        for config in [growing(), Config { force_syscalls: true, ..growing() }] {
            run(config, |reactor| {
                let pairs: Vec<_> = (0..400).map(|_| eventfd_pair(reactor)).collect();
                let mut kept = Vec::new();
                for (at, (io, _)) in pairs.iter().enumerate() {
                    let waits = ManualPoll::pending(reactor, next_counter(io));
                    if at % 2 == 0 {
                        kept.push((at, waits));
                    }
                    // The others are dropped here: queued, armed, moving.
                    if at % 10 == 0 {
                        reactor.turn();
                    }
                }
                assert!(metrics(reactor).growths > 0);
                turn_until(reactor, |now| now.slots_in_use <= kept.len() as u64 + OWN_POLLS);
                for (at, waits) in kept {
                    assert_eq!(waits.wakes(), 0);
                    fire(&pairs[at].1);
                    assert_eq!(waits.complete(reactor).unwrap(), 1);
                }
            });
        }
    });
}

#[test]
fn a_descriptor_that_closes_before_the_event_of_its_cancel_is_released() {
    // Every event is taken by a system call, so that one can be held back.
    with_reactor(Config { force_syscalls: true, ..config(1) }, |reactor| {
        for gives_fd_back in [false, true] {
            let (near, far) = UnixStream::pair().unwrap();
            set_nonblocking(&near);
            set_nonblocking(&far);
            let io = register(reactor, near);
            drop(ManualPoll::pending(reactor, next_byte(&io)));
            reactor.turn();
            let before = metrics(reactor).cancels;
            cancel_and_see_no_event(reactor);
            assert_eq!(metrics(reactor).cancels, before + 1);
            if gives_fd_back {
                drop(io.into_fd().unwrap());
                assert_eq!(metrics(reactor).slots_in_use, 0, "the event has come");
            } else {
                drop(io);
                turn_until(reactor, |now| now.slots_in_use == 0);
                reactor.turn();
            }
            assert_eq!(metrics(reactor).cancels, before + 1, "it was cancelled already");
            super::wait_until("the peer sees the end", || rustix::io::read(&far, &mut [0]) == Ok(0));
        }
    });
}

#[test]
fn a_descriptor_whose_polls_are_refused_meanwhile_is_not_polled_again() {
    with_reactor(Config { force_syscalls: true, ..config(1) }, |reactor| {
        let (io, trigger) = eventfd_pair(reactor);
        // The reactor's own poll first.
        reactor.park(Some(Duration::ZERO));
        drop(ManualPoll::pending(reactor, next_counter(&io)));
        reactor.turn();
        cancel_and_see_no_event(reactor);
        // Somebody is back before the event of the cancel, ...
        let reads = ManualPoll::pending(reactor, next_counter(&io));
        // ... and the other direction finds out that the kernel refuses to poll.
        let writes = ManualPoll::pending(reactor, io.ready(Direction::Write));
        fault::inject(Call::Submit, Errno::INVAL, 1);
        reactor.turn();
        assert_eq!(metrics(reactor).fds_edge_triggered, 1);
        // The epoll watches both directions.
        turn_until(reactor, |now| now.slots_in_use <= OWN_POLLS);
        writes.complete(reactor).unwrap();
        assert_eq!(reads.wakes(), 0);
        fire(&trigger);
        assert_eq!(reads.complete(reactor).unwrap(), 1);
    });
}

/// Passes the turns after which an abandoned poll is cancelled, and takes no event.
fn cancel_and_see_no_event(reactor: &Reactor) {
    fault::inject(Call::Getevents, Errno::INTR, FOREVER);
    turn(reactor, SOME_TURNS);
    fault::clear();
}

// ---- in every order ----

#[derive(Clone, Copy, Debug)]
enum Step {
    Wait,
    Drop,
    /// Some turns that see no event, so that a poll that nobody waits for is cancelled.
    Cancel,
    Turn,
    Fire,
}

const STEPS: [Step; 5] = [Step::Wait, Step::Drop, Step::Cancel, Step::Turn, Step::Fire];

/// How it ends: the descriptor fires, its registration ends, or it ends and the descriptor lives.
const ENDS: usize = 3;

fn walk(reactor: &Reactor, path: &[Step], end: usize, at_rest: u64) {
    let (io, trigger) = eventfd_pair(reactor);
    {
        let mut waits: Option<ManualPoll<'_, io::Result<u64>>> = None;
        let mut is_fired = false;
        for step in path {
            match step {
                Step::Wait => {
                    let waiting = waits.get_or_insert_with(|| ManualPoll::new(next_counter(&io)));
                    if let Poll::Ready(counter) = waiting.poll(reactor) {
                        assert!(counter.unwrap() > 0 && is_fired, "{path:?}");
                        (waits, is_fired) = (None, false);
                    }
                }
                Step::Drop => waits = None,
                Step::Cancel => cancel_and_see_no_event(reactor),
                Step::Turn => reactor.turn(),
                Step::Fire => {
                    fire(&trigger);
                    is_fired = true;
                }
            }
        }
        if end == 0 {
            let waits = waits.unwrap_or_else(|| ManualPoll::new(next_counter(&io)));
            if !is_fired {
                assert_eq!(waits.wakes(), 0, "{path:?}: an event that says nothing wakes nobody");
                fire(&trigger);
            }
            assert!(waits.complete(reactor).unwrap() > 0, "{path:?}");
            return;
        }
    }
    if end == 1 {
        drop(io);
        turn_until(reactor, |now| now.slots_in_use == at_rest);
    } else {
        drop(io.into_fd().unwrap());
        assert_eq!(metrics(reactor).slots_in_use, at_rest, "{path:?}: a poll keeps the file open");
    }
}

fn enumerate(reactor: &Reactor, path: &mut Vec<Step>, depth: usize, at_rest: u64) {
    for end in 0..ENDS {
        walk(reactor, path, end, at_rest);
    }
    if depth > 0 {
        for step in STEPS {
            path.push(step);
            enumerate(reactor, path, depth - 1, at_rest);
            path.pop();
        }
    }
}

#[test]
fn drop_cancel_event_and_wait_come_in_every_order() {
    with_reactor(Config { force_syscalls: true, ..config(1) }, |reactor| {
        let at_rest = arm_own_polls(reactor);
        enumerate(reactor, &mut vec![Step::Wait, Step::Turn], 4, at_rest);
    });
}
