//! Completion: takes events, from the ring if it can be read, and acts on them.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use super::{BACK_OFF, Driver};
use crate::reactor::ids::{Key, PollKind};
use crate::reactor::kernel::abi::IoEvent;
use crate::reactor::requests::Completion;

impl Driver {
    /// Takes the events that are there, without sleeping, and acts on them. By system call it takes
    /// a limited number; what is left is there at the next look.
    pub(super) fn take_completions(&mut self) {
        if !self.kioctx.exists() {
            return self.drain_without_context();
        }
        if self.config.reaps_in_user_space(&self.kioctx) {
            let taken = self.kioctx.reap(&mut self.events);
            self.counters.events_from_ring.add(taken as u64);
        } else if self.events.is_empty() && self.requests.slots.in_use() > 0 {
            self.take_by_syscall(Some(Duration::ZERO), None);
        }
        if self.former.is_some() {
            self.reap_former();
        }
        self.dispatch();
        self.requests.slots.end_flush();
    }

    /// Takes events by a system call, waiting for the first one no longer than `timeout`, with the
    /// thread's signal mask replaced by `mask`.
    pub(super) fn take_by_syscall(&mut self, timeout: Option<Duration>, mask: Option<&libc::sigset_t>) {
        self.counters.getevents_calls.add(1);
        let timeout = self.limit_by_former(timeout);
        match self.kioctx.wait(timeout, mask, &mut self.events) {
            Ok(taken) => self.counters.events_from_syscall.add(taken as u64),
            // Denied since the start, by a seccomp filter say. Nothing is lost; a pause keeps the
            // loop from spinning on it.
            Err(errno) => {
                self.report("io_getevents failed", errno);
                std::thread::sleep(timeout.map_or(BACK_OFF, |timeout| timeout.min(BACK_OFF)));
            }
        }
    }

    fn dispatch(&mut self) {
        if self.events.is_empty() {
            return;
        }
        self.stalled_until = None;
        let mut disarmed = false;
        let mut events = std::mem::take(&mut self.events);
        for event in events.drain(..) {
            match self.requests.complete(Key::from_data(event.data), event.res) {
                Completion::Poll { kind, inline } => {
                    self.counters.polls_completed_inline.add(inline.into());
                    self.poll_has_completed(kind, inline, &event);
                }
                Completion::Demoted { source, direction } => self.move_to_overflow(source, direction, &event),
                Completion::Moved { source, direction } | Completion::Abandoned { source, direction } => {
                    self.arm_again(source, direction, &event);
                }
                Completion::Operation(waker) => self.wakers.extend(waker),
                // Its buffer is freed here. Where it has the last reference to the file, that is
                // closed later, since it may block.
                Completion::Orphan(request) => {
                    if let Some(file) = Arc::into_inner(request.file) {
                        self.closing.push_free(OwnedFd::from(file));
                    }
                }
                Completion::Disarmed => disarmed = true,
                Completion::Stale => self.report("completion event with an unknown key", None),
            }
        }
        self.events = events;
        if disarmed {
            self.closing.release(&self.requests.slots);
        }
    }

    fn poll_has_completed(&mut self, kind: PollKind, inline: bool, event: &IoEvent) {
        match kind {
            PollKind::Waiters(source, direction) => {
                let source = &mut self.sources[source.index()];
                source.direction(direction).completed(inline);
                source.wake_by_poll(direction, event.res, &mut self.wakers);
            }
            PollKind::Unpark => {
                self.unpark_poll = None;
                self.unparker.drain();
                // Armed again at once: a write that comes late, after its notification was taken,
                // has just used up the poll of the sleep that may be about to begin.
                self.arm_own(PollKind::Unpark);
            }
            PollKind::Overflow => {
                self.overflow_poll = None;
                self.drain_overflow(inline);
            }
        }
    }

    /// Wakes waiters whose poll was skipped, to retry speculatively.
    pub(super) fn wake_retries(&mut self) {
        for (id, direction) in self.retries.drain(..) {
            // It may have been deregistered since.
            if let Some(source) = self.sources.get_mut(id.index()) {
                source.direction(direction).retry(&mut self.wakers);
            }
        }
    }

    /// Wakes the waiters of what has fired in the nested epoll. `inline`: the epoll was readable
    /// when polled, so most members that fired were ready when watched; a wrong guess costs a
    /// member one attempt.
    pub(super) fn drain_overflow(&mut self, inline: bool) {
        let (sources, wakers) = (&mut self.sources, &mut self.wakers);
        let mut half_fired = Vec::new();
        let drained = self.overflow.drain(|id, events| {
            // A descriptor that was closed behind our back could not be taken out: a duplicate
            // keeps it in the set.
            let Some(source) = sources.get_mut(id.index()) else { return };
            source.wake_by_overflow(events.into(), inline, wakers);
            // One event of any direction ends the watch of all.
            half_fired.extend(source.overflowed().map(|direction| (id, direction)));
        });
        if let Err(errno) = drained {
            // Denied since the start, by a seccomp filter say.
            self.report("epoll_wait failed: what cannot be polled is retried by a timer", errno);
            self.lose_overflow();
        }
        for (id, direction) in half_fired {
            self.arm_in_overflow(id, direction);
        }
        if self.overflow.is_of_use() {
            self.arm_own(PollKind::Overflow);
        }
    }
}
