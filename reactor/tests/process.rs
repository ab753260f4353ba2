//! State per process: a forked child starts from scratch, whatever its parent was about to do.
#![allow(unsafe_code)] // fork, waitpid, alarm and _exit.

use std::sync::{Mutex, TryLockError};

use super::alone;
use crate::reactor::kernel::process::{self, PerProcess};

/// Forks, and asserts that `child` holds in the child.
fn in_forked_child(child: impl FnOnce() -> bool) {
    // SAFETY: the child makes no call but `child`'s, which take no lock that another thread could
    // hold, and ends without the parent's exit handlers.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        // SAFETY: alarm touches no memory; a child that hangs is ended by the signal.
        unsafe { libc::alarm(20) };
        let code = i32::from(!child());
        // SAFETY: as above.
        unsafe { libc::_exit(code) };
    }
    let mut status = 0;
    // SAFETY: `status` is an int for the kernel to write.
    let waited = unsafe { libc::waitpid(pid, &mut status, 0) };
    assert_eq!((waited, status), (pid, 0), "the forked child failed, or hung");
}

#[test]
fn a_forked_child_has_another_number_and_state_of_its_own() {
    static STATE: PerProcess<Mutex<u32>> = PerProcess::new(Mutex::default);
    alone(|| {
        let number = process::number();
        // Held over the fork, as by a thread that the child does not have.
        let mut held = STATE.get().lock().unwrap();
        *held = 7;
        in_forked_child(|| {
            let own = *STATE.get().lock().unwrap();
            *STATE.get().lock().unwrap() = 8;
            let kept = *STATE.get().lock().unwrap();
            process::number() != number && (own, kept) == (0, 8)
        });
        assert!(matches!(STATE.get().try_lock(), Err(TryLockError::WouldBlock)), "the parent's is untouched");
        drop(held);
        assert_eq!((*STATE.get().lock().unwrap(), process::number()), (7, number));
    });
}

#[test]
fn threads_that_race_agree_on_one_state() {
    static STATE: PerProcess<Mutex<Vec<usize>>> = PerProcess::new(Mutex::default);
    let threads = || (0..8).map(|_| std::thread::spawn(|| std::ptr::from_ref(STATE.get()) as usize));
    let seen: Vec<_> = threads().collect::<Vec<_>>().into_iter().map(|thread| thread.join().unwrap()).collect();
    assert!(seen.iter().all(|state| *state == seen[0]), "{seen:?}");
}
