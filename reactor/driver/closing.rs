//! Descriptors on their way to be closed.

use std::os::fd::OwnedFd;

use crate::reactor::ids::{Direction, Key};
use crate::reactor::requests::Slots;

/// When the kernel must have released a deregistered descriptor's file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Close {
    /// As soon as the cancelled polls' events are seen: at once, mostly, else in the loop's next
    /// turn.
    Soon,
    /// Before `drop` returns, so that its address or name is free at once.
    BeforeReturn,
}

/// Descriptors, each to be closed when the events of their cancelled polls have come; until then
/// the kernel's reference would keep the file open anyway, and the peer would see the close late.
#[derive(Debug, Default)]
pub(super) struct Closing {
    pub(super) fds: Vec<([Option<Key>; Direction::ALL.len()], OwnedFd)>,
}

impl Closing {
    /// Closes the descriptors that have no poll in flight.
    pub(super) fn release(&mut self, slots: &Slots) {
        self.fds.retain(|(polls, _)| any_in_flight(polls, slots));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.fds.is_empty()
    }
}

/// Whether the event of one of these polls is still to come.
pub(super) fn any_in_flight(polls: &[Option<Key>], slots: &Slots) -> bool {
    polls.iter().flatten().any(|key| slots.owner(*key).is_some())
}
