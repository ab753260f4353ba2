//! Idle polls that give up their slots, and wait on in the nested epoll.

use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::rc::Rc;

use rustix::io::Errno;

use super::super::{Io, Reactor};
use super::crowd::Crowd;
use super::{
    ManualPoll, assert_sleeps, config, eventfd_pair, fire, in_each_mode, metrics, next_byte, next_counter, register,
    set_nonblocking, turn_until, wait_until, with_reactor,
};
use crate::reactor::kernel::fault::{self, Call};

/// Waits and is fired, again and again, until its waits find a slot, which idle polls have to give
/// up.
fn come_and_go_until_there_is_room(reactor: &Rc<Reactor>, io: &Io, trigger: impl AsFd) {
    let capacity = metrics(reactor).capacity;
    // By then all of the crowd are idle, and at every wait a few of them are looked at.
    for _ in 0..20 * capacity {
        let waits = ManualPoll::pending(reactor, next_counter(io));
        reactor.turn();
        fire(&trigger);
        assert_eq!(waits.complete(reactor).unwrap(), 1);
        if metrics(reactor).polls_demoted > 0 {
            return;
        }
    }
    panic!("no idle poll was evicted in {} waits: {:?}", 20 * capacity, metrics(reactor));
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
        assert!(now.polls_demoted <= 2, "one for the epoll's own poll, one for the one that is busy: {now:?}");

        // Who was evicted is woken by the epoll, and nobody by the eviction.
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
fn what_comes_while_a_poll_is_evicted_is_not_missed() {
    in_each_mode(1, |reactor| {
        let crowd = Crowd::new(reactor);
        let waits: Vec<_> = crowd.idle.iter().map(|io| ManualPoll::pending(reactor, next_counter(io))).collect();
        let (busy, trigger) = eventfd_pair(reactor);
        come_and_go_until_there_is_room(reactor, &busy, &trigger);
        // One of them is: its cancel's event has not been taken yet, or just now.
        crowd.idle.iter().for_each(fire);
        for wait in waits {
            assert_eq!(wait.complete(reactor).unwrap(), 1);
        }
    });
}

/// Sockets whose polls have all slots, and their other ends.
fn crowd_of_sockets(reactor: &Rc<Reactor>) -> (Vec<Io>, Vec<UnixStream>) {
    let mut idle = Vec::new();
    while metrics(reactor).overflow_fds == 0 {
        let (near, far) = UnixStream::pair().unwrap();
        set_nonblocking(&near);
        set_nonblocking(&far);
        let near = register(reactor, near);
        drop(ManualPoll::pending(reactor, next_byte(&near)));
        idle.push((near, far));
    }
    idle.into_iter().unzip()
}

fn assert_closed(far: &[UnixStream]) {
    for far in far {
        wait_until("the other end sees the close", || matches!(rustix::io::read(far, &mut [0; 1]), Ok(0)));
    }
}

#[test]
fn a_descriptor_that_closes_while_its_poll_is_evicted_is_let_go_at_once() {
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
        // The event of the cancel has not been looked for.
        drop(near);
        assert_closed(&far);
    });
}

#[test]
fn a_poll_that_cannot_be_evicted_stays_as_it_was() {
    with_reactor(config(1), |reactor| {
        let (near, far) = crowd_of_sockets(reactor);
        let (busy, trigger) = eventfd_pair(reactor);
        fault::inject(Call::Cancel, Errno::PERM, 1);
        come_and_go_until_there_is_room(reactor, &busy, &trigger);
        assert_eq!((metrics(reactor).polls_demoted, metrics(reactor).cancels), (1, 2), "the second try succeeds");
        drop(near);
        assert_closed(&far);
    });
}

#[test]
fn an_evicted_poll_for_which_the_epoll_has_no_room_gets_a_slot_again() {
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
        assert_sleeps(reactor);
        assert!(waits.iter().all(|wait| wait.wakes() == 0), "nobody is told of it");
        crowd.idle.iter().for_each(fire);
        for wait in waits {
            assert_eq!(wait.complete(reactor).unwrap(), 1);
        }
    });
}
