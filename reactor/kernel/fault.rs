//! Faults for tests: makes the next system calls of this thread fail with an errno of the test's
//! choice, and `io_destroy`, which other threads call, in the whole process.
//!
//! The thread that destroys idle contexts takes no fault: what it destroys is another test's.

use std::cell::RefCell;
use std::sync::{Mutex, PoisonError};

use rustix::io::Errno;

/// A call that can be made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Setup,
    Submit,
    Cancel,
    Getevents,
    Pgetevents,
    /// `epoll_ctl`, of what is to be watched.
    Watch,
    /// On whichever thread it happens.
    Destroy,
    /// `epoll_wait`.
    Drain,
    /// `poll`, by which a loop without a context sleeps.
    Poll,
    /// Not a system call: fails the check of a new ring, as an unknown layout would.
    MapRing,
    /// `madvise`, by which a ring is hidden from forked children.
    HideRing,
    /// The start of a thread that destroys contexts.
    Spawn,
    /// Not a system call: forgets that a probe has passed in this process.
    Probed,
}

struct Fault {
    call: Call,
    errno: Errno,
    times: usize,
    taken: usize,
}

thread_local! {
    static PLAN: RefCell<Vec<Fault>> = const { RefCell::new(Vec::new()) };
}

/// The plan of all threads, for [`Call::Destroy`].
static SHARED_PLAN: Mutex<Vec<Fault>> = Mutex::new(Vec::new());

fn with_plan<R>(call: Call, f: impl FnOnce(&mut Vec<Fault>) -> R) -> R {
    match call {
        Call::Destroy => f(&mut SHARED_PLAN.lock().unwrap_or_else(PoisonError::into_inner)),
        _ => PLAN.with_borrow_mut(f),
    }
}

/// The next `times` calls of this kind fail.
pub(crate) fn inject(call: Call, errno: Errno, times: usize) {
    with_plan(call, |plan| plan.push(Fault { call, errno, times, taken: 0 }));
}

/// Takes back what was injected; says whether any of it was still to come.
pub(crate) fn clear() -> bool {
    let mut left = PLAN.take();
    left.append(&mut SHARED_PLAN.lock().unwrap_or_else(PoisonError::into_inner));
    left.iter().any(|fault| fault.times > 0)
}

/// How many calls of this kind have failed since the latest [`clear`].
pub(crate) fn taken(call: Call) -> usize {
    with_plan(call, |plan| plan.iter().filter(|fault| fault.call == call).map(|fault| fault.taken).sum())
}

/// The errno that this call is to fail with, if it is.
pub(crate) fn check(call: Call) -> Result<(), Errno> {
    if call == Call::Destroy && std::thread::current().name() == Some("aio-idle") {
        return Ok(());
    }
    with_plan(call, |plan| match plan.iter_mut().find(|fault| fault.call == call && fault.times > 0) {
        Some(fault) => {
            fault.times -= 1;
            fault.taken += 1;
            Err(fault.errno)
        }
        None => Ok(()),
    })
}
