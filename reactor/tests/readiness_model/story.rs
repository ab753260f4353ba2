//! The naive model of one direction: it remembers everything that has happened, and works out each
//! answer from the whole story.

use crate::reactor::readiness::{Until, Wait};

/// Polls that have to complete inline, in a row, before the next one is skipped.
const ENOUGH: usize = 2;

/// Contradictions in a row after which a descriptor waits for edges.
const CONTRADICTORY: usize = 3;

/// One thing that has happened. Questions and waits that change nothing are not in the story.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fact {
    /// An attempt was let through.
    Attempted,
    /// An attempt has found something, and was said to.
    Moved,
    /// A waiter for an event was told of it.
    Looked,
    Eagain {
        contradicts: bool,
        /// There was no event before it.
        guessed: bool,
        /// It contradicts an edge that claimed room.
        edge_lies: bool,
        /// Not even a signalled end is a reason to try again now.
        blocks: bool,
        /// Nor later.
        forgets_end: bool,
    },
    /// An `EAGAIN` that may be older than the event before it.
    OldEagain {
        contradicts: bool,
    },
    Short,
    /// A short transfer that may be older than the event before it.
    OldShort,
    /// An event. `own`: of this very direction.
    Signalled {
        own: bool,
        end: bool,
    },
    Retried,
    Completed {
        inline: bool,
    },
    BackedOff,
    Failed {
        waiting: Vec<usize>,
    },
    Told(usize),
    Forgotten(usize),
}

/// What the story says of the next attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outlook {
    Unknown,
    Assumed,
    Signalled,
    Seen,
    Tried,
    Ready,
    Blocked,
}

#[derive(Debug, Default)]
pub(super) struct Story(Vec<Fact>);

impl Story {
    pub(super) fn push(&mut self, fact: Fact) {
        self.0.push(fact);
    }

    pub(super) fn outlook(&self) -> Outlook {
        self.outlook_after(self.0.len())
    }

    /// What the first `len` facts say about the next attempt.
    fn outlook_after(&self, len: usize) -> Outlook {
        let (mut attempts, mut looked, mut moved, mut moved_after_attempt) = (0, false, false, false);
        let mut origin = Outlook::Unknown;
        for (at, fact) in self.0[..len].iter().enumerate().rev() {
            match fact {
                Fact::Attempted => {
                    attempts += 1;
                    moved_after_attempt |= moved;
                }
                Fact::Moved => moved = true,
                Fact::Looked | Fact::OldEagain { .. } | Fact::OldShort => looked = true,
                Fact::Signalled { .. } => {
                    origin = Outlook::Signalled;
                    break;
                }
                Fact::Eagain { blocks: true, .. } => {
                    origin = Outlook::Blocked;
                    break;
                }
                Fact::Eagain { .. } | Fact::Short => {
                    origin = if self.is_at_end(at + 1) { Outlook::Seen } else { Outlook::Blocked };
                    break;
                }
                Fact::Retried | Fact::Failed { .. } => break,
                Fact::Completed { .. } | Fact::BackedOff | Fact::Told(_) | Fact::Forgotten(_) => {}
            }
        }
        match (origin, attempts) {
            (Outlook::Blocked, _) => Outlook::Blocked,
            (Outlook::Unknown, 0) => Outlook::Unknown,
            (Outlook::Unknown, 1) if !moved_after_attempt => Outlook::Assumed,
            (Outlook::Unknown, _) => Outlook::Ready,
            _ if moved || attempts > 1 => Outlook::Ready,
            (_, 1) => Outlook::Tried,
            (Outlook::Signalled, _) if !looked => Outlook::Signalled,
            _ => Outlook::Seen,
        }
    }

    /// Whether the end was signalled, and not denied too often since.
    pub(super) fn is_at_end_now(&self) -> bool {
        self.is_at_end(self.0.len())
    }

    fn is_at_end(&self, len: usize) -> bool {
        for (at, fact) in self.0[..len].iter().enumerate().rev() {
            match fact {
                Fact::Signalled { end: true, .. } => return true,
                Fact::Eagain { forgets_end, .. }
                    if *forgets_end || self.contradictions_after(at + 1) >= CONTRADICTORY =>
                {
                    return false;
                }
                _ => {}
            }
        }
        false
    }

