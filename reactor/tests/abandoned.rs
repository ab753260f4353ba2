//! Waits whose futures are dropped: their polls are cancelled, but not those of a loop that drops
//! its waits and makes them again.

use std::time::Duration;

use super::super::{Direction, Reactor};
use super::{
    A_WHILE, Config, ManualPoll, OWN_POLLS, alone, arm_own_polls, config, eventfd_pair, fire, in_each_mode, metrics,
    new_eventfd, next_counter, read_counter, register, run, turn_until,
};

/// Turns until what is abandoned has been cancelled, and its event has come: until no more slots
/// are in use than at rest.
#[track_caller]
fn let_it_be_cancelled(reactor: &Reactor, at_rest: u64) {
    turn_until(reactor, |now| now.slots_in_use == at_rest);
}

#[test]
fn waits_that_are_dropped_for_good_leave_no_slot_and_cost_a_cancel_each() {
    const WAITS: usize = 1000;
    alone(|| {
        for force_syscalls in [false, true] {
            run(Config { force_syscalls, ..config(2000) }, |reactor| {
                let at_rest = arm_own_polls(reactor);
                let ios: Vec<_> = (0..WAITS).map(|_| register(reactor, new_eventfd())).collect();
                let waits: Vec<_> =
                    ios.iter().map(|io| ManualPoll::pending(reactor, io.ready(Direction::Read))).collect();
                reactor.turn();
                assert_eq!(metrics(reactor).slots_in_use, at_rest + WAITS as u64);
                drop(waits);
                let dropped = metrics(reactor);
                let mut latest = dropped;
                turn_until(reactor, |now| {
                    assert!(now.cancels - latest.cancels <= WAITS as u64 / 32, "a turn has its share: {now:?}");
                    latest = *now;
                    now.cancels == WAITS as u64
                });
                assert_eq!(latest.polls_abandoned, WAITS as u64);
                assert!(latest.turns - dropped.turns < WAITS as u64 + 50, "at least one in each: {latest:?}");
                let_it_be_cancelled(reactor, at_rest);
                drop(ios);
                assert_eq!(metrics(reactor).cancels, WAITS as u64, "nothing was armed any more");
            });
        }
    });
}

#[test]
fn a_sleeping_loop_cancels_them_too() {
    in_each_mode(1, |reactor| {
        let at_rest = arm_own_polls(reactor);
        let (io, _trigger) = eventfd_pair(reactor);
        drop(ManualPoll::pending(reactor, io.ready(Direction::Read)));
        reactor.turn();
        loop {
            reactor.turn();
            // From then on it may sleep forever: the event may have come in the same turn.
            if metrics(reactor).polls_abandoned > 0 {
                break;
            }
            reactor.park(None);
        }
        let_it_be_cancelled(reactor, at_rest);
    });
}

#[test]
fn a_loop_that_drops_its_wait_and_waits_again_cancels_nothing() {
    in_each_mode(1, |reactor| {
        let (io, trigger) = eventfd_pair(reactor);
        // As `select!` beside an interval: each tick drops the wait, and the loop makes another.
        for _ in 0..100 {
            let waits = ManualPoll::pending(reactor, io.ready(Direction::Read));
            reactor.turn();
            reactor.park(Some(Duration::ZERO));
            drop(waits);
        }
        let waits = ManualPoll::pending(reactor, io.ready(Direction::Read));
        let now = metrics(reactor);
        assert_eq!((now.cancels, now.polls_abandoned), (0, 0));
        assert!(now.submitted_polls <= 1 + OWN_POLLS, "{} polls", now.submitted_polls);
        fire(&trigger);
        waits.complete(reactor).unwrap();
    });
}

#[test]
fn a_waiter_that_comes_back_in_time_finds_its_poll_armed() {
    in_each_mode(1, |reactor| {
        let (io, trigger) = eventfd_pair(reactor);
        for _ in 0..10 {
            drop(ManualPoll::pending(reactor, next_counter(&io)));
            reactor.turn();
            reactor.turn();
        }
        let waits = ManualPoll::pending(reactor, next_counter(&io));
        for _ in 0..10 {
            reactor.turn();
        }
        assert_eq!(metrics(reactor).cancels, 0);
        fire(&trigger);
        assert_eq!(waits.complete(reactor).unwrap(), 1);
        assert_eq!(metrics(reactor).submitted_polls, 1);
    });
}

#[test]
fn a_task_keeps_its_poll_whatever_becomes_of_a_future() {
    in_each_mode(1, |reactor| {
        let (io, trigger) = eventfd_pair(reactor);
        super::arm_counter(&io);
        drop(ManualPoll::pending(reactor, next_counter(&io)));
        for _ in 0..10 {
            reactor.turn();
        }
        assert_eq!(metrics(reactor).cancels, 0);
        fire(&trigger);
        assert_eq!(ManualPoll::new(next_counter(&io)).complete(reactor).unwrap(), 1);
    });
}

/// A step of the walk below.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// Waits, if it does not.
    Wait,
    /// Drops the wait, if there is one.
    Drop,
    Turn,
    Fire,
}

#[test]
fn nothing_is_missed_in_any_order_of_waits_drops_events_and_turns() {
    const STEPS: [Step; 4] = [Step::Wait, Step::Drop, Step::Turn, Step::Fire];
    const LENGTH: u32 = 6;
    alone(|| {
        for force_syscalls in [false, true] {
            run(Config { force_syscalls, ..config(64) }, |reactor| {
                for walk in 0..4_usize.pow(LENGTH) {
                    let steps: Vec<_> = (0..LENGTH).map(|at| STEPS[walk / 4_usize.pow(at) % 4]).collect();
                    let (io, trigger) = eventfd_pair(reactor);
                    // An armed wait that has been dropped, so that the turns lead to its cancel.
                    drop(ManualPoll::pending(reactor, next_counter(&io)));
                    reactor.turn();
                    let mut fired = 0;
                    let mut taken = 0;
                    let mut waits = None;
                    for step in &steps {
                        match step {
                            Step::Wait if waits.is_none() => {
                                let mut wait = ManualPoll::new(next_counter(&io));
                                match wait.poll(reactor) {
                                    std::task::Poll::Ready(counted) => taken += counted.unwrap(),
                                    std::task::Poll::Pending => waits = Some(wait),
                                }
                            }
                            Step::Drop => waits = None,
                            Step::Turn => reactor.turn(),
                            Step::Fire => {
                                fire(&trigger);
                                fired += 1;
                            }
                            Step::Wait => {}
                        }
                    }
                    if fired > taken {
                        let wait = waits.unwrap_or_else(|| ManualPoll::new(next_counter(&io)));
                        taken += wait.complete(reactor).unwrap();
                    }
                    assert_eq!(taken, fired, "{steps:?}");
                    assert!(read_counter(std::os::fd::AsFd::as_fd(&io)).is_err(), "{steps:?}");
                }
            });
        }
    });
}

#[test]
fn an_abandoned_poll_ends_with_its_descriptor() {
    in_each_mode(1, |reactor| {
        let at_rest = arm_own_polls(reactor);
        for turns in 0..8 {
            let (io, _trigger) = eventfd_pair(reactor);
            drop(ManualPoll::pending(reactor, next_counter(&io)));
            for _ in 0..turns {
                reactor.turn();
            }
            drop(io);
            reactor.park(Some(A_WHILE));
            let_it_be_cancelled(reactor, at_rest);
        }
    });
}
