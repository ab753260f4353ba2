//! What waits until nothing is borrowed, since it is user code: waking, dropping, logging. A panic
//! in one item goes no further, and keeps no other from its turn.

use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Waker;

use rustix::io::Errno;

/// Runs user code. If it panics, that is logged as `what`.
pub(crate) fn contain(what: &'static str, user_code: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(user_code)) {
        // Its drop is user code too, and may panic.
        mem::forget(payload);
        log(what, None);
    }
}

/// Reports what went wrong without being anyone's error. The subscriber is user code as well.
pub(crate) fn log(what: &'static str, errno: Option<Errno>) {
    let logged = catch_unwind(AssertUnwindSafe(|| {
        let error = errno.map(std::io::Error::from);
        tracing::error!(error = error.as_ref().map(tracing::field::display), "{what}");
    }));
    if let Err(payload) = logged {
        mem::forget(payload);
    }
}

/// Wakes all.
pub(crate) fn wake_all(wakers: impl IntoIterator<Item = Waker>) {
    for waker in wakers {
        contain("a waker panicked; the others are woken anyway", || waker.wake());
    }
}

/// Drops all.
pub(super) fn drop_all<T>(late: impl IntoIterator<Item = T>) {
    for late in late {
        contain("the owner of a descriptor panicked when it was dropped", || drop(late));
    }
}
