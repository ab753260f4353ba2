//! The record of everything in flight: slots, which the kernel sees, and file operations, which
//! users see.
//!
//! Pure state: no call is made here. Transitions return what is to be done, so all of them can be
//! tested against a naive model without a kernel.
//!
//! A **slot** is one iocb's place, from the decision to submit it to its event:
//!
//! ```text
//!   arm, start ──► Queued ──accepted──► Armed ──event──────────────────────► vacant
//!                   │  │                 ├─disarm (poll)──► Cancelling ──event──► vacant
//!       disarm,     │  └─refused─┐       ├─demote (poll)──► Demoted ──event──► vacant, and the
//!       abandon ────┤            │       │                 (undone: Armed)     source overflows
//!                   ▼            ▼       ├─move (poll)────► Moving ──event──► vacant, and the
//!                 vacant       vacant    │                 (undone: Armed)    source is armed again
//!                                        ├─abandon (poll)──► Abandoned ──event──► vacant, and the
//!                                        │                 (undone: Armed)    source, if it is waited for
//!                                        └─abandon (file)─► its operation is Orphaned,
//!                                                            and the slot Armed ──event──► vacant
//! ```
//!
//! Law: *a slot that was accepted is freed by its event and by nothing else*; exactly one event
//! comes, also after a cancel. A [`Key`] is a slot's index and generation, so an event can never
//! reach the slot's next owner.
//!
//! An **operation** is a read, write or sync with all that the kernel may touch (`P`): the buffer,
//! the file. It lives here and not in the future, which holds only an [`OperationId`]; so both
//! `drop` and `mem::forget` of the future are harmless. Its result waits outside the slot: a result
//! that nobody fetches holds none of the kernel's slots.
//!
//! ```text
//!   start ──► Backlog ──slot free──► InFlight ──event, refusal──► Done ──fetch, abandon──► gone
//!                │                      ├─abandon, still queued──► gone
//!                │                      └─abandon─► Orphaned ──event──► gone
//!                └─abandon─► Withdrawn ──its turn, or a sweep──► gone
//! ```

mod idle_clock;
mod left;
mod operations;
mod request;
mod slot;
mod slots;

use std::task::Waker;

use super::ids::{Direction, Key, OperationId, PollKind, SourceId};
use operations::Operations;
use slot::SlotState;

pub(crate) use request::{Opcode, Request, bytes};
pub(crate) use slot::Owner;
pub(crate) use slots::{Disarm, Slots};

/// What an event, or a refusal, meant.
#[derive(Debug)]
pub(crate) enum Completion<P> {
    /// Nobody's: no slot has this key.
    Stale,
    /// A poll. `inline`: it completed inside the `io_submit` that armed it.
    Poll { kind: PollKind, inline: bool },
    /// The end of a poll that was disarmed.
    Disarmed,
    /// The end of a demoted poll: the registration has to wait in the nested epoll.
    Demoted { source: SourceId, direction: Direction },
    /// The end of a moving poll: the registration is to be armed on the new context.
    Moved { source: SourceId, direction: Direction },
    /// The end of an abandoned poll: if somebody has come since, the registration is to be armed
    /// again.
    Abandoned { source: SourceId, direction: Direction },
    /// The result is ready to be fetched.
    Operation(Option<Waker>),
    /// The end of an abandoned operation: now the payload may be freed.
    Orphan(P),
}

/// Slots and operations, joined: here is what concerns both.
///
/// Invariant: the backlog is empty unless operations cannot get another slot.
#[derive(Debug)]
pub(crate) struct Requests<P> {
    pub(crate) slots: Slots,
    pub(crate) operations: Operations<P>,
}

impl<P> Requests<P> {
    /// Requests in `capacity` slots; see [`Slots`].
    pub(crate) fn new(capacity: usize) -> Self {
        Self { slots: Slots::new(capacity), operations: Operations::new() }
    }

    /// Takes over an operation. It is queued at once, or as soon as a slot is free.
    pub(crate) fn start(&mut self, payload: P, waker: Waker) -> OperationId {
        let index = self.operations.next_index();
        let at_once = !self.operations.has_backlog() && self.slots.has_free_slot();
        let slot = at_once.then(|| self.slots.occupy(Owner::Operation(index)));
        self.operations.insert(payload, waker, slot)
    }

