//! The nested epoll: waits for what the kernel refuses to poll (a tty or a FIFO that was opened
//! read-write answers EINVAL, and only while it is not ready) and for what finds no slot. The
//! reactor waits for the epoll itself with one poll.
//!
//! Registrations are one-shot, so that a fired one is quiet until it is armed again. An epoll holds
//! no reference to the file, yet its entry lives as long as any duplicate of the descriptor, so a
//! source is taken out before it is closed.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};

use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::io::Errno;

use crate::reactor::ids::{Direction, SourceId};

/// Events taken by one `epoll_wait`.
const BATCH: usize = 64;

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Overflow {
    epoll: OwnedFd,
    /// Descriptors that it knows.
    len: usize,
}

impl Overflow {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self { epoll: epoll::create(CreateFlags::CLOEXEC)?, len: 0 })
    }

    /// How many descriptors it knows, armed or not.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Watches a source's descriptor, once, for these directions.
    pub(crate) fn watch(
        &mut self,
        id: SourceId,
        fd: RawFd,
        known: &mut bool,
        directions: impl Iterator<Item = Direction>,
    ) -> Result<(), Errno> {
        #[cfg(test)]
        super::fault::check(super::fault::Call::Watch)?;
        let data = EventData::new_u64(id.0.into());
        let flags = directions.fold(EventFlags::ONESHOT, |flags, direction| flags | interest(direction));
        if *known {
            return epoll::modify(&self.epoll, borrow(fd), data, flags);
        }
        epoll::add(&self.epoll, borrow(fd), data, flags)?;
        *known = true;
        self.len += 1;
        Ok(())
    }

    /// Takes a source's descriptor out. Fails if it was closed already.
    pub(crate) fn forget(&mut self, fd: RawFd, known: &mut bool) -> Result<(), Errno> {
        *known = false;
        self.len -= 1;
        epoll::delete(&self.epoll, borrow(fd))
    }

    /// What has fired, until nothing is left. Each has to be watched again.
    pub(crate) fn drain(&self, mut fired: impl FnMut(SourceId, EventFlags)) {
        let mut room = [const { MaybeUninit::<Event>::uninit() }; BATCH];
        loop {
            let events = match epoll::wait(&self.epoll, &mut room, Some(&Timespec::default())) {
                Ok((events, _)) => events,
                Err(Errno::INTR) => continue,
                Err(errno) => unreachable!("epoll_wait on an epoll of our own: {errno}"),
            };
            for event in &*events {
                // The fields of a packed struct are copied out.
                let (data, flags) = (event.data, event.flags);
                fired(SourceId(data.u64() as u32), flags);
            }
            if events.len() < BATCH {
                return;
            }
        }
    }
}

/// What the epoll watches for a direction.
fn interest(direction: Direction) -> EventFlags {
    match direction {
        Direction::Read => EventFlags::IN | EventFlags::RDHUP,
        Direction::Write => EventFlags::OUT,
    }
}

/// Whether what has fired speaks of a direction.
pub(crate) fn concerns(fired: EventFlags, direction: Direction) -> bool {
    fired.intersects(interest(direction) | EventFlags::ERR | EventFlags::HUP)
}

impl AsFd for Overflow {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }
}

/// The descriptor of a source that is registered.
///
/// What this promises: a source is deregistered before its descriptor is closed (`Io` owns both),
/// so the number is open. It could be wrong only if someone closed it behind `Io`'s back, and then
/// the kernel answers EBADF or acts on the file that has the number now; no memory is at stake.
#[allow(unsafe_code)]
fn borrow<'a>(fd: RawFd) -> BorrowedFd<'a> {
    // SAFETY: not -1, since it came from an `OwnedFd`; open, as said above.
    unsafe { BorrowedFd::borrow_raw(fd) }
}
