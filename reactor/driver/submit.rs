//! Submission: one `io_submit` for all that is queued, and what becomes of what the kernel does not
//! take.

use std::os::fd::{AsFd, AsRawFd};
use std::time::Instant;

use rustix::io::Errno;

use super::{BACK_OFF, Driver};
use crate::reactor::ids::{Direction, Key, PollKind};
use crate::reactor::kernel::abi::Iocb;
use crate::reactor::requests::{Completion, Opcode, Owner, Request};

/// How many bytes one flush may have `io_submit` copy from and to the page cache. A request that
/// begins below the limit is copied whole. A MiB takes 0.1 to 0.5 ms: that long, sockets
/// and timers wait for their turn.
const COPY_LIMIT: usize = 1 << 20;

impl Driver {
    /// Submits all that is queued: by one `io_submit`, and by another where what the kernel refused
    /// put something new into the queue. Only copies beyond the limit stay for the next flush.
    pub(super) fn flush(&mut self) {
        let mut copies_left = COPY_LIMIT;
        let mut has_work = self.can_submit();
        while has_work {
            self.stalled_until = None;
            self.submit_queue(&mut copies_left);
            self.take_refusals();
            self.make_room();
            has_work = self.requests.slots.has_queued() && !self.is_stalled();
        }
    }

    /// Whether a flush would have something to do. The loop does not sleep then.
    pub(super) fn can_submit(&self) -> bool {
        (self.requests.slots.has_queued() || !self.deferred_copies.is_empty()) && !self.is_stalled()
    }

    fn is_stalled(&self) -> bool {
        self.stalled_until.is_some_and(|until| Instant::now() < until)
    }

    /// The next slot to be submitted: a copy that an earlier flush has put off, or else the oldest
    /// of the queue.
    fn next_to_submit(&mut self, copies_left: &mut usize) -> Option<(Key, Owner)> {
        while *copies_left > 0
            && let Some(key) = self.deferred_copies.pop_front()
        {
            // It may have been vacated since.
            if let Some(owner) = self.requests.slots.owner(key) {
                *copies_left = copies_left.saturating_sub(self.copies(owner));
                return Some((key, owner));
            }
        }
        while let Some((key, owner)) = self.requests.slots.next_queued() {
            let copies = self.copies(owner);
            if copies == 0 || *copies_left > 0 {
                *copies_left = copies_left.saturating_sub(copies);
                return Some((key, owner));
            }
            self.deferred_copies.push_back(key);
        }
        None
    }

    fn copies(&mut self, owner: Owner) -> usize {
        match owner {
            Owner::Poll(_) => 0,
            Owner::Operation(index) => self.requests.operations.payload_mut(index).copies(),
        }
    }

    fn submit_queue(&mut self, copies_left: &mut usize) {
        while let Some((key, owner)) = self.next_to_submit(copies_left) {
            let iocb = match owner {
                Owner::Poll(kind) => self.poll_iocb(kind, key),
                Owner::Operation(index) => self.file_iocb(index, key),
            };
            self.batch.push(key, iocb);
        }
        let begin = self.config.measure_stalls.then(Instant::now);
        let calls = self.batch.submit(&self.kioctx, |key| self.requests.slots.accepted(key));
        self.counters.submit_calls.add(calls);
        if let Some(begin) = begin {
            self.counters.longest_submit_nanos.raise(begin.elapsed());
        }
    }

    fn poll_iocb(&mut self, kind: PollKind, key: Key) -> Iocb {
        self.counters.submitted_polls.add(1);
        let (fd, direction) = match kind {
            PollKind::Waiters(source, direction) => (self.sources[source.index()].fd, direction),
            PollKind::Unpark => (self.unparker.as_fd().as_raw_fd(), Direction::Read),
            PollKind::Overflow => (self.overflow.as_fd().as_raw_fd(), Direction::Read),
        };
        Iocb::poll(fd, direction, key.to_data())
    }

