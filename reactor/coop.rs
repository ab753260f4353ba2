//! The cooperative budget: how a task that is always ready lets others run.
//!
//! A task may complete a number of leaf operations (reads, timers, joins, ...) in one poll. After
//! that each leaf says `Pending` and wakes the task at once, so that it comes back behind the
//! others. Only progress is charged: waiting costs nothing, so a task may wait on any number of
//! things.
//!
//! The budget is the thread's, and not a reactor's: whatever a task polls is charged to it, also a
//! stream of another runtime.

use std::cell::Cell;
use std::task::{Context, Poll};

/// How many leaf operations a task may complete in one poll; tokio's number.
const BUDGET: u32 = 128;

/// After this many refusals in one poll the task gets another budget: what polls the leaves does
/// not return to the loop. It is an executor inside the task (`block_on` in a `Drop`, say), and
/// would spin forever. A task that joins thousands of futures may get there too, and then completes
/// a little more in one poll.
const REFUSALS: u32 = 4096;

thread_local! {
    static COOP: Coop = const { Coop { left: Cell::new(None), refused: Cell::new(0) } };
}

struct Coop {
    /// What the task that is being polled has left. `None` outside the loop: there nothing waits
    /// its turn and nothing refills the budget, so there is no limit.
    left: Cell<Option<u32>>,
    /// How often it was refused in this poll.
    refused: Cell<u32>,
}

/// Refills the budget, for the task that is polled next.
pub(crate) fn refill() {
    COOP.with(|coop| {
        coop.left.set(Some(BUDGET));
        coop.refused.set(0);
    });
}

/// Lifts the limit, at the end of the loop.
pub(super) fn lift() {
    COOP.with(|coop| coop.left.set(None));
}

/// Whether the task may complete another leaf operation in this poll.
pub(crate) fn has_budget() -> bool {
    COOP.with(|coop| coop.left.get() != Some(0))
}

/// Ready as long as the task has budget left. Every leaf future begins with this, and tells the
/// [`Unit`] when it has made progress.
pub(crate) fn poll_proceed(cx: &mut Context<'_>) -> Poll<Unit> {
    if has_budget() || is_spinning() {
        return Poll::Ready(Unit(()));
    }
    cx.waker().wake_by_ref();
    Poll::Pending
}

/// Counts a refusal. True if there were so many that the budget has been refilled instead.
#[cold]
fn is_spinning() -> bool {
    COOP.with(|coop| {
        coop.refused.set(coop.refused.get() + 1);
        let spins = coop.refused.get() >= REFUSALS;
        if spins {
            refill();
        }
        spins
    })
}

/// The right to complete one leaf operation. Dropped, it costs nothing.
#[derive(Debug)]
#[must_use = "progress that is not charged starves other tasks"]
pub(crate) struct Unit(());

impl Unit {
    /// The leaf operation is complete: charges it.
    pub(crate) fn made_progress(self) {
        COOP.with(|coop| coop.left.set(coop.left.get().map(|left| left.saturating_sub(1))));
    }
}
