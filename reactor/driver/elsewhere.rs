//! Waits on other threads than the reactor's: they arrive as commands.
//!
//! What happens there becomes known here late, or not at all: the reactor hears of an `EAGAIN` with
//! the next wait, and never of an attempt that found something. Nobody there can be told that
//! waiting is impossible, so such a wait backs off.

use std::task::Waker;

use super::Driver;
use crate::reactor::ids::{Direction, SourceId};
use crate::reactor::readiness::{Until, Waiter};

/// A wait on another thread.
#[derive(Debug)]
pub(in crate::reactor) struct WaitElsewhere {
    pub(in crate::reactor) source: SourceId,
    pub(in crate::reactor) direction: Direction,
    pub(in crate::reactor) until: Until,
    /// An attempt has met `EAGAIN` there since the last wait.
    pub(in crate::reactor) has_blocked: bool,
    pub(in crate::reactor) waiter: Waiter,
    pub(in crate::reactor) waker: Waker,
}

impl Driver {
    /// Has it woken when the direction is ready. Returns a waker to be dropped outside the borrow.
    pub(in crate::reactor) fn wait_elsewhere(&mut self, wait: WaitElsewhere) -> Option<Waker> {
        let WaitElsewhere { source, direction, until, has_blocked, mut waiter, waker } = wait;
        if has_blocked && self.sources[source.index()].would_block_elsewhere(direction) {
            self.counters.contradictions.add(1);
        }
        let (waited, waker) = self.wait(source, direction, until, &mut waiter, waker, has_blocked);
        if waited.is_pending() {
            return waker;
        }
        self.wakers.extend(waker);
        None
    }

    /// Withdraws a future. Returns its waker, to be dropped outside the borrow.
    pub(in crate::reactor) fn forget_elsewhere(
        &mut self,
        id: SourceId,
        direction: Direction,
        waker: &Waker,
    ) -> Option<Waker> {
        let withdrawn = self.readiness(id, direction).forget_elsewhere(waker);
        self.leave(id, direction);
        withdrawn
    }
}
