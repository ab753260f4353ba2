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
                Completion::Poll { source, direction, inline } => {
                    self.counters.polls_completed_inline.add(inline.into());
                    self.readiness_of(source, direction).poll_completed(inline);
                    match source {
                        UNPARK => self.unparker.drain(),
                        OVERFLOW => self.drain_overflow(inline),
                        _ => self.wake_by_poll(source, direction, event.res),
                    }
                }
                Completion::Demoted { source, direction } => self.move_to_overflow(source, direction, event.res),
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
        source.readiness_of_mut(direction).wake_into(&mut self.wakers);
        if concerns_both(res) {
            source.readiness_of_mut(direction.other()).wake_into(&mut self.wakers);
        }
    }

    /// Wakes those whose poll was spared. Whether their try finds anything is not known.
    pub(super) fn wake_retries(&mut self) {
        for (id, direction) in self.retries.drain(..) {
            // Deregistered meanwhile; or armed, for one who wants to know and not to try.
            let Some(source) = self.sources.get_mut(id.index()) else { continue };
            let readiness_of = source.readiness_of_mut(direction);
            if readiness_of.wait == Wait::Retry {
                readiness_of.wait = Wait::Idle;
                readiness_of.hint = Hint::Unknown;
                readiness_of.take_waiters(&mut self.wakers);
            }
        }
    }

    /// `inline`: some member was ready when the epoll was polled, and most of those that have
    /// fired were, where it matters: a wrong guess costs them one try.
    fn drain_overflow(&mut self, inline: bool) {
        let (sources, wakers) = (&mut self.sources, &mut self.wakers);
        let mut half_fired = Vec::new();
        self.overflow.drain(|id, flags| {
            // A descriptor that was closed behind our back could not be taken out: a duplicate
            // keeps it in the set.
            let Some(source) = sources.get_mut(id.index()) else { return };
            let both = flags.intersects(EventFlags::ERR | EventFlags::HUP);
            for direction in Direction::BOTH {
                let readiness_of = source.readiness_of_mut(direction);
                if both || flags.intersects(direction.epoll_flags()) {
                    if readiness_of.wait == Wait::Overflow {
                        readiness_of.poll_completed(inline);
                    }
                    readiness_of.wake_into(wakers);
                }
            }
            // The registration was for one shot of either direction.
            let waits_on =
                Direction::BOTH.into_iter().find(|direction| source.readiness_of(*direction).wait == Wait::Overflow);
            half_fired.extend(waits_on.map(|direction| (id, direction)));
        });
        for (id, direction) in half_fired {
            self.arm_in_overflow(id, direction);
        }
        if self.overflow.members() > 0 {
            self.arm_own(OVERFLOW);
        }
    }
}
