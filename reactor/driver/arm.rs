//! How a descriptor waits: by an AIO poll, in the nested epoll, or by a timer.
//!
//! The rule is one poll for each wait, armed when somebody has to wait. What finds no slot waits in
//! the nested epoll instead, for one event: then it is quiet, and the next arming chooses again. So
//! a descriptor that gets a slot again costs the epoll nothing. Watched for edges it would have its
//! events reported twice, or have to be taken out at each change.
//!
//! A listener or a datagram socket avoids polls, so that its address is free when it has been
//! closed. It waits in the nested epoll where that is possible, also for one event at a time. An
//! armed poll holds its file, and the kernel lets go of it only a moment *after* the event of the
//! cancel: a kernel thread that is preempted in between keeps the port taken. An epoll holds no
//! file. (A UDP echo of one socket, which waits for each datagram, takes 11 % more CPU time for it,
//! one of 64 sockets 3 %.)
//!
//! Two kinds of descriptors wait for edges from then on: the kernel refuses their polls, or they
//! are contradictory. The readiness of those contradicts `EAGAIN` for long: an unread message in a
//! socket's error queue is a standing `POLLERR`, which no mask can exclude. Polls and one-shot
//! watches look at the level each time they are armed, so they would complete at once, each time.
//!
//! Where edges tell nothing either, a timer wakes the waiters, at growing intervals: the epoll has
//! no queue to wait on (it refuses regular files), or the file claims room where there is none (an
//! unconnected datagram socket whose peer is full).

use std::cmp::Reverse;
use std::collections::binary_heap::PeekMut;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use rustix::io::Errno;

use super::{Close, Driver};
use crate::reactor::error::explain;
use crate::reactor::ids::{Direction, PollKind, SourceId};
use crate::reactor::kernel::abi::IoEvent;
use crate::reactor::kernel::overflow;
use crate::reactor::readiness::{Interest, Next, Ready, ReadyEvent, Source, Until, Wait, Waiter};

impl Driver {
    /// Registers a descriptor that is to be closed in this way.
    pub(in crate::reactor) fn register(&mut self, fd: BorrowedFd<'_>, close: Close) -> SourceId {
        let source = Source::new(fd.as_raw_fd(), close == Close::BeforeReturn);
        SourceId(self.sources.insert(source) as u32)
    }

    /// Registers a descriptor that somebody else closes, and has the nested epoll watch for every
    /// edge of these directions from now on.
    ///
    /// # Errors
    ///
    /// Those of `epoll_ctl(2)`, such as `EPERM` for a regular file.
    pub(in crate::reactor) fn register_for_edges(&mut self, fd: RawFd, interest: Interest) -> Result<SourceId, Errno> {
        let mut source = Source::new(fd, true);
        source.refuses_polls();
        let events = interest.directions().fold(0, |events, direction| events | source.events_with(direction));
        let entry = self.sources.vacant_entry();
        let id = SourceId(entry.key() as u32);
        self.overflow.add(id, fd, &mut source.in_overflow, events)?;
        for direction in interest.directions() {
            source.watch(direction);
        }
        entry.insert(source);
        self.counters.fds_edge_triggered.add(1);
        self.counters.waits_in_epoll.add(1);
        self.arm_own(PollKind::Overflow);
        Ok(id)
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
        let (contradicts, next, replaced) = self.sources[id.index()].block(direction, waiter, waker);
        if contradicts {
            self.counters.contradictions.add(1);
        }
        (self.act_on(id, direction, Until::Attempt, waiter, next), replaced)
    }

    /// The same where nothing was attempted here. `is_late`: see `Readiness::wait`.
    pub(in crate::reactor) fn wait(
        &mut self,
        id: SourceId,
        direction: Direction,
        until: Until,
        waiter: &mut Waiter,
        waker: Waker,
        is_late: bool,
    ) -> (Poll<io::Result<()>>, Option<Waker>) {
        let (next, replaced) = self.readiness(id, direction).wait(until, waiter, waker, is_late);
        (self.act_on(id, direction, until, waiter, next), replaced)
    }

    /// An attempt met `EAGAIN`, and no wait follows.
    pub(in crate::reactor) fn would_block(&mut self, id: SourceId, direction: Direction) {
        if self.sources[id.index()].would_block(direction) {
            self.counters.contradictions.add(1);
        }
    }

