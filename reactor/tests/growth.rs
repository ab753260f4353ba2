//! Growth: more requests than slots move the reactor to a larger context, and nothing is lost on
//! the way.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rustix::io::Errno;

use super::super::{Buf, Config, Direction, FileOperation, Io, Reactor, Request};
use super::sockets::{assert_sees_close, empty, fill, send, stream_and_peer};
use super::{
    A_WHILE, FOREVER, ManualPoll, OWN_POLLS, alone, assert_at_rest, assert_is_unparked, assert_sleeps, config,
    eventfd_pair, eventfd_pairs, fire, fresh_capacity, metrics, new_eventfd, next_counter, run, turn_until, wait_until,
};
use crate::reactor::kernel::fault::{self, Call};
use crate::reactor::tests::{arm_byte, arm_counter};

/// Begins with the smallest context that the kernel makes, and may grow.
fn growing() -> Config {
    Config { initial: 1, ..config(fresh_capacity() + 3_000) }
}

/// Runs a test with a reactor that may grow, in each way to take completions.
fn in_each_mode(test: impl Fn(&Reactor)) {
    alone(|| {
        run(growing(), &test);
        run(Config { force_syscalls: true, ..growing() }, &test);
        fault::inject(Call::MapRing, Errno::NOSYS, 1);
        run(Config { initial: fresh_capacity(), ..growing() }, &test);
    });
}

/// Registrations that wait, each with its trigger.
struct Waiting<'a> {
    waits: Vec<ManualPoll<'a, std::io::Result<u64>>>,
}

impl<'a> Waiting<'a> {
    fn new(reactor: &Reactor, pairs: &'a [(Io, OwnedFd)]) -> Self {
        Self { waits: pairs.iter().map(|(io, _)| ManualPoll::pending(reactor, next_counter(io))).collect() }
    }

    /// Fires and completes all of them.
    fn complete(self, reactor: &Reactor, pairs: &[(Io, OwnedFd)]) {
        assert!(self.waits.iter().all(|wait| wait.wakes() == 0), "nobody is woken before");
        pairs.iter().for_each(|(_, trigger)| fire(trigger));
        for wait in self.waits {
            assert_eq!(wait.complete(reactor).unwrap(), 1);
        }
    }
}

/// Arms polls until the reactor has grown.
fn grow(reactor: &Reactor) -> Vec<(Io, OwnedFd)> {
    let before = metrics(reactor).growths;
    let mut crowd = Vec::new();
    while metrics(reactor).growths == before {
        assert!(crowd.len() < 10_000, "it never grows: {:?}", metrics(reactor));
        let (io, trigger) = eventfd_pair(reactor);
        arm_counter(&io);
        crowd.push((io, trigger));
        reactor.turn();
    }
    crowd
}

fn read_of_an_eventfd(reactor: &Reactor, file: &Arc<File>) -> FileOperation {
    FileOperation::new(reactor.home(), Request::read(file, Buf::zeroed(8), 0))
}

#[test]
fn armed_polls_move_and_wake_nobody() {
    in_each_mode(|reactor| {
        // The smallest context has 63 slots on a machine of few CPUs. For four times as many waits
        // as its slots, it has to grow twice.
        let count = 900.max(4 * metrics(reactor).capacity as usize);
        let pairs = eventfd_pairs(reactor, count);
        let waiting = Waiting::new(reactor, &pairs);
        assert_sleeps(reactor);
        let now = metrics(reactor);
        assert!(now.growths >= 2 && now.capacity * 3 / 4 >= count as u64, "{now:?}");
        assert_eq!((now.overflow_fds, now.polls_demoted), (0, 0), "no need");
        assert!(
            now.slots_in_use <= count as u64 + OWN_POLLS,
            "the former contexts are empty, and the eventfd's poll has moved"
        );
        waiting.complete(reactor, &pairs);
    });
}

#[test]
fn events_that_arrive_during_the_move_are_not_missed() {
    in_each_mode(|reactor| {
        let crowd = grow(reactor);
        let waiting: Vec<_> = crowd.iter().map(|(io, _)| ManualPoll::pending(reactor, next_counter(io))).collect();
        // Some were cancelled, some are to be, some have been armed again.
        for ((_, trigger), turn) in crowd.iter().zip(0..) {
            fire(trigger);
            if turn % 7 == 0 {
                reactor.turn();
            }
        }
        for wait in waiting {
            assert_eq!(wait.complete(reactor).unwrap(), 1);
        }
    });
}

#[test]
fn file_operations_in_flight_drain_on_the_former_context() {
    in_each_mode(|reactor| {
        let file = Arc::new(File::from(new_eventfd()));
        let mut reads: Vec<_> =
            (0..50).map(|_| ManualPoll::pending(reactor, read_of_an_eventfd(reactor, &file))).collect();
        let crowd = grow(reactor);
        for read in reads.drain(..25) {
            let (result, _) = read.complete(reactor);
            assert_eq!(result.unwrap_err().raw_os_error(), Some(libc::EAGAIN));
        }
        // The other half is abandoned.
        drop((reads, crowd));
        turn_until(reactor, |now| now.orphans == 0);
        assert_eq!(Arc::strong_count(&file), 1);
    });
}

