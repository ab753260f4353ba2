//! Closing in batches: no drop in the loop waits, each turn has its share, and what is dropped late
//! is dropped with nothing borrowed.

use std::cell::RefCell;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::task::Waker;

use super::super::driver::Aftermath;
use super::super::{Close, Config, Direction, Home, Reactor, Round, home};
use super::sockets::{assert_sees_close, stream_and_peer};
use super::{
    ManualPoll, alone, arm_byte, arm_counter, config, eventfd_pair, fire, metrics, new_eventfd, next_byte,
    next_counter, read_byte, run, turn_until, wait_until,
};
use crate::reactor::readiness::{Until, Waiter};

/// What a turn cancels and what it closes, at most.
const SHARE: u64 = 16;

#[test]
fn drops_in_the_loop_never_wait_and_each_turn_closes_its_share() {
    const STREAMS: u64 = 500;
    alone(|| {
        for force_syscalls in [false, true] {
            run(Config { force_syscalls, ..config(1000) }, |reactor| {
                let (near, far): (Vec<_>, Vec<_>) = (0..STREAMS).map(|_| stream_and_peer(reactor)).unzip();
                let waits: Vec<_> = near.iter().map(|io| ManualPoll::pending(reactor, next_byte(io))).collect();
                reactor.turn();
                let armed = metrics(reactor);
                drop(waits);
                drop(near);
                let dropped = metrics(reactor);
                assert_eq!(dropped.getevents_calls, armed.getevents_calls, "no drop takes events, let alone waits");
                assert_eq!(dropped.cancels, armed.cancels);

                let mut latest = dropped;
                turn_until(reactor, |now| {
                    assert!(now.cancels - latest.cancels <= SHARE);
                    latest = *now;
                    now.slots_in_use == 0
                });
                assert_eq!(latest.cancels - armed.cancels, STREAMS, "each is cancelled once");
                far.iter().for_each(|far| assert_sees_close(reactor, far));
            });
        }
    });
}

#[test]
fn a_crowd_is_closed_between_the_rounds_of_ready_tasks() {
    const CROWD: usize = 3 * SHARE as usize;
    run_alone(|reactor| {
        let (near, far): (Vec<_>, Vec<_>) = (0..2 * CROWD).map(|_| stream_and_peer(reactor)).unzip();
        near[..CROWD].iter().for_each(arm_byte);
        reactor.turn();
        let before = metrics(reactor).cancels;
        let is_closed = |far: &_| read_byte(AsFd::as_fd(far)).is_ok_and(|byte| byte.is_none());
        let closed = || far.iter().filter(|far| is_closed(far)).count();
        drop(near);
        // Few are closed at once, as usual; the others wait, and so do the cancels.
        assert_eq!(closed(), SHARE as usize);
        for _ in 0..10 {
            reactor.turn_in(Round::GoesOn);
        }
        assert_eq!((closed(), metrics(reactor).cancels), (SHARE as usize, before));
        reactor.turn_in(Round::IsOver);
        assert_eq!(closed(), 2 * SHARE as usize);
        // On a busy machine the share of the cancels is cut short by the time.
        assert!((1..=SHARE).contains(&(metrics(reactor).cancels - before)));
        turn_until(reactor, |_| closed() == 2 * CROWD);
    });
}

#[test]
fn the_loop_does_not_sleep_while_there_is_something_to_cancel_or_to_close() {
    run_alone(|reactor| {
        let (ios, _triggers): (Vec<_>, Vec<_>) = (0..3 * SHARE).map(|_| eventfd_pair(reactor)).unzip();
        let waits: Vec<_> = ios.iter().map(|io| ManualPoll::pending(reactor, next_counter(io))).collect();
        reactor.turn();
        drop(waits);
        drop(ios);
        // Would sleep forever. The reactor's own poll stays.
        while metrics(reactor).slots_in_use > 1 {
            reactor.park(None);
        }
    });
}

fn run_alone(test: impl FnOnce(&Reactor)) {
    alone(|| run(config(1000), test));
}

/// The owner of a descriptor, whose drop uses the reactor.
struct Owner {
    _fd: OwnedFd,
    number: u64,
    reactor: Home,
    dropped: Rc<RefCell<Vec<u64>>>,
    panics: bool,
}

impl Drop for Owner {
    fn drop(&mut self) {
        // Either panics under a borrow.
        home::move_to_front(self.reactor);
        let _gone = self.reactor.with_driver(|_| ());
        self.dropped.borrow_mut().push(self.number);
        assert!(!self.panics, "an owner's drop may panic");
    }
}

