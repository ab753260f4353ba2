//! Waking the loop from other threads: one eventfd, written only when the loop sleeps.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{EventfdFlags, eventfd};

use super::error::explain;
use super::park::SleepState;

/// Shared by the loop and by everyone who may wake it.
#[derive(Debug)]
pub(crate) struct Unparker {
    pub(super) state: SleepState,
    eventfd: OwnedFd,
}

impl Unparker {
    pub(super) fn new() -> io::Result<Self> {
        let eventfd = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
            .map_err(|errno| explain(errno, "cannot start the reactor: eventfd2 failed"))?;
        Ok(Self { state: SleepState::new(), eventfd })
    }

    /// Makes the loop look at what was handed over before this call. One atomic swap, and a write
    /// only if it sleeps.
    pub(crate) fn unpark(&self) {
        if self.state.notify() {
            // Can fail only by a full counter, and then the eventfd is readable anyway.
            let _ = rustix::io::write(&self.eventfd, &1_u64.to_ne_bytes());
        }
    }

    /// Whether the loop was notified since the last look.
    pub(crate) fn take_notification(&self) -> bool {
        self.state.take_notification()
    }

    /// Makes the eventfd unreadable again, after its poll has completed.
    pub(super) fn drain(&self) {
        let _ = rustix::io::read(&self.eventfd, &mut [0_u8; 8]);
    }
}

impl AsFd for Unparker {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.eventfd.as_fd()
    }
}
