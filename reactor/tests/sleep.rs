//! The loop asleep: deadlines, wakes from other threads, signals.
#![allow(unsafe_code)]

use std::mem::MaybeUninit;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::io::Errno;

use super::super::{Config, Reactor};
use super::{
    A_WHILE, ManualPoll, PATIENCE, SetOnDrop, alone, assert_sleeps, config, eventfd_pair, fire, fresh_capacity,
    in_each_mode, metrics, next_counter, run, turn_and_park, with_reactor,
};
use crate::reactor::kernel::fault::{self, Call};
use crate::reactor::tests::arm_counter;

/// Longer than any test may take: something must end such a sleep.
const FOREVER: Duration = Duration::from_secs(1_000);

fn timed(f: impl FnOnce()) -> Duration {
    let begin = Instant::now();
    f();
    begin.elapsed()
}

/// Takes what the last wake has left: the notification, and the eventfd's readiness.
fn settle(reactor: &Reactor) {
    for _ in 0..3 {
        turn_and_park(reactor);
    }
}

// ---- deadlines ----

#[test]
fn a_deadline_that_is_past_or_nearly_past_does_not_hang() {
    in_each_mode(1, |reactor| {
        for timeout in [Duration::ZERO, Duration::from_nanos(1), Duration::from_micros(1)] {
            for _ in 0..100 {
                assert!(timed(|| reactor.park(Some(timeout))) < PATIENCE);
            }
        }
    });
}

#[test]
fn a_sleep_lasts_as_long_as_it_should_when_nothing_happens() {
    in_each_mode(1, |reactor| {
        let (io, _trigger) = eventfd_pair(reactor);
        let _idle = ManualPoll::pending(reactor, next_counter(&io));
        settle(reactor);
        let slept = timed(|| reactor.park(Some(A_WHILE)));
        assert!(slept >= A_WHILE, "{slept:?}");
        assert!(slept < PATIENCE, "{slept:?}");
    });
}

/// A thread may notify the loop, and be held up before it writes. Its write then comes when the
/// notification has long been taken, and uses up a poll for which nobody waits.
#[test]
fn a_late_write_of_one_wake_does_not_cost_the_next_one() {
    in_each_mode(1, |reactor| {
        // The unpark poll is armed now.
        settle(reactor);
        let unparker = reactor.unparker();
        assert!(unparker.state.try_sleep());
        unparker.unpark();
        assert!(unparker.take_notification());
        let next = Arc::clone(unparker);
        let thread = thread::spawn(move || {
            thread::sleep(A_WHILE);
            next.unpark();
        });
        // As the scheduler does: it parks until there is a notification.
        let slept = timed(|| {
            while !unparker.take_notification() {
                reactor.park(Some(PATIENCE));
            }
        });
        thread.join().unwrap();
        assert!(slept < PATIENCE / 2, "{slept:?}");
    });
}

#[test]
fn a_sleep_with_a_huge_timeout_is_ended_by_an_event() {
    for timeout in [None, Some(FOREVER), Some(Duration::from_secs(u64::MAX / 2)), Some(Duration::MAX)] {
        in_each_mode(1, |reactor| {
            let (io, trigger) = eventfd_pair(reactor);
            let mut waits = ManualPoll::pending(reactor, next_counter(&io));
            settle(reactor);
            let firing = thread::spawn(move || {
                thread::sleep(A_WHILE);
                fire(trigger);
            });
            let slept = timed(|| {
                while waits.wakes() == 0 {
                    reactor.park(timeout);
                }
            });
            firing.join().unwrap();
            assert!(slept < PATIENCE, "{timeout:?}: {slept:?}");
            assert!(waits.poll(reactor).is_ready());
        });
    }
}

#[test]
fn a_watched_ring_ends_the_sleep_before_it_begins() {
    let mut spinning = config(1);
    spinning.spin = FOREVER;
    with_reactor(spinning, |reactor| {
        let (io, trigger) = eventfd_pair(reactor);
        let waits = ManualPoll::pending(reactor, next_counter(&io));
        reactor.turn();
        let before = metrics(reactor).getevents_calls;
        let firing = thread::spawn(move || {
            thread::sleep(A_WHILE);
            fire(trigger);
        });
        assert!(timed(|| reactor.park(None)) < PATIENCE);
        firing.join().unwrap();
        assert_eq!(waits.wakes(), 1);
        // A notification puts nothing into the ring.
        reactor.unparker().unpark();
        assert!(timed(|| reactor.park(None)) < PATIENCE);
        assert!(reactor.unparker().take_notification());
        assert_eq!(metrics(reactor).getevents_calls, before, "no sleep");
    });
}

#[test]
fn the_watch_is_part_of_the_sleep_and_does_not_make_it_longer() {
    const LONG: Duration = Duration::from_millis(400);
    let mut spinning = config(1);
    spinning.spin = FOREVER;
    with_reactor(spinning, |reactor| {
        let slept = timed(|| reactor.park(Some(LONG)));
        assert!(slept >= LONG && slept < 2 * LONG, "{slept:?}");
    });
}

