//! Which poll is idle? The CLOCK algorithm, as in page replacement: time is the number of polls
//! armed, and a hand goes round the slots.

/// A poll counts as idle once this many times (slots + epoll members) polls have been armed after
/// it. When every connection is busy almost none does: they fire first.
const IDLE_ROUNDS: usize = 4;

/// How many slots one search looks at. When demotion matters, most polls are idle.
const STEPS: usize = 8;

#[derive(Debug, Default)]
pub(super) struct IdleClock {
    /// Polls armed so far, with a slot or without.
    now: u32,
    /// Where the next search begins.
    hand: usize,
}

impl IdleClock {
    pub(super) fn now(&self) -> u32 {
        self.now
    }

    /// Advances the clock as if this many polls had come and gone.
    pub(super) fn advance(&mut self, arms: usize) {
        self.now = self.now.wrapping_add(arms as u32);
    }

    /// Whether a poll armed at `armed_at` is idle. `population`: slots plus epoll members.
    pub(super) fn is_idle(&self, armed_at: u32, population: usize) -> bool {
        self.now.wrapping_sub(armed_at) as usize >= IDLE_ROUNDS * population
    }

    /// Moves the hand over a few of `slots` places until `found` takes one.
    pub(super) fn search<T>(&mut self, slots: usize, mut found: impl FnMut(&Self, usize) -> Option<T>) -> Option<T> {
        for _ in 0..STEPS {
            let at = self.hand;
            self.hand = (at + 1) % slots;
            if let Some(found) = found(self, at) {
                return Some(found);
            }
        }
        None
    }
}
