//! Waiting for readiness: by an AIO poll, or in the nested epoll.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::task::{Poll, Waker};

use rustix::io::Errno;

use super::Driver;
use crate::reactor::error::explain;
use crate::reactor::kernel::overflow;
use crate::reactor::readiness::{Direction, Hint, OVERFLOW, Source, SourceId, Wait};

/// Which waker of a direction a caller speaks for.
#[derive(Debug)]
pub(in crate::reactor) enum Waiter {
    /// The one of the `poll_*` functions: the latest caller's.
    Task,
    /// A future's own, from its first wait on.
    Future(Option<usize>),
}

impl Driver {
    pub(in crate::reactor) fn register(&mut self, fd: BorrowedFd<'_>) -> SourceId {
        SourceId(self.sources.insert(Source::new(fd.as_raw_fd())) as u32)
    }

    /// What is known of a direction: that a try may succeed, that waiting is impossible, or nothing
    /// to act upon. `certain`: that nothing has been tried yet is no reason to try.
    pub(in crate::reactor) fn readiness(
        &mut self,
        id: SourceId,
        direction: Direction,
        certain: bool,
    ) -> Poll<io::Result<()>> {
        let readiness_of = self.readiness_of(id, direction);
        match readiness_of.hint {
            Hint::Ready => return Poll::Ready(Ok(())),
            // The try before has found something: `would_block` would have said otherwise.
            Hint::Assumed if !certain => {
                readiness_of.hint = Hint::Ready;
                return Poll::Ready(Ok(()));
            }
            Hint::Unknown if !certain => {
                readiness_of.hint = Hint::Assumed;
                return Poll::Ready(Ok(()));
            }
            Hint::Unknown | Hint::Assumed | Hint::Blocked => {}
        }
        // Only after a try has failed: what is there can be had, whether it can be waited for or
        // not.
        match readiness_of.error.take() {
            Some(errno) => Poll::Ready(Err(wait_error(errno))),
            None => Poll::Pending,
        }
    }

    pub(in crate::reactor) fn would_block(&mut self, id: SourceId, direction: Direction) {
        self.readiness_of(id, direction).would_block();
    }

    pub(in crate::reactor) fn clear_ready(&mut self, id: SourceId, direction: Direction) {
        self.readiness_of(id, direction).hint = Hint::Blocked;
    }

    /// Makes sure that the direction is waited for, and by whom. `certain`: by an event. Returns
    /// the waker that was there before, to be dropped elsewhere.
    pub(in crate::reactor) fn await_ready(
        &mut self,
        id: SourceId,
        direction: Direction,
        certain: bool,
        waiter: &mut Waiter,
        waker: Waker,
    ) -> Option<Waker> {
        let readiness_of = self.readiness_of(id, direction);
        let replaced = match waiter {
            Waiter::Task => readiness_of.task.replace(waker),
            Waiter::Future(Some(at)) => readiness_of.waiters[*at].replace(waker),
            Waiter::Future(at @ None) => {
                *at = Some(readiness_of.waiters.insert(Some(waker)));
                None
            }
        };
        match readiness_of.wait {
            Wait::Idle if !certain && readiness_of.completes_inline() => self.skip_poll(id, direction),
            Wait::Idle => self.arm(id, direction),
            // A try that finds nothing is no answer to this one.
            Wait::Retry if certain => self.arm(id, direction),
            Wait::Retry | Wait::Poll(_) | Wait::Overflow => {}
        }
        replaced
    }

    pub(in crate::reactor) fn forget_waiter(
        &mut self,
        id: SourceId,
        direction: Direction,
        waiter: &Waiter,
    ) -> Option<Waker> {
        match waiter {
            Waiter::Task | Waiter::Future(None) => None,
            Waiter::Future(Some(at)) => self.readiness_of(id, direction).waiters.try_remove(*at).flatten(),
        }
    }

