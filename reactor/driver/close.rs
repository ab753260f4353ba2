//! The end of registrations, and of the driver: polls are cancelled before their descriptor is
//! closed.

use std::os::fd::OwnedFd;
use std::task::Waker;
use std::time::{Duration, Instant};

use rustix::net::Shutdown;

use super::Driver;
use crate::reactor::kernel::context_pool;
use crate::reactor::kernel::overflow;
use crate::reactor::readiness::{Direction, Membership, Source, SourceId, Wait};
use crate::reactor::requests::{Disarm, Key};

/// How long a close that others see in time anyway waits for the events of its cancelled polls.
/// They take microseconds; what takes longer is left to the loop.
const CLOSE_SOON: Duration = Duration::from_millis(1);

/// How long a close waits that must be over when it returns. The limit is against a broken kernel.
const CLOSE_PATIENCE: Duration = Duration::from_millis(100);

/// How long a dropped reactor waits for file I/O before it leaves the context to be destroyed
/// elsewhere.
const SHUTDOWN_PATIENCE: Duration = Duration::from_millis(20);

/// A descriptor on its way to be closed.
#[derive(Debug)]
pub(super) struct Closing {
    polls: [Option<Key>; 2],
    _fd: OwnedFd,
}

impl Driver {
    /// See [`Reactor::deregister`](super::super::Reactor::deregister).
    pub(in crate::reactor) fn deregister(&mut self, id: SourceId, fd: Option<OwnedFd>, sync: bool) -> Source {
        if !self.kioctx.is_ours() {
            // The epoll and the context are the parent's.
            return self.sources.remove(id.index());
        }
        let polls = self.disarm_all(id, fd.as_ref());
        let source = self.sources.remove(id.index());
        self.publish();
        if polls == [None, None] {
            return source;
        }
        self.closing.extend(fd.map(|fd| Closing { polls, _fd: fd }));
        // Most often the event is in the ring when io_cancel returns.
        self.reap();
        let patience = if sync { CLOSE_PATIENCE } else { CLOSE_SOON };
        self.reap_until(patience, |driver| !driver.any_in_flight(&polls));
        source
    }

    /// Waits until what was dropped is closed.
    pub(in crate::reactor) fn close_all(&mut self) {
        self.reap_until(CLOSE_PATIENCE, |driver| driver.closing.is_empty());
    }

    /// Ends all waiting for a source, which is going to be closed if a descriptor is given. Returns
    /// the polls whose events are still to come.
    fn disarm_all(&mut self, id: SourceId, closing: Option<&OwnedFd>) -> [Option<Key>; 2] {
        let polls = Direction::BOTH.map(|direction| {
            let Wait::Poll(key) = std::mem::take(&mut self.readiness_of(id, direction).wait) else { return None };
            match self.table.disarm(key) {
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
        if source.membership == Membership::Member
            && let Err(errno) = self.overflow.forget(overflow::borrow(source.fd), &mut source.membership)
        {
            self.report("a descriptor was closed behind the reactor's back", errno);
        }
        polls
    }

    /// Cancels a poll, whose event comes in any case. False if that is denied.
    pub(super) fn cancel(&mut self, key: Key) -> bool {
        self.counters.cancels.add(1);
        match self.batch.cancel(&self.kioctx, key) {
            Ok(_) => true,
            Err(errno) => {
                self.report("io_cancel failed", errno);
                false
            }
        }
    }

    fn any_in_flight(&self, polls: &[Option<Key>]) -> bool {
        polls.iter().flatten().any(|key| self.table.owner(*key).is_some())
    }

    pub(super) fn close_what_is_free(&mut self) {
        let table = &self.table;
        self.closing.retain(|closing| closing.polls.iter().flatten().any(|key| table.owner(*key).is_some()));
    }

    /// Takes events until `done`, but no longer than `patience`. Wakers are kept for the next turn.
    fn reap_until(&mut self, patience: Duration, done: impl Fn(&Self) -> bool) {
        let mut deadline = None;
        while !done(self) && self.kioctx.is_ours() {
            let now = Instant::now();
            let left = deadline.get_or_insert(now + patience).saturating_duration_since(now);
            if left.is_zero() {
                return;
            }
            self.take_by_syscall(Some(left));
            self.dispatch();
            self.reap();
        }
    }

    /// Cancels all polls, waits a little for the rest, and hands the context on. Returns whom to
    /// tell that it is over.
    pub(in crate::reactor) fn shutdown(mut self) -> Vec<Waker> {
        let ids: Vec<_> = self.sources.iter().map(|(at, _)| SourceId(at as u32)).collect();
        self.table.withdraw_queued(&mut self.wakers);
        if self.kioctx.is_ours() {
            for id in &ids {
                self.disarm_all(*id, None);
            }
            self.reap_until(SHUTDOWN_PATIENCE, |driver| driver.table.in_use() == 0);
        }
        for id in ids {
            for direction in Direction::BOTH {
                self.sources[id.index()].readiness_of_mut(direction).wake_into(&mut self.wakers);
            }
        }
        self.table.take_wakers(&mut self.wakers);
        self.counters.orphans.set(0);
        self.counters.slots_in_use.set(0);
        self.counters.overflow_fds.set(0);
        if self.table.in_use() == 0 {
            context_pool::put(self.kioctx);
        } else {
            context_pool::destroy(self.kioctx, Box::new((self.table, self.closing)));
        }
        self.wakers
    }
}
