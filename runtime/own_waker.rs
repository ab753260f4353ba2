//! The waker with which the runtime of this thread polls: one that is known not to panic.

use std::cell::Cell;
use std::ptr;
use std::task::{RawWakerVTable, Waker};

/// A waker's parts. Two wakers with the same parts do the same, even if the first one is gone by
/// now.
type WakerId = (*const (), *const RawWakerVTable);

thread_local! {
    /// Of the latest poll. No waker is without a vtable.
    static CURRENT: Cell<WakerId> = const { Cell::new((ptr::null(), ptr::null())) };
}

fn id(waker: &Waker) -> WakerId {
    (waker.data(), waker.vtable())
}

/// Notes the waker of the poll that begins: a task's own, or that of `block_on`.
#[inline]
pub(super) fn set(waker: &Waker) {
    CURRENT.set(id(waker));
}

/// Whether the runtime itself polled with this waker, so that it cannot panic. May return false for
/// such a waker.
#[inline]
pub(super) fn is_current(waker: &Waker) -> bool {
    CURRENT.get() == id(waker)
}
