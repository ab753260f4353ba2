//! Without a context: the host's quota of AIO requests had nothing left when the runtime started.
//!
//! There are no slots then. So every registration waits in the nested epoll, as it does wherever it
//! finds no slot, and file operations go to the blocking pool: the layer above asks
//! [`Driver::has_context`]. The loop sleeps on two descriptors, the epoll and the eventfd by which
//! other threads wake it. Timers are as ever.
//!
//! Whatever wants a slot tries to [`grow`](super::grow), once in a while. The first success is the
//! way out. What waits in the epoll by then stays there until its next arming.

use std::time::Duration;

use super::{BACK_OFF, Driver};
use crate::reactor::kernel::abi::with_signal_mask;

impl Driver {
    /// Whether file operations may be started here. Tries to get a context if there is none; one
    /// that is there stays.
    pub(in crate::reactor) fn has_context(&mut self) -> bool {
        self.kioctx.exists() || self.grow()
    }

    /// Sleeps until a member of the epoll is ready, a notification comes, or the timeout is over.
    pub(super) fn sleep_without_context(&mut self, timeout: Option<Duration>) {
        let short = timeout.map_or(BACK_OFF, |timeout| timeout.min(BACK_OFF));
        let slept = match &self.config.signal_mask {
            // A signal that comes between the change of the mask and the sleep does not end that.
            Some(mask) => with_signal_mask(mask, || self.overflow.sleep(&*self.unparker, Some(short))),
            None => self.overflow.sleep(&*self.unparker, timeout),
        };
        match slept {
            Ok(true) => self.unparker.drain(),
            Ok(false) => {}
            // Denied. A pause keeps the loop from spinning on it.
            Err(errno) => {
                self.report("poll failed", errno);
                std::thread::sleep(short);
            }
        }
    }

    /// Wakes what is ready.
    pub(super) fn drain_without_context(&mut self) {
        if self.overflow.is_of_use() {
            self.drain_overflow(false);
        }
    }
}
