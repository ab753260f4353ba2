//! The agreement between a loop that goes to sleep and the threads that wake it, as one atomic:
//! whoever has something for the loop notifies, and is told whether the loop must be woken by the
//! kernel as well.
//!
//! Only atomics here, taken from `super::sync`, so that the same file runs under loom
//! (`tests/loom_park.rs`).

use super::sync::{AtomicU8, Ordering};

/// Runs, and has seen all notifications.
const AWAKE: u8 = 0;
/// Sleeps in the kernel, or is about to: a notification must be followed by a wake.
const ASLEEP: u8 = 1;
/// Was notified since it last looked.
const NOTIFIED: u8 = 2;

/// See the [module](self).
#[derive(Debug)]
pub(super) struct SleepState(AtomicU8);

impl SleepState {
    pub(super) fn new() -> Self {
        Self(AtomicU8::new(AWAKE))
    }

    /// Announces that there is something for the loop. True: it sleeps, and the caller must wake
    /// it. At most one caller is told so for each sleep.
    pub(super) fn notify(&self) -> bool {
        // AcqRel: what was handed over before is visible to the loop when it sees the notification.
        self.0.swap(NOTIFIED, Ordering::AcqRel) == ASLEEP
    }

    /// The loop looks: was there a notification since the last look? If so it must look for what
    /// was handed over.
    pub(super) fn take_notification(&self) -> bool {
        // Most looks find nothing, and then a plain load is all they cost.
        self.is_notified() && self.0.swap(AWAKE, Ordering::AcqRel) == NOTIFIED
    }

    pub(super) fn is_notified(&self) -> bool {
        self.0.load(Ordering::Relaxed) == NOTIFIED
    }

    /// The loop is about to sleep. False: it has been notified and must not.
    pub(super) fn try_sleep(&self) -> bool {
        self.0.compare_exchange(AWAKE, ASLEEP, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// The loop is back, for whatever reason. A notification stays for
    /// [`take_notification`](Self::take_notification).
    pub(super) fn wake_up(&self) {
        let _ = self.0.compare_exchange(ASLEEP, AWAKE, Ordering::AcqRel, Ordering::Acquire);
    }
}
