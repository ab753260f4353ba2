//! One way to get events fails: `io_getevents` is interrupted or denied, or the ring is unknown.

use std::task::Poll;
use std::time::{Duration, Instant};

use rustix::io::Errno;

use super::{FOREVER, assert_all_complete};
use crate::reactor::Config;
use crate::reactor::kernel::fault::{self, Call};
use crate::reactor::tests::arm_counter;
use crate::reactor::tests::{
    ManualPoll, alone, assert_sleeps, config, eventfd_pair, fire, fresh_capacity, in_each_mode, metrics, new_eventfd,
    next_counter, register, run, turn_until,
};

// ---- io_getevents, io_pgetevents ----

#[test]
fn interrupted_waits_lose_nothing() {
    in_each_mode(1, |reactor| {
        assert_all_complete(reactor, || fault::inject(Call::Getevents, Errno::INTR, 30));
        // A close that waits for the event of its cancel goes on waiting.
        let (io, _trigger) = eventfd_pair(reactor);
        arm_counter(&io);
        reactor.turn();
        fault::inject(Call::Getevents, Errno::INTR, 30);
        drop(io.into_fd().unwrap());
        turn_until(reactor, |now| now.slots_in_use <= 2);
        fault::clear();
    });
}

#[test]
fn io_pgetevents_serves_the_loop_where_io_getevents_is_refused() {
    alone(|| {
        for errno in [Errno::PERM, Errno::NOSYS] {
            for force_syscalls in [false, true] {
                fault::inject(Call::Getevents, errno, 1);
                // A capacity of its own: the context remembers the denial, and no other test may
                // get it.
                run(Config { force_syscalls, ..config(fresh_capacity()) }, |reactor| {
                    assert_sleeps(reactor);
                    assert_all_complete(reactor, || {});
                });
            }
        }
    });
}

#[test]
fn the_loop_does_not_spin_when_no_wait_is_allowed() {
    alone(|| {
        run(config(fresh_capacity()), |reactor| {
            fault::inject(Call::Getevents, Errno::PERM, FOREVER);
            fault::inject(Call::Pgetevents, Errno::PERM, FOREVER);
            let begin = Instant::now();
            let mut sleeps = 0;
            while begin.elapsed() < Duration::from_millis(100) {
                reactor.park(None);
                sleeps += 1;
            }
            assert!(sleeps <= 20, "{sleeps} sleeps in 100 ms");
            // The ring can be reaped anyway.
            let (io, trigger) = eventfd_pair(reactor);
            let waits = ManualPoll::pending(reactor, next_counter(&io));
            fire(&trigger);
            assert_eq!(waits.complete(reactor).unwrap(), 1);
            assert!(fault::clear());
        });
    });
}

// ---- the ring ----

#[test]
fn an_unknown_ring_is_left_alone() {
    alone(|| {
        fault::inject(Call::MapRing, Errno::NOSYS, 1);
        let capacity = fresh_capacity();
        run(config(capacity), |reactor| {
            assert_eq!(
                metrics(reactor).capacity,
                u64::from(capacity),
                "it counts on what was asked for, not on the ring's size"
            );
            assert_all_complete(reactor, || {});
            let now = metrics(reactor);
            assert_eq!(now.events_from_ring, 0);
            assert!(now.events_from_syscall >= 40, "{now:?}");
        });
    });
}

#[test]
fn the_tightest_quota_and_an_unknown_ring_still_serve_polls_and_files() {
    alone(|| {
        fault::inject(Call::MapRing, Errno::NOSYS, 1);
        fault::inject(Call::Setup, Errno::AGAIN, 6);
        run(config(fresh_capacity()), |reactor| {
            assert!(metrics(reactor).capacity <= 16);
            let idle: Vec<_> = (0..50).map(|_| register(reactor, new_eventfd())).collect();
            for io in &idle {
                arm_counter(io);
            }
            assert_all_complete(reactor, || {});
        });
    });
}

#[test]
fn forced_system_calls_take_every_event() {
    alone(|| {
        run(Config { force_syscalls: true, ..config(1) }, |reactor| {
            assert_all_complete(reactor, || {});
            let now = metrics(reactor);
            assert_eq!(now.events_from_ring, 0);
            assert!(now.events_from_syscall >= 40, "{now:?}");
        });
        run(config(1), |reactor| {
            assert_all_complete(reactor, || {});
            let now = metrics(reactor);
            assert!(now.events_from_ring >= 40, "{now:?}");
        });
    });
}

/// A future that is ready at once needs no reactor at all.
#[test]
fn what_is_ready_needs_no_call_that_could_fail() {
    alone(|| {
        run(config(1), |reactor| {
            for call in [Call::Submit, Call::Cancel, Call::Getevents] {
                fault::inject(call, Errno::PERM, FOREVER);
            }
            let (io, trigger) = eventfd_pair(reactor);
            fire(trigger);
            let Poll::Ready(counter) = ManualPoll::new(next_counter(&io)).poll(reactor) else { panic!("it was ready") };
            assert_eq!(counter.unwrap(), 1);
            drop(io);
            assert!(fault::clear());
        });
    });
}
