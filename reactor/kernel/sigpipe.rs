//! Writing to a pipe whose reader may have gone: `EPIPE`, and never a `SIGPIPE`.
//!
//! Rust programs ignore the signal, unless they have restored its default (command-line tools do)
//! or their `main` is of another language. For sockets there is `MSG_NOSIGNAL`, and for pipes
//! `RWF_NOSIGNAL`, but only since Linux 6.18. Before that, the thread blocks the signal for the
//! call, and then takes it out of those that are pending: the kernel sends it to the thread that
//! has written, before the call returns.
#![allow(unsafe_code)]

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::BorrowedFd;
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{FileType, fstat};
use rustix::io::{Errno, ReadWriteFlags};

/// `RWF_NOSIGNAL`, which rustix does not name.
const NOSIGNAL: ReadWriteFlags = ReadWriteFlags::from_bits_retain(0x100);

/// Not at an offset, which a pipe does not have.
const NO_OFFSET: u64 = u64::MAX;

/// Writes to a pipe, from at most `UIO_MAXIOV` buffers.
pub(crate) fn write_to_pipe(fd: BorrowedFd<'_>, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
    /// The kernel does not know the flag, or something denies the call.
    static REFUSED: AtomicBool = AtomicBool::new(false);
    if REFUSED.load(Ordering::Relaxed) {
        return write_without_the_flag(fd, bufs);
    }
    match rustix::io::pwritev2(fd, bufs, NO_OFFSET, NOSIGNAL) {
        Err(Errno::OPNOTSUPP | Errno::INVAL | Errno::NOSYS | Errno::PERM) => {
            // Else it may be the fault of this descriptor alone.
            if FileType::from_raw_mode(fstat(fd)?.st_mode) == FileType::Fifo {
                REFUSED.store(true, Ordering::Relaxed);
            }
            write_without_the_flag(fd, bufs)
        }
        result => Ok(result?),
    }
}

fn write_without_the_flag(fd: BorrowedFd<'_>, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
    if is_ignored()? { Ok(rustix::io::writev(fd, bufs)?) } else { write_blocking_the_signal(fd, bufs) }
}

/// Whether the process ignores `SIGPIPE`.
fn is_ignored() -> io::Result<bool> {
    let mut action = MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: a null action changes nothing, and `action` has room for the present one.
    check(unsafe { libc::sigaction(libc::SIGPIPE, ptr::null(), action.as_mut_ptr()) })?;
    // SAFETY: the call has succeeded, so it has written the action.
    Ok(unsafe { action.assume_init() }.sa_sigaction == libc::SIG_IGN)
}

fn write_blocking_the_signal(fd: BorrowedFd<'_>, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
    let sigpipe = only_sigpipe()?;
    // Only where the caller blocks it.
    let was_pending = is_pending()?;
    let before = set_mask(libc::SIG_BLOCK, &sigpipe)?;
    let written = rustix::io::writev(fd, bufs);
    // Also where a part was written before the reader went. One that was pending before is somebody
    // else's: it stays, and is delivered when the caller unblocks it.
    let wanted = bufs.iter().map(|buf| buf.len()).sum();
    if written != Ok(wanted) && !was_pending {
        take(&sigpipe);
    }
    // It fails for an unknown way alone. What was written must not be lost over it.
    let _restored = set_mask(libc::SIG_SETMASK, &before);
    Ok(written?)
}

fn only_sigpipe() -> io::Result<libc::sigset_t> {
    let mut set = MaybeUninit::uninit();
    // SAFETY: `set` has room for a signal set, which the first call initialises.
    unsafe {
        check(libc::sigemptyset(set.as_mut_ptr()))?;
        check(libc::sigaddset(set.as_mut_ptr(), libc::SIGPIPE))?;
        Ok(set.assume_init())
    }
}

/// Changes the thread's signal mask, and returns the one before.
fn set_mask(how: i32, set: &libc::sigset_t) -> io::Result<libc::sigset_t> {
    let mut before = MaybeUninit::uninit();
    // SAFETY: `set` is a signal set, and `before` has room for one.
    match unsafe { libc::pthread_sigmask(how, set, before.as_mut_ptr()) } {
        // SAFETY: the call has succeeded, so it has written the mask.
        0 => Ok(unsafe { before.assume_init() }),
        errno => Err(io::Error::from_raw_os_error(errno)),
    }
}