    /// Gives up an operation whose future is gone. The payload comes back if the kernel does not
    /// have it; otherwise it stays here until the event. The waker comes back in any case: its drop
    /// is user code.
    pub(crate) fn abandon(&mut self, id: OperationId) -> (Option<P>, Option<Waker>) {
        let (payload, waker, slot) = self.operations.abandon(id, |key| self.slots.is_queued(key));
        if let Some(slot) = slot {
            self.slots.vacate(slot);
            self.admit();
        }
        (payload, waker)
    }

    /// Gives back a poll's slot: at once, or by way of a cancel.
    ///
    /// # Panics
    ///
    /// If the key is not that of a poll that is queued, armed, demoted, moving or abandoned.
    pub(crate) fn disarm(&mut self, key: Key) -> Disarm {
        let disarm = self.slots.disarm(key);
        self.admit_after(disarm)
    }

    /// Gives back the slot of a poll that nobody waits for, while its registration lives: at once,
    /// or by way of a cancel, and then its event will come as [`Completion::Abandoned`]. Leaves it
    /// alone if it is cancelled already.
    pub(crate) fn abandon_poll(&mut self, key: Key) -> Disarm {
        let disarm = self.slots.abandon(key);
        self.admit_after(disarm)
    }

    fn admit_after(&mut self, disarm: Disarm) -> Disarm {
        if disarm == Disarm::Vacated {
            self.admit();
        }
        disarm
    }

    /// Chooses an idle poll to give up its slot. `None` while operations wait for one: they would
    /// get it.
    pub(crate) fn demote(&mut self, overflowed: usize) -> Option<Key> {
        if self.operations.has_backlog() {
            return None;
        }
        self.slots.demote(overflowed)
    }

    /// Gives all that waits for a slot one of the new ones; see [`Slots`].
    pub(crate) fn grow(&mut self, capacity: usize) -> Vec<Key> {
        let movable = self.slots.grow(capacity);
        self.admit();
        movable
    }

    /// The slot's event has come, or `io_submit` refused it with the negated errno `result`.
    pub(crate) fn complete(&mut self, key: Key, result: i64) -> Completion<P> {
        let Some(slot) = self.slots.vacate(key) else { return Completion::Stale };
        let completion = match (slot.owner, slot.state) {
            (Owner::Poll(kind), SlotState::Queued | SlotState::Armed { .. }) => {
                Completion::Poll { kind, inline: self.slots.is_inline(slot.state) }
            }
            (Owner::Poll(_), SlotState::Cancelling) => Completion::Disarmed,
            (Owner::Poll(PollKind::Waiters(source, direction)), SlotState::Demoted) => {
                Completion::Demoted { source, direction }
            }
            (Owner::Poll(PollKind::Waiters(source, direction)), SlotState::Moving) => {
                Completion::Moved { source, direction }
            }
            (Owner::Poll(PollKind::Waiters(source, direction)), SlotState::Abandoned) => {
                Completion::Abandoned { source, direction }
            }
            (
                Owner::Poll(PollKind::Unpark | PollKind::Overflow),
                SlotState::Demoted | SlotState::Moving | SlotState::Abandoned,
            ) => {
                unreachable!("the reactor's own polls are never demoted or abandoned, and not moved but armed again")
            }
            (Owner::Operation(index), _) => match self.operations.finish(index, result) {
                Ok(waker) => Completion::Operation(waker),
                Err(payload) => Completion::Orphan(payload),
            },
        };
        self.admit();
        completion
    }

    /// Ends the operations that the kernel does not have, with `ECANCELED`, since there will be no
    /// further flush.
    pub(crate) fn withdraw_queued(&mut self, wakers: &mut Vec<Waker>) {
        const CANCELED: i64 = -(libc::ECANCELED as i64);
        let vacated = self.operations.end_unsubmitted(CANCELED, |key| self.slots.is_queued(key), wakers);
        for slot in vacated {
            self.slots.vacate(slot);
        }
        self.slots.clear_queue();
    }

    /// Gives free slots to the operations that wait for one.
    fn admit(&mut self) {
        while self.operations.has_backlog() && self.slots.has_free_slot() {
            self.operations.admit(|index| self.slots.occupy(Owner::Operation(index)));
        }
    }
}
