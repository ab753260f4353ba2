//! The book of what is in flight: slots, which the kernel sees, and file operations, which users
//! see.
//!
//! Pure state: no system call is made here. Transitions return what is to be done, so that all of
//! them can be tested against a naive model without a kernel.
//!
//! A **slot** is one iocb's place, from the decision to submit it to its event:
//!
//! ```text
//!   arm, start ──► Queued ──accepted──► Armed ──complete──► vacant
//!                    │ │                  │
//!                    │ └─refused─► vacant ├─disarm (poll)──► Cancelling ──complete──► vacant
//!                    └─disarm──► vacant   ├─demote (poll)───► Demoted ──complete──► vacant, waited for elsewhere
//!                                         │                  (or stays: Armed)
//!                                         └─abandon (file)─► (operation Orphaned) ──complete──► vacant
//! ```
//!
//! Law: *a slot that was accepted is freed by its event and by nothing else*; exactly one event
//! comes, also after a cancel. A [`Key`] is a slot's index and generation, so an event can never
//! reach the next owner.
//!
//! An **operation** is a read, write or sync with all that the kernel may touch (`P`): the buffer,
//! the file. It lives in this table and not in the future, which holds only an [`OperationId`]; so
//! both `drop` and `mem::forget` of the future are harmless. Its result waits outside the slot: a
//! result that nobody fetches holds no slot of the kernel's.
//!
//! ```text
//!   start ──► Backlog ──slot free──► InFlight ──complete──► Done ──fetch──► gone
//!                │                      └─abandon─► Orphaned ──complete──► gone
//!                └─abandon─► Withdrawn ──its turn, or a sweep──► gone
//! ```

use std::collections::VecDeque;
use std::task::Waker;

use slab::Slab;

use crate::reactor::readiness::{Direction, SourceId};

/// A slot at one time of its life; travels through the kernel as `aio_data`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    index: u32,
    generation: u32,
}

impl Key {
    /// The slot's place, below [`Requests::capacity`].
    pub(crate) fn index(self) -> usize {
        self.index as usize
    }

    pub(crate) fn to_data(self) -> u64 {
        u64::from(self.generation) << 32 | u64::from(self.index)
    }

    pub(crate) fn from_data(data: u64) -> Self {
        Self { index: data as u32, generation: (data >> 32) as u32 }
    }
}

/// The name by which a future knows its operation. Valid until the result is fetched or the
/// operation abandoned.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct OperationId(usize);

/// Whose request a slot carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    Poll { source: SourceId, direction: Direction },
    Operation(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SlotState {
    /// Waits for the next flush.
    Queued,
    /// Accepted by the kernel in the flush of this number.
    Armed { flush: u32 },
    /// A poll that was accepted, whose registration is gone or does not want it any more.
    Cancelling,
    /// A poll that was accepted and then cancelled for its slot's sake. Its registration still
    /// waits.
    Demoted,
}

#[derive(Debug)]
struct Slot {
    generation: u32,
    state: SlotState,
    owner: Owner,
    /// The table's count of arms when it was taken.
    since: u32,
}

#[derive(Debug)]
struct Operation<P> {
    /// Stays where it is from start to end. `None` only where it was given back: in `Withdrawn`.
    payload: Option<P>,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    Backlog { waker: Option<Waker> },
    InFlight { waker: Option<Waker>, slot: Key },
    Orphaned,
    Done { result: i64 },
    Withdrawn,
}

/// What an event, or a refusal, meant.
#[derive(Debug)]
pub(crate) enum Completion<P> {
    /// Nobody's: no slot has this key.
    Stale,
    /// The poll of a registration. `inline`: it came of the latest flush.
    Poll { source: SourceId, direction: Direction, inline: bool },
    /// The end of a poll that was disarmed.
    Disarmed,
    /// The end of a poll that was evicted: the registration has to wait elsewhere.
    Demoted { source: SourceId, direction: Direction },
    /// The result is ready to be fetched.
    Operation(Option<Waker>),
    /// The end of an abandoned operation: now the payload may be freed.
    Orphan(P),
}

/// What [`Requests::disarm`] leaves to the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Disarm {
    /// The kernel never heard of it.
    Vacated,
    /// Cancel the iocb; its event will come as [`Completion::Disarmed`].
    Cancel,
    /// It is cancelled already; its event will come as [`Completion::Disarmed`].
    AwaitEvent,
}

