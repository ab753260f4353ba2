//! Completion: events are taken, from the ring where it can be read, and told to whom they belong.

use std::time::Duration;

use rustix::event::epoll::EventFlags;

use super::Driver;
use super::submit::BACK_OFF;
use crate::reactor::readiness::{Direction, Hint, OVERFLOW, SourceId, UNPARK, Wait, concerns_both};
use crate::reactor::requests::{Completion, Key};

impl Driver {
    /// Takes all events that are there, from the ring where it can be read.
    pub(super) fn reap(&mut self) {
        if self.reaps_in_user_space() {
            let taken = self.kioctx.reap(&mut self.events);
            self.counters.events_from_ring.add(taken as u64);
        } else if self.table.in_use() > 0 {
            self.take_by_syscall(Some(Duration::ZERO));
        }
        self.dispatch();
        self.table.end_flush();
    }

    pub(super) fn reaps_in_user_space(&self) -> bool {
        self.kioctx.has_ring() && !self.config.force_syscalls
    }

    /// Takes events by `io_pgetevents`, waiting for the first one no longer than `timeout`.
    pub(super) fn take_by_syscall(&mut self, timeout: Option<Duration>) {
        self.counters.getevents_calls.add(1);
        match self.kioctx.wait(timeout, self.config.signal_mask.as_ref(), &mut self.events) {
            Ok(taken) => self.counters.events_from_syscall.add(taken as u64),
            // Denied since the start, by a seccomp filter say. Nothing is lost; a pause keeps the
            // loop from spinning on it.
            Err(errno) => {
                self.report("io_pgetevents failed", errno);
                std::thread::sleep(timeout.map_or(BACK_OFF, |timeout| timeout.min(BACK_OFF)));
            }
        }
    }

    pub(super) fn dispatch(&mut self) {
        if self.events.is_empty() {
            return;
        }
        self.stalled_until = None;
        let mut disarmed = false;
        let mut events = std::mem::take(&mut self.events);
        for event in events.drain(..) {
            match self.table.complete(Key::from_data(event.data), event.res) {
                Completion::Poll { source, direction, born_ready } => {
                    self.counters.polls_born_ready.add(born_ready.into());
                    self.side(source, direction).poll_completed(born_ready);
                    match source {
                        UNPARK => self.unparker.drain(),
                        OVERFLOW => self.drain_overflow(born_ready),
                        _ => self.wake_by_poll(source, direction, event.res),
                    }
                }
                Completion::Evicted { source, direction } => self.wait_elsewhere(source, direction, event.res),
                Completion::Operation(waker) => self.wakers.extend(waker),
                // Its buffer and its reference to the file are freed here.
                Completion::Orphan(_request) => {}
                Completion::Disarmed => disarmed = true,
                Completion::Stale => self.report("an event of no request of ours", None),
            }
        }
        self.events = events;
        if disarmed {
            self.close_what_is_free();
        }
        self.publish();
    }

    /// The mask of a completed poll is only a hint: the next try tells.
    pub(super) fn wake_by_poll(&mut self, id: SourceId, direction: Direction, res: i64) {
        let source = &mut self.sources[id.index()];
        source.side_mut(direction).wake_into(&mut self.wakers);
        if concerns_both(res) {
            source.side_mut(direction.other()).wake_into(&mut self.wakers);
        }
    }

    /// Wakes those whose poll was spared. Whether their try finds anything is not known.
    pub(super) fn wake_for_next_turn(&mut self) {
        for (id, direction) in self.next_turn.drain(..) {
            // Deregistered meanwhile; or armed, for one who wants to know and not to try.
            let Some(source) = self.sources.get_mut(id.index()) else { continue };
            let side = source.side_mut(direction);
            if side.wait == Wait::NextTurn {
                side.wait = Wait::Idle;
                side.hint = Hint::Untried;
                side.take_waiters(&mut self.wakers);
            }
        }
    }

    /// `born_ready`: some member was ready when the epoll was polled, and most of those that have
    /// fired were, where it matters: a wrong guess costs them one try.
    fn drain_overflow(&mut self, born_ready: bool) {
        let (sources, wakers) = (&mut self.sources, &mut self.wakers);
        let mut half_fired = Vec::new();
        self.overflow.drain(|id, flags| {
            // A descriptor that was closed behind our back could not be taken out: a duplicate
            // keeps it in the set.
            let Some(source) = sources.get_mut(id.index()) else { return };
            let both = flags.intersects(EventFlags::ERR | EventFlags::HUP);
            for direction in Direction::BOTH {
                let side = source.side_mut(direction);
                if both || flags.intersects(direction.epoll_flags()) {
                    if side.wait == Wait::Epoll {
                        side.poll_completed(born_ready);
                    }
                    side.wake_into(wakers);
                }
            }
            // The registration was for one shot of either direction.
            let waits_on = Direction::BOTH.into_iter().find(|direction| source.side(*direction).wait == Wait::Epoll);
            half_fired.extend(waits_on.map(|direction| (id, direction)));
        });
        for (id, direction) in half_fired {
            self.arm_by_epoll(id, direction);
        }
        if self.overflow.members() > 0 {
            self.arm_own(OVERFLOW);
        }
    }
}
