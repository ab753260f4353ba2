//! No quota at all: the reactor starts without a context, waits in the nested epoll, and gets a
//! context later.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::io::Errno;

use super::super::{Buf, Config, FileOperation, Io, Reactor, Request};
use super::sleep::no_signals;
use super::{
    A_WHILE, FOREVER, ManualPoll, OWN_POLLS, PATIENCE, alone, assert_at_rest, assert_is_unparked, assert_sleeps,
    block_on, config, eventfd_pair, eventfd_pairs, fire, fresh_capacity, metrics, new_eventfd, next_byte, next_counter,
    register, set_nonblocking, turn_and_park, turn_until, wait_until,
};
use crate::reactor::kernel::fault::{self, Call};

/// A reactor that finds no quota until the faults are cleared.
fn new_without_context(config: Config) -> Reactor {
    fault::inject(Call::Setup, Errno::AGAIN, FOREVER);
    let reactor = Reactor::new(config).unwrap();
    assert_eq!(metrics(&reactor).capacity, 0);
    assert!(!reactor.has_context());
    reactor
}

/// Runs a test with such a reactor.
fn without_context(config: Config, test: impl FnOnce(&Reactor)) {
    let reactor = new_without_context(config);
    {
        let _driven = reactor.enter_loop();
        test(&reactor);
    }
    assert_at_rest(&reactor);
    fault::clear();
}

/// The quota recovers, and the reactor finds out.
fn recover(reactor: &Reactor) {
    fault::clear();
    get_context(reactor);
}

fn get_context(reactor: &Reactor) {
    // It was refused a moment ago.
    wait_until("there is a context", || reactor.has_context());
    let now = metrics(reactor);
    assert!(now.capacity >= 16, "{now:?}");
    assert_eq!((now.growths, now.submit_calls), (1, 0), "{now:?}");
}

fn wait_for_all<'a>(reactor: &Reactor, pairs: &'a [(Io, OwnedFd)]) -> Vec<ManualPoll<'a, std::io::Result<u64>>> {
    pairs.iter().map(|(io, _)| ManualPoll::pending(reactor, next_counter(io))).collect()
}

/// Has other threads unpark the loop a few times.
fn assert_is_unparked_each_time(reactor: &Reactor) {
    for _ in 0..20 {
        assert_is_unparked(reactor);
        reactor.turn();
    }
    // No wake is left over.
    assert_sleeps(reactor);
}

#[test]
fn everything_is_waited_for_in_the_epoll() {
    alone(|| {
        without_context(config(fresh_capacity()), |reactor| {
            assert_sleeps(reactor);
            let pairs = eventfd_pairs(reactor, 200);
            for _ in 0..3 {
                let waits = wait_for_all(reactor, &pairs);
                assert_sleeps(reactor);
                assert!(waits.iter().all(|wait| wait.wakes() == 0));
                pairs.iter().for_each(|(_, trigger)| fire(trigger));
                for wait in waits {
                    assert_eq!(wait.complete(reactor).unwrap(), 1);
                }
            }
            let now = metrics(reactor);
            assert_eq!((now.submit_calls, now.getevents_calls, now.slots_in_use), (0, 0, 0), "{now:?}");
        });
    });
}

#[test]
fn an_event_and_a_notification_end_the_sleep() {
    alone(|| {
        for signal_mask in [None, Some(no_signals())] {
            without_context(Config { signal_mask, ..config(fresh_capacity()) }, |reactor| {
                let (io, trigger) = eventfd_pair(reactor);
                let mut waits = ManualPoll::pending(reactor, next_counter(&io));
                let firing = thread::spawn(move || {
                    thread::sleep(A_WHILE);
                    fire(trigger);
                });
                let begin = Instant::now();
                while waits.wakes() == 0 {
                    reactor.park(Some(2 * PATIENCE));
                }
                assert!(begin.elapsed() < PATIENCE);
                assert!(waits.poll(reactor).is_ready());
                firing.join().unwrap();
                assert_is_unparked_each_time(reactor);
            });
        }
    });
}

