//! How long a file is, as far as we know.

use std::sync::atomic::{AtomicU64, Ordering};

/// The file is at least this long, unless somebody else has truncated it.
///
/// This decides where a direct write runs, and nothing else. If it is too short, a write goes to
/// the pool without need; if it is too long, `io_submit` waits for the device. Both are slow,
/// neither is wrong.
///
/// So it needs no lock, which a forked child might inherit locked. Where several threads change the
/// length of one file at once, the last one may win with what is a little older.
#[derive(Debug)]
pub(super) struct KnownLen {
    len: AtomicU64,
    /// Counts the beginnings and ends of `set_len`: an answer that has become stale does not
    /// overwrite the length of the `set_len` that made it so.
    resizes: AtomicU64,
}

/// A point in time, counted in `set_len`s. An answer is stale if a `set_len` has begun or ended
/// since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Asked(u64);

/// A `set_len` that has begun.
#[derive(Debug)]
pub(super) struct Resize {
    before: u64,
    len: u64,
    begun: Asked,
}

impl KnownLen {
    pub(super) fn new(len: u64) -> Self {
        Self { len: AtomicU64::new(len), resizes: AtomicU64::new(0) }
    }

    /// Whether a write that ends there is inside the file.
    pub(super) fn covers(&self, end: u64) -> bool {
        end <= self.len.load(Ordering::Relaxed)
    }

    pub(super) fn ask(&self) -> Asked {
        Asked(self.resizes.load(Ordering::Relaxed))
    }

    /// A write that began at `asked` has ended at `end`.
    pub(super) fn written(&self, asked: Asked, end: u64) {
        self.update(asked, |len| len.max(end));
    }

    /// The file said that it is this long.
    pub(super) fn learnt(&self, asked: Asked, len: u64) {
        self.update(asked, |_| len);
    }

    /// Until it ends, the shorter length counts. If the `set_len` is dropped it may or may not
    /// happen, so that stays until a write or `metadata` tells more.
    pub(super) fn begin_resize(&self, len: u64) -> Resize {
        let begun = self.count_resize();
        let before = self.len.fetch_min(len, Ordering::Relaxed);
        Resize { before, len, begun }
    }

    pub(super) fn end_resize(&self, resize: Resize, succeeded: bool) {
        let alone = resize.begun == self.ask();
        self.count_resize();
        let len = self.len.load(Ordering::Relaxed);
        let len = match (succeeded, alone) {
            (true, true) => resize.len,
            // Which of them the file system did last is not known.
            (true, false) => len.min(resize.len),
            (false, true) => len.max(resize.before),
            (false, false) => len,
        };
        self.len.store(len, Ordering::Relaxed);
    }

    /// Changes the length, unless the answer is stale.
    fn update(&self, asked: Asked, change: impl FnOnce(u64) -> u64) {
        if asked == self.ask() {
            self.len.store(change(self.len.load(Ordering::Relaxed)), Ordering::Relaxed);
        }
    }

    /// A `set_len` begins or ends.
    fn count_resize(&self) -> Asked {
        Asked(self.resizes.fetch_add(1, Ordering::Relaxed) + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_resize_changes_nothing() {
        let known = KnownLen::new(100);
        let resize = known.begin_resize(10);
        assert!(known.covers(10) && !known.covers(11), "it may succeed");
        known.end_resize(resize, false);
        assert!(known.covers(100) && !known.covers(101));
        let resize = known.begin_resize(1000);
        assert!(!known.covers(101), "it may fail");
        known.written(known.ask(), 200);
        known.end_resize(resize, false);
        assert!(known.covers(200) && !known.covers(201));
    }

    #[test]
    fn a_dropped_resize_is_made_up_for() {
        let known = KnownLen::new(100);
        let _ = known.begin_resize(10);
        known.written(known.ask(), 50);
        assert!(known.covers(50) && !known.covers(51));
        known.learnt(known.ask(), 100);
        assert!(known.covers(100));
    }

    #[test]
    fn what_was_asked_before_a_resize_ended_is_stale() {
        let known = KnownLen::new(100);
        let before = known.ask();
        let resize = known.begin_resize(10);
        let meanwhile = known.ask();
        known.end_resize(resize, true);
        for asked in [before, meanwhile] {
            known.learnt(asked, 100);
            known.written(asked, 90);
            assert!(known.covers(10) && !known.covers(11));
        }
    }

    #[test]
    fn of_resizes_at_once_the_least_counts() {
        for outcomes in [[true, true], [true, false], [false, true]] {
            let known = KnownLen::new(100);
            let lens = [50, 10];
            let resizes = lens.map(|len| known.begin_resize(len));
            for (resize, succeeded) in resizes.into_iter().zip(outcomes) {
                known.end_resize(resize, succeeded);
            }
            assert!(known.covers(10) && !known.covers(51), "{outcomes:?}");
        }
    }
}
