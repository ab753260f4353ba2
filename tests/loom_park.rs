//! The protocol between the sleeping loop and the threads that wake it, under all interleavings and
//! memory orders that [loom](loom) explores: the loop never sleeps on work that was handed over,
//! and no sleep is ended twice.

#[path = "../reactor/park.rs"]
mod park;

/// Where `park.rs` takes its atomics from.
mod sync {
    pub(super) use loom::sync::atomic::{AtomicU8, Ordering};
}

use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;

use park::SleepState;

/// What a reactor shares with other threads, built from loom's types.
struct Shared {
    park: SleepState,
    /// What each notifier hands over. Always relaxed, so that only the orderings of `park` can make
    /// it visible.
    handed: Vec<AtomicBool>,
    eventfd: Eventfd,
}

/// A counter to sleep on. A sleep that nobody ends is a deadlock, which loom reports.
#[derive(Default)]
struct Eventfd {
    counter: Mutex<usize>,
    changed: Condvar,
    writes: AtomicUsize,
}

impl Eventfd {
    fn write(&self) {
        self.writes.fetch_add(1, Ordering::Relaxed);
        *self.counter.lock().unwrap() += 1;
        self.changed.notify_one();
    }

    fn sleep_until_readable(&self) {
        let mut counter = self.counter.lock().unwrap();
        while *counter == 0 {
            counter = self.changed.wait(counter).unwrap();
        }
    }

    fn drain(&self) {
        *self.counter.lock().unwrap() = 0;
    }
}

impl Shared {
    fn new(notifiers: usize) -> Arc<Self> {
        Arc::new(Self {
            park: SleepState::new(),
            handed: (0..notifiers).map(|_| AtomicBool::new(false)).collect(),
            eventfd: Eventfd::default(),
        })
    }

    /// `Unparker::unpark`, after something was handed over.
    fn hand_over(&self, at: usize) {
        self.handed[at].store(true, Ordering::Relaxed);
        if self.park.notify() {
            self.eventfd.write();
        }
    }

    fn has_all(&self) -> bool {
        self.handed.iter().all(|handed| handed.load(Ordering::Relaxed))
    }

    /// The loop of a runtime: if it was notified it looks for what was handed over, else it goes to
    /// sleep. The first `short_sleeps` end by themselves, as by a timer or another event. Returns
    /// the number of sleeps.
    fn run_loop(&self, short_sleeps: usize) -> usize {
        let mut sleeps = 0;
        loop {
            if self.park.take_notification() && self.has_all() {
                return sleeps;
            }
            if self.park.try_sleep() {
                sleeps += 1;
                if sleeps > short_sleeps {
                    self.eventfd.sleep_until_readable();
                }
                self.park.wake_up();
                self.eventfd.drain();
            }
        }
    }
}

/// Runs the loop beside threads that each hand over something of their own.
fn model(notifiers: usize, short_sleeps: usize, preemptions: Option<usize>) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = preemptions;
    model.check(move || {
        let shared = Shared::new(notifiers);
        let threads: Vec<_> = (0..notifiers)
            .map(|at| {
                let shared = Arc::clone(&shared);
                thread::spawn(move || shared.hand_over(at))
            })
            .collect();
        let sleeps = shared.run_loop(short_sleeps);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert!(shared.eventfd.writes.load(Ordering::Relaxed) <= sleeps, "at most one write ends a sleep");
    });
}

#[test]
fn one_notifier_is_never_slept_on() {
    model(1, 0, None);
}

#[test]
fn one_notifier_is_never_slept_on_when_sleeps_end_by_themselves() {
    model(1, 2, None);
}

#[test]
fn two_notifiers_are_never_slept_on() {
    model(2, 0, Some(3));
}

#[test]
fn two_notifiers_are_never_slept_on_when_sleeps_end_by_themselves() {
    model(2, 1, Some(3));
}