#[test]
fn a_loop_that_never_sleeps_sees_events_too() {
    alone(|| {
        without_context(config(fresh_capacity()), |reactor| {
            let pairs = eventfd_pairs(reactor, 2);
            let waits = wait_for_all(reactor, &pairs);
            fire(&pairs[0].1);
            wait_until("the first wakes", || {
                reactor.turn();
                waits[0].wakes() > 0
            });
            // The second waits in the epoll when the context comes.
            recover(reactor);
            fire(&pairs[1].1);
            wait_until("the second wakes", || {
                reactor.turn();
                waits[1].wakes() > 0
            });
        });
    });
}

#[test]
fn a_peer_sees_a_close_at_once() {
    alone(|| {
        without_context(config(fresh_capacity()), |reactor| {
            let (near, far) = UnixStream::pair().unwrap();
            set_nonblocking(&near);
            set_nonblocking(&far);
            let near = register(reactor, near);
            drop(ManualPoll::pending(reactor, next_byte(&near)));
            assert_eq!(rustix::io::read(&far, &mut [0]), Err(Errno::AGAIN));
            drop(near);
            assert_eq!(rustix::io::read(&far, &mut [0]), Ok(0));
        });
    });
}

// ---- the way back ----

#[test]
fn it_gets_a_context_when_the_quota_recovers() {
    alone(|| {
        without_context(config(fresh_capacity()), |reactor| {
            let pairs = eventfd_pairs(reactor, 100);
            let waits = wait_for_all(reactor, &pairs);
            assert_sleeps(reactor);
            recover(reactor);
            // What waited in the epoll waits on.
            assert_sleeps(reactor);
            assert!(waits.iter().all(|wait| wait.wakes() == 0));
            assert_is_unparked_each_time(reactor);
            pairs.iter().for_each(|(_, trigger)| fire(trigger));
            for wait in waits {
                assert_eq!(wait.complete(reactor).unwrap(), 1);
            }
            // From now on polls are armed, and file operations can be started.
            let before = metrics(reactor).submitted_polls;
            let waits = wait_for_all(reactor, &pairs[..20]);
            reactor.turn();
            assert!(metrics(reactor).submitted_polls >= before + 20, "{:?}", metrics(reactor));
            pairs.iter().for_each(|(_, trigger)| fire(trigger));
            for wait in waits {
                assert_eq!(wait.complete(reactor).unwrap(), 1);
            }
            let file = Arc::new(File::from(new_eventfd()));
            let (result, _) =
                block_on(reactor, FileOperation::new(reactor.home(), Request::read(&file, Buf::zeroed(8), 0)));
            assert_eq!(result.unwrap_err().raw_os_error(), Some(libc::EAGAIN), "the eventfd's own answer");
        });
    });
}

#[test]
fn what_needs_a_slot_asks_for_a_context_but_not_each_time() {
    alone(|| {
        without_context(config(fresh_capacity()), |reactor| {
            fault::clear();
            // Refused when it started to wait; so it is not tried again for a while.
            fault::inject(Call::Setup, Errno::AGAIN, FOREVER);
            let (io, trigger) = eventfd_pair(reactor);
            for _ in 0..100 {
                let waits = ManualPoll::pending(reactor, next_counter(&io));
                fire(&trigger);
                waits.complete(reactor).unwrap();
            }
            fault::clear();
            let begin = Instant::now();
            turn_until(reactor, |now| {
                drop(ManualPoll::pending(reactor, next_counter(&io)));
                fire(&trigger);
                turn_and_park(reactor);
                block_on(reactor, next_counter(&io)).unwrap();
                now.growths == 1
            });
            assert!(begin.elapsed() > A_WHILE, "it was refused a moment ago");
        });
    });
}

