//! The end of registrations, and of the driver: polls are cancelled before their descriptor is
//! closed.

use std::mem::ManuallyDrop;
use std::os::fd::OwnedFd;
use std::task::Waker;
use std::time::{Duration, Instant};

use rustix::net::Shutdown;

use super::Driver;
use super::closing::{Close, any_in_flight};
use super::former::Former;
use crate::reactor::ids::{Direction, Key, PollKind, SourceId};
use crate::reactor::kernel::context_pool;
use crate::reactor::readiness::{Source, Wait};
use crate::reactor::requests::Disarm;

/// How long an ordinary close waits for its cancelled polls. They take microseconds; the loop
/// finishes whatever takes longer.
const CLOSE_SOON: Duration = Duration::from_millis(1);

/// How long a `BeforeReturn` close waits. The limit guards against a broken kernel.
const CLOSE_PATIENCE: Duration = Duration::from_millis(100);

/// How long a dropped reactor waits for file I/O before it leaves the context to a thread that
/// destroys it.
const SHUTDOWN_PATIENCE: Duration = Duration::from_millis(20);

impl Driver {
    /// Ends a registration and closes the descriptor, if one is given, so that the other side sees
    /// the close at once. `BeforeReturn`: also waits until the kernel has released the file. What
    /// it returns is to be dropped outside the borrow.
    pub(in crate::reactor) fn deregister(&mut self, id: SourceId, fd: Option<OwnedFd>, close: Close) -> Source {
        let polls = self.disarm_all(id, fd.as_ref());
        let source = self.sources.remove(id.index());
        if polls == [None, None] {
            return source;
        }
        if let Some(fd) = fd {
            self.closing.fds.push((polls, fd));
        }
        // Most often the event is in the ring when io_cancel returns.
        self.take_completions();
        let patience = match close {
            Close::Soon => CLOSE_SOON,
            Close::BeforeReturn => CLOSE_PATIENCE,
        };
        self.reap_until(patience, |driver| !any_in_flight(&polls, &driver.requests.slots));
        source
    }

    /// Waits until everything dropped so far is closed.
    pub(in crate::reactor) fn close_all(&mut self) {
        self.reap_until(CLOSE_PATIENCE, |driver| driver.closing.is_empty());
    }

    /// Ends all waiting for a source, which is going to be closed if a descriptor is given. Returns
    /// the polls whose events are still to come.
    fn disarm_all(&mut self, id: SourceId, closing: Option<&OwnedFd>) -> [Option<Key>; Direction::BOTH.len()] {
        let polls = Direction::BOTH.map(|direction| {
            let readiness = self.readiness(id, direction);
            let Wait::Poll(key) = readiness.current_wait() else { return None };
            readiness.set_wait(Wait::Idle);
            match self.requests.disarm(key) {
                Disarm::Vacated => None,
                Disarm::Cancel => {
                    if !self.cancel(key) {
                        // Denied since the probe. A socket's polls can also be ended by shutting it
                        // down.
                        let _ = closing.map(|fd| rustix::net::shutdown(fd, Shutdown::Both));
                    }
                    Some(key)
                }
                Disarm::AwaitEvent => Some(key),
            }
        });
        let source = &mut self.sources[id.index()];
        if source.in_overflow
            && let Err(errno) = self.overflow.forget(source.fd, &mut source.in_overflow)
        {
            self.report("a descriptor was closed behind the reactor's back", errno);
        }
        polls
    }

    /// Cancels a poll, whose event comes in any case. False if that is denied.
    pub(super) fn cancel(&mut self, key: Key) -> bool {
        self.counters.cancels.add(1);
        let kioctx = match &self.former {
            Some(former) if self.requests.slots.is_on_former(key) => former.kioctx(),
            _ => &self.kioctx,
        };
        match kioctx.cancel(self.batch.place(key)) {
            Ok(_) => true,
            Err(errno) => {
                self.report("io_cancel failed", errno);
                false
            }
        }
    }

    /// Takes events until `done`, but no longer than `patience`. Wakers are kept for the next turn.
    fn reap_until(&mut self, patience: Duration, done: impl Fn(&Self) -> bool) {
        let mut deadline = None;
        while !done(self) {
            let now = Instant::now();
            let left = deadline.get_or_insert(now + patience).saturating_duration_since(now);
            if left.is_zero() {
                return;
            }
            // Signals wait for the loop's sleep.
            self.take_by_syscall(Some(left), None);
            self.take_completions();
        }
    }

    /// Cancels all polls, waits a little for the rest, and hands the context on. Returns the wakers
    /// of everyone still waiting.
    pub(in crate::reactor) fn shutdown(mut self) -> Vec<Waker> {
        self.requests.withdraw_queued(&mut self.wakers);
        let ids: Vec<_> = self.sources.iter().map(|(at, _)| SourceId(at as u32)).collect();
        for id in ids {
            self.disarm_all(id, None);
        }
        for kind in [PollKind::Unpark, PollKind::Overflow] {
            if let Some(key) = self.own_poll(kind).take()
                && self.requests.disarm(key) == Disarm::Cancel
            {
                self.cancel(key);
            }
        }
        self.reap_until(SHUTDOWN_PATIENCE, |driver| driver.requests.slots.in_use() == 0);
        for (_, source) in &mut self.sources {
            for direction in Direction::BOTH {
                source[direction].wake_into(&mut self.wakers);
            }
        }
        self.requests.operations.take_wakers(&mut self.wakers);
        self.counters.orphans.set(0);
        self.counters.slots_in_use.set(0);
        self.counters.overflow_fds.set(0);
        let requests = ManuallyDrop::into_inner(self.requests);
        let contexts = std::iter::once(self.kioctx).chain(self.former.map(Former::into_kioctx));
        if requests.slots.in_use() == 0 {
            contexts.for_each(context_pool::put);
        } else {
            context_pool::destroy(contexts.collect(), Box::new(requests));
        }
        self.wakers
    }
}