    /// See [`Source::assume_ready`].
    pub(in crate::reactor) fn assume_ready(&mut self, id: SourceId, interest: Interest) {
        self.sources[id.index()].assume_ready(interest);
    }

    /// See [`Source::look`].
    pub(in crate::reactor) fn look(&mut self, id: SourceId, interest: Interest) -> ReadyEvent {
        self.sources[id.index()].look(interest)
    }

    /// What these directions are ready for now. `None` if it is nothing, and an edge would have
    /// said so.
    pub(in crate::reactor) fn look_before_attempt(&mut self, id: SourceId, interest: Interest) -> Option<ReadyEvent> {
        let source = &mut self.sources[id.index()];
        let event = source.look(interest);
        let is_silent = !event.ready.intersects(Ready::of(interest)) && source.watches_edges_of(interest);
        (!is_silent).then_some(event)
    }

    /// See [`Source::deny`].
    pub(in crate::reactor) fn deny(&mut self, id: SourceId, event: ReadyEvent) {
        self.sources[id.index()].deny(event);
    }

    /// See [`Source::found_nothing`].
    pub(in crate::reactor) fn found_nothing(&mut self, id: SourceId, direction: Direction) {
        if self.sources[id.index()].found_nothing(direction) {
            self.counters.contradictions.add(1);
        }
    }

    /// A transfer was short: the next one would find nothing.
    pub(in crate::reactor) fn clear_ready(&mut self, id: SourceId, direction: Direction) {
        self.sources[id.index()].clear(direction);
    }

    fn act_on(
        &mut self,
        id: SourceId,
        direction: Direction,
        until: Until,
        waiter: &Waiter,
        next: Next,
    ) -> Poll<io::Result<()>> {
        match next {
            Next::Ready => Poll::Ready(Ok(())),
            Next::Failed(errno) => Poll::Ready(Err(wait_error(errno))),
            Next::Wait => Poll::Pending,
            Next::Retry => {
                self.retries.push((id, direction));
                self.counters.polls_skipped.add(1);
                Poll::Pending
            }
            Next::BackOff => {
                self.back_off(id, direction);
                Poll::Pending
            }
            Next::Arm => self.arm(id, direction, until, waiter),
        }
    }

