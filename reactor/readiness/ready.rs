//! What events say of a descriptor.

use crate::reactor::ids::Direction;

/// What a descriptor is ready for, and which of its ends have come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ready(u8);

impl Ready {
    pub(crate) const EMPTY: Self = Self(0);
    pub(crate) const READABLE: Self = Self(1);
    pub(crate) const WRITABLE: Self = Self(1 << 1);
    /// Nothing more will come. Never taken back.
    pub(crate) const READ_CLOSED: Self = Self(1 << 2);
    /// Nothing more will be taken. Never taken back.
    pub(crate) const WRITE_CLOSED: Self = Self(1 << 3);
    pub(crate) const PRIORITY: Self = Self(1 << 4);
    pub(crate) const ERROR: Self = Self(1 << 5);

    /// What this direction waits for.
    pub(crate) fn own(direction: Direction) -> Self {
        match direction {
            Direction::Read => Self::READABLE,
            Direction::Write => Self::WRITABLE,
            Direction::Priority => Self::PRIORITY,
            Direction::Error => Self::ERROR,
        }
    }

    /// What ends this direction for good.
    pub(super) fn end(direction: Direction) -> Self {
        match direction {
            Direction::Read | Direction::Priority => Self::READ_CLOSED,
            Direction::Write => Self::WRITE_CLOSED,
            Direction::Error => Self::EMPTY,
        }
    }

    /// From events of `poll(2)`, as a completed poll and the nested epoll report them. A negative
    /// number, an errno, says nothing.
    pub(crate) fn from_events(events: i64) -> Self {
        let mut ready = Self::EMPTY;
        if events < 0 {
            return ready;
        }
        for (event, means) in [
            (libc::POLLIN, Self::READABLE),
            (libc::POLLOUT, Self::WRITABLE),
            (libc::POLLPRI, Self::PRIORITY),
            (libc::POLLERR, Self::ERROR),
            (libc::POLLRDHUP, Self::READ_CLOSED),
            (libc::POLLHUP, Self(Self::READ_CLOSED.0 | Self::WRITE_CLOSED.0)),
        ] {
            if events & i64::from(event) != 0 {
                ready.insert(means);
            }
        }
        ready
    }

    pub(crate) fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    pub(super) fn is_empty(self) -> bool {
        self == Self::EMPTY
    }

    pub(crate) fn insert(&mut self, other: Self) {
        self.0 |= other.0;
    }

    pub(super) fn remove(&mut self, other: Self) {
        self.0 &= !other.0;
    }
}

/// Whether events speak of every direction: those of an error or a hang-up do. A keyed wake carries
/// the waker's own key: error and hang-up bits may be alone or missing, and 0 means only that the
/// poll is over.
pub(super) fn speak_of_all(events: i64) -> bool {
    let known = i64::from(libc::POLLIN | libc::POLLPRI | libc::POLLOUT | libc::POLLRDHUP)
        | i64::from(libc::POLLRDNORM | libc::POLLRDBAND | libc::POLLWRNORM | libc::POLLWRBAND);
    events <= 0 || events & !known != 0
}
