//! File operations: what their futures see of a request.

use std::collections::VecDeque;
use std::task::Waker;

use slab::Slab;

use crate::reactor::ids::{Key, OperationId};

#[derive(Debug)]
struct Entry<P> {
    /// Stays where it is from start to end. `None` only where it was given back: in `Withdrawn`.
    payload: Option<P>,
    stage: Stage,
}

/// How far an operation is.
#[derive(Debug)]
pub(super) enum Stage {
    Backlog { waker: Option<Waker> },
    InFlight { waker: Option<Waker>, slot: Key },
    Orphaned,
    Done { result: i64 },
    Withdrawn,
}

/// All operations whose result nobody has fetched yet.
#[derive(Debug)]
pub(crate) struct Operations<P> {
    entries: Slab<Entry<P>>,
    /// Operations without a slot, in order.
    backlog: VecDeque<usize>,
    /// How many of the backlog were abandoned there.
    withdrawn: usize,
    orphans: usize,
}

impl<P> Operations<P> {
    pub(super) fn new() -> Self {
        Self { entries: Slab::new(), backlog: VecDeque::new(), withdrawn: 0, orphans: 0 }
    }

    /// Operations that were dropped while the kernel had their payload.
    pub(crate) fn orphans(&self) -> usize {
        self.orphans
    }

    /// Operations of which anything is kept.
    #[cfg(test)]
    pub(crate) fn kept(&self) -> usize {
        self.entries.len()
    }

    /// Whether the kernel has, or is to get, a payload of this kind. Looks at one after the other.
    pub(crate) fn has_in_flight(&self, is_kind: impl Fn(&P) -> bool) -> bool {
        self.entries.iter().any(|(_, entry)| {
            matches!(entry.stage, Stage::InFlight { .. } | Stage::Orphaned)
                && entry.payload.as_ref().is_some_and(&is_kind)
        })
    }

    // ---- the way in ----

    /// Whether some wait for a slot.
    pub(crate) fn has_backlog(&self) -> bool {
        !self.backlog.is_empty()
    }

    /// The index that the next operation will have.
    pub(super) fn next_index(&self) -> usize {
        self.entries.vacant_key()
    }

    /// Takes in an operation; without a slot it joins the backlog.
    pub(super) fn insert(&mut self, payload: P, waker: Waker, slot: Option<Key>) -> OperationId {
        let waker = Some(waker);
        let stage = match slot {
            Some(slot) => Stage::InFlight { waker, slot },
            None => Stage::Backlog { waker },
        };
        let index = self.entries.insert(Entry { payload: Some(payload), stage });
        if slot.is_none() {
            self.backlog.push_back(index);
        }
        OperationId(index)
    }

    /// Gives the oldest operation of the backlog the slot that `occupy` takes for it.
    pub(super) fn admit(&mut self, occupy: impl FnOnce(usize) -> Key) {
        while let Some(index) = self.backlog.pop_front() {
            let stage = &mut self.entries[index].stage;
            match std::mem::replace(stage, Stage::Withdrawn) {
                Stage::Backlog { waker } => {
                    *stage = Stage::InFlight { waker, slot: occupy(index) };
                    return;
                }
                Stage::Withdrawn => {
                    self.entries.remove(index);
                    self.withdrawn -= 1;
                }
                Stage::InFlight { .. } | Stage::Orphaned | Stage::Done { .. } => {
                    unreachable!("the backlog holds operations without a slot")
                }
            }
        }
    }

    /// What a queued operation asks of the kernel.
    ///
    /// # Panics
    ///
    /// If the operation is not in flight.
    pub(crate) fn payload_mut(&mut self, index: usize) -> &mut P {
        match &mut self.entries[index] {
            Entry { payload: Some(payload), stage: Stage::InFlight { .. } } => payload,
            _ => unreachable!("a queued slot's operation is in flight"),
        }
    }

    // ---- the way out ----

    /// The operation's request has ended with `result`, which waits to be fetched by whoever is to
    /// be woken. `Err`: nobody will fetch it, so the payload may be freed.
    pub(super) fn finish(&mut self, index: usize, result: i64) -> Result<Option<Waker>, P> {
        match std::mem::replace(&mut self.entries[index].stage, Stage::Done { result }) {
            Stage::InFlight { waker, .. } => Ok(waker),
            Stage::Orphaned => {
                self.orphans -= 1;
                Err(self.remove(index).expect("only a withdrawn operation has no payload"))
            }
            Stage::Backlog { .. } | Stage::Done { .. } | Stage::Withdrawn => {
                unreachable!("an operation with a slot is in flight or orphaned")
            }
        }
    }

