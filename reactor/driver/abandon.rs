//! Futures that are dropped while they wait: their polls are cancelled, lazily.
//!
//! A dropped future withdraws its waker. Where it was the last to wait for an armed poll, the poll
//! is *left*. It stays armed for some turns: a `select!` loop drops its waits and makes them again
//! all the time, and then finds the poll still armed, at no cost. If nobody comes back it is
//! *abandoned*: cancelled, together with those that are to be closed, some in each turn, oldest
//! first, since `io_cancel` walks the list of armed polls from there.
//!
//! Its event frees the slot, as always. Until then the registration keeps the key, so that a close
//! waits for the event. A waiter that comes in between finds a poll that is armed as far as it can
//! see, and is armed again by that event.
//!
//! Only polls are cancelled: what waits in the nested epoll has no slot to give back, and a
//! back-off ends by itself.

use std::task::Waker;
use std::time::Duration;

use super::Driver;
use crate::reactor::ids::{Direction, Key, SourceId};
use crate::reactor::readiness::{Wait, Waiter};
use crate::reactor::requests::Disarm;

/// The longest sleep while some poll is left. A waiter that has not come back by then is not
/// expected back, however few turns that was.
const NAP: Duration = Duration::from_millis(1);

impl Driver {
    /// A future that waited has been dropped. Returns its waker, to be dropped outside the borrow.
    pub(in crate::reactor) fn forget(&mut self, id: SourceId, direction: Direction, waiter: &Waiter) -> Option<Waker> {
        let withdrawn = self.readiness(id, direction).forget(waiter);
        self.leave(id, direction);
        withdrawn
    }

    /// A waiter has gone. If it was the last one, its poll is left.
    pub(super) fn leave(&mut self, id: SourceId, direction: Direction) {
        if let Some(key) = self.readiness(id, direction).left_poll() {
            self.requests.slots.leave(key);
        }
    }

    /// Begins a turn: the polls that were left some turns ago are to be cancelled.
    pub(super) fn queue_left(&mut self) {
        self.requests.slots.pass_turn();
        while let Some(key) = self.requests.slots.next_left() {
            self.closing.push_cancel(key);
        }
    }

    /// The turn of such a poll has come: cancels it, unless somebody waits for it again.
    pub(super) fn cancel_left(&mut self, id: SourceId, direction: Direction, key: Key) {
        if self.readiness(id, direction).left_poll() != Some(key) {
            return;
        }
        match self.requests.abandon_poll(key) {
            Disarm::Vacated => self.readiness(id, direction).set_wait(Wait::Idle),
            Disarm::Cancel if self.cancel(key) => self.counters.polls_abandoned.add(1),
            // Denied since the start. It stays armed for the next waiter.
            Disarm::Cancel => self.requests.slots.undo_abandonment(key),
            Disarm::AwaitEvent => {}
        }
    }

    /// How long the loop may sleep: not for long while some poll is left.
    pub(super) fn limit_by_left(&mut self) -> Option<Duration> {
        let sources = &mut self.sources;
        let is_left = |key, id: SourceId, direction| sources[id.index()].direction(direction).left_poll() == Some(key);
        self.requests.slots.retain_left(is_left).then_some(NAP)
    }
}
