//! Walks over all transitions of the slot table, beside a model of lists and numbers that is plain
//! enough to be seen to be right.

use std::collections::{HashSet, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::task::Waker;

use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::Flag;
use crate::reactor::readiness::{Direction, SourceId};
use crate::reactor::requests::{self, Completion, Disarm, Key, OperationId, Requests};

/// What the table reserves, see `Requests::new`.
const OWN_POLLS: usize = 2;
const FEWEST_SLOTS: usize = 16;
/// How many times the capacity is armed before a poll is idle.
const IDLE: usize = 4;

/// One call of the table. Numbers choose among what there is, so every step means something in
/// every state.
#[derive(Clone, Debug)]
enum Step {
    Arm(u8),
    ArmOwn(u8),
    Disarm(u8),
    /// So many times the capacity of polls come and go.
    Age(u8),
    Evict,
    /// What was evicted last could not be cancelled.
    Stay,
    Start,
    Await(u8),
    Fetch(u8),
    Abandon(u8),
    /// Takes the queue; the kernel accepts or refuses each, until it may have no room for the rest.
    Flush {
        refused: u64,
        room: u8,
    },
    EndFlush,
    Complete(u8, i64),
    /// An event of a request that is over.
    CompleteStale(u8),
}

/// All in one: each is counted when it is dropped.
struct Payload {
    number: usize,
    drops: Rc<std::cell::Cell<usize>>,
}

impl Drop for Payload {
    fn drop(&mut self) {
        self.drops.set(self.drops.get() + 1);
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Queued,
    Armed { flush: usize },
    Cancelling,
    Demoted,
}

/// A request with a slot.
#[derive(Debug)]
struct Slot {
    owner: Owner,
    state: State,
    since: usize,
    /// Known for polls at once, for operations when they are taken from the queue.
    key: Option<Key>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    Poll {
        source: u32,
        direction: Direction,
    },
    /// By its number.
    Operation(usize),
}

/// A file operation; `number` names it, its slot and its payload.
struct Operation {
    number: usize,
    /// `None` once it was abandoned.
    id: Option<OperationId>,
    waker: Option<Arc<Flag>>,
    result: Option<i64>,
}

/// The table, and what is known about it.
struct Walk {
    table: Requests<Payload>,
    capacity: usize,
    /// In the order of arrival, which is that of the queue while they are queued.
    slots: Vec<Slot>,
    backlog: VecDeque<usize>,
    /// Abandoned in the backlog, where they keep their place until their turn, or until they are
    /// the majority.
    withdrawn: HashSet<usize>,
    operations: Vec<Operation>,
    drops: Vec<Rc<std::cell::Cell<usize>>>,
    flags: Vec<Arc<Flag>>,
    flush: usize,
    peak: usize,
    arms: usize,
    seen: HashSet<u64>,
    dead: Vec<Key>,
}

impl Walk {
    fn new(capacity: usize) -> Self {
        Self {
            table: Requests::new(capacity),
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
            seen: HashSet::new(),
            dead: Vec::new(),
        }
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Arm(source) => self.arm(source),
            Step::ArmOwn(which) => self.arm_own(which),
            Step::Disarm(which) => self.disarm(which),
            Step::Age(times) => {
                self.table.advance_clock(self.capacity * usize::from(times));
                self.arms += self.capacity * usize::from(times);
            }
            Step::Evict => self.demote(),
            Step::Stay => self.undo_demotion(),
            Step::Start => self.start(),
            Step::Await(which) => self.await_result(which),
            Step::Fetch(which) => self.fetch(which),
            Step::Abandon(which) => self.abandon(which),
            Step::Flush { refused, room } => self.flush(refused, room),
            Step::EndFlush => {
                self.table.end_flush();
                self.flush += 1;
            }
            Step::Complete(which, result) => self.complete(which, result),
            Step::CompleteStale(which) => self.complete_stale(which),
        }
    }

    // ---- the steps ----

    fn arm(&mut self, source: u8) {
        self.arms += 1;
        let source = OWN_POLLS as u32 + u32::from(source);
        let direction = if source.is_multiple_of(2) { Direction::Read } else { Direction::Write };
        let for_all = self.capacity - OWN_POLLS;
        let expected = self.slots.len() < for_all && self.polls() < for_all - for_all / 4;
        let key = self.table.arm(SourceId(source), direction);
        assert_eq!(key.is_some(), expected, "{} slots, {} polls", self.slots.len(), self.polls());
        if let Some(key) = key {
            self.occupy(Owner::Poll { source, direction }, Some(key));
        }
    }

    fn arm_own(&mut self, which: u8) {
        let owner = Owner::Poll { source: u32::from(which) % OWN_POLLS as u32, direction: Direction::Read };
        let Owner::Poll { source, .. } = owner else { unreachable!() };
        // The reactor has one poll of each, and arms it again when it is over.
        if self.slots.iter().any(|slot| slot.owner == owner && slot.state != State::Cancelling) {
            return;
        }
        if self.slots.iter().filter(|slot| is_own(slot.owner)).count() == OWN_POLLS {
            return;
        }
        let key = self.table.arm_own(SourceId(source));
        self.occupy(owner, Some(key));
        assert!(self.slots.len() <= self.capacity, "the reactor's own polls have slots of their own");
    }

    fn disarm(&mut self, which: u8) {
        let polls = |slot: &Slot| matches!(slot.owner, Owner::Poll { .. }) && slot.state != State::Cancelling;
        let Some(at) = self.choose(which, polls) else { return };
        let key = self.slots[at].key.expect("the key of a poll is known");
        match self.slots[at].state {
            State::Queued => {
                assert_eq!(self.table.disarm(key), Disarm::Vacated);
                self.vacate(at);
            }
            State::Armed { .. } => {
                assert_eq!(self.table.disarm(key), Disarm::Cancel);
                self.slots[at].state = State::Cancelling;
            }
            State::Demoted => {
                assert_eq!(self.table.disarm(key), Disarm::AwaitEvent);
                self.slots[at].state = State::Cancelling;
            }
            State::Cancelling => unreachable!(),
        }
    }

    /// Of the idle polls any may be chosen; and one is, by searches that look at all slots.
    fn demote(&mut self) {
        let is_idle = |slot: &Slot| {
            matches!((slot.owner, slot.state), (Owner::Poll { source, .. }, State::Armed { .. }) if !is_own_id(source))
                && self.arms - slot.since >= IDLE * self.capacity
        };
        let idle: Vec<usize> = (0..self.slots.len()).filter(|at| is_idle(&self.slots[*at])).collect();
        match (0..self.capacity).find_map(|_| self.table.demote(0)) {
            Some(key) => {
                let at = self.slot_of(key);
                assert!(idle.contains(&at), "{:?}", self.slots[at]);
                assert!(self.slots.iter().all(|slot| slot.state != State::Demoted), "one at a time");
                self.slots[at].state = State::Demoted;
            }
            None => assert!(
                idle.is_empty()
                    || !self.backlog.is_empty()
                    || self.slots.iter().any(|slot| slot.state == State::Demoted)
            ),
        }
    }

    fn undo_demotion(&mut self) {
        let Some(at) = self.choose(0, |slot| slot.state == State::Demoted) else { return };
        self.table.undo_demotion(self.slots[at].key.expect("the key of a poll is known"));
        self.slots[at].since = self.arms;
        self.slots[at].state = State::Armed { flush: usize::MAX };
    }

    fn start(&mut self) {
        let number = self.drops.len();
        let drops = Rc::default();
        self.drops.push(Rc::clone(&drops));
        let (flag, waker) = self.new_waker();
        let id = self.table.start(Payload { number, drops }, waker);
        self.operations.push(Operation { number, id: Some(id), waker: Some(flag), result: None });
        self.backlog.push_back(number);
        self.admit();
    }

    /// A future that polls again, with another waker.
    fn await_result(&mut self, which: u8) {
        let Some(at) = self.choose_operation(which) else { return };
        if self.operations[at].result.is_some() {
            return;
        }
        let (flag, waker) = self.new_waker();
        let operation = &mut self.operations[at];
        let before = self.table.await_result(operation.id.as_ref().unwrap(), waker);
        assert_same(before.as_ref(), operation.waker.replace(flag).as_ref());
    }

    fn fetch(&mut self, which: u8) {
        let Some(at) = self.choose_operation(which) else { return };
        let Operation { number, ref id, result, .. } = self.operations[at];
        let fetched = self.table.fetch(id.as_ref().unwrap()).map(|(payload, result)| (payload.number, result));
        assert_eq!(fetched, result.map(|result| (number, result)));
        if result.is_some() {
            self.operations.remove(at);
        }
    }

    fn abandon(&mut self, which: u8) {
        let Some(at) = self.choose_operation(which) else { return };
        let operation = &mut self.operations[at];
        let (number, id) = (operation.number, operation.id.take().unwrap());
        let slot = self.slots.iter().position(|slot| slot.owner == Owner::Operation(number));
        let with_kernel = slot.is_some_and(|slot| self.slots[slot].state != State::Queued);

        let (payload, waker) = self.table.abandon(id);
        assert_same(waker.as_ref(), operation.waker.take().as_ref());
        let returned = payload.map(|payload| payload.number);
        assert_eq!(returned, (!with_kernel).then_some(number), "back at once unless the kernel has it");
        if !with_kernel {
            self.operations.remove(at);
        }
        if self.backlog.contains(&number) {
            self.withdrawn.insert(number);
            if self.withdrawn.len() > self.backlog.len() - self.withdrawn.len() {
                self.backlog.retain(|number| !self.withdrawn.contains(number));
                self.withdrawn.clear();
            }
        }
        if let (Some(slot), false) = (slot, with_kernel) {
            self.vacate(slot);
        }
    }

    fn flush(&mut self, refused: u64, room: u8) {
        let has_queued = self.slots.iter().any(|slot| slot.state == State::Queued);
        assert!(self.table.has_queue() || !has_queued, "what is queued is announced");
        let mut keys = Vec::new();
        self.table.take_queue(&mut keys);
        self.recognise(&keys);
        assert!(!self.table.has_queue(), "all was taken");

        let room = if room == u8::MAX { keys.len() } else { keys.len().min(room.into()) };
        let is_refused = |at: usize| refused >> (at % 64) & 1 == 1;
        for (_, key) in keys[..room].iter().enumerate().filter(|(at, _)| !is_refused(*at)) {
            self.table.accepted(*key);
            let at = self.slot_of(*key);
            self.slots[at].state = State::Armed { flush: self.flush };
        }
        for (_, key) in keys[..room].iter().enumerate().filter(|(at, _)| is_refused(*at)) {
            self.expect_completion(*key, -22);
        }
        // As the driver does: polls find another way, the rest waits, before what came later.
        let mut rest = keys.split_off(room);
        rest.retain(|key| {
            let is_foreign =
                matches!(self.table.owner(*key), Some(requests::Owner::Poll { source, .. }) if !is_own_id(source.0));
            if is_foreign {
                self.expect_completion(*key, 0);
            }
            !is_foreign
        });
        self.table.requeue(&rest);
    }

    fn complete(&mut self, which: u8, result: i64) {
        let Some(at) = self.choose(which, |slot| slot.state != State::Queued) else { return };
        let key = self.slots[at].key.expect("accepted, so it was taken from the queue");
        self.expect_completion(key, result);
    }

    fn complete_stale(&mut self, which: u8) {
        if self.dead.is_empty() {
            return;
        }
        let key = self.dead[usize::from(which) % self.dead.len()];
        assert_eq!(self.table.owner(key), None);
        assert!(matches!(self.table.complete(key, 1), Completion::Stale));
    }

    /// Frees a slot by its event or its refusal, and checks what the table makes of it.
    fn expect_completion(&mut self, key: Key, result: i64) {
        let at = self.slot_of(key);
        let Slot { owner, state, .. } = self.slots[at];
        let completion = self.table.complete(key, result);
        match (owner, state, completion) {
            (Owner::Poll { .. }, State::Cancelling, Completion::Disarmed) => {}
            (
                Owner::Poll { source, direction },
                State::Demoted,
                Completion::Demoted { source: SourceId(evicted), direction: evicted_direction },
            ) => assert_eq!((evicted, evicted_direction), (source, direction)),
            (
                Owner::Poll { source, direction },
                State::Queued | State::Armed { .. },
                Completion::Poll { source: SourceId(completed), direction: completed_direction, inline },
            ) => {
                assert_eq!((completed, completed_direction), (source, direction));
                assert_eq!(inline, state == State::Armed { flush: self.flush });
            }
            (Owner::Operation(number), _, completion) => {
                let at = self.operations.iter().position(|operation| operation.number == number).unwrap();
                let operation = &mut self.operations[at];
                match completion {
                    Completion::Operation(waker) if operation.id.is_some() => {
                        assert_same(waker.as_ref(), operation.waker.take().as_ref());
                        operation.result = Some(result);
                    }
                    Completion::Orphan(payload) if operation.id.is_none() => {
                        assert_eq!(payload.number, number);
                        self.operations.remove(at);
                    }
                    other => panic!("operation {number}: {}", name(&other)),
                }
            }
            (owner, state, completion) => panic!("{owner:?}, {state:?}: {}", name(&completion)),
        }
        self.vacate(at);
    }

    // ---- the model's own moves ----

    fn occupy(&mut self, owner: Owner, key: Option<Key>) {
        self.slots.push(Slot { owner, state: State::Queued, since: self.arms, key });
        self.peak = self.peak.max(self.slots.len());
        if let Some(key) = key {
            self.meet(key);
        }
    }

    fn vacate(&mut self, at: usize) {
        // Where the key was never told it can hardly come back.
        self.dead.extend(self.slots.remove(at).key);
        self.admit();
    }

    fn admit(&mut self) {
        while self.slots.len() < self.capacity - OWN_POLLS {
            let Some(number) = self.backlog.pop_front() else { return };
            if !self.withdrawn.remove(&number) {
                self.occupy(Owner::Operation(number), None);
            }
        }
    }

    /// A key that was not seen before: its place is free, and the pair of place and generation is
    /// new.
    fn meet(&mut self, key: Key) {
        assert!(key.index() < self.capacity);
        assert_eq!(Key::from_data(key.to_data()), key, "survives the kernel");
        assert!(self.seen.insert(key.to_data()), "{key:?} named another request before");
        let places = self.slots.iter().filter_map(|slot| slot.key).filter(|other| other.index() == key.index());
        assert_eq!(places.count(), 1, "one request to a place");
    }

    /// Checks that these are the queued requests, in the order of their arrival, and learns the
    /// keys of operations.
    fn recognise(&mut self, keys: &[Key]) {
        let queued: Vec<usize> = (0..self.slots.len()).filter(|at| self.slots[*at].state == State::Queued).collect();
        assert_eq!(keys.len(), queued.len());
        for (key, at) in keys.iter().zip(queued) {
            let number = match (self.table.owner(*key), self.slots[at].owner) {
                (
                    Some(requests::Owner::Poll { source: SourceId(queued), direction: queued_direction }),
                    Owner::Poll { source, direction },
                ) => {
                    assert_eq!((queued, queued_direction), (source, direction));
                    None
                }
                (Some(requests::Owner::Operation(id)), Owner::Operation(number)) => {
                    assert_eq!(self.table.payload_mut(id).number, number);
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

    fn polls(&self) -> usize {
        self.slots.iter().filter(|slot| matches!(slot.owner, Owner::Poll { .. })).count()
    }

    fn slot_of(&self, key: Key) -> usize {
        self.slots.iter().position(|slot| slot.key == Some(key)).expect("a live key")
    }

    fn choose(&self, which: u8, among: impl Fn(&Slot) -> bool) -> Option<usize> {
        let all: Vec<usize> = (0..self.slots.len()).filter(|at| among(&self.slots[*at])).collect();
        (!all.is_empty()).then(|| all[usize::from(which) % all.len()])
    }

    /// An operation whose future is alive.
    fn choose_operation(&self, which: u8) -> Option<usize> {
        let all: Vec<usize> = (0..self.operations.len()).filter(|at| self.operations[*at].id.is_some()).collect();
        (!all.is_empty()).then(|| all[usize::from(which) % all.len()])
    }

    fn new_waker(&mut self) -> (Arc<Flag>, Waker) {
        let flag = Arc::<Flag>::default();
        self.flags.push(Arc::clone(&flag));
        (Arc::clone(&flag), Waker::from(flag))
    }

    // ---- the laws ----

    fn check(&self) {
        let orphans = self.operations.iter().filter(|operation| operation.id.is_none()).count();
        assert_eq!(self.table.capacity(), self.capacity);
        assert_eq!(self.table.in_use(), self.slots.len());
        assert_eq!(self.table.peak(), self.peak);
        assert_eq!(self.table.orphans(), orphans);
        assert_eq!(self.table.kept_operations(), self.operations.len() + self.withdrawn.len());
        assert!(self.slots.len() <= self.capacity);

        for slot in &self.slots {
            if let Some(key) = slot.key {
                assert!(self.table.owner(key).is_some(), "{slot:?} is not forgotten before its event");
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

    /// The end of a runtime with all that is still there: what the kernel has not got is withdrawn,
    /// everyone who waits is told, and the rest is dropped.
    fn finish(mut self) {
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
        self.table.withdraw_queued(&mut wakers);
        assert_same_set(&wakers, flags(&unsubmitted));
        for operation in unsubmitted {
            let (payload, result) =
                self.table.fetch(&operation.id.expect("abandoned, it was gone")).expect("withdrawn");
            assert_eq!((payload.number, result), (operation.number, -i64::from(libc::ECANCELED)));
        }
        assert_eq!(self.table.orphans(), submitted.iter().filter(|operation| operation.id.is_none()).count());
        self.slots.retain(|slot| slot.state != State::Queued || matches!(slot.owner, Owner::Poll { .. }));
        assert_eq!(self.table.in_use(), self.slots.len());
        for operation in &submitted {
            assert_eq!(self.drops[operation.number].get(), 0, "the kernel has it still");
        }

        wakers.clear();
        self.table.take_wakers(&mut wakers);
        assert_same_set(&wakers, flags(&submitted));
        drop((wakers, submitted, self.table));
        assert!(self.drops.iter().all(|drops| drops.get() == 1), "each payload is dropped once");
        assert!(self.flags.iter().all(|flag| Arc::strong_count(flag) == 1), "no waker is kept");
    }
}

fn is_own(owner: Owner) -> bool {
    matches!(owner, Owner::Poll { source, .. } if is_own_id(source))
}

/// Whether this is one of the reactor's own sources, which come first.
fn is_own_id(source: u32) -> bool {
    source < OWN_POLLS as u32
}

fn assert_same(waker: Option<&Waker>, flag: Option<&Arc<Flag>>) {
    let expected = flag.map(|flag| Waker::from(Arc::clone(flag)));
    match (waker, &expected) {
        (None, None) => {}
        (Some(waker), Some(expected)) if waker.will_wake(expected) => {}
        _ => panic!("the waker of the latest poll, and no other: {waker:?} for {expected:?}"),
    }
}

fn assert_same_set(wakers: &[Waker], flags: Vec<Arc<Flag>>) {
    assert_eq!(wakers.len(), flags.len());
    for flag in flags {
        let expected = Waker::from(flag);
        assert!(wakers.iter().any(|waker| waker.will_wake(&expected)), "everyone who waits is told");
    }
}

fn name<P>(completion: &Completion<P>) -> &'static str {
    match completion {
        Completion::Stale => "Stale",
        Completion::Poll { .. } => "Poll",
        Completion::Disarmed => "Disarmed",
        Completion::Demoted { .. } => "Demoted",
        Completion::Operation(_) => "Operation",
        Completion::Orphan(_) => "Orphan",
    }
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => any::<u8>().prop_map(Step::Arm),
        1 => any::<u8>().prop_map(Step::ArmOwn),
        2 => any::<u8>().prop_map(Step::Disarm),
        1 => (0_u8..10).prop_map(Step::Age),
        1 => Just(Step::Evict),
        1 => Just(Step::Stay),
        4 => Just(Step::Start),
        1 => any::<u8>().prop_map(Step::Await),
        2 => any::<u8>().prop_map(Step::Fetch),
        2 => any::<u8>().prop_map(Step::Abandon),
        1 => any::<u64>().prop_map(|refused| Step::Flush { refused, room: u8::MAX }),
        2 => (any::<u64>(), 0_u8..6).prop_map(|(refused, room)| Step::Flush { refused: refused & 1, room }),
        2 => Just(Step::Flush { refused: 0, room: u8::MAX }),
        1 => Just(Step::EndFlush),
        4 => (any::<u8>(), any::<i64>()).prop_map(|(which, result)| Step::Complete(which, result)),
        1 => any::<u8>().prop_map(Step::CompleteStale),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 100,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(1),
        ..ProptestConfig::default()
    })]

    #[test]
    fn random_walks_agree_with_the_model(
        capacity in prop_oneof![Just(1_usize), 17_usize..40],
        steps in proptest::collection::vec(any_step(), 0..300),
    ) {
        let mut walk = Walk::new(capacity);
        for step in &steps {
            walk.step(step);
            walk.check();
        }
        walk.finish();
    }
}

/// Takes every path of `depth` steps that goes on from `path`.
fn enumerate(alphabet: &[Step], path: &mut Vec<Step>, depth: usize) -> usize {
    if depth == 0 {
        let mut walk = Walk::new(FEWEST_SLOTS);
        path.iter().for_each(|step| walk.step(step));
        walk.check();
        walk.finish();
        return 1;
    }
    let mut paths = 0;
    for step in alphabet {
        path.push(step.clone());
        paths += enumerate(alphabet, path, depth - 1);
        path.pop();
    }
    paths
}

/// One of each kind where the choice makes a difference: the oldest, the youngest.
fn alphabet() -> Vec<Step> {
    vec![
        Step::Arm(0),
        Step::ArmOwn(0),
        Step::Disarm(0),
        Step::Start,
        Step::Await(0),
        Step::Fetch(0),
        Step::Abandon(0),
        Step::Abandon(1),
        Step::Flush { refused: 0, room: u8::MAX },
        Step::Flush { refused: 1, room: u8::MAX },
        Step::Flush { refused: 0, room: 1 },
        Step::Complete(0, 1),
        Step::Complete(1, -5),
        Step::CompleteStale(0),
    ]
}

#[test]
fn all_short_walks_agree_with_the_model() {
    let paths: usize = (0..=4).map(|depth| enumerate(&alphabet(), &mut Vec::new(), depth)).sum();
    assert_eq!(paths, (0..=4).map(|depth| 14_usize.pow(depth)).sum::<usize>());
}

#[test]
fn all_short_walks_from_a_full_table_agree_with_the_model() {
    let mut full = vec![Step::Arm(0); 12];
    full.extend([Step::Flush { refused: 0, room: u8::MAX }, Step::EndFlush, Step::ArmOwn(0), Step::ArmOwn(1)]);
    full.extend(vec![Step::Start; 5]);
    enumerate(&alphabet(), &mut full, 4);
}

#[test]
fn all_short_walks_from_a_table_of_idle_polls_agree_with_the_model() {
    let mut idle = vec![Step::Arm(0); 12];
    idle.extend([Step::Flush { refused: 0, room: u8::MAX }, Step::EndFlush, Step::ArmOwn(0), Step::ArmOwn(1)]);
    idle.extend([Step::Age(IDLE as u8), Step::Evict]);
    let mut alphabet = alphabet();
    alphabet.extend([Step::Evict, Step::Stay]);
    enumerate(&alphabet, &mut idle, 4);
}

#[test]
fn operations_leave_the_backlog_in_the_order_of_their_arrival() {
    let mut table = Requests::new(FEWEST_SLOTS);
    let ids: Vec<_> = (0..100).map(|number| table.start(number, Waker::noop().clone())).collect();
    let mut order = Vec::new();
    while table.has_queue() {
        let mut keys = Vec::new();
        table.take_queue(&mut keys);
        for key in keys {
            let Some(requests::Owner::Operation(id)) = table.owner(key) else { panic!("no poll was armed") };
            order.push(*table.payload_mut(id));
            table.accepted(key);
            table.complete(key, 0);
        }
    }
    assert!(order.iter().copied().eq(0..100));
    for (number, id) in ids.into_iter().enumerate() {
        assert_eq!(table.fetch(&id), Some((number, 0)));
    }
    assert_eq!((table.in_use(), table.orphans()), (0, 0));
}

#[test]
#[should_panic = "a registration holds the key of its poll until the event"]
fn a_poll_that_is_over_cannot_be_disarmed() {
    let mut table = Requests::<()>::new(1);
    let key = table.arm(SourceId(2), Direction::Read).unwrap();
    table.take_queue(&mut Vec::new());
    table.accepted(key);
    table.complete(key, 1);
    table.disarm(key);
}
