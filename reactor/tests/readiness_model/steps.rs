//! What can happen to a descriptor that is waited for.

use crate::reactor::ids::Direction;
use crate::reactor::readiness::Until;

/// What happens next to one direction.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    /// Is an attempt worthwhile?
    Ask(Until),
    /// An attempt has found something (`try_io`).
    Moved,
    /// An attempt met `EAGAIN`, and no wait follows (`try_io`).
    Eagain,
    /// The same on another thread. The reactor is told with the next wait there.
    EagainElsewhere,
    /// A transfer was short.
    Short,
    /// `EAGAIN`, and the waiter waits.
    Block(usize, Arming),
    /// A wait without an attempt.
    Wait(usize, Until, Arming),
    /// The waiter's future is dropped. (Of those on another thread, the oldest one.)
    Forget(usize),
    /// The event of what is armed.
    Event { inline: bool, said: Said },
    /// The turn in which skipped polls are retried.
    NextTurn,
    /// The time at which a back-off ends.
    Later,
    /// What was armed turns out to be impossible.
    Refused,
    /// The kernel refuses to poll the descriptor.
    RefusesPolls,
    /// The nested epoll is of no use any more.
    LosesOverflow,
    /// The event of a poll that was cancelled.
    Interrupted,
}

/// What an event says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    Ready,
    End,
    Error,
    /// Only that it is over.
    Nothing,
}

impl Said {
    pub(super) fn events(self, direction: Direction) -> i64 {
        i64::from(match (self, direction) {
            (Self::Ready, _) => direction.poll_mask() & !libc::POLLRDHUP,
            (Self::End, Direction::Read) => libc::POLLIN | libc::POLLRDHUP,
            (Self::End, _) => libc::POLLOUT | libc::POLLHUP,
            (Self::Error, _) => libc::POLLERR,
            (Self::Nothing, _) => 0,
        })
    }
}

/// What the driver achieves when it is told to arm.
#[derive(Clone, Copy, Debug)]
pub(super) enum Arming {
    Poll,
    /// There is no slot.
    Overflow,
    /// There is no slot, and the nested epoll refuses the descriptor.
    NeitherTells,
    Impossible,
}
