//! Growth: on need, from a small context to one twice as large, up to the configured capacity.
//!
//! A context cannot be enlarged, and a second one beside it would have to be waited for through the
//! first, an event more per wake, or by turns. So the reactor moves:
//!
//! - What is submitted from now on goes to the new context, and the loop sleeps on it. The slots
//!   and their keys stay, and more of them come.
//! - The reactor's own polls are cancelled on the former context and armed on the new one at once.
//!   The registrations' polls follow, some in each turn, oldest first: `io_cancel` walks the list
//!   of armed polls from there. Each is armed again by its event, so none is ever unattended:
//!   arming checks the level.
//! - File operations cannot be cancelled: they drain where they are. Until the former context is
//!   empty its ring is reaped too, and no sleep is long.
//! - The empty context goes to the pool, for the next runtime or to be destroyed.
//!
//! It leaves a part of the host's quota to others, since all processes share that. Where it is
//! refused, the nested epoll takes what finds no slot, and growth is tried again after a while. A
//! runtime that has started [without a context](super::without_context) gets its first one in the
//! same way, except that it takes what is left.

use std::time::{Duration, Instant};

use super::former::Former;
use super::{BACK_OFF, Driver, Growth, RING_IS_INHERITED};
use crate::reactor::ids::{Direction, Key, PollKind, SourceId};
use crate::reactor::kernel::context_pool::{self, Refused, Retired};
use crate::reactor::requests::Disarm;

/// Polls moved per turn. Each costs about 2 us.
const MOVES_PER_TURN: usize = 64;

/// The fewest slots that are worth a growth. The reactor's own polls need some of them at once.
const LEAST_GROWTH: usize = 16;

/// How long a refused growth is not tried again.
const PATIENCE: Duration = Duration::from_secs(1);

impl Driver {
    /// Takes a slot for a registration's poll, a new one if need be.
    pub(super) fn take_slot(&mut self, source: SourceId, direction: Direction) -> Option<Key> {
        if let Some(key) = self.requests.slots.arm(source, direction) {
            return Some(key);
        }
        if self.grow() { self.requests.slots.arm(source, direction) } else { None }
    }

    /// Moves to a context twice as large, or to the first one. False if none is available.
    pub(super) fn grow(&mut self) -> bool {
        self.release_former();
        let is_refused = match self.growth {
            Growth::Possible => false,
            Growth::RefusedUntil(until) => Instant::now() < until,
            Growth::Impossible => true,
        };
        if self.former.is_some() || is_refused {
            return false;
        }
        let acquired = if self.kioctx.exists() {
            let Some(asked) = self.larger() else { return false };
            context_pool::acquire_larger(asked)
        } else {
            context_pool::acquire_quickly(self.config.first())
        };
        let larger = match acquired {
            Ok(larger) => larger,
            Err(refused) => {
                self.was_refused(refused);
                return false;
            }
        };
        if let Err(errno) = larger.hidden_from_children() {
            self.report(RING_IS_INHERITED, errno);
        }
        let former = std::mem::replace(&mut self.kioctx, larger);
        let movable = self.requests.grow(self.kioctx.capacity());
        self.former = former.exists().then(|| Former::new(former, movable));
        self.counters.growths.add(1);
        self.counters.capacity.set(self.requests.slots.capacity());
        self.move_own_polls();
        // The kernel may have had no room; now it has.
        self.stalled_until = None;
        true
    }

    fn was_refused(&mut self, Refused { for_good, retired }: Refused) {
        self.growth = match for_good {
            None => Growth::RefusedUntil(Instant::now() + PATIENCE),
            Some(unusable) => {
                self.report(unusable.what, unusable.errno);
                self.report("this runtime goes on without an AIO context: native AIO does not work here", None);
                Growth::Impossible
            }
        };
        if let Some(retired) = retired {
            self.closing.push_free(Box::new(retired));
        }
    }

    /// What to ask for next: twice as much, or again twice where a ring has more room than was
    /// asked for. `None` if the limit is reached.
    fn larger(&self) -> Option<u32> {
        let enough = self.requests.slots.capacity() + LEAST_GROWTH;
        let mut asked = self.kioctx.granted();
        while asked < self.config.capacity {
            asked = asked.saturating_mul(2).min(self.config.capacity);
            if asked as usize >= enough {
                return Some(asked);
            }
        }
        None
    }

    fn move_own_polls(&mut self) {
        for kind in [PollKind::Unpark, PollKind::Overflow] {
            let Some(key) = self.own_poll(kind).take() else { continue };
            if self.requests.disarm(key) == Disarm::Cancel {
                self.cancel(key);
            }
            self.arm_own(kind);
        }
        // Without a context there was no poll of it.
        if self.overflow.is_of_use() {
            self.arm_own(PollKind::Overflow);
        }
    }

    /// Moves some polls to the new context, and lets go of the former one when it is empty. Called
    /// once per turn.
    pub(super) fn advance_growth(&mut self) {
        for _ in 0..MOVES_PER_TURN {
            let Some(key) = self.former.as_mut().and_then(Former::next_movable) else { break };
            if self.requests.slots.begin_move(key) && !self.cancel(key) {
                // Denied since the probe. They stay where they are.
                self.requests.slots.undo_move(key);
                self.former.as_mut().expect("it has just been asked").move_no_more();
            }
        }
        self.release_former();
    }

    /// Lets go of the former context if nothing is in flight there. In a burst nothing ever was.
    fn release_former(&mut self) {
        if self.requests.slots.on_former() == 0
            && let Some(former) = self.former.take()
        {
            // To hand it on may be slow, and may be logged.
            self.closing.push_free(Box::new(Retired::new(former.into_kioctx())));
        }
    }

    /// Whether there are polls to be moved before the loop sleeps.
    pub(super) fn is_moving(&self) -> bool {
        self.former.as_ref().is_some_and(Former::has_movable)
    }

    /// Takes what has completed on the former context.
    pub(super) fn reap_former(&mut self) {
        let Some(former) = &mut self.former else { return };
        if self.config.reaps_in_user_space(former.kioctx()) {
            let taken = former.reap(&mut self.events);
            self.counters.events_from_ring.add(taken as u64);
        } else {
            self.counters.getevents_calls.add(1);
            let taken = former.take_by_syscall(&mut self.events);
            self.counters.events_from_syscall.add(taken as u64);
        }
    }

    /// The longest sleep while events can come from the former context, which do not end it.
    pub(super) fn limit_by_former(&mut self, timeout: Option<Duration>) -> Option<Duration> {
        match &mut self.former {
            Some(former) => Some(former.limit(timeout, BACK_OFF)),
            None => timeout,
        }
    }
}
