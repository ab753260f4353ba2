//! The states of one direction and the moves between them; the picture is in the
//! [module's essay](super).

use std::task::Waker;
use std::time::Duration;

use rustix::io::Errno;

use super::waiters::{Waiter, Waiters};
use crate::reactor::ids::Key;

/// How many contradictions in a row show that polls cannot tell when a descriptor is ready. Fewer
/// may be chance: somebody else was faster.
const CONTRADICTORY: u8 = 3;

/// The longest back-off. Each is twice as long as the one before, from 1 ms on.
const LONGEST_BACK_OFF: Duration = Duration::from_millis(50);

/// What the next attempt will probably find.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Hint {
    /// Nobody knows: nothing was attempted, or nothing has happened since.
    #[default]
    Unknown,
    /// Assumed ready without an event; the attempt under way decides.
    Assumed,
    /// Something, an event says. Nobody has looked since.
    Signalled,
    /// The same, and a waiter for an event has been told.
    Seen,
    /// The same; the first attempt since the event is under way, and decides.
    Tried,
    /// Something: an attempt has found something before.
    Ready,
    /// Nothing: the latest attempt met `EAGAIN`, or moved less than it could have.
    Blocked,
}

/// How readiness is waited for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Wait {
    /// Not at all: nobody has had to wait since the last event.
    #[default]
    Idle,
    /// By an `IOCB_CMD_POLL` in this slot.
    Poll(Key),
    /// In the nested epoll, for one event.
    Overflow,
    /// In the nested epoll, for every edge: for as long as the descriptor is registered.
    Edge,
    /// By a retry in the loop's next turn: see [`Readiness::completes_inline`].
    Retry,
    /// By a timer: nothing else can tell. An edge in the meantime is an event nevertheless, unless
    /// [edges lie](Readiness::ignores_edges).
    BackOff,
}

/// What a waiter waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Until {
    /// For a moment at which an attempt may succeed. A guess will do: the attempt decides.
    Attempt,
    /// For an event. The caller makes no attempt, so a guess would mislead it.
    Event,
}

/// What [`Readiness::wait`] leaves to its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Do not wait: it is ready.
    Ready,
    /// Do not wait: waiting is impossible, for this reason.
    Failed(Errno),
    /// Arm something, and say what: [`Readiness::set_wait`], or [`Readiness::fail`].
    Arm,
    /// Call [`Readiness::retry`] in the next turn.
    Retry,
    /// Edges do not tell either: [`Readiness::back_off`].
    BackOff,
    /// Nothing: what is armed already will wake this waiter as well.
    Wait,
}

/// One direction of one descriptor.
#[derive(Debug, Default)]
pub(crate) struct Readiness {
    hint: Hint,
    wait: Wait,
    /// The end has been signalled. So nothing is missing that an attempt would not find, and an
    /// attempt is worthwhile until it has denied the end a few times.
    at_end: bool,
    /// How many polls in a row completed inline; 0 again when a retry in place of one met `EAGAIN`.
    inline_streak: u8,
    /// How many events in a row were contradicted by `EAGAIN`, with nothing moved in between.
    contradictions: u8,
    /// An edge was contradicted that claimed to be about this very direction.
    edges_lie: bool,
    /// How many back-offs were needed since something moved.
    back_offs: u8,
    /// Some waiter may not have been told yet why waiting is impossible.
    has_failed: bool,
    waiters: Waiters,
}

impl Readiness {
    // ---- attempts ----

    /// Whether an attempt is worthwhile. With [`Until::Attempt`] the caller goes on to make it, and
    /// says so where it meets `EAGAIN`.
    pub(crate) fn is_ready(&mut self, until: Until) -> bool {
        match (self.hint, until) {
            (Hint::Ready, _) | (Hint::Seen | Hint::Tried, Until::Event) => true,
            (Hint::Unknown, Until::Attempt) => {
                self.hint = Hint::Assumed;
                true
            }
            (Hint::Signalled | Hint::Seen, Until::Attempt) => {
                self.hint = Hint::Tried;
                true
            }
            // The attempt before has found something, or it would have said otherwise.
            (Hint::Assumed | Hint::Tried, Until::Attempt) => {
                self.moved();
                true
            }
            (Hint::Signalled, Until::Event) => {
                self.hint = Hint::Seen;
                true
            }
            (Hint::Unknown | Hint::Assumed, Until::Event) | (Hint::Blocked, _) => false,
        }
    }

    /// It is new, and so an attempt will probably find something: also for those who wait for an
    /// event.
    pub(super) fn assume_ready(&mut self) {
        self.hint = Hint::Ready;
    }

    /// An attempt has found something. Said where nobody will ask for the next one.
    pub(crate) fn moved(&mut self) {
        self.has_progress();
        if !matches!(self.hint, Hint::Unknown | Hint::Blocked) {
            self.hint = Hint::Ready;
        }
    }