    /// The payload back with bytes or a negated errno, if the operation is done. That gives up the
    /// id.
    pub(crate) fn fetch(&mut self, id: &OperationId) -> Option<(P, i64)> {
        let Stage::Done { result } = self.entries[id.0].stage else { return None };
        Some((self.remove(id.0).expect("only a withdrawn operation has no payload"), result))
    }

    /// [`fetch`](Self::fetch), or has the operation wake this waker when it is done. Returns the
    /// waker that is no longer needed.
    pub(crate) fn fetch_or_wait(&mut self, id: &OperationId, waker: Waker) -> (Option<(P, i64)>, Option<Waker>) {
        match &mut self.entries[id.0].stage {
            Stage::Backlog { waker: kept } | Stage::InFlight { waker: kept, .. } => (None, kept.replace(waker)),
            Stage::Done { .. } => (self.fetch(id), Some(waker)),
            Stage::Orphaned | Stage::Withdrawn => unreachable!("an abandoned operation's id is given up"),
        }
    }

    /// Gives up an operation whose future is gone. `is_queued` says whether a slot has yet to be
    /// submitted. Returns what is to be dropped outside the borrow, and the slot to be
    /// vacated. A payload that the kernel has stays here until the event.
    pub(super) fn abandon(
        &mut self,
        id: OperationId,
        is_queued: impl FnOnce(Key) -> bool,
    ) -> (Option<P>, Option<Waker>, Option<Key>) {
        let entry = &mut self.entries[id.0];
        match std::mem::replace(&mut entry.stage, Stage::Withdrawn) {
            Stage::Backlog { waker } => {
                // Stays in the backlog until its turn, unless too many do.
                let payload = entry.payload.take();
                self.withdrawn += 1;
                if 2 * self.withdrawn > self.backlog.len() {
                    self.sweep_backlog();
                }
                (payload, waker, None)
            }
            Stage::InFlight { waker, slot } if is_queued(slot) => (self.remove(id.0), waker, Some(slot)),
            Stage::InFlight { waker, .. } => {
                entry.stage = Stage::Orphaned;
                self.orphans += 1;
                (None, waker, None)
            }
            Stage::Done { .. } => (self.remove(id.0), None, None),
            Stage::Orphaned | Stage::Withdrawn => unreachable!("an abandoned operation's id is given up"),
        }
    }

    /// Removes the withdrawn operations from the backlog.
    fn sweep_backlog(&mut self) {
        let entries = &mut self.entries;
        self.backlog.retain(|index| {
            let withdrawn = matches!(entries[*index].stage, Stage::Withdrawn);
            if withdrawn {
                entries.remove(*index);
            }
            !withdrawn
        });
        self.withdrawn = 0;
    }

    fn remove(&mut self, index: usize) -> Option<P> {
        self.entries.remove(index).payload
    }

    // ---- the end of the reactor ----

    /// Ends the operations that the kernel does not have with `result`. `is_queued` tells whether a
    /// slot is still to be submitted. Returns the slots to be vacated.
    pub(super) fn end_unsubmitted(
        &mut self,
        result: i64,
        is_queued: impl Fn(Key) -> bool,
        wakers: &mut Vec<Waker>,
    ) -> Vec<Key> {
        self.backlog.clear();
        self.withdrawn = 0;
        self.entries.retain(|_, entry| !matches!(entry.stage, Stage::Withdrawn));
        let mut vacated = Vec::new();
        for (_, entry) in &mut self.entries {
            match &mut entry.stage {
                Stage::Backlog { waker } => wakers.extend(waker.take()),
                Stage::InFlight { waker, slot } if is_queued(*slot) => {
                    wakers.extend(waker.take());
                    vacated.push(*slot);
                }
                Stage::InFlight { .. } | Stage::Orphaned | Stage::Done { .. } | Stage::Withdrawn => continue,
            }
            entry.stage = Stage::Done { result };
        }
        vacated
    }

    /// Hands over the wakers of all who wait for a result.
    pub(crate) fn take_wakers(&mut self, wakers: &mut Vec<Waker>) {
        for (_, entry) in &mut self.entries {
            if let Stage::Backlog { waker } | Stage::InFlight { waker, .. } = &mut entry.stage {
                wakers.extend(waker.take());
            }
        }
    }
}
