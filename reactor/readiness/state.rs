//! The states of one direction and the moves between them; the picture is in the
//! [module's essay](super).

use std::task::Waker;

use rustix::io::Errno;

use super::waiters::{Waiter, Waiters};
use crate::reactor::ids::Key;

/// What the next attempt will probably find.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Hint {
    /// Nobody knows: nothing was attempted, or nothing has happened since.
    #[default]
    Unknown,
    /// Assumed ready without an event; the attempt under way decides.
    Assumed,
    /// Something, an event says.
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
    /// In the nested epoll.
    Overflow,
    /// By a retry in the loop's next turn: see [`Readiness::completes_inline`].
    Retry,
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
    /// Nothing: what is armed already will wake this waiter as well.
    Wait,
}

/// One direction of one descriptor.
#[derive(Debug, Default)]
pub(crate) struct Readiness {
    hint: Hint,
    wait: Wait,
    /// How many polls in a row completed inline; 0 again when a retry in place of one met `EAGAIN`.
    inline_streak: u8,
    /// Why waiting is impossible; told to the next waiter that has to wait.
    error: Option<Errno>,
    waiters: Waiters,
}

impl Readiness {
    /// Whether an attempt is worthwhile. With [`Until::Attempt`] the caller goes on to make it, and
    /// says so where it meets `EAGAIN`.
    pub(crate) fn is_ready(&mut self, until: Until) -> bool {
        match (self.hint, until) {
            (Hint::Ready, _) => true,
            (Hint::Unknown, Until::Attempt) => {
                self.hint = Hint::Assumed;
                true
            }
            // The attempt before has found something, or it would have said otherwise.
            (Hint::Assumed, Until::Attempt) => {
                self.hint = Hint::Ready;
                true
            }
            (Hint::Unknown | Hint::Assumed, Until::Event) | (Hint::Blocked, _) => false,
        }
    }

    /// An attempt met `EAGAIN`.
    pub(crate) fn would_block(&mut self) {
        // Without an event before it, this was the retry in place of a skipped poll: that poll
        // would not have completed inline. (After an event, `EAGAIN` only ends the draining.)
        if matches!(self.hint, Hint::Unknown | Hint::Assumed) {
            self.inline_streak = 0;
        }
        self.hint = Hint::Blocked;
    }

    /// A transfer was shorter than it could have been: the next one would find nothing.
    pub(crate) fn clear(&mut self) {
        self.hint = Hint::Blocked;
    }

    /// [`would_block`](Self::would_block), then [`wait`](Self::wait).
    pub(crate) fn block(&mut self, waiter: &mut Waiter, waker: Waker) -> (Next, Option<Waker>) {
        self.would_block();
        self.wait(Until::Attempt, waiter, waker)
    }

    /// Stores the waker of somebody who has to wait, and says what is to be armed. Returns a waker
    /// that is no longer needed, to be dropped outside the borrow.
    pub(crate) fn wait(&mut self, until: Until, waiter: &mut Waiter, waker: Waker) -> (Next, Option<Waker>) {
        if self.is_ready(until) {
            return (Next::Ready, Some(waker));
        }
        // Not before an attempt has failed: data that has arrived can be read even from a
        // descriptor that cannot be polled.
        if let Some(errno) = self.error.take() {
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
            (Wait::Retry, Until::Attempt) | (Wait::Poll(_) | Wait::Overflow, _) => Next::Wait,
        };
        (next, replaced)
    }

    /// Removes a future's waker. What is armed stays armed for the next waiter.
    pub(crate) fn forget(&mut self, waiter: &Waiter) -> Option<Waker> {
        self.waiters.remove(waiter)
    }

    /// Whether a poll would complete inside the `io_submit` that arms it, judging by the last ones.
    /// Submitting it and reaping its event would tell us only what a retry in the next turn finds
    /// out anyway, so the poll is skipped.
    fn completes_inline(&self) -> bool {
        /// One may be chance. Waiting for a longer streak would cost more than one failed retry.
        const ENOUGH: u8 = 2;
        self.inline_streak >= ENOUGH
    }

    /// Notes what was armed, or that nothing is any more.
    pub(crate) fn set_wait(&mut self, wait: Wait) {
        self.wait = wait;
    }

    pub(crate) fn current_wait(&self) -> Wait {
        self.wait
    }

    /// What was armed is over. `inline`: it completed inside the call that armed it.
    pub(crate) fn completed(&mut self, inline: bool) {
        self.wait = Wait::Idle;
        self.inline_streak = if inline { self.inline_streak.saturating_add(1) } else { 0 };
    }

    /// An event says that an attempt is worthwhile: hands over everybody who waits.
    pub(crate) fn wake_into(&mut self, wakers: &mut Vec<Waker>) {
        self.hint = Hint::Ready;
        self.waiters.take_into(wakers);
    }

    /// The turn has come in which a skipped poll is retried: hands over everybody who waits. Does
    /// nothing if a poll was armed since, for a waiter that needs an event.
    pub(crate) fn retry(&mut self, wakers: &mut Vec<Waker>) {
        if self.wait == Wait::Retry {
            self.wait = Wait::Idle;
            self.hint = Hint::Unknown;
            self.waiters.take_into(wakers);
        }
    }

    /// Records that this direction cannot be polled. Waiters are woken to try once more; the error
    /// is reported only if that would block.
    pub(crate) fn fail(&mut self, errno: Errno, wakers: &mut Vec<Waker>) {
        self.wait = Wait::Idle;
        self.error = Some(errno);
        self.wake_into(wakers);
    }
}