    fn arm(&mut self, id: SourceId, direction: Direction, until: Until, waiter: &Waiter) -> Poll<io::Result<()>> {
        if self.sources[id.index()].avoids_polls() && self.watch(id, direction).is_ok() {
            return Poll::Pending;
        }
        if !self.sources[id.index()].is_edge_triggered()
            && let Some(key) = self.take_slot(id, direction)
        {
            self.readiness(id, direction).set_wait(Wait::Poll(key));
            return Poll::Pending;
        }
        self.arm_in_overflow(id, direction);
        match self.readiness(id, direction).current_wait() {
            // No slot was free, so an idle poll is asked to make room for the next one.
            Wait::Overflow => {
                self.demote_idle();
                Poll::Pending
            }
            Wait::Edge | Wait::BackOff | Wait::Poll(_) | Wait::Retry => Poll::Pending,
            // There is no way to wait. If the epoll is full, a demoted poll would have nowhere to
            // go. Whoever attempts may find something anyway, and is told later if not.
            Wait::Idle => match until {
                Until::Attempt => Poll::Ready(Ok(())),
                Until::Event => {
                    let errno = self.readiness(id, direction).take_error(waiter);
                    Poll::Ready(errno.map_or(Ok(()), |errno| Err(wait_error(errno))))
                }
            },
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

    /// A cancelled poll's event has come while its registration lives. Its result is a mask if the
    /// descriptor became ready in the meantime; its waiters have not been woken yet. 0 (on some
    /// kernels a negated errno) means only that the poll is over. True if somebody still waits.
    fn was_interrupted(&mut self, id: SourceId, direction: Direction, event: &IoEvent) -> bool {
        self.readiness(id, direction).completed(false);
        if event.res > 0 {
            self.sources[id.index()].wake_by_poll(direction, event.res, &mut self.wakers);
            return false;
        }
        self.readiness(id, direction).has_waiters()
    }

    /// The event of a moving or of an abandoned poll has come: whoever waits gets another poll.
    pub(super) fn arm_again(&mut self, id: SourceId, direction: Direction, event: &IoEvent) {
        if !self.was_interrupted(id, direction, event) {
            return;
        }
        if !self.rearm(id, direction) {
            self.arm_in_overflow(id, direction);
        }
    }

    /// Arms a poll in the slot that a cancelled one has just vacated. False if an operation was
    /// faster, or it waits for edges by now.
    fn rearm(&mut self, id: SourceId, direction: Direction) -> bool {
        if self.sources[id.index()].is_edge_triggered() {
            return false;
        }
        let Some(key) = self.requests.slots.rearm(id, direction) else { return false };
        self.readiness(id, direction).set_wait(Wait::Poll(key));
        true
    }

    /// The event of a demoted poll has come: whoever waits does so in the nested epoll.
    pub(super) fn move_to_overflow(&mut self, id: SourceId, direction: Direction, event: &IoEvent) {
        if !self.was_interrupted(id, direction, event) {
            return;
        }
        if let Err(errno) = self.watch_in_overflow(id, direction)
            && !self.rearm(id, direction)
        {
            self.fail(id, direction, errno);
        }
    }

    pub(super) fn arm_in_overflow(&mut self, id: SourceId, direction: Direction) {
        if let Err(errno) = self.watch_in_overflow(id, direction) {
            self.fail(id, direction, errno);
        }
    }

    /// A direction cannot be waited for.
    pub(super) fn fail(&mut self, id: SourceId, direction: Direction, errno: Errno) {
        if self.sources[id.index()].direction(direction).fail(errno, &mut self.wakers) {
            self.back_off(id, direction);
        }
    }

    /// Has the nested epoll watch a direction, for one event or for every edge. The kernel looks at
    /// the level when it is told to, so nothing is missed that came before.
    fn watch_in_overflow(&mut self, id: SourceId, direction: Direction) -> Result<(), Errno> {
        match self.watch(id, direction) {
            // The epoll refuses what has no queue to wait on (a regular file, a directory), or a
            // security policy denies it.
            Err(Errno::PERM) => {
                self.back_off(id, direction);
                Ok(())
            }
            watched => watched,
        }
    }

    fn watch(&mut self, id: SourceId, direction: Direction) -> Result<(), Errno> {
        let source = &mut self.sources[id.index()];
        let mode = if source.is_edge_triggered() { overflow::EDGES } else { overflow::ONE_EVENT };
        let events = source.events_with(direction);
        self.overflow.watch(id, source.fd, &mut source.in_overflow, events, mode)?;
        if source.is_edge_triggered() && !source.has_edges() {
            self.counters.fds_edge_triggered.add(1);
        }
        source.watch(direction);
        self.counters.waits_in_epoll.add(1);
        self.arm_own(PollKind::Overflow);
        Ok(())
    }

    // ---- back-off ----

    fn back_off(&mut self, id: SourceId, direction: Direction) {
        let length = self.readiness(id, direction).back_off();
        self.back_offs.push(Reverse((Instant::now() + length, id, direction)));
        self.counters.waits_backed_off.add(1);
    }

    /// Wakes those whose back-off is over.
    pub(super) fn end_back_offs(&mut self) {
        let Some(Reverse((first, ..))) = self.back_offs.peek() else { return };
        let (first, now) = (*first, Instant::now());
        if now < first {
            return;
        }
        while let Some(end) = self.back_offs.peek_mut()
            && end.0.0 <= now
        {
            let Reverse((_, id, direction)) = PeekMut::pop(end);
            // It may have been deregistered since.
            if let Some(source) = self.sources.get_mut(id.index()) {
                source.end_back_off(direction, &mut self.wakers);
            }
        }
    }

    /// How long it is until a back-off is over.
    pub(super) fn until_back_off_ends(&self) -> Option<Duration> {
        let Reverse((end, ..)) = self.back_offs.peek()?;
        Some(end.saturating_duration_since(Instant::now()))
    }

    /// The nested epoll cannot be asked any more: everything that waits in it backs off.
    pub(super) fn lose_overflow(&mut self) {
        let ids: Vec<_> = self.sources.iter().map(|(at, _)| SourceId(at as u32)).collect();
        for id in ids {
            for direction in self.sources[id.index()].lose_overflow() {
                self.back_off(id, direction);
            }
        }
    }

    // ---- the reactor's own polls ----

    /// Arms one of the reactor's own polls, unless it is armed already. Without a context the loop
    /// sees to both itself.
    pub(super) fn arm_own(&mut self, kind: PollKind) {
        if self.own_poll(kind).is_none() && self.kioctx.exists() {
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