/// The reactor's own polls (cross-thread wake, nested epoll) always find a slot.
const OWN_POLLS: usize = 2;

/// The smallest table: its quarter for files is more than the own polls take of it when they are
/// armed last, so that polls alone never keep a file operation out for ever.
const FEWEST_SLOTS: usize = 16;

/// A poll is idle that has stood while so many times as many were armed as there may be
/// registrations: slots, and members of the nested epoll. Of connections that are all busy hardly
/// one is: most fire before.
const IDLE: usize = 4;

/// Slots that one search for an idle poll looks at.
const LOOKS: usize = 8;

/// See the [module's essay](self).
#[derive(Debug)]
pub(crate) struct Requests<P> {
    slots: Slab<Slot>,
    operations: Slab<Operation<P>>,
    /// Slots to be submitted, in order; stale keys among them are skipped.
    queue: Vec<Key>,
    /// Operations that found no slot, in order. Invariant: not empty only while operations may take
    /// no further slot.
    backlog: VecDeque<usize>,
    /// How many of the backlog were abandoned there.
    withdrawn: usize,
    capacity: usize,
    polls: usize,
    orphans: usize,
    peak: usize,
    flush: u32,
    next_generation: u32,
    /// How many polls were to be armed so far, with a slot or without: the clock by which polls are
    /// idle.
    arms: u32,
    /// Where the next search for an idle poll begins.
    hand: usize,
    /// The event of an evicted poll is still to come. One at a time: the slot that it vacates may
    /// be enough.
    demoting: bool,
}

