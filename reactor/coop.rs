//! The cooperative budget: how a task that is always ready lets others run.
//!
//! A task may complete a number of leaf operations (reads, timers, joins, ...) in one poll. After
//! that each leaf says `Pending` and wakes the task at once, so that it comes back behind the
//! others. Only progress is charged: waiting costs nothing, so a task may wait on any number of
//! things.

use std::cell::Cell;
use std::task::{Context, Poll};

/// How many leaf operations a task may complete in one poll; tokio's number.
const BUDGET: u32 = 128;

/// The budget of the task that is being polled.
///
/// `None` outside the loop: there nothing waits its turn and nothing refills the budget, so there
/// is no limit.
#[derive(Debug, Default)]
pub(crate) struct Coop {
    left: Cell<Option<u32>>,
}

impl Coop {
    /// Refills the budget, for the task that is polled next.
    pub(crate) fn refill(&self) {
        self.left.set(Some(BUDGET));
    }

    /// Lifts the limit, at the end of the loop.
    pub(super) fn lift(&self) {
        self.left.set(None);
    }

    /// Whether the task may complete another leaf operation in this poll.
    pub(crate) fn has_budget(&self) -> bool {
        self.left.get() != Some(0)
    }

    /// Ready as long as the task has budget left. Every leaf future begins with this, and tells the
    /// [`Unit`] when it has made progress.
    pub(crate) fn poll_proceed(&self, cx: &mut Context<'_>) -> Poll<Unit<'_>> {
        if self.has_budget() {
            return Poll::Ready(Unit(self));
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// The right to complete one leaf operation. Dropped, it costs nothing.
#[derive(Debug)]
#[must_use = "progress that is not charged starves other tasks"]
pub(crate) struct Unit<'a>(&'a Coop);

impl Unit<'_> {
    /// The leaf operation is complete: charges it.
    pub(crate) fn made_progress(self) {
        let Coop { left } = self.0;
        left.set(left.get().map(|left| left.saturating_sub(1)));
    }
}
