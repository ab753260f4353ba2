//! The timers of one runtime, in the order of their deadlines.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::task::Waker;
use std::time::Instant;

/// A registered timer: its deadline, and a number that tells it from others of the same deadline.
pub(super) type TimerKey = (Instant, u64);

/// All timers that have not fired. User code (wakers) runs only with the map released.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    queue: RefCell<BTreeMap<TimerKey, Waker>>,
    next_number: Cell<u64>,
}

impl Timers {
    /// Has `waker` woken at the deadline, or at the next turn if that is past.
    pub(super) fn insert(&self, deadline: Instant, waker: Waker) -> TimerKey {
        let key = (deadline, self.next_number.get());
        self.next_number.set(key.1 + 1);
        self.queue.borrow_mut().insert(key, waker);
        key
    }

    /// Has another waker woken instead. A timer that has fired stays so.
    pub(super) fn update(&self, key: TimerKey, waker: &Waker) {
        let same = self
            .queue
            .borrow()
            .get(&key)
            .is_none_or(|kept| kept.will_wake(waker));
        if !same {
            let waker = waker.clone();
            let _replaced = self.queue.borrow_mut().insert(key, waker);
        }
    }

    /// Takes a timer out.
    pub(super) fn remove(&self, key: TimerKey) {
        let _withdrawn = self.queue.borrow_mut().remove(&key);
    }

    /// When the next one is due.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.queue
            .borrow()
            .first_key_value()
            .map(|((deadline, _), _)| *deadline)
    }

    /// Wakes all that are due.
    pub(crate) fn fire(&self) {
        let Some(next) = self.next_deadline() else {
            return;
        };
        let now = Instant::now();
        if next > now {
            return;
        }
        let due = {
            let mut queue = self.queue.borrow_mut();
            // Numbers are handed out from 0 up, so this is past the last timer of `now`.
            let later = queue.split_off(&(now, u64::MAX));
            std::mem::replace(&mut *queue, later)
        };
        crate::reactor::wake_all(due.into_values());
    }

    /// Forgets all, at the runtime's end.
    pub(crate) fn clear(&self) {
        let _forgotten = self.queue.take();
    }
}
