//! The nested epoll: a registration waits there if its poll finds no slot.
#![allow(unsafe_code)]

use std::os::fd::{AsFd, AsRawFd, IntoRawFd, OwnedFd};

use rustix::event::{EventfdFlags, eventfd};

use super::super::Direction;
use super::crowd::Crowd;
use super::sockets::{empty, fill, send, stream_and_peer};
use super::{
    ManualPoll, assert_sleeps, block_on, config, eventfd_pair, fire, in_each_mode, metrics, new_eventfd, next_byte,
    next_counter, register, turn_and_park, until_woken, with_reactor,
};
use crate::reactor::tests::arm_counter;

/// An eventfd whose reads take one from the counter.
fn new_semaphore() -> OwnedFd {
    eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK | EventfdFlags::SEMAPHORE).unwrap()
}

// ---- no slot ----

#[test]
fn far_more_waits_than_slots_all_end() {
    in_each_mode(1, |reactor| {
        // 500 on a machine of few CPUs, to whose number the kernel fits the smallest ring. Not a
        // multiple of 7, by which each is fired once.
        let count = 500.max(21 * (metrics(reactor).capacity as usize / 7) + 1);
        let (ios, triggers): (Vec<_>, Vec<_>) = (0..count).map(|_| eventfd_pair(reactor)).unzip();
        for round in 0..2 {
            let waits: Vec<_> = ios.iter().map(|io| ManualPoll::pending(reactor, next_counter(io))).collect();
            assert_sleeps(reactor);
            let now = metrics(reactor);
            assert!(now.slots_in_use < now.capacity, "{now:?}");
            assert!(now.overflow_fds >= count as u64 - now.capacity, "{now:?}");
            // Neighbours are fired far apart.
            let order = (0..count).map(|at| (at * 7 + round) % count);
            for (fired, at) in order.enumerate() {
                fire(&triggers[at]);
                if fired.is_multiple_of(50) {
                    turn_and_park(reactor);
                }
            }
            for wait in waits {
                assert_eq!(wait.complete(reactor).unwrap(), 1);
            }
        }
        assert_sleeps(reactor);
    });
}

#[test]
fn a_wait_moves_between_epoll_and_poll_and_misses_nothing() {
    in_each_mode(1, |reactor| {
        let semaphore = new_semaphore();
        let mut crowd = Crowd::new(reactor);
        let moves = register(reactor, semaphore.try_clone().unwrap());
        for ready in [true, false] {
            for round in 0..30 {
                let polls = metrics(reactor).submitted_polls;
                if ready {
                    // Always ready: each read leaves one behind, and yet each wait waits first.
                    fire(&semaphore);
                    moves.clear_ready(Direction::Read);
                }
                let mut wait = ManualPoll::pending(reactor, next_counter(&moves));
                reactor.turn();
                if !ready {
                    // A poll may have been skipped, since all so far completed inline.
                    assert!(wait.poll(reactor).is_pending());
                    reactor.turn();
                    fire(&semaphore);
                }
                assert_eq!(wait.complete(reactor).unwrap(), 1);
                if round % 2 == 0 {
                    crowd.make_room(reactor);
                    assert!(metrics(reactor).submitted_polls > polls, "the epoll's own poll at least");
                } else {
                    crowd.fill_up(reactor);
                }
            }
        }
        assert_sleeps(reactor);
        drop(crowd);
    });
}

#[test]
fn both_directions_of_one_member_are_waited_for() {
    in_each_mode(1, |reactor| {
        let _crowd = Crowd::new(reactor);
        let (io, far) = stream_and_peer(reactor);
        fill(&io);
        let mut writes = ManualPoll::pending(reactor, io.io(Direction::Write, |fd| send(fd, b"w")));
        for _ in 0..3 {
            let reads = ManualPoll::pending(reactor, next_byte(&io));
            send(far.as_fd(), b"r").unwrap();
            assert_eq!(reads.complete(reactor).unwrap(), Some(b'r'));
            assert_eq!(writes.wakes(), 0, "the event was for the other direction");
        }
        // The other direction is still armed.
        empty(&far);
        until_woken(reactor, &writes.flag);
        assert!(writes.poll(reactor).is_ready());
    });
}

