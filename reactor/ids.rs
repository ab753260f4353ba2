//! Identifiers that the reactor's floors share. Each is plain data, and may outlive what it names:
//! a [`Key`] then names nothing; a [`SourceId`] may name its successor, which at worst is woken for
//! nothing.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

/// The number of a reactor, by which it is found from any thread: see `home.rs`. Never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Home(u64);

impl Home {
    /// A number that no reactor has had.
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

impl fmt::Display for Home {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "aio-runtime #{}", self.0)
    }
}

/// A registered descriptor's place in the driver's list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SourceId(pub(crate) u32);

impl SourceId {
    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

/// What one can wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Direction {
    /// Data, end of file, a connection to accept.
    Read,
    /// Room to write, the end of a connect.
    Write,
    /// Urgent data, and what else a file means by `POLLPRI`.
    Priority,
    /// An error, such as a message in a socket's error queue.
    Error,
}

impl Direction {
    /// Those that nearly every descriptor is used in.
    pub(crate) const BOTH: [Self; 2] = [Self::Read, Self::Write];

    pub(crate) const ALL: [Self; 4] = [Self::Read, Self::Write, Self::Priority, Self::Error];

    /// The events of `poll(2)` that are waited for. The kernel adds `POLLERR` and `POLLHUP`.
    pub(crate) fn poll_mask(self) -> libc::c_short {
        match self {
            Self::Read => libc::POLLIN | libc::POLLRDHUP,
            Self::Write => libc::POLLOUT,
            Self::Priority => libc::POLLPRI,
            Self::Error => libc::POLLERR,
        }
    }
}

/// What the event of a poll means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PollKind {
    /// One direction of a registered descriptor is ready: wake its waiters.
    Waiters(SourceId, Direction),
    /// Another thread has something for the loop.
    Unpark,
    /// Members of the nested epoll are ready.
    Overflow,
}

impl PollKind {
    /// Whether this is one of the reactor's own polls.
    pub(crate) fn is_own(self) -> bool {
        !matches!(self, Self::Waiters(..))
    }
}

/// One use of a slot: its index and generation. The kernel carries it as `aio_data`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) index: u32,
    pub(crate) generation: u32,
}

impl Key {
    /// The slot's place, below the capacity.
    pub(crate) fn index(self) -> usize {
        self.index as usize
    }

    pub(crate) fn to_data(self) -> u64 {
        u64::from(self.generation) << 32 | u64::from(self.index)
    }

    pub(crate) fn from_data(data: u64) -> Self {
        Self { index: data as u32, generation: (data >> 32) as u32 }
    }
}

/// The name by which a future knows its file operation. Valid until the result is fetched or the
/// operation abandoned; not `Clone`, so that neither happens twice.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct OperationId(pub(crate) usize);
