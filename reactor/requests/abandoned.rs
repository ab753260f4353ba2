//! Armed polls whose waiters have all gone. For how long?

use std::collections::VecDeque;

use super::Disarm;
use super::slots::{Owner, SlotState, Slots};
use crate::reactor::ids::{Direction, Key, PollKind, SourceId};

/// How many turns such a poll stays armed. A `select!` loop waits again in the same turn, and a task
/// that has something else to do in between comes back after a few.
const GRACE: u32 = 3;

/// Polls whose last waiter has left, each once. (Their slots know the latest time.)
#[derive(Debug, Default)]
pub(super) struct Abandoned {
    /// Turns so far.
    turn: u32,
    /// Oldest first, each with the turn in which it came here.
    queue: VecDeque<(Key, u32)>,
}

impl Abandoned {
    fn is_due(&self, since: u32) -> bool {
        self.turn.wrapping_sub(since) >= GRACE
    }
}

impl Slots {
    /// The last waiter of a poll has left. If nobody comes back, the poll is to be
    /// [abandoned](super::Requests::abandon_poll) in some turns.
    pub(crate) fn leave(&mut self, key: Key) {
        let turn = self.left.turn;
        let slot = self.slot_mut(key).expect("a registration holds the key of its poll until the event");
        if slot.left_in.replace(turn).is_none() {
            self.left.queue.push_back((key, turn));
        }
    }

    /// A turn goes by.
    pub(crate) fn pass_turn(&mut self) {
        self.left.turn = self.left.turn.wrapping_add(1);
    }

    /// Nothing has happened for so long that it is as good as all the turns that a poll stays
    /// armed.
    pub(crate) fn end_grace(&mut self) {
        self.left.turn = self.left.turn.wrapping_add(GRACE);
    }

    /// Takes a poll whose last waiter left some turns ago. Somebody may wait for it again: only its
    /// registration knows.
    pub(crate) fn next_left(&mut self) -> Option<Key> {
        loop {
            let (key, since) = *self.left.queue.front()?;
            if !self.left.is_due(since) {
                return None;
            }
            self.left.queue.pop_front();
            // Else it is over, or cancelled.
            if let Some(latest) = self.slot_mut(key).and_then(|slot| slot.left_in) {
                if self.left.is_due(latest) {
                    self.slots[key.index()].left_in = None;
                    return Some(key);
                }
                // Somebody came back, and left later.
                self.left.queue.push_back((key, self.left.turn));
            }
        }
    }

    /// Forgets the polls that somebody waits for again: their registration says so. False if there
    /// are no others.
    pub(crate) fn retain_left(&mut self, mut is_abandoned: impl FnMut(Key, SourceId, Direction) -> bool) -> bool {
        let Self { slots, left, .. } = self;
        left.queue.retain(|(key, _)| {
            let slot = slots.get_mut(key.index()).filter(|slot| slot.generation == key.generation);
            let Some(slot) = slot.filter(|slot| slot.left_in.is_some()) else { return false };
            let Owner::Poll(PollKind::Waiters(source, direction)) = slot.owner else {
                unreachable!("only the polls of registrations have waiters");
            };
            let keep = is_abandoned(*key, source, direction);
            if !keep {
                slot.left_in = None;
            }
            keep
        });
        !left.queue.is_empty()
    }

    /// See [`Requests::abandon_poll`](super::Requests::abandon_poll).
    pub(super) fn abandon(&mut self, key: Key) -> Disarm {
        let slot = self.slot_mut(key).expect("a registration holds the key of its poll until the event");
        match slot.state {
            SlotState::Queued => {
                self.vacate(key);
                Disarm::Vacated
            }
            SlotState::Armed { .. } => {
                (slot.state, slot.left_in) = (SlotState::Abandoned, None);
                Disarm::Cancel
            }
            SlotState::Cancelling | SlotState::Demoted | SlotState::Moving | SlotState::Abandoned => Disarm::AwaitEvent,
        }
    }

    /// Undoes an abandonment whose cancel failed: the poll stays armed.
    pub(crate) fn undo_abandonment(&mut self, key: Key) {
        self.undo(key, SlotState::Abandoned);
    }
}
