//! What is on its way to be closed, and the polls that must be cancelled before.

use std::any::Any;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::os::fd::OwnedFd;

use crate::reactor::ids::{Direction, Key};
use crate::reactor::requests::Slots;

/// The least that a turn cancels, and closes; closing a socket takes some 20 microseconds.
const LEAST_SHARE: usize = 16;

/// With so much waiting to be cancelled or closed, every turn has its share of it; with less, one
/// turn in each round of the ready tasks. For a burst of closes comes with a burst of tasks that
/// end, and every other task has to wait for all of those.
const TOO_MANY: usize = 4096;

/// Which turn of the loop it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Round {
    /// Tasks that were ready at the latest such turn have still to run.
    GoesOn,
    /// All tasks that were ready then have run since.
    IsOver,
}

/// When the kernel must have released a deregistered descriptor's file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Close {
    /// In the loop's next turn, mostly: as soon as the polls are cancelled and their events seen.
    Soon,
    /// Before `drop` returns, so that its address or name is free at once.
    BeforeReturn,
}

/// What a registration owned, to be dropped once no poll keeps its file open, and with nothing
/// borrowed: a close may block (`SO_LINGER`), and an owner's drop may be user code.
#[derive(Debug)]
pub(crate) enum Late {
    Fd(OwnedFd),
    /// Anything else: a former context, the owner of a descriptor. All that is done with it is to
    /// drop it.
    Boxed(#[expect(dead_code, reason = "dropped")] Box<dyn Any>),
}

impl From<OwnedFd> for Late {
    fn from(fd: OwnedFd) -> Self {
        Self::Fd(fd)
    }
}

impl<T: 'static> From<Box<T>> for Late {
    fn from(owner: Box<T>) -> Self {
        Self::Boxed(owner)
    }
}

/// The polls of a registration whose events are still to come.
pub(super) type Polls = [Option<Key>; Direction::ALL.len()];

/// Closing happens in two phases, each bounded per round of the ready tasks: polls are cancelled,
/// and what waited for their events is then dropped. Until its polls are over, the kernel's
/// reference would keep a file open anyway, and the peer would see the close late. Descriptors
/// without a poll need no cancel, yet a crowd of them is closed in the same shares.
#[derive(Debug, Default)]
pub(super) struct Closing {
    /// Disarmed and left polls that are to be cancelled, by their `aio_data`: it begins with
    /// the generation, so that the oldest comes first. `io_cancel` walks the list of armed polls
    /// from there, so from the oldest to the newest each is found at once.
    cancels: BinaryHeap<Reverse<u64>>,
    /// What waits for the events of cancelled polls.
    waiting: Vec<(Polls, Late)>,
    /// What waits only for the borrow to be released.
    free: Vec<Late>,
    /// This turn cancels and closes nothing.
    rests: bool,
    /// How many were closed without a poll since the latest turn that did not rest.
    at_once: usize,
}

impl Closing {
    /// Another turn: whether it has a share of the work.
    pub(super) fn begin_turn(&mut self, round: Round) {
        self.rests = round == Round::GoesOn && self.cancels.len() + self.free.len() < TOO_MANY;
        if !self.rests {
            self.at_once = 0;
        }
    }

    /// Whether one more descriptor without a poll may be closed before its turn comes.
    pub(super) fn closes_at_once(&mut self) -> bool {
        self.at_once += 1;
        self.at_once <= LEAST_SHARE && self.free.is_empty()
    }

    /// Has a poll cancelled that was disarmed or left.
    pub(super) fn push_cancel(&mut self, key: Key) {
        self.cancels.push(Reverse(key.to_data()));
    }

    /// Takes the oldest poll that is to be cancelled. One whose event has come in the meantime is
    /// skipped.
    pub(super) fn next_cancel(&mut self, slots: &Slots) -> Option<Key> {
        loop {
            let next = self.cancels.pop()?;
            // It is here twice if it was disarmed after it was left.
            while self.cancels.peek() == Some(&next) {
                self.cancels.pop();
            }
            let Reverse(data) = next;
            let key = Key::from_data(data);
            if slots.owner(key).is_some() {
                return Some(key);
            }
        }
    }

    /// Drops something as soon as the borrow is released.
    pub(super) fn push_free(&mut self, late: impl Into<Late>) {
        self.free.push(late.into());
    }

    /// Drops something once the events of these polls have come.
    pub(super) fn push(&mut self, polls: Polls, late: Late) {
        self.waiting.push((polls, late));
    }

    /// What waits for this poll.
    pub(super) fn find(&self, poll: Key) -> Option<&Late> {
        self.waiting.iter().find(|(polls, _)| polls.contains(&Some(poll))).map(|(_, late)| late)
    }

    /// This poll cannot be cancelled: there is no use in waiting for its event. It keeps the file
    /// open, with or without the descriptor.
    pub(super) fn give_up(&mut self, poll: Key) {
        let given_up = self.waiting.extract_if(.., |(polls, _)| polls.contains(&Some(poll)));
        self.free.extend(given_up.map(|(_, late)| late));
    }

    /// Events have come: what has no poll in flight any more is free.
    pub(super) fn release(&mut self, slots: &Slots) {
        let released = self.waiting.extract_if(.., |(polls, _)| !any_in_flight(polls, slots));
        self.free.extend(released.map(|(_, late)| late));
    }

    /// How many polls this turn cancels at most.
    pub(super) fn cancels_per_turn(&self) -> usize {
        if self.rests { 0 } else { share(self.cancels.len()) }
    }

    /// Takes a turn's share of what is free, to be dropped with nothing borrowed.
    pub(super) fn take_share(&mut self) -> Vec<Late> {
        if self.free.is_empty() || self.rests {
            // The allocation stays here.
            return Vec::new();
        }
        let share = share(self.free.len());
        let rest = if self.free.len() > share { self.free.split_off(share) } else { Vec::new() };
        std::mem::replace(&mut self.free, rest)
    }

    /// Takes all that is free.
    pub(super) fn take_free(&mut self) -> Vec<Late> {
        std::mem::take(&mut self.free)
    }

    /// Takes everything, free or not.
    pub(super) fn take_all(&mut self) -> Vec<Late> {
        self.free.extend(self.waiting.drain(..).map(|(_, late)| late));
        self.take_free()
    }

    /// Takes an allocation back.
    pub(super) fn give_back(&mut self, late: Vec<Late>) {
        if self.free.capacity() == 0 {
            self.free = late;
        }
    }

    /// Whether the next turn has something to do here, even if no event comes.
    pub(super) fn is_due(&self) -> bool {
        !self.cancels.is_empty() || !self.free.is_empty()
    }

    /// Whether something waits for an event.
    pub(super) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }
}

/// A turn's share of a queue: a fixed number, and more where the queue is long, so that it does not
/// grow without bound when every turn adds more than that.
fn share(queued: usize) -> usize {
    LEAST_SHARE.max(queued / 32)
}

/// Whether the event of one of these polls is still to come.
pub(super) fn any_in_flight(polls: &Polls, slots: &Slots) -> bool {
    polls.iter().flatten().any(|key| slots.owner(*key).is_some())
}
