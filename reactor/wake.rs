//! Waking, whatever the wakers do.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Waker;

/// Wakes all, also when one of them panics.
pub(crate) fn wake_all(wakers: impl IntoIterator<Item = Waker>) {
    for waker in wakers {
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| waker.wake())) {
            // Its drop is user code too, and may panic.
            std::mem::forget(payload);
            tracing::error!("a waker panicked; the others are woken anyway");
        }
    }
}
