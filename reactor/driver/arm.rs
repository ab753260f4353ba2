//! How a descriptor waits: by an AIO poll, or in the nested epoll. Chosen again at each arming.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::task::{Poll, Waker};

use rustix::io::Errno;

use super::Driver;
use crate::reactor::error::explain;
use crate::reactor::ids::{Direction, PollKind, SourceId};
use crate::reactor::kernel::abi::IoEvent;
use crate::reactor::readiness::{Next, Source, Until, Wait, Waiter};

impl Driver {
    pub(in crate::reactor) fn register(&mut self, fd: BorrowedFd<'_>) -> SourceId {
        SourceId(self.sources.insert(Source::new(fd.as_raw_fd())) as u32)
    }

    /// An attempt met `EAGAIN`: waits for the next one. Ready if there is no reason to wait, or no
    /// way to. Returns a waker to be dropped outside the borrow.
    pub(in crate::reactor) fn block(
        &mut self,
        id: SourceId,
        direction: Direction,
        waiter: &mut Waiter,
        waker: Waker,
    ) -> (Poll<io::Result<()>>, Option<Waker>) {
        let (next, replaced) = self.readiness(id, direction).block(waiter, waker);
        (self.act_on(id, direction, next), replaced)
    }

    /// The same where nothing was attempted.
    pub(in crate::reactor) fn wait(
        &mut self,
        id: SourceId,
        direction: Direction,
        until: Until,
        waiter: &mut Waiter,
        waker: Waker,
    ) -> (Poll<io::Result<()>>, Option<Waker>) {
        let (next, replaced) = self.readiness(id, direction).wait(until, waiter, waker);
        (self.act_on(id, direction, next), replaced)
    }

    /// The same for a waiter on another thread, where an attempt has met `EAGAIN` if it is `until`
    /// one. Returns a waker to be dropped outside the borrow.
    pub(in crate::reactor) fn wait_from_elsewhere(
        &mut self,
        id: SourceId,
        direction: Direction,
        until: Until,
        waker: Waker,
    ) -> Option<Waker> {
        let waiter = &mut Waiter::Elsewhere;
        let (waited, waker) = match until {
            Until::Attempt => self.block(id, direction, waiter, waker),
            Until::Event => self.wait(id, direction, until, waiter, waker),
        };
        if waited.is_pending() {
            return waker;
        }
        // Here nobody asks for the reason; it tries again there.
        self.wakers.extend(waker);
        None
    }

    fn act_on(&mut self, id: SourceId, direction: Direction, next: Next) -> Poll<io::Result<()>> {
        match next {
            Next::Ready => Poll::Ready(Ok(())),
            Next::Failed(errno) => Poll::Ready(Err(wait_error(errno))),
            Next::Wait => Poll::Pending,
            Next::Retry => {
                self.retries.push((id, direction));
                self.counters.polls_skipped.add(1);
                Poll::Pending
            }
            Next::Arm => match self.take_slot(id, direction) {
                Some(key) => {
                    self.readiness(id, direction).set_wait(Wait::Poll(key));
                    Poll::Pending
                }
                None => self.arm_without_slot(id, direction),
            },
        }
    }

    /// No slot is free: the nested epoll takes over, and an idle poll is asked to make room for the
    /// next one. Ready if there is no way to wait: another attempt will tell why.
    fn arm_without_slot(&mut self, id: SourceId, direction: Direction) -> Poll<io::Result<()>> {
        self.arm_in_overflow(id, direction);
        match self.readiness(id, direction).current_wait() {
            Wait::Overflow => {
                self.demote_idle();
                Poll::Pending
            }
            // If the epoll is full as well, a demoted poll would have nowhere to go.
            Wait::Idle | Wait::Poll(_) | Wait::Retry => Poll::Ready(Ok(())),
        }
    }

    /// Frees a slot by cancelling an idle poll. Once its event has come, its registration waits in
    /// the nested epoll.
    fn demote_idle(&mut self) {
        // A larger context will have room before long.
        if self.former.is_some() {
            return;
        }
        let Some(key) = self.requests.demote(self.overflow.len()) else { return };
        if self.cancel(key) {
            self.counters.polls_demoted.add(1);
        } else {
            self.requests.slots.undo_demotion(key);
        }
    }

    /// A demoted poll's event has come. Its result is a mask if the descriptor became ready in the
    /// meantime; its waiters have not been woken yet. 0 (on some kernels a negated errno) means
    /// only that the poll is over.
    pub(super) fn move_to_overflow(&mut self, id: SourceId, direction: Direction, event: &IoEvent) {
        self.readiness(id, direction).completed(false);
        if event.res > 0 {
            return self.wake_by_poll(id, direction, event);
        }
        if let Err(errno) = self.watch_in_overflow(id, direction) {
            // It has just vacated a slot.
            match self.requests.slots.rearm(id, direction) {
                Some(key) => self.readiness(id, direction).set_wait(Wait::Poll(key)),
                None => self.fail(id, direction, errno),
            }
        }
    }

    pub(super) fn arm_in_overflow(&mut self, id: SourceId, direction: Direction) {
        if let Err(errno) = self.watch_in_overflow(id, direction) {
            self.fail(id, direction, errno);
        }
    }

    /// A direction cannot be waited for.
    pub(super) fn fail(&mut self, id: SourceId, direction: Direction, errno: Errno) {
        self.sources[id.index()][direction].fail(errno, &mut self.wakers);
    }

    fn watch_in_overflow(&mut self, id: SourceId, direction: Direction) -> Result<(), Errno> {
        let source = &mut self.sources[id.index()];
        source[direction].set_wait(Wait::Overflow);
        let mut in_overflow = source.in_overflow;
        let watched = self.overflow.watch(id, source.fd, &mut in_overflow, source.overflow_directions());
        source.in_overflow = in_overflow;
        match watched {
            Ok(()) => {
                self.arm_own(PollKind::Overflow);
                Ok(())
            }
            // epoll refuses what is always ready: a regular file, a directory.
            Err(Errno::PERM) => {
                source[direction].set_wait(Wait::Idle);
                source[direction].wake_into(&mut self.wakers);
                Ok(())
            }
            Err(errno) => {
                source[direction].set_wait(Wait::Idle);
                Err(errno)
            }
        }
    }

    /// Arms one of the reactor's own polls, unless it is armed already.
    pub(super) fn arm_own(&mut self, kind: PollKind) {
        if self.own_poll(kind).is_none() {
            let key = self.requests.slots.arm_own(kind);
            *self.own_poll(kind) = Some(key);
        }
    }
}

/// Why a descriptor cannot be waited for, with the knob where there is one.
fn wait_error(errno: Errno) -> io::Error {
    match errno {
        Errno::NOSPC => explain(
            errno,
            "epoll_ctl: all AIO slots are taken, and so are the fs.epoll.max_user_watches of this user; raise that, \
             or Builder::capacity and fs.aio-max-nr",
        ),
        _ => errno.into(),
    }
}