#[test]
fn more_file_operations_than_slots_grow_it_too() {
    in_each_mode(|reactor| {
        let file = Arc::new(File::from(new_eventfd()));
        let count = 8 * metrics(reactor).capacity;
        let reads: Vec<_> =
            (0..count).map(|_| ManualPoll::pending(reactor, read_of_an_eventfd(reactor, &file))).collect();
        for read in reads {
            let (result, _) = read.complete(reactor);
            assert_eq!(result.unwrap_err().raw_os_error(), Some(libc::EAGAIN));
        }
        assert!(metrics(reactor).growths > 0);
    });
}

#[test]
fn the_loop_is_woken_from_other_threads_during_and_after_the_move() {
    in_each_mode(|reactor| {
        let _crowd = grow(reactor);
        for _ in 0..20 {
            assert_is_unparked(reactor);
            reactor.turn();
        }
    });
}

#[test]
fn all_is_dropped_during_the_move() {
    alone(|| {
        for turns in 0..4 {
            for config in [growing(), Config { force_syscalls: true, ..growing() }] {
                let reactor = Reactor::new(config).unwrap();
                let file = Arc::new(File::from(new_eventfd()));
                let read = ManualPoll::pending(&reactor, read_of_an_eventfd(&reactor, &file));
                let crowd = grow(&reactor);
                (0..turns).for_each(|_| reactor.turn());
                if turns % 2 == 0 {
                    drop((crowd, read));
                    assert_at_rest(&reactor);
                    drop(reactor);
                } else {
                    drop((reactor, crowd, read));
                }
                wait_until("the request is freed", || Arc::strong_count(&file) == 1);
            }
        }
    });
}

#[test]
fn a_descriptor_that_closes_during_the_move_is_released_at_once() {
    alone(|| {
        run(growing(), |reactor| {
            let mut streams = Vec::new();
            while metrics(reactor).growths == 0 {
                let (near, far) = stream_and_peer(reactor);
                arm_byte(&near);
                streams.push((near, far));
            }
            reactor.turn();
            let (near, far): (Vec<_>, Vec<_>) = streams.into_iter().unzip();
            drop(near);
            assert_at_rest(reactor);
            far.iter().for_each(|far| assert_sees_close(reactor, far));
        });
    });
}

#[test]
fn a_growth_that_is_refused_is_not_tried_at_each_arming() {
    alone(|| {
        // Any errno of io_setup.
        for errno in [Errno::AGAIN, Errno::PERM, Errno::NOMEM] {
            // So that no other test has left a context of twice the size in the pool.
            run(Config { initial: fresh_capacity(), ..growing() }, |reactor| {
                fault::inject(Call::Setup, errno, 1);
                let pairs = eventfd_pairs(reactor, 3 * metrics(reactor).capacity as usize);
                let waiting = Waiting::new(reactor, &pairs);
                assert_sleeps(reactor);
                let now = metrics(reactor);
                assert_eq!(now.growths, 0, "{now:?}");
                assert!(now.overflow_fds > 0, "the nested epoll has the rest: {now:?}");
                waiting.complete(reactor, &pairs);
                assert!(!fault::clear(), "it was tried once");
                // After a while it is tried again.
                thread::sleep(Duration::from_millis(1_100));
                let waiting = Waiting::new(reactor, &pairs);
                assert!(metrics(reactor).growths > 0);
                waiting.complete(reactor, &pairs);
            });
        }
    });
}

#[test]
fn polls_that_cannot_be_cancelled_stay_where_they_are() {
    alone(|| {
        run(growing(), |reactor| {
            // The own poll's cancel succeeds, the first move's does not.
            let pairs = eventfd_pairs(reactor, 60);
            let waiting = Waiting::new(reactor, &pairs);
            reactor.turn();
            fault::inject(Call::Cancel, Errno::PERM, FOREVER);
            let crowd = grow(reactor);
            for _ in 0..5 {
                reactor.turn();
                reactor.park(Some(A_WHILE));
            }
            assert!(fault::clear());
            waiting.complete(reactor, &pairs);
            drop(crowd);
        });
    });
}

#[test]
fn it_grows_no_further_than_it_may() {
    alone(|| {
        let mut smallest = 0;
        run(config(1), |reactor| smallest = metrics(reactor).capacity);
        let limit = 3 * smallest;
        run(Config { initial: 1, ..config(limit as u32) }, |reactor| {
            let pairs = eventfd_pairs(reactor, 5 * limit as usize);
            let waiting = Waiting::new(reactor, &pairs);
            assert_sleeps(reactor);
            let now = metrics(reactor);
            // A context has up to twice as many slots as were asked for, and some for the page's
            // sake.
            assert!((limit..2 * limit + 256).contains(&now.capacity) && now.overflow_fds > 0, "{now:?}");
            waiting.complete(reactor, &pairs);
        });
    });
}

#[test]
fn what_waits_for_writing_moves_as_well() {
    alone(|| {
        run(growing(), |reactor| {
            let (io, far) = stream_and_peer(reactor);
            fill(&io);
            let writes = ManualPoll::pending(reactor, io.io(Direction::Write, |fd| send(fd, b"w")));
            let _crowd = grow(reactor);
            assert_sleeps(reactor);
            assert_eq!(writes.wakes(), 0);
            empty(&far);
            assert_eq!(writes.complete(reactor).unwrap(), 1);
        });
    });
}
