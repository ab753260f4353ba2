//! Waits whose futures have been dropped: their polls are cancelled, though not at once.
//!
//! A `select!` loop drops its waits and makes them again all the time, and a cancel costs a walk
//! over the armed polls, with interrupts off. So an abandoned poll stays armed for some turns. A
//! waiter that comes back in this time finds it armed, at no cost. Else it is cancelled with the
//! others that are [closing](super::closing), some in each turn, and its event frees the slot. What
//! that event says need not be looked at: the next waiter arms another poll, which checks the
//! level.
//!
//! Members of the nested epoll hold no slot, and stay. Callers of the `poll_*` functions give no
//! notice when they lose interest; the waker of the latest one keeps its poll armed.

use std::task::Waker;
use std::time::Duration;

use super::Driver;
use crate::reactor::ids::{Direction, SourceId};
use crate::reactor::readiness::{Wait, Waiter};
use crate::reactor::requests::Disarm;

/// How many turns an abandoned poll stays armed. A `select!` loop waits again in the same turn, and
/// so does, in a few, a task that handles what another of its futures has found.
const GRACE: u32 = 3;

/// How long the loop sleeps at most while polls are abandoned, so that the turns pass.
const NAP: Duration = Duration::from_millis(1);

impl Driver {
    /// Withdraws a future. Returns its waker, to be dropped outside the borrow.
    pub(in crate::reactor) fn forget(&mut self, id: SourceId, direction: Direction, waiter: &Waiter) -> Option<Waker> {
        let readiness = self.sources[id.index()].direction(direction);
        let withdrawn = readiness.forget(waiter);
        if readiness.abandoned_poll().is_some() && readiness.list_as_abandoned(self.abandoned.turn) {
            self.abandoned.listed.push_back((id, direction));
        }
        withdrawn
    }

    /// Begins another turn: disarms what has been abandoned for long enough.
    pub(super) fn disarm_abandoned(&mut self) {
        self.abandoned.turn = self.abandoned.turn.wrapping_add(1);
        let now = self.abandoned.turn;
        // Those that are still in their grace go to the end of the list, behind the ones to come.
        for _ in 0..self.abandoned.listed.len() {
            let Some((id, direction)) = self.abandoned.listed.pop_front() else { return };
            let Some(source) = self.sources.get_mut(id.index()) else { continue };
            let readiness = source.direction(direction);
            let (Some(since), Some(key)) = (readiness.unlist(), readiness.abandoned_poll()) else { continue };
            if now.wrapping_sub(since) < GRACE {
                readiness.list_as_abandoned(since);
                self.abandoned.listed.push_back((id, direction));
                continue;
            }
            readiness.set_wait(Wait::Idle);
            self.counters.polls_abandoned.add(1);
            if self.requests.disarm(key) == Disarm::Cancel {
                self.closing.push_cancel(key);
            }
        }
    }

    /// The longest sleep while polls are abandoned. Those whose waiters have come back are not.
    pub(super) fn nap(&mut self) -> Option<Duration> {
        let sources = &mut self.sources;
        self.abandoned.listed.retain(|(id, direction)| {
            let Some(source) = sources.get_mut(id.index()) else { return false };
            let readiness = source.direction(*direction);
            let is_abandoned = readiness.abandoned_poll().is_some();
            if !is_abandoned {
                readiness.unlist();
            }
            is_abandoned
        });
        (!self.abandoned.listed.is_empty()).then_some(NAP)
    }
}
