//! Slots: places of iocbs, from the decision to submit one to its event.

use std::collections::VecDeque;

use slab::Slab;

use super::idle_clock::IdleClock;
use super::left::Left;
use super::slot::{Owner, Slot, SlotState};
use crate::reactor::ids::{Direction, Key, PollKind, SourceId};

/// The reactor's own polls ([`PollKind::Unpark`], [`PollKind::Overflow`]) always find a slot.
const OWN_POLLS: usize = 2;

/// The fewest slots: enough that the quarter for files is larger than the own polls' share, even
/// if those are armed last. So polls alone never keep a file operation out forever.
const FEWEST_SLOTS: usize = 16;

/// What [`Requests::disarm`](super::Requests::disarm) leaves to its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Disarm {
    /// The kernel never heard of it.
    Vacated,
    /// Cancel the iocb; its event will come as [`Completion::Disarmed`](super::Completion).
    Cancel,
    /// It is cancelled already; its event will come as [`Completion::Disarmed`](super::Completion).
    AwaitEvent,
}

/// A bounded number of slots that never move; the bound may grow. A few are kept for the reactor's
/// own polls and a quarter for file operations alone.
#[derive(Debug)]
pub(crate) struct Slots {
    slots: Slab<Slot>,
    capacity: usize,
    /// Slots to be submitted, in order; keys of slots vacated since are skipped.
    queue: VecDeque<Key>,
    polls: usize,
    peak: usize,
    flush: u32,
    next_generation: u32,
    clock: IdleClock,
    /// The event of a demoted poll is still to come. One at a time: the slot that it vacates may be
    /// enough.
    demoting: bool,
    /// Polls whose last waiter has left.
    left: Left,
    /// How often the capacity has grown: which context takes what is submitted now.
    context: u32,
    /// Accepted slots whose event is still to come from the context before the latest growth.
    on_former: usize,
}

