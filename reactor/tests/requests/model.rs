//! The model beside the requests under test: lists and numbers, so plain that one sees that it is
//! right.

use std::collections::{HashSet, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::task::Waker;

use super::super::Flag;
use crate::reactor::ids::{Key, OperationId};
use crate::reactor::requests::{Completion, Owner, Requests};

/// What the slots reserve, see `Requests::new`.
pub(super) const OWN_POLLS: usize = 2;
pub(super) const FEWEST_SLOTS: usize = 16;
/// How many times the capacity is armed before a poll is idle.
pub(super) const IDLE_ROUNDS: usize = 4;
/// How many turns a poll stays armed that nobody waits for.
pub(super) const GRACE: usize = 3;

/// What a request owns. Counts its drops.
pub(super) struct Payload {
    pub(super) number: usize,
    pub(super) drops: Rc<std::cell::Cell<usize>>,
}

impl Drop for Payload {
    fn drop(&mut self) {
        self.drops.set(self.drops.get() + 1);
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Queued,
    Armed { flush: usize },
    Cancelling,
    Demoted,
    Moving,
    Abandoned,
}

/// A request with a slot.
#[derive(Debug)]
pub(super) struct Slot {
    /// Operations by their number, whereas the requests have an index of their own.
    pub(super) owner: Owner,
    pub(super) state: State,
    pub(super) armed_at: usize,
    /// The context that accepted it, counted in growths.
    pub(super) context: usize,
    /// The first and the latest turn in which its last waiter left, since it was last looked at.
    pub(super) left: Option<(usize, usize)>,
    /// Known at once for polls, and once it is taken from the queue for an operation.
    pub(super) key: Option<Key>,
}

/// A file operation; `number` names it, its slot and its payload.
pub(super) struct Operation {
    pub(super) number: usize,
    /// `None` once it was abandoned.
    pub(super) id: Option<OperationId>,
    pub(super) waker: Option<Arc<Flag>>,
    pub(super) result: Option<i64>,
}

/// The requests, and what is known about them.
pub(super) struct Walk {
    pub(super) requests: Requests<Payload>,
    pub(super) capacity: usize,
    /// In the order of arrival, which is that of the queue while they are queued.
    pub(super) slots: Vec<Slot>,
    pub(super) backlog: VecDeque<usize>,
    /// Abandoned in the backlog. They keep their place until their turn comes, or until they are
    /// the majority there.
    pub(super) withdrawn: HashSet<usize>,
    pub(super) operations: Vec<Operation>,
    pub(super) drops: Vec<Rc<std::cell::Cell<usize>>>,
    pub(super) flags: Vec<Arc<Flag>>,
    pub(super) flush: usize,
    pub(super) peak: usize,
    pub(super) arms: usize,
    pub(super) context: usize,
    pub(super) turn: usize,
    pub(super) seen: HashSet<u64>,
    pub(super) dead: Vec<Key>,
}

impl Walk {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            requests: Requests::new(capacity),
            capacity: capacity.max(FEWEST_SLOTS),
            slots: Vec::new(),
            backlog: VecDeque::new(),
            withdrawn: HashSet::new(),
            operations: Vec::new(),
            drops: Vec::new(),
            flags: Vec::new(),
            flush: 0,
            peak: 0,
            arms: 0,
            context: 0,
            turn: 0,
            seen: HashSet::new(),
            dead: Vec::new(),
        }
    }

    // ---- the model's own moves ----

    pub(super) fn occupy(&mut self, owner: Owner, key: Option<Key>) {
        let (armed_at, context) = (self.arms, self.context);
        self.slots.push(Slot { owner, state: State::Queued, armed_at, context, left: None, key });
        self.peak = self.peak.max(self.slots.len());
        if let Some(key) = key {
            self.meet(key);
        }
    }

    pub(super) fn vacate(&mut self, at: usize) {
        // A key that the test never learned cannot be checked for later.
        self.dead.extend(self.slots.remove(at).key);
        self.admit();
    }

    pub(super) fn admit(&mut self) {
        while self.slots.len() < self.capacity - OWN_POLLS {
            let Some(number) = self.backlog.pop_front() else { return };
            if !self.withdrawn.remove(&number) {
                self.occupy(Owner::Operation(number), None);
            }
        }
    }

    /// Learns a new key: its place must be free, and the pair of place and generation unused.
    pub(super) fn meet(&mut self, key: Key) {
        assert!(key.index() < self.capacity);
        assert_eq!(Key::from_data(key.to_data()), key, "a key survives the way through the kernel");
        assert!(self.seen.insert(key.to_data()), "{key:?} named another request before");
        let places = self.slots.iter().filter_map(|slot| slot.key).filter(|other| other.index() == key.index());
        assert_eq!(places.count(), 1, "one request per place");
    }

    /// Checks that these are the queued requests, in the order of their arrival, and learns the
    /// keys of operations.
    pub(super) fn recognise(&mut self, keys: &[Key]) {
        let queued: Vec<usize> = (0..self.slots.len()).filter(|at| self.slots[*at].state == State::Queued).collect();
        assert_eq!(keys.len(), queued.len());
        for (key, at) in keys.iter().zip(queued) {
            let number = match (self.requests.slots.owner(*key), self.slots[at].owner) {
                (Some(Owner::Poll(queued)), Owner::Poll(kind)) => {
                    assert_eq!(queued, kind);
                    None
                }
                (Some(Owner::Operation(id)), Owner::Operation(number)) => {
                    assert_eq!(self.requests.operations.payload_mut(id).number, number);
                    Some(number)
                }
                (owner, expected) => panic!("{owner:?} where {expected:?} was queued"),
            };
            match self.slots[at].key {
                Some(known) => assert_eq!(*key, known),
                None => {
                    assert!(number.is_some(), "the keys of polls are known from the start");
                    self.slots[at].key = Some(*key);
                    self.meet(*key);
                }
            }
        }
    }

    // ---- what there is ----

    pub(super) fn is_on_former(&self, slot: &Slot) -> bool {
        slot.state != State::Queued && slot.context != self.context
    }

    pub(super) fn polls(&self) -> usize {
        self.slots.iter().filter(|slot| matches!(slot.owner, Owner::Poll(_))).count()
    }

    pub(super) fn slot_of(&self, key: Key) -> usize {
        self.slots.iter().position(|slot| slot.key == Some(key)).expect("a live key")
    }

    pub(super) fn choose(&self, which: u8, among: impl Fn(&Slot) -> bool) -> Option<usize> {
        let all: Vec<usize> = (0..self.slots.len()).filter(|at| among(&self.slots[*at])).collect();
        (!all.is_empty()).then(|| all[usize::from(which) % all.len()])
    }

    /// An operation whose future is alive.
    pub(super) fn choose_operation(&self, which: u8) -> Option<usize> {
        let all: Vec<usize> = (0..self.operations.len()).filter(|at| self.operations[*at].id.is_some()).collect();
        (!all.is_empty()).then(|| all[usize::from(which) % all.len()])
    }

    pub(super) fn new_waker(&mut self) -> (Arc<Flag>, Waker) {
        let flag = Arc::<Flag>::default();
        self.flags.push(Arc::clone(&flag));
        (Arc::clone(&flag), Waker::from(flag))
    }

    // ---- the laws ----

    pub(super) fn check(&self) {
        let orphans = self.operations.iter().filter(|operation| operation.id.is_none()).count();
        assert_eq!(self.requests.slots.capacity(), self.capacity);
        assert_eq!(self.requests.slots.in_use(), self.slots.len());
        assert_eq!(self.requests.slots.peak(), self.peak);
        assert_eq!(self.requests.operations.orphans(), orphans);
        assert_eq!(self.requests.operations.kept(), self.operations.len() + self.withdrawn.len());
        assert!(self.slots.len() <= self.capacity);

        let on_former = self.slots.iter().filter(|slot| self.is_on_former(slot)).count();
        assert_eq!(self.requests.slots.on_former(), on_former);
        let is_odd = |number: usize| !number.is_multiple_of(2);
        let in_flight = |operation: &Operation| {
            operation.result.is_none() && !self.backlog.contains(&operation.number) && is_odd(operation.number)
        };
        assert_eq!(
            self.requests.operations.has_in_flight(|payload| is_odd(payload.number)),
            self.operations.iter().any(in_flight)
        );
        for slot in &self.slots {
            if let Some(key) = slot.key {
                let is_on_former = self.requests.slots.is_on_former(key);
                assert!(slot.state == State::Queued || is_on_former == self.is_on_former(slot), "{slot:?}");
                assert!(self.requests.slots.owner(key).is_some(), "{slot:?} is not forgotten before its event");
                assert_eq!(self.requests.slots.registration(key).is_some(), has_registration(slot), "{slot:?}");
            }
        }
        for (number, drops) in self.drops.iter().enumerate() {
            let alive = self.operations.iter().any(|operation| operation.number == number);
            assert_eq!(
                drops.get(),
                usize::from(!alive),
                "payload {number} is dropped once, when its operation is over"
            );
        }
        let operations_in_slots = self.slots.len() - self.polls();
        assert!(self.backlog.is_empty() || operations_in_slots > 0, "polls alone never keep operations out");
    }

    /// The end of a runtime with requests left: those that the kernel has not got are withdrawn,
    /// all waiters are woken, and the rest is dropped.
    pub(super) fn finish(mut self) {
        let flags =
            |operations: &[Operation]| operations.iter().filter_map(|operation| operation.waker.clone()).collect();
        let with_kernel = |operation: &Operation| {
            let owner = Owner::Operation(operation.number);
            self.slots.iter().any(|slot| slot.owner == owner && slot.state != State::Queued)
        };
        let (submitted, unsubmitted): (Vec<_>, Vec<_>) = self
            .operations
            .drain(..)
            .filter(|operation| operation.id.is_some() && operation.result.is_none() || operation.id.is_none())
            .partition(with_kernel);

        let mut wakers = Vec::new();
        self.requests.withdraw_queued(&mut wakers);
        assert_same_set(&wakers, flags(&unsubmitted));
        for operation in unsubmitted {
            let (payload, result) =
                self.requests.operations.fetch(&operation.id.expect("abandoned, it was gone")).expect("withdrawn");
            assert_eq!((payload.number, result), (operation.number, -i64::from(libc::ECANCELED)));
        }
        assert_eq!(
            self.requests.operations.orphans(),
            submitted.iter().filter(|operation| operation.id.is_none()).count()
        );
        self.slots.retain(|slot| slot.state != State::Queued || matches!(slot.owner, Owner::Poll(_)));
        assert_eq!(self.requests.slots.in_use(), self.slots.len());
        for operation in &submitted {
            assert_eq!(self.drops[operation.number].get(), 0, "the kernel still has it");
        }

        wakers.clear();
        self.requests.operations.take_wakers(&mut wakers);
        assert_same_set(&wakers, flags(&submitted));
        drop((wakers, submitted, self.requests));
        assert!(self.drops.iter().all(|drops| drops.get() == 1), "each payload is dropped once");
        assert!(self.flags.iter().all(|flag| Arc::strong_count(flag) == 1), "no waker is kept");
    }
}

