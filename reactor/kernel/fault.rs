//! Faults for tests: makes the next system calls of this thread fail with an errno of the test's
//! choice.

use std::cell::RefCell;

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
    /// `epoll_wait`.
    Drain,
    /// Not a system call: fails the check of a new ring, as an unknown layout would.
    MapRing,
}

struct Fault {
    call: Call,
    errno: Errno,
    times: usize,
}

thread_local! {
    static PLAN: RefCell<Vec<Fault>> = const { RefCell::new(Vec::new()) };
}

/// The next `times` calls of this kind fail.
pub(crate) fn inject(call: Call, errno: Errno, times: usize) {
    PLAN.with_borrow_mut(|plan| plan.push(Fault { call, errno, times }));
}

/// Takes back what was injected; says whether any of it was still to come.
pub(crate) fn clear() -> bool {
    PLAN.with_borrow_mut(|plan| plan.drain(..).any(|fault| fault.times > 0))
}

/// The errno that this call is to fail with, if it is.
pub(crate) fn check(call: Call) -> Result<(), Errno> {
    PLAN.with_borrow_mut(|plan| match plan.iter_mut().find(|fault| fault.call == call && fault.times > 0) {
        Some(fault) => {
            fault.times -= 1;
            Err(fault.errno)
        }
        None => Ok(()),
    })
}
