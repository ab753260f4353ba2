//! The list of armed polls whose last waiter has left; `driver/abandon.rs` says what becomes of
//! them.

use std::collections::VecDeque;

use crate::reactor::ids::Key;

/// How many turns such a poll stays armed. A `select!` loop waits again in the same turn, and a
/// task that has something else to do in between comes back after a few.
const GRACE: u32 = 3;

/// Polls whose last waiter has left, each once. (Their slots know the latest time.)
#[derive(Debug, Default)]
pub(super) struct Left {
    /// Turns so far.
    turn: u32,
    /// Oldest first, each with the turn in which it came here.
    queue: VecDeque<(Key, u32)>,
}

impl Left {
    pub(super) fn turn(&self) -> u32 {
        self.turn
    }

    pub(super) fn pass_turn(&mut self) {
        self.turn = self.turn.wrapping_add(1);
    }

    /// As if as many turns had gone by as a poll stays armed.
    pub(super) fn pass_grace(&mut self) {
        self.turn = self.turn.wrapping_add(GRACE);
    }

    /// Whether a poll left in that turn has been armed long enough.
    pub(super) fn is_due(&self, since: u32) -> bool {
        self.turn.wrapping_sub(since) >= GRACE
    }

    pub(super) fn push(&mut self, key: Key) {
        self.queue.push_back((key, self.turn));
    }

    /// Takes the oldest, if it came here long enough ago.
    pub(super) fn pop_due(&mut self) -> Option<Key> {
        let &(_, since) = self.queue.front()?;
        if !self.is_due(since) {
            return None;
        }
        self.queue.pop_front().map(|(key, _)| key)
    }

    pub(super) fn retain(&mut self, mut keep: impl FnMut(Key) -> bool) {
        self.queue.retain(|(key, _)| keep(*key));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }
}