    /// The facts since something has moved for the last time, latest first. That an attempt has
    /// found something shows when the next thing to happen is not its `EAGAIN`.
    fn since_progress(&self, len: usize) -> impl Iterator<Item = &Fact> {
        let mut next = None;
        self.0[..len].iter().rev().take_while(move |fact| {
            let progress = match fact {
                Fact::Moved | Fact::Short | Fact::OldShort => true,
                Fact::Attempted => matches!(next, Some(Fact::Attempted | Fact::Signalled { .. })),
                _ => false,
            };
            if matches!(
                fact,
                Fact::Attempted | Fact::Signalled { .. } | Fact::Eagain { .. } | Fact::Retried | Fact::Failed { .. }
            ) {
                next = Some((*fact).clone());
            }
            !progress
        })
    }

    pub(super) fn contradictions(&self) -> usize {
        self.contradictions_after(self.0.len())
    }

    fn contradictions_after(&self, len: usize) -> usize {
        self.since_progress(len)
            .filter(|fact| {
                matches!(fact, Fact::Eagain { contradicts: true, .. } | Fact::OldEagain { contradicts: true })
            })
            .count()
    }

    pub(super) fn is_contradictory(&self) -> bool {
        self.contradictions() >= CONTRADICTORY
    }

    pub(super) fn edges_lie(&self) -> bool {
        self.since_progress(self.0.len()).any(|fact| matches!(fact, Fact::Eagain { edge_lies: true, .. }))
    }

    /// How long the next back-off is, in milliseconds.
    pub(super) fn back_off(&self) -> u64 {
        let before = self.since_progress(self.0.len()).filter(|fact| **fact == Fact::BackedOff).count();
        [1, 2, 4, 8, 16, 32].get(before).copied().unwrap_or(50)
    }

    /// Polls that completed inline, one after the other, up to now. One that did not ends the row,
    /// and so does an `EAGAIN` that no event had come before.
    pub(super) fn inline_streak(&self) -> usize {
        let row =
            self.0.iter().rev().take_while(|fact| {
                !matches!(fact, Fact::Completed { inline: false } | Fact::Eagain { guessed: true, .. })
            });
        row.filter(|fact| matches!(fact, Fact::Completed { inline: true })).count()
    }

    /// Whether events have said that this very direction is ready, and nothing has denied it.
    pub(super) fn has_own_bit(&self) -> bool {
        for (at, fact) in self.0.iter().enumerate().rev() {
            match fact {
                Fact::Signalled { own: true, .. } => return true,
                Fact::Eagain { blocks: true, .. } => return false,
                Fact::Eagain { .. } | Fact::Short if !self.is_at_end(at + 1) => return false,
                _ => {}
            }
        }
        false
    }

    /// Whether this waiter has still to be told that waiting is impossible.
    pub(super) fn owes_error(&self, waiter: usize) -> bool {
        let progress = self.0.len() - self.since_progress(self.0.len()).count();
        self.0[progress..]
            .iter()
            .rev()
            .take_while(|fact| !matches!(fact, Fact::Signalled { .. }))
            .find_map(|fact| match fact {
                Fact::Told(told) | Fact::Forgotten(told) if *told == waiter => Some(false),
                Fact::Failed { waiting } if waiting.contains(&waiter) => Some(true),
                _ => None,
            })
            .unwrap_or(false)
    }

    /// What must be done for a waiter that has to wait.
    pub(super) fn next(&self, armed: Wait, until: Until, is_late: bool) -> Needs {
        match (armed, until) {
            (Wait::Idle, Until::Attempt) if self.inline_streak() >= ENOUGH && self.contradictions() == 0 => {
                Needs::Retry
            }
            (Wait::Idle, _) | (Wait::Retry, Until::Event) => Needs::Arming,
            (Wait::Edge, _) if is_late || self.edges_lie() => Needs::BackOff,
            _ => Needs::Nothing,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Needs {
    Arming,
    Retry,
    BackOff,
    Nothing,
}
