//! Descriptors on their way to be closed.

use std::os::fd::OwnedFd;

use crate::reactor::ids::{Direction, Key};
use crate::reactor::requests::Slots;

/// When the file of a deregistered descriptor is to be released by the kernel too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Close {
    /// As soon as the cancelled polls' events are seen: at once, mostly, else in the loop's next
    /// turn.
    Soon,
    /// Before `drop` returns, so that its address or name is free at once.
    BeforeReturn,
}

/// Polls of one source whose events are still to come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Polls(pub(super) [Option<Key>; Direction::BOTH.len()]);

impl Polls {
    pub(super) fn are_none(&self) -> bool {
        self.0.iter().all(Option::is_none)
    }

    pub(super) fn any_in_flight(&self, slots: &Slots) -> bool {
        self.0.iter().flatten().any(|key| slots.owner(*key).is_some())
    }
}

/// Descriptors to be closed when the events of their cancelled polls have come; until then the
/// kernel's reference would keep the file open anyway, and the peer would see the close late.
#[derive(Debug, Default)]
pub(super) struct Closing {
    fds: Vec<(Polls, OwnedFd)>,
}

impl Closing {
    pub(super) fn add(&mut self, polls: Polls, fd: OwnedFd) {
        self.fds.push((polls, fd));
    }

    /// Closes the descriptors of which no poll is in flight any more.
    pub(super) fn release(&mut self, slots: &Slots) {
        self.fds.retain(|(polls, _)| polls.any_in_flight(slots));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.fds.is_empty()
    }
}