impl Slots {
    /// Without capacity there are no slots at all, until it grows.
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            slots: Slab::new(),
            capacity: if capacity == 0 { 0 } else { capacity.max(FEWEST_SLOTS) },
            queue: VecDeque::new(),
            polls: 0,
            peak: 0,
            flush: 0,
            next_generation: 0,
            clock: IdleClock::default(),
            demoting: false,
            left: Left::default(),
            context: 0,
            on_former: 0,
        }
    }

    pub(crate) fn capacity(&self) -> usize {
        self.capacity
    }

    /// How many are taken.
    pub(crate) fn in_use(&self) -> usize {
        self.slots.len()
    }

    /// How many of them are polls.
    pub(crate) fn polls(&self) -> usize {
        self.polls
    }

    /// The most that ever were.
    pub(crate) fn peak(&self) -> usize {
        self.peak
    }

    /// Whose request this is; `None` if the key is stale.
    pub(crate) fn owner(&self, key: Key) -> Option<Owner> {
        self.slot(key).map(|slot| slot.owner)
    }

    /// The registration that has this poll; `None` if it was disarmed.
    pub(crate) fn registration(&self, key: Key) -> Option<(SourceId, Direction)> {
        let slot = self.slot(key)?;
        match (slot.owner, slot.state) {
            (_, SlotState::Cancelling)
            | (Owner::Poll(PollKind::Unpark | PollKind::Overflow) | Owner::Operation(_), _) => None,
            (Owner::Poll(PollKind::Waiters(source, direction)), _) => Some((source, direction)),
        }
    }

    // ---- taking a slot ----

    /// Takes a slot for a registration's poll, or `None` if none is left for polls.
    pub(crate) fn arm(&mut self, source: SourceId, direction: Direction) -> Option<Key> {
        self.clock.advance(1);
        let for_all = self.capacity.saturating_sub(OWN_POLLS);
        let for_polls = for_all - for_all / 4;
        if self.polls >= for_polls || self.slots.len() >= for_all {
            return None;
        }
        Some(self.occupy(Owner::Poll(PollKind::Waiters(source, direction))))
    }

    /// Takes a slot for a poll that has just vacated one, or `None` if an operation was faster.
    pub(crate) fn rearm(&mut self, source: SourceId, direction: Direction) -> Option<Key> {
        self.has_free_slot().then(|| self.occupy(Owner::Poll(PollKind::Waiters(source, direction))))
    }

    /// Takes a slot for one of the reactor's own polls. The caller keeps to one of each kind.
    pub(crate) fn arm_own(&mut self, kind: PollKind) -> Key {
        debug_assert!(kind.is_own() && self.slots.len() < self.capacity, "own polls have slots of their own");
        self.occupy(Owner::Poll(kind))
    }

    /// Whether there is a slot that is not kept for the reactor's own polls.
    pub(super) fn has_free_slot(&self) -> bool {
        self.slots.len() + OWN_POLLS < self.capacity
    }

    pub(super) fn occupy(&mut self, owner: Owner) -> Key {
        let generation = self.next_generation;
        self.next_generation = generation.wrapping_add(1);
        let slot = Slot {
            owner,
            state: SlotState::Queued,
            generation,
            armed_at: self.clock.now(),
            context: self.context,
            left_in: None,
        };
        let index = self.slots.insert(slot) as u32;
        self.polls += usize::from(matches!(owner, Owner::Poll(_)));
        self.peak = self.peak.max(self.slots.len());
        let key = Key { index, generation };
        self.queue.push_back(key);
        key
    }

    // ---- submission ----

    /// Whether a flush would have something to do. Stale keys count.
    pub(crate) fn has_queued(&self) -> bool {
        !self.queue.is_empty()
    }

    /// Takes the oldest slot out of the queue, with its owner.
    pub(crate) fn next_queued(&mut self) -> Option<(Key, Owner)> {
        loop {
            let key = self.queue.pop_front()?;
            if let Some(slot) = self.slot(key)
                && slot.state == SlotState::Queued
            {
                return Some((key, slot.owner));
            }
        }
    }

    /// Puts back slots for which the kernel has no room, in front of the others.
    pub(crate) fn requeue(&mut self, keys: &[Key]) {
        keys.iter().rev().for_each(|key| self.queue.push_front(*key));
    }

    pub(super) fn clear_queue(&mut self) {
        self.queue.clear();
    }

    /// The kernel has the request now.
    pub(crate) fn accepted(&mut self, key: Key) {
        let (flush, context) = (self.flush, self.context);
        let slot = self.slot_mut(key).expect("accepted right after it was prepared");
        debug_assert_eq!(slot.state, SlotState::Queued, "accepted twice");
        (slot.state, slot.context) = (SlotState::Armed { flush }, context);
    }

    /// Ends the window in which a completion counts as inline: called after the first reap that
    /// follows a flush.
    pub(crate) fn end_flush(&mut self) {
        self.flush = self.flush.wrapping_add(1);
    }

    pub(super) fn is_inline(&self, state: SlotState) -> bool {
        state == SlotState::Armed { flush: self.flush }
    }

    // ---- demotion ----

    /// Advances the idle clock as if that many polls had come and gone.
    #[cfg(test)]
    pub(crate) fn advance_clock(&mut self, arms: usize) {
        self.clock.advance(arms);
    }

    /// Chooses an idle poll to be cancelled, for its slot: its event will come as
    /// [`Completion::Demoted`](super::Completion). `overflowed`: how many descriptors the nested
    /// epoll knows.
    pub(super) fn demote(&mut self, overflowed: usize) -> Option<Key> {
        if self.demoting || self.capacity == 0 {
            return None;
        }
        let slots = &mut self.slots;
        let population = self.capacity + overflowed;
        let demoted = self.clock.search(self.capacity, |clock, index| {
            let slot = slots.get_mut(index)?;
            let demotable =
                matches!((slot.owner, slot.state), (Owner::Poll(PollKind::Waiters(..)), SlotState::Armed { .. }));
            if !demotable || !clock.is_idle(slot.armed_at, population) {
                return None;
            }
            slot.state = SlotState::Demoted;
            Some(Key { index: index as u32, generation: slot.generation })
        });
        self.demoting = demoted.is_some();
        demoted
    }

    /// Undoes a demotion whose cancel failed.
    pub(crate) fn undo_demotion(&mut self, key: Key) {
        // Its idle clock restarts.
        self.undo(key, SlotState::Demoted).armed_at = self.clock.now();
        self.demoting = false;
    }

    // ---- growth ----

    /// From now on there are `capacity` slots, and what is submitted goes to a new context. Returns
    /// the registrations' polls that are armed on the former one, oldest first: they may be
    /// [moved](Self::begin_move).
    ///
    /// # Panics
    ///
    /// If something is still in flight on the context before the former one.
    pub(super) fn grow(&mut self, capacity: usize) -> Vec<Key> {
        assert_eq!(self.on_former, 0, "one growth at a time");
        self.capacity = self.capacity.max(capacity).max(FEWEST_SLOTS);
        self.context = self.context.wrapping_add(1);
        let mut movable = Vec::new();
        for (index, slot) in &self.slots {
            self.on_former += usize::from(slot.state != SlotState::Queued);
            if let (Owner::Poll(PollKind::Waiters(..)), SlotState::Armed { .. }) = (slot.owner, slot.state) {
                movable.push(Key { index: index as u32, generation: slot.generation });
            }
        }
        // By age, also where the generations have wrapped around.
        let next = self.next_generation;
        movable.sort_unstable_by_key(|key| std::cmp::Reverse(next.wrapping_sub(key.generation)));
        movable
    }

    /// How many events are still to come from the former context.
    pub(crate) fn on_former(&self) -> usize {
        self.on_former
    }

    /// Whether an accepted slot's event comes from the former context.
    pub(crate) fn is_on_former(&self, key: Key) -> bool {
        self.slot(key).is_some_and(|slot| slot.context != self.context)
    }

    /// A poll is to be cancelled on the former context and armed on the new one: its event will
    /// come as [`Completion::Moved`](super::Completion). False if there is nothing to move any
    /// more.
    pub(crate) fn begin_move(&mut self, key: Key) -> bool {
        let context = self.context;
        let Some(slot) = self.slot_mut(key) else { return false };
        let is_armed = matches!(slot.state, SlotState::Armed { .. }) && slot.context != context;
        if is_armed {
            slot.state = SlotState::Moving;
        }
        is_armed
    }

    /// Undoes the beginning of a move whose cancel failed: the poll stays where it is.
    pub(crate) fn undo_move(&mut self, key: Key) {
        self.undo(key, SlotState::Moving);
    }

    // ---- polls that nobody waits for ----

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
    pub(crate) fn retain_left(&mut self, mut is_left: impl FnMut(Key, SourceId, Direction) -> bool) -> bool {
        let Self { slots, left, .. } = self;
        left.retain(|key| {
            let Some(slot) = find(slots, key).filter(|slot| slot.left_in.is_some()) else { return false };
            let Owner::Poll(PollKind::Waiters(source, direction)) = slot.owner else {
                unreachable!("only the polls of registrations have waiters");
            };
            let keep = is_left(key, source, direction);
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

    // ---- the end of a slot ----

    /// Gives back a poll's slot: at once, or by way of a cancel.
    ///
    /// # Panics
    ///
    /// If the key is not that of a poll that is queued, armed, demoted, moving or abandoned.
    pub(super) fn disarm(&mut self, key: Key) -> Disarm {
        let slot = self.slot_mut(key).expect("a registration holds the key of its poll until the event");
        let disarm = match slot.state {
            SlotState::Queued => {
                self.vacate(key);
                return Disarm::Vacated;
            }
            SlotState::Armed { .. } => Disarm::Cancel,
            SlotState::Demoted | SlotState::Moving | SlotState::Abandoned => Disarm::AwaitEvent,
            SlotState::Cancelling => unreachable!("a poll is disarmed once: its registration forgets the key"),
        };
        let was_demoted = slot.state == SlotState::Demoted;
        (slot.state, slot.left_in) = (SlotState::Cancelling, None);
        self.demoting &= !was_demoted;
        disarm
    }

    /// Frees a slot and tells what it was; `None` if the key is stale.
    pub(super) fn vacate(&mut self, key: Key) -> Option<Slot> {
        self.slot_mut(key)?;
        let slot = self.slots.remove(key.index());
        self.polls -= usize::from(matches!(slot.owner, Owner::Poll(_)));
        self.demoting &= slot.state != SlotState::Demoted;
        self.on_former -= usize::from(slot.context != self.context && slot.state != SlotState::Queued);
        Some(slot)
    }

    pub(super) fn is_queued(&self, key: Key) -> bool {
        self.slot(key).is_some_and(|slot| slot.state == SlotState::Queued)
    }

    /// Undoes what the cancel was to do that has failed: the poll stays armed.
    fn undo(&mut self, key: Key, cancelled: SlotState) -> &mut Slot {
        // Backdated, so that it cannot count as completed inline.
        let flush = self.flush.wrapping_sub(1);
        let slot = self.slot_mut(key).expect("cancelled just now");
        debug_assert_eq!(slot.state, cancelled, "only what has just begun can be undone");
        slot.state = SlotState::Armed { flush };
        slot
    }

    // ---- by key ----

    fn slot(&self, key: Key) -> Option<&Slot> {
        self.slots.get(key.index()).filter(|slot| slot.generation == key.generation)
    }

    fn slot_mut(&mut self, key: Key) -> Option<&mut Slot> {
        find(&mut self.slots, key)
    }
}

/// The slot of this key, unless its event has come.
fn find(slots: &mut Slab<Slot>, key: Key) -> Option<&mut Slot> {
    slots.get_mut(key.index()).filter(|slot| slot.generation == key.generation)
}