impl<P> Requests<P> {
    /// A table of `capacity` slots, a few of which are for the reactor's own polls and a quarter
    /// for files alone.
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            slots: Slab::new(),
            operations: Slab::new(),
            queue: Vec::new(),
            backlog: VecDeque::new(),
            capacity: capacity.max(FEWEST_SLOTS),
            withdrawn: 0,
            polls: 0,
            orphans: 0,
            peak: 0,
            flush: 0,
            next_generation: 0,
            arms: 0,
            hand: 0,
            demoting: false,
        }
    }

    pub(crate) fn capacity(&self) -> usize {
        self.capacity
    }

    /// Slots that are taken, the most that ever were, and operations that nobody waits for any
    /// more.
    pub(crate) fn in_use(&self) -> usize {
        self.slots.len()
    }

    pub(crate) fn peak(&self) -> usize {
        self.peak
    }

    pub(crate) fn orphans(&self) -> usize {
        self.orphans
    }

    /// As if so many polls had been armed that are over.
    #[cfg(test)]
    pub(crate) fn advance_clock(&mut self, arms: usize) {
        self.arms = self.arms.wrapping_add(arms as u32);
    }

    /// Operations of which anything is kept.
    #[cfg(test)]
    pub(crate) fn kept_operations(&self) -> usize {
        self.operations.len()
    }

    /// Takes a slot for a registration's poll, or `None` where none is left for polls.
    pub(crate) fn arm(&mut self, source: SourceId, direction: Direction) -> Option<Key> {
        self.arms = self.arms.wrapping_add(1);
        let for_all = self.capacity - OWN_POLLS;
        let for_polls = for_all - for_all / 4;
        if self.polls >= for_polls || self.slots.len() >= for_all {
            return None;
        }
        Some(self.occupy(Owner::Poll { source, direction }))
    }

    /// Takes a slot for a poll that has just vacated one, or `None` where an operation was faster.
    pub(crate) fn arm_again(&mut self, source: SourceId, direction: Direction) -> Option<Key> {
        self.has_slot_for_all().then(|| self.occupy(Owner::Poll { source, direction }))
    }

    /// Takes a slot for one of the reactor's own polls. The caller keeps to one per source.
    pub(crate) fn arm_own(&mut self, source: SourceId) -> Key {
        debug_assert!(self.slots.len() < self.capacity, "the reactor's own polls have slots of their own");
        self.occupy(Owner::Poll { source, direction: Direction::Read })
    }

    /// Chooses a poll that is idle, to be cancelled: its event will come as
    /// [`Completion::Demoted`], and vacate a slot. A few slots are looked at, where the last search
    /// ended: most are idle where it matters. `elsewhere`: how many wait in the nested epoll.
    pub(crate) fn demote(&mut self, elsewhere: usize) -> Option<Key> {
        // A slot that operations are queueing for would go to one of them.
        if self.demoting || !self.backlog.is_empty() {
            return None;
        }
        let idle = IDLE * (self.capacity + elsewhere);
        for _ in 0..LOOKS {
            let index = self.hand;
            self.hand = (index + 1) % self.capacity;
            let Some(slot) = self.slots.get_mut(index) else { continue };
            let age = self.arms.wrapping_sub(slot.since) as usize;
            if let (Owner::Poll { source, .. }, SlotState::Armed { .. }) = (slot.owner, slot.state)
                && !source.is_own()
                && age >= idle
            {
                slot.state = SlotState::Demoted;
                self.demoting = true;
                return Some(Key { index: index as u32, generation: slot.generation });
            }
        }
        None
    }

    /// Leaves an evicted poll where it is after all, since it could not be cancelled.
    pub(crate) fn undo_demotion(&mut self, key: Key) {
        let (flush, arms) = (self.flush, self.arms);
        let slot = self.slot_mut(key).expect("evicted just now");
        debug_assert_eq!(slot.state, SlotState::Demoted, "only what was to go can undo_demotion");
        // Not of the latest flush: it has stood for long, and will for as long again.
        (slot.state, slot.since) = (SlotState::Armed { flush: flush.wrapping_sub(1) }, arms);
        self.demoting = false;
    }

    /// Gives back a poll's slot: at once, or by way of a cancel.
    ///
    /// # Panics
    ///
    /// If the key is not that of a poll that is queued or armed.
    pub(crate) fn disarm(&mut self, key: Key) -> Disarm {
        let slot = self.slot_mut(key).expect("a registration holds the key of its poll until the event");
        match slot.state {
            SlotState::Queued => {
                self.vacate(key);
                Disarm::Vacated
            }
            SlotState::Armed { .. } => {
                slot.state = SlotState::Cancelling;
                Disarm::Cancel
            }
            SlotState::Demoted => {
                slot.state = SlotState::Cancelling;
                self.demoting = false;
                Disarm::AwaitEvent
            }
            SlotState::Cancelling => {
                unreachable!("a poll is disarmed once: its registration forgets the key")
            }
        }
    }

    /// Takes over an operation. It is queued at once, or as soon as a slot is free.
    pub(crate) fn start(&mut self, payload: P, waker: Waker) -> OperationId {
        let waker = Some(waker);
        let id = self.operations.vacant_key();
        let stage = if self.backlog.is_empty() && self.has_slot_for_all() {
            Stage::InFlight { waker, slot: self.occupy(Owner::Operation(id)) }
        } else {
            self.backlog.push_back(id);
            Stage::Backlog { waker }
        };
        self.operations.insert(Operation { payload: Some(payload), stage });
        OperationId(id)
    }

    /// The payload back with bytes or a negated errno, if the operation is done. That gives up the
    /// id.
    pub(crate) fn fetch(&mut self, id: &OperationId) -> Option<(P, i64)> {
        let Stage::Done { result } = self.operations[id.0].stage else { return None };
        let payload = self.operations.remove(id.0).payload;
        Some((payload.expect("only what is withdrawn has no payload"), result))
    }

    /// Has the operation wake this waker, and returns the one before.
    pub(crate) fn await_result(&mut self, id: &OperationId, waker: Waker) -> Option<Waker> {
        match &mut self.operations[id.0].stage {
            Stage::Backlog { waker: kept } | Stage::InFlight { waker: kept, .. } => kept.replace(waker),
            Stage::Done { .. } | Stage::Orphaned | Stage::Withdrawn => {
                unreachable!("waits for an operation that is under way")
            }
        }
    }

    /// Gives up an operation whose future is gone. The payload comes back if the kernel does not
    /// have it; otherwise it stays here until the event. The waker comes back in any case: its drop
    /// is user code.
    pub(crate) fn abandon(&mut self, id: OperationId) -> (Option<P>, Option<Waker>) {
        let operation = &mut self.operations[id.0];
        match std::mem::replace(&mut operation.stage, Stage::Withdrawn) {
            Stage::Backlog { waker } => {
                // Stays in the backlog until its turn, unless too many do.
                let payload = operation.payload.take();
                self.withdrawn += 1;
                if 2 * self.withdrawn > self.backlog.len() {
                    self.sweep_backlog();
                }
                (payload, waker)
            }
            Stage::InFlight { waker, slot } if is_in_state(&self.slots, slot, SlotState::Queued) => {
                let payload = self.operations.remove(id.0).payload;
                self.vacate(slot);
                (payload, waker)
            }
            Stage::InFlight { waker, .. } => {
                operation.stage = Stage::Orphaned;
                self.orphans += 1;
                (None, waker)
            }
            Stage::Done { .. } => (self.operations.remove(id.0).payload, None),
            Stage::Orphaned | Stage::Withdrawn => {
                unreachable!("the id of an abandoned operation is given up")
            }
        }
    }

    /// Moves the keys to be submitted into `keys`, oldest first.
    pub(crate) fn take_queue(&mut self, keys: &mut Vec<Key>) {
        let (slots, queue) = (&self.slots, &mut self.queue);
        keys.extend(queue.drain(..).filter(|key| is_in_state(slots, *key, SlotState::Queued)));
    }

    /// Whether a flush would have something to do. Stale keys count.
    pub(crate) fn has_queue(&self) -> bool {
        !self.queue.is_empty()
    }

    /// Puts back what `take_queue` took and the kernel has no room for.
    pub(crate) fn requeue(&mut self, keys: &[Key]) {
        self.queue.splice(0..0, keys.iter().copied());
    }

    /// Whose request this is; `None` for a stale key.
    pub(crate) fn owner(&self, key: Key) -> Option<Owner> {
        let slot = self.slots.get(key.index())?;
        (slot.generation == key.generation).then_some(slot.owner)
    }

    /// What a queued operation asks of the kernel.
    ///
    /// # Panics
    ///
    /// If the operation is not in flight.
    pub(crate) fn payload_mut(&mut self, operation: usize) -> &mut P {
        match &mut self.operations[operation] {
            Operation { payload: Some(payload), stage: Stage::InFlight { .. } } => payload,
            _ => unreachable!("a queued slot's operation is in flight"),
        }
    }

    /// The events that the latest flush brought at once have been looked at; what comes from now on
    /// was not born ready.
    pub(crate) fn end_flush(&mut self) {
        self.flush = self.flush.wrapping_add(1);
    }

    /// The kernel has the request now.
    pub(crate) fn accepted(&mut self, key: Key) {
        let flush = self.flush;
        let slot = self.slot_mut(key).expect("accepted right after it was prepared");
        debug_assert_eq!(slot.state, SlotState::Queued, "accepted twice");
        slot.state = SlotState::Armed { flush };
    }

    /// The slot's event has come, or `io_submit` refused it with the negated errno `result`.
    pub(crate) fn complete(&mut self, key: Key, result: i64) -> Completion<P> {
        let Some(slot) = self.slot_mut(key) else {
            return Completion::Stale;
        };
        let (state, owner) = (slot.state, slot.owner);
        let completion = match owner {
            Owner::Poll { source, direction } => match state {
                SlotState::Queued => Completion::Poll { source, direction, inline: false },
                SlotState::Armed { flush } => Completion::Poll { source, direction, inline: flush == self.flush },
                SlotState::Cancelling => Completion::Disarmed,
                SlotState::Demoted => {
                    self.demoting = false;
                    Completion::Demoted { source, direction }
                }
            },
            Owner::Operation(id) => self.finish(id, result),
        };
        self.vacate(key);
        completion
    }

    /// Ends the operations that the kernel has not got, with `ECANCELED`, since there will be no
    /// further flush.
    pub(crate) fn withdraw_queued(&mut self, wakers: &mut Vec<Waker>) {
        const CANCELED: i64 = -(libc::ECANCELED as i64);
        self.queue.clear();
        self.backlog.clear();
        self.withdrawn = 0;
        let unsubmitted = self.operations.iter().filter(|(_, operation)| self.is_unsubmitted(&operation.stage));
        let ids: Vec<_> = unsubmitted.map(|(id, _)| id).collect();
        for id in ids {
            match std::mem::replace(&mut self.operations[id].stage, Stage::Done { result: CANCELED }) {
                Stage::Backlog { waker } => wakers.extend(waker),
                Stage::InFlight { waker, slot } => {
                    wakers.extend(waker);
                    self.vacate(slot);
                }
                Stage::Withdrawn => drop(self.operations.remove(id)),
                Stage::Orphaned | Stage::Done { .. } => unreachable!("these were submitted"),
            }
        }
    }

    fn is_unsubmitted(&self, stage: &Stage) -> bool {
        match stage {
            Stage::Backlog { .. } | Stage::Withdrawn => true,
            Stage::InFlight { slot, .. } => is_in_state(&self.slots, *slot, SlotState::Queued),
            Stage::Orphaned | Stage::Done { .. } => false,
        }
    }

    /// Takes the wakers of all who wait for a result.
    pub(crate) fn take_wakers(&mut self, wakers: &mut Vec<Waker>) {
        for (_, operation) in &mut self.operations {
            if let Stage::Backlog { waker } | Stage::InFlight { waker, .. } = &mut operation.stage {
                wakers.extend(waker.take());
            }
        }
    }

    fn finish(&mut self, id: usize, result: i64) -> Completion<P> {
        match std::mem::replace(&mut self.operations[id].stage, Stage::Done { result }) {
            Stage::InFlight { waker, .. } => Completion::Operation(waker),
            Stage::Orphaned => {
                self.orphans -= 1;
                let payload = self.operations.remove(id).payload;
                Completion::Orphan(payload.expect("only what is withdrawn has no payload"))
            }
            Stage::Backlog { .. } | Stage::Done { .. } | Stage::Withdrawn => {
                unreachable!("an operation with a slot is in flight or orphaned")
            }
        }
    }

    /// Moves operations from the backlog into free slots.
    fn admit(&mut self) {
        while self.has_slot_for_all() {
            let Some(id) = self.backlog.pop_front() else {
                return;
            };
            match std::mem::replace(&mut self.operations[id].stage, Stage::Withdrawn) {
                Stage::Backlog { waker } => {
                    let slot = self.occupy(Owner::Operation(id));
                    self.operations[id].stage = Stage::InFlight { waker, slot };
                }
                Stage::Withdrawn => {
                    self.operations.remove(id);
                    self.withdrawn -= 1;
                }
                Stage::InFlight { .. } | Stage::Orphaned | Stage::Done { .. } => {
                    unreachable!("the backlog holds what has no slot yet")
                }
            }
        }
    }

    /// Whether there is a slot that is not kept for the reactor's own polls.
    fn has_slot_for_all(&self) -> bool {
        self.slots.len() < self.capacity - OWN_POLLS
    }

    /// Takes the withdrawn operations out of the backlog.
    fn sweep_backlog(&mut self) {
        let operations = &mut self.operations;
        self.backlog.retain(|id| {
            let withdrawn = matches!(operations[*id].stage, Stage::Withdrawn);
            if withdrawn {
                operations.remove(*id);
            }
            !withdrawn
        });
        self.withdrawn = 0;
    }

    fn occupy(&mut self, owner: Owner) -> Key {
        let generation = self.next_generation;
        self.next_generation = generation.wrapping_add(1);
        let index = self.slots.insert(Slot { generation, state: SlotState::Queued, owner, since: self.arms }) as u32;
        self.polls += usize::from(matches!(owner, Owner::Poll { .. }));
        self.peak = self.peak.max(self.slots.len());
        let key = Key { index, generation };
        self.queue.push(key);
        key
    }

    fn vacate(&mut self, key: Key) {
        let slot = self.slots.remove(key.index());
        self.polls -= usize::from(matches!(slot.owner, Owner::Poll { .. }));
        if !self.backlog.is_empty() {
            self.admit();
        }
    }

    fn slot_mut(&mut self, key: Key) -> Option<&mut Slot> {
        self.slots.get_mut(key.index()).filter(|slot| slot.generation == key.generation)
    }
}

fn is_in_state(slots: &Slab<Slot>, key: Key, state: SlotState) -> bool {
    slots.get(key.index()).is_some_and(|slot| slot.generation == key.generation && slot.state == state)
}
