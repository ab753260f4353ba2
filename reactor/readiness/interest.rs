//! What a caller waits for.

use std::fmt;
use std::ops::{BitOr, BitOrAssign};

use crate::reactor::ids::Direction;

/// What to wait for: one kind of readiness, or any of several.
///
/// The names and meanings are tokio's.
///
/// # Examples
///
/// ```
/// use aio_runtime::io::Interest;
///
/// let both = Interest::READABLE | Interest::WRITABLE;
/// assert!(both.is_readable() && both.is_writable());
/// assert_eq!(both.remove(Interest::WRITABLE), Some(Interest::READABLE));
/// assert_eq!(format!("{both:?}"), "READABLE | WRITABLE");
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Interest(u8);

impl Interest {
    /// Data, the end of what is read, a connection to accept.
    pub const READABLE: Self = Self::of(Direction::Read);
    /// Room to write, or the end of what is written.
    pub const WRITABLE: Self = Self::of(Direction::Write);
    /// Urgent data, and what else a file means by `POLLPRI`.
    pub const PRIORITY: Self = Self::of(Direction::Priority);
    /// An error, such as a message in a socket's error queue.
    pub const ERROR: Self = Self::of(Direction::Error);

    const fn of(direction: Direction) -> Self {
        Self(1 << direction as u8)
    }

    /// Whether it includes [`READABLE`](Self::READABLE).
    pub const fn is_readable(self) -> bool {
        self.includes(Direction::Read)
    }

    /// Whether it includes [`WRITABLE`](Self::WRITABLE).
    pub const fn is_writable(self) -> bool {
        self.includes(Direction::Write)
    }

    /// Whether it includes [`PRIORITY`](Self::PRIORITY).
    pub const fn is_priority(self) -> bool {
        self.includes(Direction::Priority)
    }

    /// Whether it includes [`ERROR`](Self::ERROR).
    pub const fn is_error(self) -> bool {
        self.includes(Direction::Error)
    }

    pub(crate) const fn includes(self, direction: Direction) -> bool {
        self.0 & Self::of(direction).0 != 0
    }

    /// Either of the two.
    #[must_use = "it returns the sum, and changes nothing"]
    pub const fn add(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// This without the other; `None` if nothing is left.
    #[must_use = "it returns the rest, and changes nothing"]
    pub fn remove(self, other: Self) -> Option<Self> {
        let left = self.0 & !other.0;
        (left != 0).then_some(Self(left))
    }

    pub(crate) fn directions(self) -> impl Iterator<Item = Direction> {
        Direction::ALL.into_iter().filter(move |direction| self.includes(*direction))
    }

    /// The direction, if it is only one.
    pub(crate) fn only(self) -> Option<Direction> {
        Direction::ALL.into_iter().find(|direction| self == Self::of(*direction))
    }
}

impl From<Direction> for Interest {
    fn from(direction: Direction) -> Self {
        Self::of(direction)
    }
}

impl BitOr for Interest {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        self.add(other)
    }
}

impl BitOrAssign for Interest {
    fn bitor_assign(&mut self, other: Self) {
        *self = *self | other;
    }
}

impl fmt::Debug for Interest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.directions().map(|direction| match direction {
            Direction::Read => "READABLE",
            Direction::Write => "WRITABLE",
            Direction::Priority => "PRIORITY",
            Direction::Error => "ERROR",
        });
        f.write_str(&names.collect::<Vec<_>>().join(" | "))
    }
}