    /// An attempt met `EAGAIN`. True if that contradicts an event. `false_room`: if so, the event
    /// claimed that there is room to write.
    pub(super) fn would_block(&mut self, false_room: bool) -> bool {
        let contradicts = match self.hint {
            // Without an event before it, this was the retry in place of a skipped poll: that poll
            // would not have completed inline. (After an event, `EAGAIN` only ends the draining.)
            Hint::Unknown | Hint::Assumed => {
                self.inline_streak = 0;
                false
            }
            // The event may be newer than the attempt, and an edge does not come twice.
            Hint::Signalled => {
                self.hint = Hint::Seen;
                return false;
            }
            Hint::Seen | Hint::Tried => true,
            Hint::Ready => self.at_end,
            Hint::Blocked => false,
        };
        if contradicts {
            self.contradictions = self.contradictions.saturating_add(1);
            self.edges_lie |= false_room && self.wait == Wait::Edge;
        }
        self.rest();
        contradicts
    }

    /// The same on another thread, where an attempt takes long to be told of and a success is not
    /// told of at all. A contradiction is then what the poll armed after the last `EAGAIN` said at
    /// once, and the next `EAGAIN` denies.
    pub(super) fn would_block_elsewhere(&mut self) -> bool {
        let was_signalled = self.hint == Hint::Signalled;
        let contradicts = matches!(self.hint, Hint::Signalled | Hint::Seen | Hint::Tried) && self.inline_streak > 0;
        if contradicts {
            self.contradictions = self.contradictions.saturating_add(1);
        }
        if was_signalled && self.wait == Wait::Edge {
            self.hint = Hint::Seen;
        } else {
            self.hint = Hint::Blocked;
            // No edge would tell of it again. The back-off that follows has it tried.
            self.at_end &= self.wait == Wait::Edge && !self.is_contradictory();
        }
        contradicts
    }

    /// A transfer was shorter than it could have been: the next one would find nothing.
    pub(super) fn clear(&mut self) {
        self.has_progress();
        self.deny();
    }

    /// Somebody says that an attempt would find nothing. That contradicts no event.
    pub(super) fn deny(&mut self) {
        if self.hint == Hint::Signalled {
            // Newer than what was said, perhaps.
            self.hint = Hint::Seen;
        } else {
            self.rest();
        }
    }

    /// There is nothing left, but the end if that was signalled.
    fn rest(&mut self) {
        self.at_end &= !self.is_contradictory();
        self.hint = if self.at_end { Hint::Seen } else { Hint::Blocked };
    }

    /// Something has moved, so what was contradicted before is over.
    fn has_progress(&mut self) {
        self.contradictions = 0;
        self.edges_lie = false;
        self.back_offs = 0;
        self.forget_errors();
    }

    fn forget_errors(&mut self) {
        if self.has_failed {
            self.has_failed = false;
            self.waiters.forget_errors();
        }
    }

    pub(super) fn is_blocked(&self) -> bool {
        self.hint == Hint::Blocked
    }

    /// Whether events and attempts contradict each other again and again.
    pub(super) fn is_contradictory(&self) -> bool {
        self.contradictions >= CONTRADICTORY
    }

    // ---- waiting ----

    /// [`would_block`](Self::would_block), then [`wait`](Self::wait).
    pub(super) fn block(&mut self, false_room: bool, waiter: &mut Waiter, waker: Waker) -> (bool, Next, Option<Waker>) {
        let contradicts = self.would_block(false_room);
        let (next, replaced) = self.wait(Until::Attempt, waiter, waker, false);
        (contradicts, next, replaced)
    }

    /// Stores the waker of somebody who has to wait, and says what is to be armed. `is_late`: it
    /// has met `EAGAIN` on another thread, and the edge after that may have come before this call.
    /// Returns a waker that is no longer needed, to be dropped outside the borrow.
    pub(crate) fn wait(
        &mut self,
        until: Until,
        waiter: &mut Waiter,
        waker: Waker,
        is_late: bool,
    ) -> (Next, Option<Waker>) {
        // A future that waits for an event has its event when it is woken, also if another one that
        // was woken with it has been faster, and has found nothing left.
        if self.is_ready(until) || until == Until::Event && self.waiters.take_woken(waiter) {
            return (Next::Ready, Some(waker));
        }
        // Not before an attempt has failed: data that has arrived can be read even from a
        // descriptor that cannot be polled.
        if let Some(errno) = self.take_error(waiter) {
            return (Next::Failed(errno), Some(waker));
        }
        let replaced = self.waiters.store(waiter, waker);
        let next = match (self.wait, until) {
            (Wait::Idle, Until::Attempt) if self.completes_inline() => {
                self.wait = Wait::Retry;
                Next::Retry
            }
            // This waiter needs an event; a speculative retry will not do.
            (Wait::Idle, _) | (Wait::Retry, Until::Event) => Next::Arm,
            (Wait::Edge, _) if self.edges_lie || is_late => Next::BackOff,
            (Wait::Retry, Until::Attempt) | (Wait::Poll(_) | Wait::Overflow | Wait::Edge | Wait::BackOff, _) => {
                Next::Wait
            }
        };
        (next, replaced)
    }