// ---- other threads ----

#[test]
fn a_notification_before_the_sleep_prevents_it() {
    in_each_mode(1, |reactor| {
        for _ in 0..100 {
            reactor.unparker().unpark();
            assert!(timed(|| reactor.park(None)) < PATIENCE);
            assert!(reactor.unparker().take_notification());
            assert!(!reactor.unparker().take_notification());
        }
        assert_sleeps(reactor);
    });
}

#[test]
fn another_thread_wakes_the_sleeper_every_time() {
    const ROUNDS: usize = 2_000;
    in_each_mode(1, |reactor| {
        // Stored before each wake, and seen after it: after a lost wake the round would never end.
        let (handed, seen) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let unparker = reactor.unparker();
        thread::scope(|scope| {
            scope.spawn(|| {
                for round in 1..=ROUNDS {
                    let begin = Instant::now();
                    handed.store(round, Ordering::Relaxed);
                    unparker.unpark();
                    while seen.load(Ordering::Acquire) < round {
                        assert!(begin.elapsed() < 2 * PATIENCE, "round {round}: the sleeper was not woken");
                        thread::yield_now();
                    }
                }
            });
            let mut begin = Instant::now();
            while seen.load(Ordering::Relaxed) < ROUNDS {
                assert!(begin.elapsed() < PATIENCE, "round {seen:?}: nothing was handed over");
                reactor.turn();
                if reactor.unparker().take_notification() {
                    seen.store(handed.load(Ordering::Relaxed), Ordering::Release);
                    begin = Instant::now();
                } else {
                    reactor.park(Some(PATIENCE));
                }
            }
        });
    });
}

#[test]
fn nothing_is_left_behind_when_many_threads_hand_over_at_once() {
    const THREADS: usize = 4;
    const EACH: usize = 5_000;
    in_each_mode(1, |reactor| {
        let handed = AtomicUsize::new(0);
        let unparker = reactor.unparker();
        let begin = Instant::now();
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    for _ in 0..EACH {
                        handed.fetch_add(1, Ordering::Relaxed);
                        unparker.unpark();
                    }
                });
            }
            // Looks only when it was notified: without the last notification it would sleep on.
            let mut seen = 0;
            while seen < THREADS * EACH {
                assert!(begin.elapsed() < PATIENCE, "{seen} were seen, then nothing more");
                if reactor.unparker().take_notification() {
                    seen = handed.load(Ordering::Relaxed);
                } else {
                    reactor.park(Some(PATIENCE));
                }
            }
        });
    });
}

// ---- signals ----

/// The empty set: as the mask of a sleep it lets every signal in.
pub(super) fn no_signals() -> libc::sigset_t {
    let mut set = MaybeUninit::uninit();
    // SAFETY: sigemptyset(3) initialises the set that it is given.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        set.assume_init()
    }
}

/// How many signals `count` has handled.
static HANDLED: AtomicUsize = AtomicUsize::new(0);

extern "C" fn count(_signal: libc::c_int) {
    HANDLED.fetch_add(1, Ordering::AcqRel);
}

/// Has the process count this signal. It asks for interrupted calls to be restarted; the loop must
/// not rely on it.
fn count_signal(signal: libc::c_int) {
    let action = libc::sigaction {
        sa_sigaction: count as extern "C" fn(libc::c_int) as libc::sighandler_t,
        sa_mask: no_signals(),
        sa_flags: libc::SA_RESTART,
        sa_restorer: None,
    };
    // SAFETY: the action is valid for the call, and its handler does nothing but add to an atomic,
    // which is safe in a signal handler.
    assert_eq!(unsafe { libc::sigaction(signal, &raw const action, std::ptr::null_mut()) }, 0);
}

fn this_thread() -> libc::pthread_t {
    // SAFETY: pthread_self(3) has no preconditions.
    unsafe { libc::pthread_self() }
}

/// Signals a thread that is alive.
fn signal_thread(thread: libc::pthread_t, signal: libc::c_int) {
    // SAFETY: the callers pass a thread that is alive: their own, or the one that will join them.
    assert_eq!(unsafe { libc::pthread_kill(thread, signal) }, 0);
}

fn set_blocked(signal: libc::c_int, how: libc::c_int) {
    let mut set = no_signals();
    // SAFETY: the set is initialised and valid for both calls; nobody asks for the old mask.
    unsafe {
        libc::sigaddset(&raw mut set, signal);
        assert_eq!(libc::pthread_sigmask(how, &raw const set, std::ptr::null_mut()), 0);
    }
}

/// Sends `signal` to this thread again and again while `f` runs.
fn under_signals(signal: libc::c_int, f: impl FnOnce()) {
    let target = this_thread();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Acquire) {
                signal_thread(target, signal);
                thread::sleep(Duration::from_millis(1));
            }
        });
        let _done = SetOnDrop(&done);
        f();
    });
}

