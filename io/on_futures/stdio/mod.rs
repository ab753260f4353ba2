//! The standard streams of the process.
//!
//! Their descriptors are shared: with the shell, with siblings in a pipeline, with children. So
//! they are never made non-blocking, which would be seen by all of them, and threads do the reads
//! and writes:
//!
//! - A read of the standard input may never end. It has a thread of the process, which no runtime
//!   waits for, and which ends with the process.
//! - A write has a thread of the runtime's blocking pool, and must not be lost. It is run even if
//!   its runtime is dropped meanwhile, and the drop waits for it.
//!
//! To wait for readiness first and read on the loop would be cheaper. But what another process
//! reads in between is gone, and then the loop would stand still; and no flag of a read
//! (`RWF_NOWAIT`) keeps a terminal from that.

mod input;
mod output;

pub use input::{Stdin, stdin};
pub use output::{Stderr, Stdout, stderr, stdout};

use std::io;
use std::os::fd::BorrowedFd;

use rustix::event::{PollFd, PollFlags, poll};

/// Repeats a call as long as it is interrupted or would block: another process may have made the
/// shared descriptor non-blocking.
fn insist<T>(fd: BorrowedFd<'_>, event: PollFlags, mut attempt: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match attempt() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // An error of the wait is one of the next attempt, too.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let _ = poll(&mut [PollFd::from_borrowed_fd(fd, event)], None);
            }
            done => return done,
        }
    }
}
