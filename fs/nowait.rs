//! Whether transfers of a file are submitted with `RWF_NOWAIT`.

use std::sync::atomic::{AtomicU32, Ordering};

/// How many transfers go without it, from one that would have blocked on. What stood in its way (a
/// write that extends the file, a full queue of the device) often stands in the way of the next
/// ones, and each that tries in vain is submitted twice.
const PAUSE: u32 = 128;

/// It has been refused.
const NEVER: u32 = u32::MAX;

/// The state for the reads, or the writes, of one file. It decides about speed alone, so threads
/// that change it at the same time need not agree.
#[derive(Debug)]
pub(super) struct Nowait {
    /// How many transfers are yet to go without it.
    without: AtomicU32,
}

impl Nowait {
    pub(super) fn new(works: bool) -> Self {
        Self { without: AtomicU32::new(if works { 0 } else { NEVER }) }
    }

    fn get(&self) -> u32 {
        self.without.load(Ordering::Relaxed)
    }

    /// Whether the file system has it.
    pub(super) fn works(&self) -> bool {
        self.get() != NEVER
    }

    /// Whether the next transfer should have it.
    pub(super) fn is_due(&self) -> bool {
        self.get() == 0
    }

    /// The file system has no such thing. False if that was known.
    pub(super) fn forgo(&self) -> bool {
        self.without.swap(NEVER, Ordering::Relaxed) != NEVER
    }

    /// A transfer with it would have blocked. It goes without it, and so do the next ones.
    pub(super) fn pause(&self) {
        // Not where it has been refused in the meantime.
        let _ = self.without.compare_exchange(0, PAUSE, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// A transfer has gone without it.
    pub(super) fn one_without(&self) {
        let without = self.get();
        if without != 0 && without != NEVER {
            let _ = self.without.compare_exchange(without, without - 1, Ordering::Relaxed, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_pauses_for_a_while() {
        let nowait = Nowait::new(true);
        nowait.one_without();
        assert!(nowait.is_due());
        nowait.pause();
        for _ in 0..PAUSE {
            assert!(nowait.works() && !nowait.is_due());
            nowait.one_without();
        }
        assert!(nowait.is_due());
    }

    #[test]
    fn what_was_refused_is_not_tried_again() {
        let nowait = Nowait::new(true);
        assert!(nowait.forgo() && !nowait.forgo());
        nowait.one_without();
        nowait.pause();
        for nowait in [nowait, Nowait::new(false)] {
            assert!(!nowait.works() && !nowait.is_due());
        }
    }
}