#[test]
fn a_signal_ends_a_sleep_and_nothing_else() {
    count_signal(libc::SIGUSR1);
    in_each_mode(1, |reactor| {
        let (io, trigger) = eventfd_pair(reactor);
        let waits = ManualPoll::pending(reactor, next_counter(&io));
        settle(reactor);
        let before = HANDLED.load(Ordering::Acquire);
        under_signals(libc::SIGUSR1, || {
            for _ in 0..20 {
                assert!(timed(|| reactor.park(Some(FOREVER))) < PATIENCE);
            }
        });
        assert!(HANDLED.load(Ordering::Acquire) > before);
        assert_eq!(waits.wakes(), 0, "a signal is not an event");
        fire(trigger);
        assert_eq!(waits.complete(reactor).unwrap(), 1, "the poll is still armed");
    });
}

#[test]
fn no_event_is_lost_under_a_storm_of_signals() {
    count_signal(libc::SIGUSR1);
    in_each_mode(1, |reactor| {
        let (io, trigger) = eventfd_pair(reactor);
        under_signals(libc::SIGUSR1, || {
            for round in 0..300 {
                let waits = ManualPoll::pending(reactor, next_counter(&io));
                // Sometimes the event is pending when the sleep begins, sometimes not even the poll
                // is armed.
                if round % 3 == 0 {
                    reactor.turn();
                }
                fire(&trigger);
                assert_eq!(waits.complete(reactor).unwrap(), 1);
            }
        });
    });
}

#[test]
fn a_registration_ends_under_a_storm_of_signals() {
    count_signal(libc::SIGUSR1);
    in_each_mode(1, |reactor| {
        under_signals(libc::SIGUSR1, || {
            for _ in 0..50 {
                let (io, trigger) = eventfd_pair(reactor);
                arm_counter(&io);
                reactor.turn();
                let fd = io.into_fd().unwrap();
                fire(&trigger);
                assert_eq!(super::read_counter(fd.as_fd()).unwrap(), 1);
            }
        });
    });
}

#[test]
fn the_mask_of_the_sleep_lets_a_blocked_signal_in_and_is_gone_after_it() {
    count_signal(libc::SIGUSR2);
    let with_mask = |mask| Config { signal_mask: mask, ..config(1) };
    let handled = || HANDLED.load(Ordering::Acquire);
    alone(|| {
        set_blocked(libc::SIGUSR2, libc::SIG_BLOCK);
        let before = handled();
        signal_thread(this_thread(), libc::SIGUSR2);
        run(with_mask(None), |reactor| {
            reactor.park(Some(A_WHILE));
            assert_eq!(handled(), before, "blocked");
        });
        let test = |reactor: &Reactor| {
            let before = handled();
            assert!(timed(|| reactor.park(Some(FOREVER))) < PATIENCE);
            assert_eq!(handled(), before + 1, "let in");
            signal_thread(this_thread(), libc::SIGUSR2);
            assert_eq!(handled(), before + 1, "blocked again");
            // The signal does not lose an event that has come.
            let (io, trigger) = eventfd_pair(reactor);
            let waits = ManualPoll::pending(reactor, next_counter(&io));
            fire(trigger);
            assert_eq!(waits.complete(reactor).unwrap(), 1);
        };
        run(with_mask(Some(no_signals())), test);
        // Nor is it different for a loop that has no context to sleep on.
        signal_thread(this_thread(), libc::SIGUSR2);
        fault::inject(Call::Setup, Errno::AGAIN, super::FOREVER);
        run(Config { signal_mask: Some(no_signals()), ..config(fresh_capacity()) }, |reactor| {
            assert_eq!(metrics(reactor).capacity, 0);
            test(reactor);
        });
        fault::clear();
        set_blocked(libc::SIGUSR2, libc::SIG_UNBLOCK);
    });
}

#[test]
fn the_mask_is_installed_in_the_sleep_and_nowhere_else() {
    count_signal(libc::SIGUSR2);
    let handled = || HANDLED.load(Ordering::Acquire);
    alone(|| {
        set_blocked(libc::SIGUSR2, libc::SIG_BLOCK);
        // Every look for events is a system call.
        run(Config { signal_mask: Some(no_signals()), force_syscalls: true, ..config(1) }, |reactor| {
            let (io, _trigger) = eventfd_pair(reactor);
            arm_counter(&io);
            reactor.turn();
            let before = handled();
            signal_thread(this_thread(), libc::SIGUSR2);
            // Waits for the event of the cancelled poll.
            drop(io.into_fd());
            reactor.turn();
            assert_eq!(handled(), before, "no look and no close lets a signal in");
            reactor.park(Some(FOREVER));
            assert_eq!(handled(), before + 1, "the sleep does");
        });
        set_blocked(libc::SIGUSR2, libc::SIG_UNBLOCK);
    });
}