#[test]
fn a_hang_up_of_a_member_is_seen_in_both_directions() {
    in_each_mode(1, |reactor| {
        let _crowd = Crowd::new(reactor);
        let (io, far) = stream_and_peer(reactor);
        fill(&io);
        Direction::BOTH.into_iter().for_each(|direction| io.clear_ready(direction));
        let reads = ManualPoll::pending(reactor, io.ready(Direction::Read));
        let writes = ManualPoll::pending(reactor, io.ready(Direction::Write));
        drop(far);
        reads.complete(reactor).unwrap();
        writes.complete(reactor).unwrap();
    });
}

#[test]
fn a_regular_file_that_finds_no_slot_is_ready() {
    in_each_mode(1, |reactor| {
        let _crowd = Crowd::new(reactor);
        let file = register(reactor, tempfile::tempfile().unwrap());
        for direction in Direction::BOTH {
            file.clear_ready(direction);
            // The epoll refuses it, which means that it is always ready. AIO would say so too.
            block_on(reactor, file.ready(direction)).unwrap();
        }
        assert_eq!(block_on(reactor, next_byte(&file)).unwrap(), None);
        assert_sleeps(reactor);
    });
}

#[test]
fn many_members_that_are_ready_at_once_are_all_woken() {
    with_reactor(config(1), |reactor| {
        let _crowd = Crowd::new(reactor);
        // More than the reactor takes from the epoll at once.
        let (ios, triggers): (Vec<_>, Vec<_>) = (0..300).map(|_| eventfd_pair(reactor)).unzip();
        let waits: Vec<_> = ios.iter().map(|io| ManualPoll::pending(reactor, next_counter(io))).collect();
        turn_and_park(reactor);
        triggers.iter().for_each(fire);
        until_woken(reactor, &waits[0].flag);
        assert!(waits.iter().all(|wait| wait.wakes() == 1));
        for wait in waits {
            assert_eq!(wait.complete(reactor).unwrap(), 1);
        }
    });
}

#[test]
fn a_member_that_is_always_ready_when_watched_is_no_longer_watched() {
    in_each_mode(1, |reactor| {
        let _crowd = Crowd::new(reactor);
        let (io, trigger) = eventfd_pair(reactor);
        for _ in 0..10 {
            let waits = ManualPoll::pending(reactor, next_counter(&io));
            fire(&trigger);
            assert_eq!(waits.complete(reactor).unwrap(), 1);
        }
        assert_eq!(metrics(reactor).polls_skipped, 8, "twice is needed to tell a habit from chance");
    });
}

// ---- duplicates ----

#[test]
fn a_member_leaves_the_set_when_it_is_dropped_though_a_duplicate_stays_open() {
    in_each_mode(1, |reactor| {
        let _crowd = Crowd::new(reactor);
        for _ in 0..10 {
            let (io, duplicate) = eventfd_pair(reactor);
            arm_counter(&io);
            turn_and_park(reactor);
            drop(io);
            assert_eq!(metrics(reactor).overflow_fds, 0);
            // Most likely takes the place of the one that is gone.
            let (next, trigger) = eventfd_pair(reactor);
            let waits = ManualPoll::pending(reactor, next_counter(&next));
            fire(&duplicate);
            turn_and_park(reactor);
            assert_eq!(waits.wakes(), 0, "the duplicate of another registration does not wake it");
            fire(&trigger);
            assert_eq!(waits.complete(reactor).unwrap(), 1);
        }
        assert_sleeps(reactor);
    });
}

#[test]
fn a_member_that_was_closed_behind_the_reactors_back_does_no_harm() {
    in_each_mode(1, |reactor| {
        let _crowd = Crowd::new(reactor);
        // Keeps the epoll's own poll armed.
        let (other, trigger) = eventfd_pair(reactor);
        for place_is_taken in [false, true] {
            let waits = ManualPoll::pending(reactor, next_counter(&other));
            let (io, duplicate) = eventfd_pair(reactor);
            arm_counter(&io);
            // The entry of a closed number cannot be removed; it lives as long as the duplicate.
            // SAFETY: the number is ours to close. Only the registration uses it afterwards, which
            // is the test.
            assert_eq!(unsafe { libc::close(io.as_fd().as_raw_fd()) }, 0);
            let _closed_already = io.into_fd().unwrap().into_raw_fd();
            let _next = place_is_taken.then(|| register(reactor, new_eventfd()));
            fire(&duplicate);
            assert_sleeps(reactor);
            fire(&trigger);
            assert_eq!(waits.complete(reactor).unwrap(), 1);
        }
    });
}
