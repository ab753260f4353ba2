//! The steps of a walk: each is one call, and what the model expects of it.

use std::rc::Rc;

use super::model::{
    GRACE, IDLE_ROUNDS, OWN_POLLS, Operation, Payload, Slot, State, Walk, assert_same, has_registration, is_own, name,
};
use crate::reactor::ids::{Direction, Key, PollKind, SourceId};
use crate::reactor::requests::{Completion, Disarm, Owner};

/// One call. Numbers choose among what there is, so that every step means something in every
/// state.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Arm(u8),
    ArmOwn(u8),
    Disarm(u8),
    /// This many times the capacity of polls come and go.
    Age(u8),
    Demote,
    /// The poll that is demoted could not be cancelled.
    UndoDemotion,
    /// This many more slots, unless something is left on the former context.
    Grow(u8),
    /// A poll is to be moved, the oldest first.
    Move,
    /// The poll could not be cancelled.
    UndoMove,
    /// The last waiter of a poll leaves.
    Leave(u8),
    /// A turn, in which all are taken whose last waiter left some turns ago.
    PassTurn,
    EndGrace,
    /// Some of those that were left are waited for again.
    RetainLeft(u64),
    /// Nobody waits for a poll, some turns later.
    AbandonPoll(u8),
    /// The poll could not be cancelled.
    UndoAbandonment,
    Start,
    Await(u8),
    Fetch(u8),
    Abandon(u8),
    /// Takes the queue. The kernel accepts or refuses each, until it has no room for the rest.
    Flush {
        refused: u64,
        room: u8,
    },
    EndFlush,
    Complete(u8, i64),
    /// An event of a request that is over.
    CompleteStale(u8),
}

impl Walk {
    pub(super) fn step(&mut self, step: &Step) {
        match *step {
            Step::Arm(source) => self.arm(source),
            Step::ArmOwn(which) => self.arm_own(which),
            Step::Disarm(which) => self.disarm(which),
            Step::Age(times) => {
                self.requests.slots.advance_clock(self.capacity * usize::from(times));
                self.arms += self.capacity * usize::from(times);
            }
            Step::Demote => self.demote(),
            Step::UndoDemotion => self.undo_demotion(),
            Step::Grow(slots) => self.grow(slots),
            Step::Move => self.begin_move(),
            Step::UndoMove => self.undo_move(),
            Step::Leave(which) => self.leave(which),
            Step::PassTurn => self.pass_turn(),
            Step::EndGrace => {
                self.requests.slots.end_grace();
                self.turn += GRACE;
            }
            Step::RetainLeft(abandoned) => self.retain_left(abandoned),
            Step::AbandonPoll(which) => self.abandon_poll(which),
            Step::UndoAbandonment => self.undo_abandonment(),
            Step::Start => self.start(),
            Step::Await(which) => self.await_result(which),
            Step::Fetch(which) => self.fetch(which),
            Step::Abandon(which) => self.abandon(which),
            Step::Flush { refused, room } => self.flush(refused, room),
            Step::EndFlush => {
                self.requests.slots.end_flush();
                self.flush += 1;
            }
            Step::Complete(which, result) => self.complete(which, result),
            Step::CompleteStale(which) => self.complete_stale(which),
        }
    }

    // ---- the steps ----

    fn arm(&mut self, source: u8) {
        self.arms += 1;
        let direction = if source.is_multiple_of(2) { Direction::Read } else { Direction::Write };
        let source = SourceId(source.into());
        let for_all = self.capacity - OWN_POLLS;
        let expected = self.slots.len() < for_all && self.polls() < for_all - for_all / 4;
        let key = self.requests.slots.arm(source, direction);
        assert_eq!(key.is_some(), expected, "{} slots, {} polls", self.slots.len(), self.polls());
        if let Some(key) = key {
            self.occupy(Owner::Poll(PollKind::Waiters(source, direction)), Some(key));
        }
    }

    fn arm_own(&mut self, which: u8) {
        let kind = [PollKind::Unpark, PollKind::Overflow][usize::from(which) % OWN_POLLS];
        let owner = Owner::Poll(kind);
        // The reactor has one poll of each kind, and arms it again only when it is over.
        if self.slots.iter().any(|slot| slot.owner == owner && slot.state != State::Cancelling) {
            return;
        }
        if self.slots.iter().filter(|slot| is_own(slot.owner)).count() == OWN_POLLS {
            return;
        }
        let key = self.requests.slots.arm_own(kind);
        self.occupy(owner, Some(key));
        assert!(self.slots.len() <= self.capacity, "the reactor's own polls have slots of their own");
    }

