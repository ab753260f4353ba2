//! What the reactor knows of one registered file descriptor: for each direction, whether it seems
//! ready, how the readiness is waited for, and by whom.

use std::os::fd::RawFd;
use std::task::Waker;

use rustix::event::epoll::EventFlags;
use rustix::io::Errno;
use slab::Slab;

use crate::reactor::requests::Key;

/// A registration's place in the reactor's list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SourceId(pub(crate) u32);

/// The cross-thread wake's place.
pub(crate) const UNPARK: SourceId = SourceId(0);
/// The nested epoll's.
pub(crate) const OVERFLOW: SourceId = SourceId(1);

impl SourceId {
    /// Whether this is one of the reactor's own sources.
    pub(crate) fn is_own(self) -> bool {
        self == UNPARK || self == OVERFLOW
    }

    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

/// The two things that one can wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    /// Data, end of file, a connection to accept.
    Read,
    /// Room to write, the end of a connect.
    Write,
}

impl Direction {
    pub(crate) const BOTH: [Self; 2] = [Self::Read, Self::Write];

    pub(crate) fn other(self) -> Self {
        match self {
            Self::Read => Self::Write,
            Self::Write => Self::Read,
        }
    }

    /// The mask of an `IOCB_CMD_POLL`.
    pub(crate) fn poll_mask(self) -> i16 {
        match self {
            Self::Read => libc::POLLIN | libc::POLLRDHUP,
            Self::Write => libc::POLLOUT,
        }
    }

    /// The same for the nested epoll.
    pub(crate) fn epoll_flags(self) -> EventFlags {
        match self {
            Self::Read => EventFlags::IN | EventFlags::RDHUP,
            Self::Write => EventFlags::OUT,
        }
    }
}

/// How readiness is waited for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Wait {
    /// Not at all: nobody has met `EAGAIN` since the last event.
    #[default]
    Idle,
    /// By a poll of its own.
    Poll(Key),
    /// In the nested epoll.
    Overflow,
    /// By a try in the loop's next turn: see [`Readiness::completes_inline`].
    Retry,
}

/// Whether the nested epoll knows the descriptor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Membership {
    #[default]
    Stranger,
    Member,
}

/// What the next try is likely to find.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Hint {
    /// Nobody knows: nothing was tried, or nothing has happened since.
    #[default]
    Unknown,
    /// The try of an untried direction will tell: if it meets `EAGAIN` this becomes `Blocked`.
    Assumed,
    /// Something, an event says.
    Ready,
    /// Nothing: the latest try met `EAGAIN`, or moved less than it could have.
    Blocked,
}

/// One direction of one source.
#[derive(Debug, Default)]
pub(crate) struct Readiness {
    pub(crate) hint: Hint,
    pub(crate) wait: Wait,
    /// How many polls in a row were ready when they were submitted; 0 again when a try in place of
    /// one met `EAGAIN`.
    inline: u8,
    /// Why waiting is impossible; told to the next who would have to wait.
    pub(crate) error: Option<Errno>,
    /// The task of the latest `poll_*` call.
    pub(crate) task: Option<Waker>,
    /// Futures that wait, any number of them.
    pub(crate) waiters: Slab<Option<Waker>>,
}

impl Readiness {
    /// Whether a poll would be ready by the time it is submitted, as far as the past tells. Then to
    /// submit it, and to reap its event, only tells what a try at that time finds out by itself, so
    /// the poll is spared.
    pub(crate) fn completes_inline(&self) -> bool {
        /// One may be chance; and of many in a row, each costs more than a try that fails.
        const ENOUGH: u8 = 2;
        self.inline >= ENOUGH
    }

    /// A poll is over.
    pub(crate) fn poll_completed(&mut self, inline: bool) {
        self.wait = Wait::Idle;
        self.inline = if inline { self.inline.saturating_add(1) } else { 0 };
    }

    /// A try met `EAGAIN`.
    pub(crate) fn would_block(&mut self) {
        // Where a poll was spared, it would not have been ready. (After a transfer it only shows
        // that all was taken.)
        if matches!(self.hint, Hint::Unknown | Hint::Assumed) {
            self.inline = 0;
        }
        self.hint = Hint::Blocked;
    }

    /// Marks the direction as worth a try, and hands over everyone who waits for it.
    pub(crate) fn wake_into(&mut self, wakers: &mut Vec<Waker>) {
        self.hint = Hint::Ready;
        self.take_waiters(wakers);
    }

    /// Hands over everyone who waits.
    pub(crate) fn take_waiters(&mut self, wakers: &mut Vec<Waker>) {
        wakers.extend(self.task.take());
        wakers.extend(self.waiters.iter_mut().filter_map(|(_, waker)| waker.take()));
    }
}

/// One registered file descriptor.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) fd: RawFd,
    pub(crate) membership: Membership,
    read: Readiness,
    write: Readiness,
}

impl Source {
    pub(crate) fn new(fd: RawFd) -> Self {
        Self { fd, membership: Membership::default(), read: Readiness::default(), write: Readiness::default() }
    }

    pub(crate) fn readiness_of(&self, direction: Direction) -> &Readiness {
        match direction {
            Direction::Read => &self.read,
            Direction::Write => &self.write,
        }
    }

    pub(crate) fn readiness_of_mut(&mut self, direction: Direction) -> &mut Readiness {
        match direction {
            Direction::Read => &mut self.read,
            Direction::Write => &mut self.write,
        }
    }

    /// What the nested epoll should watch this descriptor for.
    pub(crate) fn epoll_interest(&self) -> EventFlags {
        Direction::BOTH
            .into_iter()
            .filter(|direction| self.readiness_of(*direction).wait == Wait::Overflow)
            .fold(EventFlags::empty(), |flags, direction| flags | direction.epoll_flags())
    }

    /// Takes note that a direction cannot be waited for. Who waits tries once more, and is told if
    /// that finds nothing.
    pub(crate) fn fail(&mut self, direction: Direction, errno: Errno, wakers: &mut Vec<Waker>) {
        let readiness_of = self.readiness_of_mut(direction);
        readiness_of.wait = Wait::Idle;
        readiness_of.error = Some(errno);
        readiness_of.wake_into(wakers);
    }
}

/// Whether the mask of a completed poll speaks of both directions. A keyed wake carries the waker's
/// own key: error and hang-up bits may stand alone or be missing, and 0 means only that the poll is
/// over.
pub(crate) fn concerns_both(res: i64) -> bool {
    let known = i64::from(libc::POLLIN | libc::POLLPRI | libc::POLLOUT | libc::POLLRDHUP)
        | i64::from(libc::POLLRDNORM | libc::POLLRDBAND | libc::POLLWRNORM | libc::POLLWRBAND);
    res <= 0 || res & !known != 0
}