    /// Has the direction tried again in the next turn, since a poll would be ready by then.
    fn skip_poll(&mut self, id: SourceId, direction: Direction) {
        if !self.kioctx.is_ours() {
            return self.left_behind(id, direction);
        }
        self.readiness_of(id, direction).wait = Wait::Retry;
        self.retries.push((id, direction));
        self.counters.polls_skipped.add(1);
    }

    /// Arms an AIO poll where there is a slot, the nested epoll where there is none. The choice is
    /// made anew each time.
    fn arm(&mut self, id: SourceId, direction: Direction) {
        if !self.kioctx.is_ours() {
            return self.left_behind(id, direction);
        }
        match self.table.arm(id, direction) {
            Some(key) => self.readiness_of(id, direction).wait = Wait::Poll(key),
            None => {
                self.arm_in_overflow(id, direction);
                // Not if the epoll is full: the evicted one would wait there.
                if self.readiness_of(id, direction).wait == Wait::Overflow {
                    self.demote_idle();
                }
            }
        }
    }

    /// This is a forked child: what was registered before the fork is waited for by the parent.
    fn left_behind(&mut self, id: SourceId, direction: Direction) {
        self.sources[id.index()].fail(direction, Errno::OWNERDEAD, &mut self.wakers);
    }

    /// Has a poll that has stood for long give up its slot, for one that comes and goes. Its
    /// registration waits on in the nested epoll, as soon as the poll's event has come.
    fn demote_idle(&mut self) {
        let Some(key) = self.table.demote(self.overflow.members()) else { return };
        if self.cancel(key) {
            self.counters.polls_demoted.add(1);
        } else {
            self.table.undo_demotion(key);
        }
    }

    /// An evicted poll's event has come. `res` is a mask if the descriptor became ready meanwhile,
    /// and nobody has been told yet; 0, or a negated errno on other kernels, only says that the
    /// poll is over.
    pub(super) fn move_to_overflow(&mut self, id: SourceId, direction: Direction, res: i64) {
        self.readiness_of(id, direction).poll_completed(false);
        if res > 0 {
            return self.wake_by_poll(id, direction, res);
        }
        match self.watch_in_overflow(id, direction) {
            Ok(()) => {}
            // It has just vacated a slot.
            Err(errno) => match self.table.arm_again(id, direction) {
                Some(key) => self.readiness_of(id, direction).wait = Wait::Poll(key),
                None => self.sources[id.index()].fail(direction, errno, &mut self.wakers),
            },
        }
        self.publish();
    }

    pub(super) fn arm_in_overflow(&mut self, id: SourceId, direction: Direction) {
        if let Err(errno) = self.watch_in_overflow(id, direction) {
            self.sources[id.index()].fail(direction, errno, &mut self.wakers);
        }
        self.publish();
    }

    fn watch_in_overflow(&mut self, id: SourceId, direction: Direction) -> Result<(), Errno> {
        let source = &mut self.sources[id.index()];
        source.readiness_of_mut(direction).wait = Wait::Overflow;
        let interest = source.epoll_interest();
        match self.overflow.watch(id, overflow::borrow(source.fd), &mut source.membership, interest) {
            Ok(()) => {
                self.arm_own(OVERFLOW);
                Ok(())
            }
            refused => {
                let readiness_of = source.readiness_of_mut(direction);
                readiness_of.wait = Wait::Idle;
                // epoll refuses what is always ready: a regular file, a directory.
                if refused == Err(Errno::PERM) {
                    readiness_of.wake_into(&mut self.wakers);
                    return Ok(());
                }
                refused
            }
        }
    }

    /// Arms one of the reactor's own polls, unless it stands already.
    pub(super) fn arm_own(&mut self, id: SourceId) {
        if self.readiness_of(id, Direction::Read).wait == Wait::Idle {
            let key = self.table.arm_own(id);
            self.readiness_of(id, Direction::Read).wait = Wait::Poll(key);
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
        Errno::OWNERDEAD => explain(errno, "this was registered with the aio-runtime of the process before the fork"),
        _ => errno.into(),
    }
}
