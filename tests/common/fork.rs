//! What the tests that fork share.
#![allow(unsafe_code)] // fork, waitpid, _exit and alarm.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::{Clean, assert_passed, in_child, is_child};

/// What an inherited runtime says when it refuses to run.
pub(crate) const FORKED: &str = "a forked child must build a runtime of its own";

/// Runs the test in a process of its own. The only other thread there is the test runner's, which
/// waits and holds no lock, so a fork is clean.
pub(crate) fn alone(test: &str, body: fn()) {
    if !is_child() {
        let clean = Clean::begin();
        assert_passed(&in_child(test));
        return clean.end_without_runtime();
    }
    assert_eq!(std::fs::read_dir("/proc/self/task").unwrap().count(), 2, "this process has more threads");
    limit_time();
    body();
}

/// Ends this process if it hangs.
pub(crate) fn limit_time() {
    // SAFETY: alarm touches no memory; the signal's default disposition ends the process.
    unsafe { libc::alarm(40) };
}

/// Forks. The child runs `child` and exits; the parent gets its process id.
pub(crate) fn fork(child: impl FnOnce()) -> libc::pid_t {
    // SAFETY: no other thread holds a lock (`alone`), so the child may go on as if nothing had
    // happened.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0, "{}", std::io::Error::last_os_error());
    if pid == 0 {
        limit_time();
        let passed = catch_unwind(AssertUnwindSafe(child)).is_ok();
        // SAFETY: ends the process without running the parent's exit handlers.
        unsafe { libc::_exit(if passed { 0 } else { 1 }) };
    }
    pid
}

/// Waits for a child, and asserts that it succeeded.
pub(crate) fn reap(pid: libc::pid_t) {
    let mut status = 0;
    // SAFETY: `status` is an int for the kernel to write.
    let waited = unsafe { libc::waitpid(pid, &mut status, 0) };
    assert_eq!((waited, status), (pid, 0), "the forked child failed");
}
