//! Descriptors whose number changes hands: an event reaches only its own waiter.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::task::{Poll, Waker};

use rustix::io::Errno;

use super::super::ids::SourceId;
use super::super::readiness::{Until, Waiter};
use super::super::{Close, Direction, Reactor};
use super::crowd::Crowd;
use super::{
    Flag, ManualPoll, alone, assert_sleeps, config, eventfd_pair, fire, fresh_capacity, in_each_mode, metrics,
    new_eventfd, next_counter, register, run, until_woken,
};
use crate::reactor::kernel::fault::{self, Call};
use crate::reactor::tests::arm_counter;

/// Has the number name another file, as if it had been closed and reused in between.
fn pass_number_on(number: RawFd, to: OwnedFd) {
    // SAFETY: dup3(2) works on numbers alone. The callers make sure that the number is still closed
    // only once.
    assert_eq!(unsafe { libc::dup3(to.as_raw_fd(), number, libc::O_CLOEXEC) }, number);
}

/// A second owner of the same number. The caller has to forget one of the two.
fn own_again(number: RawFd) -> OwnedFd {
    // SAFETY: the number is open, and the callers make sure that it is closed only once.
    unsafe { OwnedFd::from_raw_fd(number) }
}

#[test]
fn the_event_of_a_closed_file_does_not_reach_the_next_owner_of_its_number() {
    in_each_mode(1, |reactor| {
        let (io, old_trigger) = eventfd_pair(reactor);
        let number = io.as_fd().as_raw_fd();
        let old_waits = ManualPoll::pending(reactor, next_counter(&io));
        reactor.turn();

        let new_trigger = new_eventfd();
        pass_number_on(number, new_trigger.try_clone().unwrap());
        let new_io = register(reactor, own_again(number));
        let new_waits = ManualPoll::pending(reactor, next_counter(&new_io));
        reactor.turn();

        fire(&old_trigger);
        until_woken(reactor, &old_waits.flag);
        assert_eq!(new_waits.wakes(), 0);
        assert_sleeps(reactor);
        fire(&new_trigger);
        assert_eq!(new_waits.complete(reactor).unwrap(), 1);

        drop(old_waits);
        let _owned_by_new_io = io.into_fd().unwrap().into_raw_fd();
    });
}

/// The same, but the old poll is still in flight when its registration has ended, and the
/// registration's place and the number are both taken again.
#[test]
fn a_poll_that_could_not_be_cancelled_wakes_nobody() {
    alone(|| {
        run(config(fresh_capacity()), |reactor| {
            let (old, new) = (new_eventfd(), new_eventfd());
            let number = new_eventfd().into_raw_fd();
            pass_number_on(number, old.try_clone().unwrap());
            let owner = own_again(number);
            let old_id = reactor.with(|driver| driver.register(owner.as_fd(), Close::Soon)).unwrap();
            let (old_flag, new_flag) = (Arc::<Flag>::default(), Arc::<Flag>::default());
            assert!(wait_for(reactor, old_id, &old_flag).is_pending());
            reactor.turn();

            fault::inject(Call::Cancel, Errno::NOSYS, 1);
            drop(reactor.with(|driver| driver.deregister(old_id, None, Close::Soon)));
            pass_number_on(number, new.try_clone().unwrap());
            let new_id = reactor.with(|driver| driver.register(owner.as_fd(), Close::Soon)).unwrap();
            assert_eq!(new_id, old_id, "the registration has the old one's place");
            assert!(wait_for(reactor, new_id, &new_flag).is_pending());
            reactor.turn();
            assert_eq!(metrics(reactor).slots_in_use, 2, "but not its slot");

            fire(&old);
            assert_sleeps(reactor);
            assert_eq!((old_flag.wakes(), new_flag.wakes()), (0, 0));
            fire(&new);
            until_woken(reactor, &new_flag);
            drop(reactor.with(|driver| driver.deregister(new_id, None, Close::BeforeReturn)));
        });
    });
}

/// The entry of the nested epoll goes with the file that it was for.
#[test]
fn a_member_whose_number_names_another_file_is_watched_again() {
    in_each_mode(1, |reactor| {
        let _crowd = Crowd::new(reactor);
        let io = register(reactor, new_eventfd());
        for _ in 0..3 {
            let trigger = new_eventfd();
            pass_number_on(io.as_fd().as_raw_fd(), trigger.try_clone().unwrap());
            for _ in 0..3 {
                let waits = ManualPoll::pending(reactor, next_counter(&io));
                reactor.turn();
                fire(&trigger);
                assert_eq!(waits.complete(reactor).unwrap(), 1);
            }
        }
    });
}

/// Two registrations of one number: the nested epoll has one entry for both.
#[test]
fn the_latest_of_two_registrations_of_one_number_is_watched() {
    in_each_mode(1, |reactor| {
        let _crowd = Crowd::new(reactor);
        let (io, trigger) = eventfd_pair(reactor);
        arm_counter(&io);
        let number = io.as_fd().as_raw_fd();
        let second = register(reactor, own_again(number));
        let waits = ManualPoll::pending(reactor, next_counter(&second));
        fire(&trigger);
        assert_eq!(waits.complete(reactor).unwrap(), 1);
        let _owned_by_io = second.into_fd().unwrap().into_raw_fd();
    });
}

/// One wait for reading, past the hint that an attempt may succeed.
fn wait_for(reactor: &Reactor, id: SourceId, flag: &Arc<Flag>) -> Poll<io::Result<()>> {
    let waker = Waker::from(Arc::clone(flag));
    let waited = reactor.with(|driver| {
        driver.clear_ready(id, Direction::Read);
        driver.wait(id, Direction::Read, Until::Attempt, &mut Waiter::Task, waker, false)
    });
    waited.expect("the reactor is alive").0
}
