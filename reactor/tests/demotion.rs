//! Demotion: idle polls give up their slots, and their registrations wait on in the nested epoll.

use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

use rustix::io::Errno;

use super::super::{Io, Reactor};
use super::crowd::Crowd;
use super::sockets::{assert_sees_close, stream_and_peer};
use super::{
    ManualPoll, assert_sleeps, config, eventfd_pair, fire, in_each_mode, metrics, next_counter, turn_until,
    with_reactor,
};
use crate::reactor::kernel::fault::{self, Call};
use crate::reactor::tests::arm_byte;

/// Has the registration wait and fire, again and again, until an idle poll is demoted to give it a
/// slot.
fn come_and_go_until_there_is_room(reactor: &Reactor, io: &Io, trigger: impl AsFd) {
    let capacity = metrics(reactor).capacity;
    // By then the whole crowd is idle, and each wait checks a few of its slots.
    for _ in 0..20 * capacity {
        let waits = ManualPoll::pending(reactor, next_counter(io));
        reactor.turn();
        fire(&trigger);
        assert_eq!(waits.complete(reactor).unwrap(), 1);
        if metrics(reactor).polls_demoted > 0 {
            return;
        }
    }
    panic!("no idle poll was demoted in {} waits: {:?}", 20 * capacity, metrics(reactor));
}

#[test]
fn an_idle_poll_gives_its_slot_to_one_that_comes_and_goes() {
    in_each_mode(1, |reactor| {
        let mut crowd = Crowd::new(reactor);
        let (busy, trigger) = eventfd_pair(reactor);
        come_and_go_until_there_is_room(reactor, &busy, &trigger);
        turn_until(reactor, |now| now.overflow_fds == 2);
        assert_eq!((metrics(reactor).polls_demoted, metrics(reactor).cancels), (1, 1));
        for _ in 0..50 {
            let waits = ManualPoll::pending(reactor, next_counter(&busy));
            reactor.turn();
            fire(&trigger);
            assert_eq!(waits.complete(reactor).unwrap(), 1);
        }
        let now = metrics(reactor);
        assert!(now.polls_demoted <= 2, "one for the epoll's own poll, one for the busy registration: {now:?}");

        // A demotion wakes nobody. Later the epoll wakes the demoted registration.
        let waits: Vec<_> = crowd.idle.iter().map(|io| ManualPoll::pending(reactor, next_counter(io))).collect();
        assert_sleeps(reactor);
        assert!(waits.iter().all(|wait| wait.wakes() == 0));
        crowd.idle.iter().for_each(fire);
        for wait in waits {
            assert_eq!(wait.complete(reactor).unwrap(), 1);
        }
        crowd.idle.clear();
    });
}

#[test]
fn an_event_during_a_demotion_is_not_missed() {
    in_each_mode(1, |reactor| {
        let crowd = Crowd::new(reactor);
        let waits: Vec<_> = crowd.idle.iter().map(|io| ManualPoll::pending(reactor, next_counter(io))).collect();
        let (busy, trigger) = eventfd_pair(reactor);
        come_and_go_until_there_is_room(reactor, &busy, &trigger);
        // One of them is being demoted: the event of its cancel was reaped just now, or is still
        // due.
        crowd.idle.iter().for_each(fire);
        for wait in waits {
            assert_eq!(wait.complete(reactor).unwrap(), 1);
        }
    });
}

/// Sockets whose polls take all the slots, and their peers.
fn crowd_of_sockets(reactor: &Reactor) -> (Vec<Io>, Vec<UnixStream>) {
    let mut idle = Vec::new();
    while metrics(reactor).overflow_fds == 0 {
        let (near, far) = stream_and_peer(reactor);
        arm_byte(&near);
        idle.push((near, far));
    }
    idle.into_iter().unzip()
}

#[test]
fn a_descriptor_that_closes_during_a_demotion_is_released_at_once() {
    with_reactor(config(1), |reactor| {
        let (near, far) = crowd_of_sockets(reactor);
        let (busy, trigger) = eventfd_pair(reactor);
        loop {
            let waits = ManualPoll::pending(reactor, next_counter(&busy));
            if metrics(reactor).polls_demoted > 0 {
                break;
            }
            reactor.turn();
            fire(&trigger);
            assert_eq!(waits.complete(reactor).unwrap(), 1);
        }
        // The event of the cancel has not been reaped.
        drop(near);
        far.iter().for_each(|far| assert_sees_close(reactor, far));
    });
}

#[test]
fn a_poll_that_cannot_be_demoted_stays_as_it_was() {
    with_reactor(config(1), |reactor| {
        let (near, far) = crowd_of_sockets(reactor);
        let (busy, trigger) = eventfd_pair(reactor);
        fault::inject(Call::Cancel, Errno::PERM, 1);
        come_and_go_until_there_is_room(reactor, &busy, &trigger);
        assert_eq!((metrics(reactor).polls_demoted, metrics(reactor).cancels), (1, 2), "the second cancel succeeds");
        drop(near);
        far.iter().for_each(|far| assert_sees_close(reactor, far));
    });
}

#[test]
fn a_demoted_poll_gets_a_slot_again_if_the_epoll_is_full() {
    with_reactor(config(1), |reactor| {
        let crowd = Crowd::new(reactor);
        let waits: Vec<_> = crowd.idle.iter().map(|io| ManualPoll::pending(reactor, next_counter(io))).collect();
        let (busy, trigger) = eventfd_pair(reactor);
        loop {
            let comes = ManualPoll::pending(reactor, next_counter(&busy));
            if metrics(reactor).polls_demoted > 0 {
                break;
            }
            reactor.turn();
            fire(&trigger);
            assert_eq!(comes.complete(reactor).unwrap(), 1);
        }
        fault::inject(Call::Watch, Errno::NOSPC, 1);
        // The event of the cancel comes when the kernel's worker gets to it.
        turn_until(reactor, |_| fault::taken(Call::Watch) == 1);
        assert_sleeps(reactor);
        assert!(waits.iter().all(|wait| wait.wakes() == 0), "it wakes nobody");
        crowd.idle.iter().for_each(fire);
        for wait in waits {
            assert_eq!(wait.complete(reactor).unwrap(), 1);
        }
    });
}