pub(super) fn is_own(owner: Owner) -> bool {
    matches!(owner, Owner::Poll(kind) if kind.is_own())
}

/// Whether a registration holds the key of this poll.
pub(super) fn has_registration(slot: &Slot) -> bool {
    matches!(slot.owner, Owner::Poll(kind) if !kind.is_own()) && slot.state != State::Cancelling
}

pub(super) fn assert_same(waker: Option<&Waker>, flag: Option<&Arc<Flag>>) {
    let expected = flag.map(|flag| Waker::from(Arc::clone(flag)));
    match (waker, &expected) {
        (None, None) => {}
        (Some(waker), Some(expected)) if waker.will_wake(expected) => {}
        _ => panic!("the waker of the latest poll, and no other: {waker:?} for {expected:?}"),
    }
}

pub(super) fn assert_same_set(wakers: &[Waker], flags: Vec<Arc<Flag>>) {
    assert_eq!(wakers.len(), flags.len());
    for flag in flags {
        let expected = Waker::from(flag);
        assert!(wakers.iter().any(|waker| waker.will_wake(&expected)), "every waiter is woken");
    }
}

pub(super) fn name<P>(completion: &Completion<P>) -> &'static str {
    match completion {
        Completion::Stale => "Stale",
        Completion::Poll { .. } => "Poll",
        Completion::Disarmed => "Disarmed",
        Completion::Demoted { .. } => "Demoted",
        Completion::Moved { .. } => "Moved",
        Completion::Abandoned { .. } => "Abandoned",
        Completion::Operation(_) => "Operation",
        Completion::Orphan(_) => "Orphan",
    }
}
