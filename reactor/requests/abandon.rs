//! What becomes of armed polls whose waiters have all gone.
//!
//! A poll is *left* by its last waiter, and for some turns stays as it is. If nobody waits for it
//! by then it is *abandoned*: cancelled, with its slot taken until the event.

use super::Disarm;
use super::slots::{Owner, SlotState, Slots};
use crate::reactor::ids::{Direction, Key, PollKind, SourceId};

impl Slots {
    /// The last waiter of a poll has left. If nobody comes back, the poll is to be
    /// [abandoned](super::Requests::abandon_poll) in some turns.
    pub(crate) fn leave(&mut self, key: Key) {
        let turn = self.left.turn();
        let slot = self.slot_mut(key).expect("a registration holds the key of its poll until the event");
        if slot.left_in.replace(turn).is_none() {
            self.left.push(key);
        }
    }

    /// A turn goes by.
    pub(crate) fn pass_turn(&mut self) {
        self.left.pass_turn();
    }

    /// Nothing has happened for so long that no waiter is expected to come back.
    pub(crate) fn end_grace(&mut self) {
        self.left.pass_grace();
    }

    /// Takes a poll whose last waiter left some turns ago. Somebody may wait for it again: only its
    /// registration knows.
    pub(crate) fn next_left(&mut self) -> Option<Key> {
        while let Some(key) = self.left.pop_due() {
            // Else it is over, or cancelled.
            if let Some(latest) = self.slot_mut(key).and_then(|slot| slot.left_in) {
                if self.left.is_due(latest) {
                    self.slots[key.index()].left_in = None;
                    return Some(key);
                }
                // Somebody came back, and left later.
                self.left.push(key);
            }
        }
        None
    }

    /// Forgets the polls that somebody waits for again: their registration says so. False if there
    /// are no others.
    pub(crate) fn retain_left(&mut self, mut is_abandoned: impl FnMut(Key, SourceId, Direction) -> bool) -> bool {
        let Self { slots, left, .. } = self;
        left.retain(|key| {
            let slot = slots.get_mut(key.index()).filter(|slot| slot.generation == key.generation);
            let Some(slot) = slot.filter(|slot| slot.left_in.is_some()) else { return false };
            let Owner::Poll(PollKind::Waiters(source, direction)) = slot.owner else {
                unreachable!("only the polls of registrations have waiters");
            };
            let keep = is_abandoned(key, source, direction);
            if !keep {
                slot.left_in = None;
            }
            keep
        });
        !left.is_empty()
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
