//! The timers of one runtime: a heap of deadlines beside a slab of wakers.
//!
//! Most timers are time limits that never fire. Removing one frees its waker and leaves a stale
//! deadline in the heap, which costs nothing until it is due. When more than half of the deadlines
//! are stale, the heap is rebuilt from the others.

use std::cell::{Cell, RefCell};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::task::Waker;
use std::time::{Duration, Instant};

use slab::Slab;

use super::wake::{contain, wake_all};

/// A registered timer: its deadline, its index in the slab, and a number that distinguishes it from
/// earlier timers at that index. Ordered by deadline, then by age.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TimerKey {
    deadline: Nanos,
    number: u32,
    index: u32,
}

/// All timers that have not fired. User code (wakers) runs only with the queue released.
#[derive(Debug)]
pub(crate) struct Timers {
    queue: RefCell<Queue>,
    /// The time when the clock was last read.
    now: Cell<Nanos>,
    /// The loop has made a turn since then without reading the clock, as no timer was set.
    stale: Cell<bool>,
    epoch: Instant,
}

/// Time since the epoch of a [`Timers`]. Eight bytes, since a small heap is a fast heap. Enough for
/// 584 years; later deadlines are capped.
type Nanos = u64;

#[derive(Debug, Default)]
struct Queue {
    /// The earliest one on top. Some are stale: their timer is gone.
    deadlines: BinaryHeap<Reverse<TimerKey>>,
    timers: Slab<Timer>,
    next_number: u32,
}

#[derive(Debug)]
struct Timer {
    number: u32,
    waker: Waker,
}

impl Timers {
    pub(super) fn new() -> Self {
        Self { queue: RefCell::default(), now: Cell::new(0), stale: Cell::new(false), epoch: Instant::now() }
    }

    /// Whether a timer's deadline had passed when the clock was last read. Then it has fired, or is
    /// about to.
    pub(crate) fn is_due(&self, key: TimerKey) -> bool {
        key.deadline <= self.now.get()
    }

    /// Whether a deadline had passed in the loop's latest turn. The clock is read at most once per
    /// turn, however many ask.
    pub(crate) fn is_past(&self, deadline: Instant) -> bool {
        if self.stale.replace(false) {
            self.now.set(self.nanos(Instant::now()));
        }
        self.nanos(deadline) <= self.now.get()
    }

    fn nanos(&self, instant: Instant) -> Nanos {
        let since = instant.saturating_duration_since(self.epoch);
        Nanos::try_from(since.as_nanos()).unwrap_or(Nanos::MAX)
    }

    /// Adds a timer that wakes `waker` at the deadline.
    pub(crate) fn insert(&self, deadline: Instant, waker: Waker) -> TimerKey {
        self.queue.borrow_mut().insert(self.nanos(deadline), waker)
    }

    /// Replaces a timer's waker, if it has not fired.
    pub(crate) fn update(&self, key: TimerKey, waker: &Waker) {
        let other = self.queue.borrow_mut().get_mut(key).is_some_and(|timer| !timer.waker.will_wake(waker));
        if other {
            let mut waker = waker.clone();
            // Swapped, so that whichever is dropped is dropped with the borrow released.
            if let Some(timer) = self.queue.borrow_mut().get_mut(key) {
                std::mem::swap(&mut timer.waker, &mut waker);
            }
        }
    }

    /// Gives a timer a new deadline, if it has not fired.
    pub(crate) fn reschedule(&self, key: TimerKey, deadline: Instant) -> Option<TimerKey> {
        let mut queue = self.queue.borrow_mut();
        let timer = queue.remove(key)?;
        Some(queue.insert(self.nanos(deadline), timer.waker))
    }

    /// Removes a timer, if it has not fired. Its waker is to be dropped outside any borrow.
    pub(crate) fn remove(&self, key: TimerKey) -> Option<Waker> {
        self.queue.borrow_mut().remove(key).map(|timer| timer.waker)
    }

    /// How long until the next timer is due.
    pub(crate) fn time_to_next(&self) -> Option<Duration> {
        let deadline = self.queue.borrow_mut().next_deadline()?;
        Some(Duration::from_nanos(deadline.saturating_sub(self.nanos(Instant::now()))))
    }

    /// Fires all timers that are due.
    pub(crate) fn fire(&self) {
        if self.queue.borrow().timers.is_empty() {
            self.stale.set(true);
            return;
        }
        let now = self.nanos(Instant::now());
        self.now.set(now);
        let mut due = Vec::new();
        self.queue.borrow_mut().take_due(now, &mut due);
        wake_all(due);
    }

    /// Removes all timers, at the runtime's end.
    pub(crate) fn clear(&self) {
        for timer in self.queue.take().timers.into_iter().map(|(_, timer)| timer) {
            contain("a waker panicked when it was dropped with its timer", || drop(timer));
        }
    }
}

impl Queue {
    fn insert(&mut self, deadline: Nanos, waker: Waker) -> TimerKey {
        let number = self.next_number;
        self.next_number = number.wrapping_add(1);
        let index = self.timers.insert(Timer { number, waker }) as u32;
        let key = TimerKey { deadline, number, index };
        self.deadlines.push(Reverse(key));
        key
    }

    fn get_mut(&mut self, key: TimerKey) -> Option<&mut Timer> {
        self.timers.get_mut(key.index as usize).filter(|timer| timer.number == key.number)
    }

    fn remove(&mut self, key: TimerKey) -> Option<Timer> {
        self.get_mut(key)?;
        let timer = self.timers.remove(key.index as usize);
        // The constant keeps small heaps from being rebuilt all the time.
        if self.deadlines.len() > 2 * self.timers.len() + 64 {
            let timers = &self.timers;
            self.deadlines.retain(|Reverse(key)| is_live(timers, *key));
        }
        Some(timer)
    }

    fn next_deadline(&mut self) -> Option<Nanos> {
        loop {
            let &Reverse(key) = self.deadlines.peek()?;
            if is_live(&self.timers, key) {
                return Some(key.deadline);
            }
            self.deadlines.pop();
        }
    }

    fn take_due(&mut self, now: Nanos, due: &mut Vec<Waker>) {
        while let Some(&Reverse(key)) = self.deadlines.peek()
            && key.deadline <= now
        {
            self.deadlines.pop();
            if is_live(&self.timers, key) {
                due.push(self.timers.remove(key.index as usize).waker);
            }
        }
    }
}

fn is_live(timers: &Slab<Timer>, key: TimerKey) -> bool {
    timers.get(key.index as usize).is_some_and(|timer| timer.number == key.number)
}