    fn disarm(&mut self, which: u8) {
        let polls = |slot: &Slot| matches!(slot.owner, Owner::Poll(_)) && slot.state != State::Cancelling;
        let Some(at) = self.choose(which, polls) else { return };
        let key = self.slots[at].key.expect("the key of a poll is known");
        self.slots[at].left = None;
        match self.slots[at].state {
            State::Queued => {
                assert_eq!(self.requests.disarm(key), Disarm::Vacated);
                self.vacate(at);
            }
            State::Armed { .. } => {
                assert_eq!(self.requests.disarm(key), Disarm::Cancel);
                self.slots[at].state = State::Cancelling;
            }
            State::Demoted | State::Moving | State::Abandoned => {
                assert_eq!(self.requests.disarm(key), Disarm::AwaitEvent);
                self.slots[at].state = State::Cancelling;
            }
            State::Cancelling => unreachable!(),
        }
    }

    /// Any idle poll may be chosen, and one is after enough searches to check all slots.
    fn demote(&mut self) {
        let is_idle = |slot: &Slot| {
            matches!((slot.owner, slot.state), (Owner::Poll(PollKind::Waiters(..)), State::Armed { .. }))
                && self.arms - slot.armed_at >= IDLE_ROUNDS * self.capacity
        };
        let idle: Vec<usize> = (0..self.slots.len()).filter(|at| is_idle(&self.slots[*at])).collect();
        match (0..self.capacity).find_map(|_| self.requests.demote(0)) {
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
        self.requests.slots.undo_demotion(self.slots[at].key.expect("the key of a poll is known"));
        self.slots[at].armed_at = self.arms;
        self.slots[at].state = State::Armed { flush: usize::MAX };
    }

    fn grow(&mut self, slots: u8) {
        if self.slots.iter().any(|slot| self.is_on_former(slot)) {
            return;
        }
        let movable = self.requests.grow(self.capacity + usize::from(slots));
        let is_movable = |slot: &&Slot| {
            matches!((slot.owner, slot.state), (Owner::Poll(PollKind::Waiters(..)), State::Armed { .. }))
        };
        let expected: Vec<Key> = self.slots.iter().filter(is_movable).filter_map(|slot| slot.key).collect();
        assert_eq!(movable, expected, "in the order of arrival");
        self.capacity += usize::from(slots);
        self.context += 1;
        self.admit();
    }

    fn begin_move(&mut self) {
        let is_movable =
            |slot: &Slot| matches!((slot.owner, slot.state), (Owner::Poll(PollKind::Waiters(..)), State::Armed { .. }));
        let Some(at) = self.choose(0, is_movable) else { return };
        let begins = self.requests.slots.begin_move(self.slots[at].key.expect("the key of a poll is known"));
        assert_eq!(begins, self.is_on_former(&self.slots[at]));
        if begins {
            self.slots[at].state = State::Moving;
        }
    }

    fn undo_move(&mut self) {
        let Some(at) = self.choose(0, |slot| slot.state == State::Moving) else { return };
        self.requests.slots.undo_move(self.slots[at].key.expect("the key of a poll is known"));
        self.slots[at].state = State::Armed { flush: usize::MAX };
    }

    fn leave(&mut self, which: u8) {
        let Some(at) = self.choose(which, has_registration) else { return };
        let slot = &mut self.slots[at];
        self.requests.slots.leave(slot.key.expect("the key of a poll is known"));
        slot.left = Some((slot.left.map_or(self.turn, |(first, _)| first), self.turn));
    }

    fn pass_turn(&mut self) {
        self.requests.slots.pass_turn();
        self.turn += 1;
        while let Some(key) = self.requests.slots.next_left() {
            let at = self.slot_of(key);
            let (_, latest) = self.slots[at].left.take().expect("its last waiter has left");
            assert!(self.turn - latest >= GRACE, "not so soon: {:?}", self.slots[at]);
        }
        for slot in &self.slots {
            if let Some((first, latest)) = slot.left {
                let patience = if first == latest { GRACE } else { 2 * GRACE };
                assert!(self.turn - latest < patience, "it is forgotten: {slot:?} in {}", self.turn);
            }
        }
    }

    fn retain_left(&mut self, abandoned: u64) {
        let slots = &mut self.slots;
        let any_left = self.requests.slots.retain_left(|key, source, direction| {
            let slot = slots.iter_mut().find(|slot| slot.key == Some(key)).expect("a live key");
            assert_eq!(slot.owner, Owner::Poll(PollKind::Waiters(source, direction)));
            assert!(slot.left.is_some(), "its last waiter has left: {slot:?}");
            let keep = abandoned >> (key.index() % 64) & 1 == 1;
            slot.left = slot.left.filter(|_| keep);
            keep
        });
        assert_eq!(any_left, self.slots.iter().any(|slot| slot.left.is_some()));
    }

    fn abandon_poll(&mut self, which: u8) {
        let Some(at) = self.choose(which, has_registration) else { return };
        let disarm = self.requests.abandon_poll(self.slots[at].key.expect("the key of a poll is known"));
        match self.slots[at].state {
            State::Queued => {
                assert_eq!(disarm, Disarm::Vacated);
                self.vacate(at);
            }
            State::Armed { .. } => {
                assert_eq!(disarm, Disarm::Cancel);
                (self.slots[at].state, self.slots[at].left) = (State::Abandoned, None);
            }
            State::Demoted | State::Moving | State::Abandoned => assert_eq!(disarm, Disarm::AwaitEvent),
            State::Cancelling => unreachable!(),
        }
    }

    fn undo_abandonment(&mut self) {
        let Some(at) = self.choose(0, |slot| slot.state == State::Abandoned) else { return };
        self.requests.slots.undo_abandonment(self.slots[at].key.expect("the key of a poll is known"));
        self.slots[at].state = State::Armed { flush: usize::MAX };
    }

    fn start(&mut self) {
        let number = self.drops.len();
        let drops = Rc::default();
        self.drops.push(Rc::clone(&drops));
        let (flag, waker) = self.new_waker();
        let id = self.requests.start(Payload { number, drops }, waker);
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
        let (done, before) = self.requests.operations.fetch_or_wait(operation.id.as_ref().unwrap(), waker);
        assert!(done.is_none(), "it has no result yet");
        assert_same(before.as_ref(), operation.waker.replace(flag).as_ref());
    }

    fn fetch(&mut self, which: u8) {
        let Some(at) = self.choose_operation(which) else { return };
        let Operation { number, ref id, result, .. } = self.operations[at];
        let fetched =
            self.requests.operations.fetch(id.as_ref().unwrap()).map(|(payload, result)| (payload.number, result));
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

        let (payload, waker) = self.requests.abandon(id);
        assert_same(waker.as_ref(), operation.waker.take().as_ref());
        let returned = payload.map(|payload| payload.number);
        assert_eq!(returned, (!with_kernel).then_some(number), "it comes back at once unless the kernel has it");
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
        assert!(self.requests.slots.has_queued() || !has_queued, "what is queued is announced");
        let mut keys: Vec<Key> = std::iter::from_fn(|| self.requests.slots.next_queued().map(|(key, _)| key)).collect();
        self.recognise(&keys);
        assert!(!self.requests.slots.has_queued(), "all was taken");

        let room = if room == u8::MAX { keys.len() } else { keys.len().min(room.into()) };
        let is_refused = |at: usize| refused >> (at % 64) & 1 == 1;
        for (_, key) in keys[..room].iter().enumerate().filter(|(at, _)| !is_refused(*at)) {
            self.requests.slots.accepted(*key);
            let at = self.slot_of(*key);
            self.slots[at].state = State::Armed { flush: self.flush };
            self.slots[at].context = self.context;
        }
        for (_, key) in keys[..room].iter().enumerate().filter(|(at, _)| is_refused(*at)) {
            self.expect_completion(*key, -22);
        }
        // As the driver does: polls are completed, to wait another way; the rest goes back to the
        // front of the queue.
        let mut rest = keys.split_off(room);
        rest.retain(|key| {
            let is_foreign = matches!(self.requests.slots.owner(*key), Some(Owner::Poll(PollKind::Waiters(..))));
            if is_foreign {
                self.expect_completion(*key, 0);
            }
            !is_foreign
        });
        self.requests.slots.requeue(&rest);
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
        assert_eq!(self.requests.slots.owner(key), None);
        assert!(matches!(self.requests.complete(key, 1), Completion::Stale));
    }

    /// Frees a slot by its event or its refusal, and checks what it means.
    fn expect_completion(&mut self, key: Key, result: i64) {
        let at = self.slot_of(key);
        let Slot { owner, state, .. } = self.slots[at];
        let completion = self.requests.complete(key, result);
        match (owner, state, completion) {
            (Owner::Poll(_), State::Cancelling, Completion::Disarmed) => {}
            (Owner::Poll(kind), State::Demoted, Completion::Demoted { source, direction }) => {
                assert_eq!(PollKind::Waiters(source, direction), kind);
            }
            (Owner::Poll(kind), State::Moving, Completion::Moved { source, direction }) => {
                assert_eq!(PollKind::Waiters(source, direction), kind);
            }
            (Owner::Poll(kind), State::Abandoned, Completion::Abandoned { source, direction }) => {
                assert_eq!(PollKind::Waiters(source, direction), kind);
            }
            (Owner::Poll(kind), State::Queued | State::Armed { .. }, Completion::Poll { kind: completed, inline }) => {
                assert_eq!(completed, kind);
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
}
