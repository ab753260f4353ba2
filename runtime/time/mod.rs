//! Time: timers with the resolution of the kernel's clock, fired by the timeout of the loop's
//! sleep.
//!
//! Deadlines are kept to the nanosecond. How late a timer fires is the kernel's doing: its timer
//! slack, 50 µs unless the thread has chosen another (`PR_SET_TIMERSLACK`), and whatever the loop
//! is running at that moment.

mod sleep;
mod timeout;
mod timers;

pub use std::time::{Duration, Instant};

pub use sleep::{Sleep, sleep, sleep_until};
pub use timeout::{Timeout, timeout, timeout_at};

pub(super) use timers::Timers;

/// Errors of this module.
pub mod error {
    pub use super::timeout::Elapsed;
}
