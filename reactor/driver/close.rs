//! The end of registrations, and of the driver: polls are cancelled before their descriptor is
//! closed.

use std::mem::ManuallyDrop;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::Shutdown;

use super::closing::{Close, Late, Polls, any_in_flight};
use super::former::Former;
use super::{Aftermath, Driver};
use crate::reactor::ids::{Key, PollKind, SourceId};
use crate::reactor::kernel::context_pool;
use crate::reactor::readiness::Source;
use crate::reactor::requests::Disarm;

/// How long a turn may cancel polls, whatever its share of them. With thousands of armed polls a
/// single cancel may take a tenth of a millisecond, with interrupts off.
const CANCELLING_PER_TURN: Duration = Duration::from_micros(100);

/// How long a `BeforeReturn` close, or the end of the loop or of the reactor, waits for the events
/// of its cancels. A thread of the kernel makes them, so on a busy machine they may take a while.
/// Only a broken kernel loses one. The caller goes on then; but the poll keeps the file open, so
/// that the peer does not see the end, and the address stays taken, until the reactor ends.
const CLOSE_PATIENCE: Duration = Duration::from_secs(1);

/// How long a dropped reactor waits for file I/O before it leaves the context to a thread that
/// destroys it.
const SHUTDOWN_PATIENCE: Duration = Duration::from_millis(20);

impl Driver {
    /// Ends a registration. What it owned is to be dropped so that the other side sees the close at
    /// once: it comes back, with the source, to be dropped outside the borrow, if no poll keeps the
    /// file open. Else `Soon` leaves it to the loop, and never sleeps; `BeforeReturn` waits until
    /// the polls are over.
    pub(in crate::reactor) fn deregister(
        &mut self,
        id: SourceId,
        owned: Option<Late>,
        close: Close,
    ) -> (Source, Option<Late>) {
        let (in_flight, to_cancel) = self.disarm_all(id);
        let source = self.sources.remove(id.index());
        if in_flight == Polls::default() {
            return match owned {
                Some(owned) if close == Close::Soon && !self.closing.closes_at_once() => {
                    self.closing.push_free(owned);
                    (source, None)
                }
                owned => (source, owned),
            };
        }
        match close {
            Close::Soon => {
                to_cancel.into_iter().flatten().for_each(|key| self.closing.push_cancel(key));
                if let Some(owned) = owned {
                    self.closing.push(in_flight, owned);
                }
                (source, None)
            }
            Close::BeforeReturn => {
                let mut awaited = in_flight;
                for (at, key) in to_cancel.into_iter().enumerate() {
                    if key.is_some_and(|key| !self.cancel(key)) && !shut_down(owned.as_ref()) {
                        awaited[at] = None;
                    }
                }
                // Most often the event is in the ring when io_cancel returns.
                self.take_completions();
                self.reap_until(CLOSE_PATIENCE, |driver| !any_in_flight(&awaited, &driver.requests.slots));
                (source, owned)
            }
        }
    }

    /// Another thread has taken a source's descriptor out of the nested epoll, and may have closed
    /// it since: the number may be somebody else's now.
    pub(in crate::reactor) fn was_taken_out(&mut self, id: SourceId) {
        let known = &mut self.sources[id.index()].in_overflow;
        if *known {
            self.overflow.was_taken_out(known);
        }
    }

    /// Cancels a turn's share of the polls that were disarmed or left.
    pub(super) fn cancel_share(&mut self) {
        let mut begin = None;
        for _ in 0..self.closing.cancels_per_turn() {
            if !self.cancel_next() || begin.get_or_insert_with(Instant::now).elapsed() >= CANCELLING_PER_TURN {
                return;
            }
        }
    }

    /// Cancels the oldest poll that was disarmed or left. False if there is none.
    fn cancel_next(&mut self) -> bool {
        let Some(key) = self.closing.next_cancel(&self.requests.slots) else { return false };
        if let Some((id, direction)) = self.requests.slots.registration(key) {
            self.cancel_left(id, direction, key);
        } else if !self.cancel(key) && !shut_down(self.closing.find(key)) {
            self.closing.give_up(key);
        }
        true
    }