    /// Why this waiter's last wait was impossible, if it has not been told.
    pub(crate) fn take_error(&mut self, waiter: &Waiter) -> Option<Errno> {
        if self.has_failed { self.waiters.take_error(waiter) } else { None }
    }

    /// Removes a future's waker. What is armed stays armed for the next waiter; the driver cancels
    /// a [`left_poll`](Self::left_poll) later.
    pub(crate) fn forget(&mut self, waiter: &Waiter) -> Option<Waker> {
        self.waiters.remove(waiter)
    }

    /// Removes the waker of a future on another thread.
    pub(crate) fn forget_elsewhere(&mut self, waker: &Waker) -> Option<Waker> {
        self.waiters.remove_elsewhere(waker)
    }

    /// Whether anybody waits, or has been woken and not been polled since.
    pub(crate) fn has_waiters(&self) -> bool {
        !self.waiters.is_empty()
    }

    /// The poll that is armed though nobody waits.
    pub(crate) fn left_poll(&self) -> Option<Key> {
        match self.wait {
            Wait::Poll(key) if !self.has_waiters() => Some(key),
            Wait::Poll(_) | Wait::Idle | Wait::Overflow | Wait::Edge | Wait::Retry | Wait::BackOff => None,
        }
    }

    /// Whether a poll would complete inside the `io_submit` that arms it, judging by the last ones.
    /// Submitting it and reaping its event would tell us only what a retry in the next turn finds
    /// out anyway, so the poll is skipped. Not where the last event was contradicted: the next one
    /// tells whether they all are.
    fn completes_inline(&self) -> bool {
        /// One may be chance. Waiting for a longer streak would cost more than one failed retry.
        const ENOUGH: u8 = 2;
        self.inline_streak >= ENOUGH && self.contradictions == 0
    }

    /// Notes what was armed, or that nothing is any more.
    pub(crate) fn set_wait(&mut self, wait: Wait) {
        self.wait = wait;
    }

    pub(crate) fn current_wait(&self) -> Wait {
        self.wait
    }

    /// Waits for a while. Returns for how long, after which [`end_back_off`](Self::end_back_off)
    /// is due.
    pub(crate) fn back_off(&mut self) -> Duration {
        self.wait = Wait::BackOff;
        let length = Duration::from_millis(1 << self.back_offs);
        if length < LONGEST_BACK_OFF {
            self.back_offs += 1;
        }
        length.min(LONGEST_BACK_OFF)
    }

    // ---- events ----

    /// What was armed is over. `inline`: it completed inside the call that armed it.
    pub(crate) fn completed(&mut self, inline: bool) {
        self.wait = Wait::Idle;
        self.inline_streak = if inline { self.inline_streak.saturating_add(1) } else { 0 };
    }

    /// An event says that an attempt is worthwhile: hands over everybody who waits. `end`: nothing
    /// comes after what is there.
    pub(super) fn signal(&mut self, end: bool, wakers: &mut Vec<Waker>) {
        // As in `is_ready`: nobody has said otherwise.
        if matches!(self.hint, Hint::Assumed | Hint::Tried) {
            self.has_progress();
        }
        self.hint = Hint::Signalled;
        self.at_end |= end;
        self.forget_errors();
        self.wake_into(wakers);
    }

    /// Hands over everybody who waits.
    pub(crate) fn wake_into(&mut self, wakers: &mut Vec<Waker>) {
        self.waiters.take_into(wakers);
    }

    /// Whether edges are not to end its back-off. They lie, and the attempt before may have caused
    /// the next one: where a full peer refuses a Unix datagram, the memory that it took is free
    /// again, and the kernel announces that as room. So attempts would follow each other.
    pub(super) fn ignores_edges(&self) -> bool {
        self.wait == Wait::BackOff && self.edges_lie
    }

    /// The turn has come in which a skipped poll is retried: hands over everybody who waits. Does
    /// nothing if a poll was armed since, for a waiter that needs an event.
    pub(crate) fn retry(&mut self, wakers: &mut Vec<Waker>) {
        if self.wait == Wait::Retry {
            self.wait = Wait::Idle;
            self.hint = Hint::Unknown;
            self.wake_into(wakers);
        }
    }

    /// A back-off is over, which counts as an event: nothing better will come. From now on it waits
    /// as `wait` says. Does nothing if it is not backing off.
    pub(super) fn end_back_off(&mut self, wait: Wait, wakers: &mut Vec<Waker>) {
        if self.wait == Wait::BackOff {
            self.wait = wait;
            self.signal(false, wakers);
        }
    }

    /// Records that this direction cannot be polled. All waiters are woken to try once more; each
    /// is told the error if that would block. True if somebody on another thread still waits: it
    /// cannot be told, and has to back off.
    #[must_use]
    pub(crate) fn fail(&mut self, errno: Errno, wakers: &mut Vec<Waker>) -> bool {
        self.wait = Wait::Idle;
        self.hint = Hint::Unknown;
        self.has_failed = true;
        self.waiters.fail_into(errno, wakers);
        self.waiters.has_elsewhere()
    }
}