    /// The kernel's form of a file request, which points into the request's buffer.
    fn file_iocb(&mut self, index: usize, key: Key) -> Iocb {
        let Request { opcode, file, buf, offset, nowait, inline: _ } = self.requests.operations.payload_mut(index);
        let (fd, data) = (file.as_raw_fd(), key.to_data());
        let iocb = match opcode {
            Opcode::Read => {
                self.counters.submitted_reads.add(1);
                Iocb::read(fd, buf.as_mut_ptr(), buf.len(), *offset, data)
            }
            Opcode::Write => {
                self.counters.submitted_writes.add(1);
                Iocb::write(fd, buf.as_ptr(), buf.len(), *offset, data)
            }
            Opcode::Sync { data_only } => {
                self.counters.submitted_syncs.add(1);
                Iocb::sync(fd, *data_only, data)
            }
        };
        if *nowait { iocb.nowait() } else { iocb }
    }

    /// Handles refused requests. Polls go to the nested epoll if it can watch them; the rest end
    /// with the errno.
    fn take_refusals(&mut self) {
        for (key, errno) in std::mem::take(&mut self.batch.refused) {
            match self.requests.complete(key, -i64::from(errno.raw_os_error())) {
                Completion::Poll { kind, .. } => self.poll_was_refused(kind, errno),
                Completion::Operation(waker) => self.wakers.extend(waker),
                Completion::Orphan(_)
                | Completion::Disarmed
                | Completion::Demoted { .. }
                | Completion::Moved { .. }
                | Completion::Abandoned { .. }
                | Completion::Stale => {
                    unreachable!(
                        "a refused request was still queued; queued requests are vacated when dropped, disarmed or \
                         abandoned, and never demoted or moved"
                    )
                }
            }
        }
    }

    fn poll_was_refused(&mut self, kind: PollKind, errno: Errno) {
        match kind {
            // Two wait queues (a tty, a FIFO opened read-write), and not ready at this moment.
            PollKind::Waiters(source, direction) if errno == Errno::INVAL => {
                self.sources[source.index()].refuses_polls();
                self.arm_in_overflow(source, direction);
            }
            PollKind::Waiters(source, direction) => self.fail(source, direction, errno),
            PollKind::Unpark | PollKind::Overflow => {
                *self.own_poll(kind) = None;
                self.report("io_submit refuses the reactor's own poll", errno);
                // Then the epoll can wake the loop.
                if kind == PollKind::Unpark
                    && errno == Errno::INVAL
                    && self.overflow.watch_unparker(&self.unparker).is_ok()
                {
                    return self.arm_own(PollKind::Overflow);
                }
                self.stall();
            }
        }
    }

    /// Handles requests that the kernel has no room for. Idle polls could hold their slots forever,
    /// so polls go to the nested epoll. The rest waits for an event or for the back-off.
    fn make_room(&mut self) {
        let mut no_room = std::mem::take(&mut self.batch.no_room);
        if no_room.is_empty() {
            return;
        }
        no_room.retain(|key| match self.requests.slots.owner(*key) {
            Some(Owner::Poll(PollKind::Waiters(source, direction))) => {
                self.requests.complete(*key, 0);
                self.arm_in_overflow(source, direction);
                false
            }
            Some(Owner::Poll(PollKind::Unpark | PollKind::Overflow) | Owner::Operation(_)) | None => true,
        });
        if !no_room.is_empty() {
            self.requests.slots.requeue(&no_room);
            self.stall();
        }
        no_room.clear();
        self.batch.no_room = no_room;
    }

    /// Pauses submission until an event or the end of the back-off, which also limits the next
    /// sleep. The poll of the nested epoll may be among what waits, so the epoll is looked at here.
    fn stall(&mut self) {
        self.stalled_until = Some(Instant::now() + BACK_OFF);
        if self.overflow.is_of_use() {
            self.drain_overflow(false);
        }
    }
}
