//! What `poll(2)` says at this moment.

use std::os::fd::RawFd;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, retry_on_intr};

use super::overflow::borrow;

/// Which of these events of `poll(2)` a descriptor has now. Errors and hang-ups are always told.
#[cold]
pub(crate) fn events_now(fd: RawFd, events: libc::c_short) -> Result<i64, Errno> {
    let mut polled = PollFd::from_borrowed_fd(borrow(fd), PollFlags::from_bits_retain(events as u16));
    retry_on_intr(|| poll(std::slice::from_mut(&mut polled), Some(&Timespec::default())))?;
    Ok(polled.revents().bits().into())
}