/// Registers the descriptors of `count` owners, arms them, and ends the registrations. Returns the
/// numbers of the owners that are dropped.
fn end_owners(reactor: &Reactor, count: u64, close: Close) -> Rc<RefCell<Vec<u64>>> {
    let dropped = Rc::<RefCell<Vec<u64>>>::default();
    let owners: Vec<_> = (0..count)
        .map(|number| {
            let (reactor, dropped) = (reactor.home(), Rc::clone(&dropped));
            Box::new(Owner { _fd: new_eventfd(), number, reactor, dropped, panics: number == 1 })
        })
        .collect();
    let arm = |owner: &Owner| {
        reactor.with(|driver| {
            let id = driver.register(owner._fd.as_fd(), Close::Soon);
            let waker = Waker::noop().clone();
            let waits = driver.wait(id, Direction::Read, Until::Event, &mut Waiter::Task, waker, false);
            assert!(waits.0.is_pending());
            id
        })
    };
    let ids: Vec<_> = owners.iter().map(|owner| arm(owner).unwrap()).collect();
    reactor.turn();
    for (id, owner) in ids.into_iter().zip(owners) {
        let ended = reactor.with(|driver| driver.deregister(id, Some(owner.into()), close));
        let dropped = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(ended)));
        assert!(dropped.is_ok() || close == Close::BeforeReturn);
    }
    dropped
}

/// The numbers of the owners that were dropped. Their order is that of the events of their cancels,
/// which is up to the kernel's workers.
fn sorted(dropped: &RefCell<Vec<u64>>) -> Vec<u64> {
    let mut dropped = dropped.take();
    dropped.sort_unstable();
    dropped
}

#[test]
fn owners_are_dropped_outside_the_borrow_some_in_each_turn() {
    run_alone(|reactor| {
        let dropped = end_owners(reactor, 3 * SHARE, Close::Soon);
        assert_eq!(dropped.take(), [], "none is dropped before its poll is over");
        turn_until(reactor, |now| now.slots_in_use == 0);
        wait_until("all are dropped", || {
            let before = dropped.borrow().len() as u64;
            reactor.turn();
            let now = dropped.borrow().len() as u64;
            assert!(now - before <= SHARE);
            now == 3 * SHARE
        });
        let all = (0..3 * SHARE).collect::<Vec<_>>();
        assert_eq!(sorted(&dropped), all, "the panic of one changes nothing for the others");
    });
}

#[test]
fn owners_are_dropped_before_the_drop_returns_where_that_was_asked_for() {
    run_alone(|reactor| {
        assert_eq!(end_owners(reactor, 3, Close::BeforeReturn).take(), [0, 1, 2]);
    });
}

#[test]
fn owners_are_dropped_at_the_end_of_the_loop_and_of_the_reactor() {
    alone(|| {
        let reactor = Reactor::new(config(1000)).unwrap();
        let in_loop = reactor.enter_loop();
        let at_the_loops_end = end_owners(&reactor, 3, Close::Soon);
        drop(in_loop);
        assert_eq!(sorted(&at_the_loops_end), [0, 1, 2]);
        let in_loop = reactor.enter_loop();
        let at_the_reactors_end = end_owners(&reactor, 3, Close::Soon);
        reactor.shutdown();
        assert_eq!(sorted(&at_the_reactors_end), [0, 1, 2]);
        drop(in_loop);
    });
}

#[test]
fn a_turn_that_wakes_and_closes_nothing_keeps_its_allocations() {
    const ROOM: usize = 1000;
    run_alone(|reactor| {
        let (io, trigger) = eventfd_pair(reactor);
        arm_counter(&io);
        let (wakers, late) = (Vec::with_capacity(ROOM), Vec::with_capacity(ROOM));
        reactor.with(|driver| driver.give_back(Aftermath { wakers, late, incidents: Vec::new() }));
        reactor.turn();
        // What the driver has for its caller.
        let aftermath = || reactor.with(|driver| (driver.turn(Round::IsOver), driver.take_aftermath()).1).flatten();
        fire(&trigger);
        wait_until("somebody is woken", || {
            aftermath().is_some_and(|aftermath| {
                assert!(aftermath.wakers.capacity() >= ROOM);
                true
            })
        });
        let (io, _trigger) = eventfd_pair(reactor);
        arm_counter(&io);
        reactor.turn();
        drop(io);
        wait_until("something is closed", || {
            aftermath().is_some_and(|aftermath| {
                assert!(aftermath.late.capacity() >= ROOM);
                true
            })
        });
    });
}