    /// Waits until everything dropped so far can be closed, and hands it over, to be dropped
    /// outside the borrow.
    pub(in crate::reactor) fn close_all(&mut self) -> Vec<Late> {
        while self.cancel_next() {}
        self.take_completions();
        self.reap_until(CLOSE_PATIENCE, |driver| !driver.closing.is_waiting());
        self.closing.take_free()
    }

    /// Ends all waiting for a source. Returns the polls whose events are still to come, and those
    /// of them that are to be cancelled.
    fn disarm_all(&mut self, id: SourceId) -> (Polls, Polls) {
        let (mut in_flight, mut to_cancel) = (Polls::default(), Polls::default());
        for (at, poll) in self.sources[id.index()].take_polls().into_iter().enumerate() {
            let Some(key) = poll else { continue };
            let disarm = self.requests.disarm(key);
            in_flight[at] = (disarm != Disarm::Vacated).then_some(key);
            to_cancel[at] = (disarm == Disarm::Cancel).then_some(key);
        }
        let source = &mut self.sources[id.index()];
        if source.in_overflow
            && let Err(errno) = self.overflow.forget(source.fd, &mut source.in_overflow)
        {
            self.report("a descriptor was closed behind the reactor's back", errno);
        }
        (in_flight, to_cancel)
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
                self.cancel_was_denied = true;
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

    /// Cancels all polls, waits a little for the rest, and hands the context on. What is left to be
    /// done wakes everyone who still waits. The gauges keep what is still in flight by then, which
    /// ends with the context.
    pub(in crate::reactor) fn shutdown(mut self) -> Aftermath {
        self.requests.withdraw_queued(&mut self.wakers);
        let ids: Vec<_> = self.sources.iter().map(|(at, _)| SourceId(at as u32)).collect();
        for id in ids {
            let (_, to_cancel) = self.disarm_all(id);
            to_cancel.into_iter().flatten().for_each(|key| self.closing.push_cancel(key));
        }
        for kind in [PollKind::Unpark, PollKind::Overflow] {
            if let Some(key) = self.own_poll(kind).take()
                && self.requests.disarm(key) == Disarm::Cancel
            {
                self.closing.push_cancel(key);
            }
        }
        while self.cancel_next() {}
        self.take_completions();
        if !self.cancel_was_denied {
            self.reap_until(CLOSE_PATIENCE, |driver| driver.requests.slots.polls() == 0);
        }
        self.reap_until(SHUTDOWN_PATIENCE, |driver| driver.requests.slots.in_use() == 0);
        for (_, source) in &mut self.sources {
            for (_, readiness) in source.directions() {
                readiness.wake_into(&mut self.wakers);
            }
        }
        self.requests.operations.take_wakers(&mut self.wakers);
        self.publish_gauges();
        let requests = ManuallyDrop::into_inner(self.requests);
        let contexts = std::iter::once(self.kioctx).chain(self.former.map(Former::into_kioctx));
        if requests.slots.in_use() == 0 {
            contexts.for_each(context_pool::put);
        } else {
            context_pool::destroy(contexts.collect(), Box::new(requests));
        }
        // No event will be seen any more. Where a poll is still armed, its end closes the file.
        Aftermath { wakers: self.wakers, late: self.closing.take_all(), incidents: self.incidents }
    }
}

/// `io_cancel` is denied, though it was not when the reactor was made. A socket's polls can also be
/// ended by shutting it down. False if it is not known to be a socket: the poll ends when it fires.
fn shut_down(closing: Option<&Late>) -> bool {
    match closing {
        // ENOTCONN ends them as well.
        Some(Late::Fd(fd)) => rustix::net::shutdown(fd, Shutdown::Both) != Err(Errno::NOTSOCK),
        Some(Late::Boxed(_)) | None => false,
    }
}
