//! Batch: one `io_submit` for all that is queued, and what becomes of what the kernel does not
//! take.

use std::time::{Duration, Instant};

use rustix::io::Errno;

use super::Driver;
use crate::reactor::kernel::abi::Iocb;
use crate::reactor::kernel::batch::Outcome;
use crate::reactor::operation::Opcode;
use crate::reactor::readiness::OVERFLOW;
use crate::reactor::requests::{Completion, Owner};

/// After `EAGAIN` from `io_submit`: how long to wait for an event before trying again all the same.
pub(super) const BACK_OFF: Duration = Duration::from_millis(10);

impl Driver {
    /// Submits all that is queued: by one `io_submit`, and by another where what the kernel refused
    /// put something new into the queue.
    pub(super) fn flush(&mut self) {
        while self.can_submit() {
            self.stalled_until = None;
            self.submit_queue();
            self.take_refusals();
            self.make_room();
            self.publish();
        }
    }

    pub(super) fn can_submit(&self) -> bool {
        self.table.has_queue() && self.stalled_until.is_none_or(|until| Instant::now() >= until)
    }

    fn submit_queue(&mut self) {
        self.table.take_queue(&mut self.keys);
        for key in self.keys.drain(..) {
            match self.table.owner(key).expect("a queued slot has a owner") {
                Owner::Poll { source, direction } => {
                    let fd = self.sources[source.index()].fd;
                    self.batch.push(key, Iocb::poll(fd, direction.poll_mask(), key.to_data()));
                    self.counters.submitted_polls.add(1);
                }
                Owner::Operation(id) => {
                    let request = self.table.payload_mut(id);
                    self.batch.push(key, request.iocb(key));
                    match request.opcode {
                        Opcode::Read => self.counters.submitted_reads.add(1),
                        Opcode::Write => self.counters.submitted_writes.add(1),
                        Opcode::Sync { .. } => self.counters.submitted_syncs.add(1),
                    }
                }
            }
        }
        let calls = self.batch.submit(&self.kioctx, |key, outcome| match outcome {
            Outcome::Accepted => self.table.accepted(key),
            Outcome::Refused(errno) => self.refused.push((key, errno)),
            Outcome::NoRoom => self.no_room.push(key),
        });
        self.counters.submit_calls.add(calls);
    }

    /// What the kernel would not take: the nested epoll takes the polls that it is able to, the
    /// rest end with the errno.
    fn take_refusals(&mut self) {
        for (key, errno) in std::mem::take(&mut self.refused) {
            match self.table.complete(key, -i64::from(errno.raw_os_error())) {
                // Two wait queues (a tty, a FIFO opened read-write), and not ready at this moment.
                Completion::Poll { source, direction, .. } if errno == Errno::INVAL && source != OVERFLOW => {
                    self.arm_in_overflow(source, direction);
                }
                Completion::Poll { source, direction, .. } => {
                    self.sources[source.index()].fail(direction, errno, &mut self.wakers);
                    if source.is_own() {
                        self.report("io_submit refuses the reactor's own poll", errno);
                        self.stall();
                    }
                }
                Completion::Operation(waker) => self.wakers.extend(waker),
                Completion::Orphan(_) | Completion::Disarmed | Completion::Demoted { .. } | Completion::Stale => {
                    unreachable!(
                        "a refused request was queued: what is dropped or disarmed then leaves at once, and is not evicted"
                    )
                }
            }
        }
    }

    /// What the kernel has no room for: idle polls could hold their slots for ever, so polls go to
    /// the nested epoll, and the rest waits for an event, or a while.
    fn make_room(&mut self) {
        if self.no_room.is_empty() {
            return;
        }
        let mut no_room = std::mem::take(&mut self.no_room);
        no_room.retain(|key| match self.table.owner(*key) {
            Some(Owner::Poll { source, direction }) if !source.is_own() => {
                self.table.complete(*key, 0);
                self.arm_in_overflow(source, direction);
                false
            }
            _ => true,
        });
        if !no_room.is_empty() {
            self.table.requeue(&no_room);
            self.stall();
        }
        no_room.clear();
        self.no_room = no_room;
    }

    /// No further batch before an event or the end of the back-off, and no longer sleep than
    /// that.
    fn stall(&mut self) {
        self.stalled_until = Some(Instant::now() + BACK_OFF);
    }
}