/// Whether a `SIGPIPE` waits for the thread, or for the process, to unblock it.
fn is_pending() -> io::Result<bool> {
    let mut pending = MaybeUninit::uninit();
    // SAFETY: `pending` has room for a signal set.
    check(unsafe { libc::sigpending(pending.as_mut_ptr()) })?;
    // SAFETY: the call has succeeded, so it has written the set.
    Ok(unsafe { libc::sigismember(pending.as_ptr(), libc::SIGPIPE) } == 1)
}

/// Takes a pending signal, which is then not delivered.
fn take(set: &libc::sigset_t) {
    const NOW: libc::timespec = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `set` is a signal set, nothing is asked about the signal, and the time is a constant.
    while unsafe { libc::sigtimedwait(set, ptr::null_mut(), &NOW) } < 0
        && io::Error::last_os_error().kind() == io::ErrorKind::Interrupted
    {}
}

fn check(result: i32) -> io::Result<()> {
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::os::fd::AsFd;
    use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
    use std::sync::{Mutex, PoisonError};

    use rustix::pipe::{PipeFlags, pipe_with};

    use super::*;

    type Write = fn(BorrowedFd<'_>, &[IoSlice<'_>]) -> io::Result<usize>;

    thread_local! {
        /// The signals of this thread: whoever writes gets them.
        static SIGNALS: Cell<u32> = const { Cell::new(0) };
    }

    extern "C" fn count(_: i32) {
        SIGNALS.set(SIGNALS.get() + 1);
    }

    /// Runs a test while the signals are counted. The disposition is the process's.
    fn counting(test: impl FnOnce()) {
        static ONE: Mutex<()> = Mutex::new(());
        let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
        assert!(is_ignored().unwrap(), "by Rust's start-up code");
        // SAFETY: the handler only adds to a number of its thread, which needs no initialisation.
        // Tests that raise the signal meanwhile, on other threads, need no more than to live on.
        let before = unsafe { libc::signal(libc::SIGPIPE, count as *const () as usize) };
        assert!(!is_ignored().unwrap());
        let passed = catch_unwind(AssertUnwindSafe(test));
        // SAFETY: as above; this restores what was.
        unsafe { libc::signal(libc::SIGPIPE, before) };
        passed.unwrap_or_else(|panic| resume_unwind(panic));
    }

    #[test]
    fn no_way_to_write_raises_the_signal() {
        counting(|| {
            let before = SIGNALS.get();
            for write in [write_to_pipe as Write, write_without_the_flag as Write] {
                let (reader, writer) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).unwrap();
                let bufs = [IoSlice::new(b"one"), IoSlice::new(b"two")];
                assert_eq!(write(writer.as_fd(), &bufs).unwrap(), 6);
                let mut read = [0; 7];
                assert_eq!(rustix::io::read(&reader, &mut read).unwrap(), 6);
                assert_eq!(&read[..6], b"onetwo");
                drop(reader);
                for _ in 0..2 {
                    assert_eq!(write(writer.as_fd(), &bufs).unwrap_err().kind(), io::ErrorKind::BrokenPipe);
                }
                assert_eq!(SIGNALS.get(), before);
            }
            // The mask is as it was: a signal is delivered.
            // SAFETY: the handler only adds to a number.
            unsafe { libc::raise(libc::SIGPIPE) };
            assert_eq!(SIGNALS.get(), before + 1);
        });
    }

    #[test]
    fn a_signal_that_was_pending_before_stays() {
        counting(|| {
            let before = SIGNALS.get();
            let mask = set_mask(libc::SIG_BLOCK, &only_sigpipe().unwrap()).unwrap();
            // SAFETY: the handler only adds to a number.
            unsafe { libc::raise(libc::SIGPIPE) };
            let (reader, writer) = pipe_with(PipeFlags::CLOEXEC).unwrap();
            drop(reader);
            let error = write_blocking_the_signal(writer.as_fd(), &[IoSlice::new(b"x")]).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
            assert!(is_pending().unwrap());
            set_mask(libc::SIG_SETMASK, &mask).unwrap();
            assert_eq!(SIGNALS.get(), before + 1);
        });
    }
}
