//! What events say of a descriptor.

use std::fmt;
use std::ops::{BitAnd, BitOr, BitOrAssign, Sub, SubAssign};

use super::interest::Interest;
use crate::reactor::ids::Direction;

/// What a descriptor is ready for, and which of its ends have come.
///
/// The names and meanings are tokio's.
///
/// # Examples
///
/// ```
/// use aio_runtime::io::Ready;
///
/// let ready = Ready::READABLE | Ready::WRITE_CLOSED;
/// assert!(ready.is_readable() && ready.is_write_closed());
/// // What can be written without waiting fails, but does not block.
/// assert!(ready.is_writable());
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ready(u8);

impl Ready {
    /// Nothing.
    pub const EMPTY: Self = Self(0);
    /// A read would not block.
    pub const READABLE: Self = Self(1);
    /// A write would not block.
    pub const WRITABLE: Self = Self(1 << 1);
    /// Nothing more will come than what is there: the peer has ended its write side. It is never
    /// taken back.
    pub const READ_CLOSED: Self = Self(1 << 2);
    /// Nothing more will be taken. It is never taken back.
    pub const WRITE_CLOSED: Self = Self(1 << 3);
    /// There is urgent data, or what else a file means by `POLLPRI`.
    pub const PRIORITY: Self = Self(1 << 4);
    /// There is an error.
    pub const ERROR: Self = Self(1 << 5);
    /// All of these.
    pub const ALL: Self = Self((1 << 6) - 1);

    /// Whether it is nothing.
    pub fn is_empty(self) -> bool {
        self == Self::EMPTY
    }

    /// Whether a read would not block: there is something, or the end.
    pub fn is_readable(self) -> bool {
        self.intersects(Self::READABLE | Self::READ_CLOSED)
    }

    /// Whether a write would not block: there is room, or an end that fails it.
    pub fn is_writable(self) -> bool {
        self.intersects(Self::WRITABLE | Self::WRITE_CLOSED)
    }

    /// Whether it includes [`READ_CLOSED`](Self::READ_CLOSED).
    pub fn is_read_closed(self) -> bool {
        self.intersects(Self::READ_CLOSED)
    }

    /// Whether it includes [`WRITE_CLOSED`](Self::WRITE_CLOSED).
    pub fn is_write_closed(self) -> bool {
        self.intersects(Self::WRITE_CLOSED)
    }

    /// Whether it includes [`PRIORITY`](Self::PRIORITY).
    pub fn is_priority(self) -> bool {
        self.intersects(Self::PRIORITY)
    }

    /// Whether it includes [`ERROR`](Self::ERROR).
    pub fn is_error(self) -> bool {
        self.intersects(Self::ERROR)
    }

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

    /// What concerns those who wait for this.
    pub(crate) fn of(interest: Interest) -> Self {
        interest
            .directions()
            .map(|direction| Self::own(direction) | Self::end(direction))
            .fold(Self::EMPTY, Self::bitor)
    }

    /// The part of it that concerns those who wait for this.
    pub(crate) fn concerning(self, interest: Interest) -> Self {
        self & Self::of(interest)
    }

    /// These directions without those that have ended; `None` if that leaves none.
    pub(crate) fn not_ended(self, interest: Interest) -> Option<Interest> {
        let left = interest.directions().filter(|direction| !self.intersects(Self::end(*direction)));
        left.map(Interest::from).reduce(Interest::add)
    }

    /// The same of an end that writes to a pipe: an error says that nobody reads any more.
    pub(crate) fn of_pipe(self) -> Self {
        if self.is_error() { self | Self::WRITE_CLOSED } else { self }
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
            (libc::POLLHUP, Self::READ_CLOSED | Self::WRITE_CLOSED),
        ] {
            if events & i64::from(event) != 0 {
                ready |= means;
            }
        }
        ready
    }

    pub(crate) fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

impl BitOr for Ready {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for Ready {
    fn bitor_assign(&mut self, other: Self) {
        *self = *self | other;
    }
}

impl BitAnd for Ready {
    type Output = Self;

    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl SubAssign for Ready {
    fn sub_assign(&mut self, other: Self) {
        *self = *self - other;
    }
}

impl Sub for Ready {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

impl fmt::Debug for Ready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ready")
            .field("is_readable", &self.is_readable())
            .field("is_writable", &self.is_writable())
            .field("is_read_closed", &self.is_read_closed())
            .field("is_write_closed", &self.is_write_closed())
            .field("is_error", &self.is_error())
            .field("is_priority", &self.is_priority())
            .finish()
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
