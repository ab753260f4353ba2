//! One slot: whose request it carries, and how far that is.

use crate::reactor::ids::PollKind;

/// Whose request a slot carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    Poll(PollKind),
    Operation(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SlotState {
    /// Waits for the next flush.
    Queued,
    /// Accepted by the kernel in the flush of this number.
    Armed { flush: u32 },
    /// A poll that was accepted, whose registration is gone or no longer wants it.
    Cancelling,
    /// A poll that was accepted and then cancelled for its slot's sake. Its registration still
    /// waits.
    Demoted,
    /// A poll that was accepted by the context before the growth, and then cancelled to be armed on
    /// the new one. Its registration still waits.
    Moving,
    /// A poll that was accepted, and then cancelled because nobody waited any more. Its
    /// registration lives, and may be waiting again.
    Abandoned,
}

#[derive(Debug)]
pub(super) struct Slot {
    pub(super) owner: Owner,
    pub(super) state: SlotState,
    pub(super) generation: u32,
    /// By the idle clock.
    pub(super) armed_at: u32,
    /// Which context it was submitted to, counted in growths.
    pub(super) context: u32,
    /// The latest turn in which the last waiter left, while it is listed among those.
    pub(super) left_in: Option<u32>,
}
