//! Time: waiting for it, and limiting it.
//!
//! [`sleep`] and [`sleep_until`] wait; [`timeout`] and [`timeout_at`] limit the time that a future
//! may take. Dropping any of them cancels it.
//!
//! Deadlines are kept to the nanosecond, and nothing ends early. How late it ends is up to the
//! kernel's timer slack, which is 50 µs unless the thread has chosen another
//! (`PR_SET_TIMERSLACK`), and to whatever the loop is running at that moment.

// How it works: `Timers` wakes what is due, once per turn of the loop, and the next deadline is the
// timeout of the loop's sleep. No thread, no timerfd.

mod instant;
mod sleep;
mod timeout;

pub use std::time::Duration;

pub use instant::Instant;
pub use sleep::{Sleep, sleep, sleep_until};
pub use timeout::{Timeout, timeout, timeout_at};

/// The errors of this module.
pub mod error {
    pub use super::timeout::Elapsed;
}
