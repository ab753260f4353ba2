//! The context before the latest growth, on its way out.

use std::collections::VecDeque;
use std::time::Duration;

use crate::reactor::ids::Key;
use crate::reactor::kernel::abi::IoEvent;
use crate::reactor::kernel::kioctx::Kioctx;

/// The first sleep of the loop while something is in flight there. Each later one is twice as long,
/// until an event comes.
const FIRST_SLEEP: Duration = Duration::from_millis(1);

/// A context that nothing is submitted to any more.
#[derive(Debug)]
pub(super) struct Former {
    kioctx: Kioctx,
    /// The registrations' polls that were armed there at the growth, oldest first, as far as they
    /// have not been moved. Some may be over.
    movable: VecDeque<Key>,
    /// The longest sleep that its events may wait for.
    sleep: Duration,
}

impl Former {
    pub(super) fn new(kioctx: Kioctx, movable: Vec<Key>) -> Self {
        Self { kioctx, movable: movable.into(), sleep: FIRST_SLEEP }
    }

    pub(super) fn kioctx(&self) -> &Kioctx {
        &self.kioctx
    }

    pub(super) fn into_kioctx(self) -> Kioctx {
        self.kioctx
    }

    pub(super) fn has_movable(&self) -> bool {
        !self.movable.is_empty()
    }

    pub(super) fn next_movable(&mut self) -> Option<Key> {
        self.movable.pop_front()
    }

    /// What is armed stays until it completes.
    pub(super) fn move_no_more(&mut self) {
        self.movable.clear();
    }

    /// Takes what its ring holds.
    pub(super) fn reap(&mut self, events: &mut Vec<IoEvent>) -> usize {
        let taken = self.kioctx.reap(events);
        self.has_taken(taken)
    }

    /// Takes what is there by a system call.
    pub(super) fn take_by_syscall(&mut self, events: &mut Vec<IoEvent>) -> usize {
        // An error is met again, and told, by the loop's own wait.
        let taken = self.kioctx.wait(Some(Duration::ZERO), None, events).unwrap_or(0);
        self.has_taken(taken)
    }

    fn has_taken(&mut self, taken: usize) -> usize {
        if taken > 0 {
            self.sleep = FIRST_SLEEP;
        }
        taken
    }

    /// How long the loop may sleep on the other context, where it would sleep for `timeout`.
    pub(super) fn limit(&mut self, timeout: Option<Duration>, most: Duration) -> Duration {
        let limit = self.sleep;
        match timeout {
            Some(timeout) if timeout <= limit => timeout,
            _ => {
                self.sleep = (2 * limit).min(most);
                limit
            }
        }
    }
}
