//! What waits until the borrow is released, since it is user code: waking, dropping, logging. A
//! panic in one item keeps no other from its turn.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Waker;

use super::driver::Late;

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

/// Drops all, also when one of them panics.
pub(super) fn drop_all(late: impl IntoIterator<Item = Late>) {
    for late in late {
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(late))) {
            std::mem::forget(payload);
            tracing::error!("the owner of a descriptor panicked when it was dropped");
        }
    }
}

/// Reports what went wrong without being anyone's error.
pub(super) fn log(incidents: Vec<(&'static str, Option<rustix::io::Errno>)>) {
    for (what, errno) in incidents {
        let error = errno.map(std::io::Error::from);
        tracing::error!(error = error.as_ref().map(tracing::field::display), "{what}");
    }
}