#[test]
fn it_takes_the_little_that_is_left() {
    alone(|| {
        for has_ring in [true, false] {
            without_context(config(fresh_capacity()), |reactor| {
                fault::clear();
                // Halved down to 1.
                fault::inject(Call::Setup, Errno::AGAIN, 6);
                if !has_ring {
                    fault::inject(Call::MapRing, Errno::NOSYS, 1);
                }
                get_context(reactor);
                fault::inject(Call::Setup, Errno::AGAIN, FOREVER);
                let little = metrics(reactor).capacity;
                let pairs = eventfd_pairs(reactor, little as usize + 100);
                let waits = wait_for_all(reactor, &pairs);
                assert_sleeps(reactor);
                let now = metrics(reactor);
                assert!(now.capacity == little && now.slots_in_use > OWN_POLLS && now.overflow_fds > 0, "{now:?}");
                pairs.iter().for_each(|(_, trigger)| fire(trigger));
                for wait in waits {
                    assert_eq!(wait.complete(reactor).unwrap(), 1);
                }
            });
        }
    });
}

#[test]
fn all_is_dropped_at_any_point() {
    alone(|| {
        for at in 0..12 {
            let (reactor_first, recovers, turns) = (at % 2 == 0, at % 4 > 1, at / 4);
            let reactor = new_without_context(config(fresh_capacity()));
            let (near, far) = UnixStream::pair().unwrap();
            set_nonblocking(&near);
            set_nonblocking(&far);
            let near = register(&reactor, near);
            let pairs = eventfd_pairs(&reactor, 50);
            let mut waits = wait_for_all(&reactor, &pairs);
            let reads = ManualPoll::pending(&reactor, next_byte(&near));
            pairs.iter().step_by(3).for_each(|(_, trigger)| fire(trigger));
            (0..turns).for_each(|_| turn_and_park(&reactor));
            if recovers {
                recover(&reactor);
                // Some are armed in the context, the others wait in the epoll.
                for wait in &mut waits {
                    let _ = wait.poll(&reactor);
                }
                (0..turns).for_each(|_| turn_and_park(&reactor));
            }
            if reactor_first {
                reactor.shutdown();
                assert!(reads.wakes() > 0 && waits.iter().all(|wait| wait.wakes() > 0), "whoever waits is told");
                drop(reactor);
                drop((waits, reads));
                drop((pairs, near));
            } else {
                drop((waits, reads));
                drop((pairs, near));
                assert_at_rest(&reactor);
                drop(reactor);
            }
            wait_until("the peer sees the close", || rustix::io::read(&far, &mut [0]) == Ok(0));
            fault::clear();
        }
    });
}

// ---- further refusals ----

#[test]
fn the_loop_does_not_spin_when_it_may_not_sleep() {
    alone(|| {
        without_context(config(fresh_capacity()), |reactor| {
            fault::inject(Call::Poll, Errno::PERM, FOREVER);
            assert_sleeps(reactor);
            let (io, trigger) = eventfd_pair(reactor);
            let waits = ManualPoll::pending(reactor, next_counter(&io));
            fire(&trigger);
            assert_eq!(waits.complete(reactor).unwrap(), 1, "the epoll can still be asked");
            assert_is_unparked_each_time(reactor);
        });
    });
}

#[test]
fn a_timer_tells_when_the_epoll_may_not_be_asked() {
    alone(|| {
        without_context(config(fresh_capacity()), |reactor| {
            let pairs = eventfd_pairs(reactor, 3);
            let mut waits = wait_for_all(reactor, &pairs);
            drop(waits.pop());
            fault::inject(Call::Drain, Errno::PERM, FOREVER);
            // The epoll stays readable, as nobody reads this one.
            fire(&pairs[2].1);
            fire(&pairs[0].1);
            assert_eq!(waits.remove(0).complete(reactor).unwrap(), 1);
            let before = metrics(reactor).turns;
            let begin = Instant::now();
            while begin.elapsed() < Duration::from_millis(200) {
                turn_and_park(reactor);
                if waits[0].wakes() > 0 {
                    assert!(waits[0].poll(reactor).is_pending());
                }
            }
            let turns = metrics(reactor).turns - before;
            assert!(turns < 400, "{turns} turns in 200 ms");
            assert_is_unparked_each_time(reactor);
            fire(&pairs[1].1);
            assert_eq!(waits.remove(0).complete(reactor).unwrap(), 1);
        });
    });
}
