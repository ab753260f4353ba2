//! The nested epoll: waits for what the kernel refuses to poll (a tty or a FIFO that was opened
//! read-write answers EINVAL, and only while it is not ready) and for what finds no slot. The
//! reactor waits for the epoll itself with one poll.
//!
//! A member is watched for one event, and is quiet afterwards until it is watched again; or for
//! every edge, by one call. An epoll holds no reference to the file, yet its entry lives as long as
//! any duplicate of the descriptor, so a source is taken out before it is closed.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::time::Duration;

use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use crate::reactor::ids::SourceId;

/// Events taken by one `epoll_wait`.
const BATCH: usize = 64;

/// Watch for one event.
pub(crate) const ONE_EVENT: EventFlags = EventFlags::ONESHOT;

/// Watch for every edge.
pub(crate) const EDGES: EventFlags = EventFlags::ET;

/// What stands for the unparker where sources have their number.
const UNPARKER: u64 = u64::MAX;

/// The descriptor of a nested epoll, for any thread.
#[derive(Clone, Debug)]
pub(crate) struct Epoll(Arc<OwnedFd>);

impl Epoll {
    /// Takes a descriptor out. Fails if it was closed already.
    pub(crate) fn take_out(&self, fd: RawFd) -> Result<(), Errno> {
        epoll::delete(self, borrow(fd))
    }
}

impl AsFd for Epoll {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Overflow {
    epoll: Epoll,
    /// Sources that it knows.
    len: usize,
    /// It wakes the loop for other threads, too.
    watches_unparker: bool,
    /// `epoll_wait` has failed, and will again.
    is_blind: bool,
}

impl Overflow {
    pub(crate) fn new() -> io::Result<Self> {
        let epoll = Epoll(Arc::new(epoll::create(CreateFlags::CLOEXEC)?));
        Ok(Self { epoll, len: 0, watches_unparker: false, is_blind: false })
    }

    /// Its descriptor, for other threads.
    pub(crate) fn epoll(&self) -> &Epoll {
        &self.epoll
    }

    /// How many sources it knows, armed or not.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Whether there is something that it can report.
    pub(crate) fn is_of_use(&self) -> bool {
        (self.len > 0 || self.watches_unparker) && !self.is_blind
    }

    /// Whether it wakes the loop for other threads.
    pub(crate) fn watches_unparker(&self) -> bool {
        self.watches_unparker && !self.is_blind
    }

    /// Watches a source's descriptor for these events of `poll(2)`.
    ///
    /// # Errors
    ///
    /// `EPERM` if it cannot tell when the descriptor is ready.
    pub(crate) fn watch(
        &mut self,
        id: SourceId,
        fd: RawFd,
        known: &mut bool,
        events: u32,
        mode: EventFlags,
    ) -> Result<(), Errno> {
        if self.is_blind {
            return Err(Errno::PERM);
        }
        #[cfg(test)]
        super::fault::check(super::fault::Call::Watch)?;
        let data = EventData::new_u64(id.0.into());
        let flags = mode | EventFlags::from_bits_retain(events);
        let add = || epoll::add(&self.epoll, borrow(fd), data, flags);
        let modify = || epoll::modify(&self.epoll, borrow(fd), data, flags);
        // The number may have changed hands behind our back: then its entry is gone with the file
        // that it had, or there already with the file that it has.
        if *known {
            return match modify() {
                Err(Errno::NOENT) => add(),
                modified => modified,
            };
        }
        match add() {
            Err(Errno::EXIST) => modify()?,
            added => added?,
        }
        *known = true;
        self.len += 1;
        Ok(())
    }

    /// Watches a descriptor that it does not know for every edge of these events of `poll(2)`.
    ///
    /// # Errors
    ///
    /// `EPERM` if it cannot tell when the descriptor is ready, `EEXIST` if it knows it after all,
    /// `EBADF` if it is not open; see `epoll_ctl(2)`.
    pub(crate) fn add(&mut self, id: SourceId, fd: RawFd, known: &mut bool, events: u32) -> Result<(), Errno> {
        if self.is_blind {
            return Err(Errno::PERM);
        }
        #[cfg(test)]
        super::fault::check(super::fault::Call::Watch)?;
        let flags = EDGES | EventFlags::from_bits_retain(events);
        epoll::add(&self.epoll, borrow(fd), EventData::new_u64(id.0.into()), flags)?;
        *known = true;
        self.len += 1;
        Ok(())
    }

    /// Watches the eventfd by which other threads wake the loop. Each write to it is an edge, so it
    /// need not be drained.
    pub(crate) fn watch_unparker(&mut self, unparker: impl AsFd) -> Result<(), Errno> {
        epoll::add(&self.epoll, unparker, EventData::new_u64(UNPARKER), EDGES | EventFlags::IN)?;
        self.watches_unparker = true;
        Ok(())
    }

    /// Sleeps until there is something to drain, or the unparker's eventfd is readable, but for at
    /// most `timeout` (`None`: forever). Returns whether the eventfd is. A signal that was handled
    /// ends the sleep.
    ///
    /// By `poll`, since `epoll_wait` counts in milliseconds and takes the events.
    pub(crate) fn sleep(&self, unparker: impl AsFd, timeout: Option<Duration>) -> Result<bool, Errno> {
        #[cfg(test)]
        super::fault::check(super::fault::Call::Poll)?;
        // Longer than the kernel can count is forever.
        let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
        let mut fds = [PollFd::new(&unparker, PollFlags::IN), PollFd::new(&self.epoll, PollFlags::IN)];
        // What cannot be drained would end every sleep at once.
        let watched = if self.is_of_use() { &mut fds[..] } else { &mut fds[..1] };
        match poll(watched, timeout.as_ref()) {
            Ok(_) => Ok(!fds[0].revents().is_empty()),
            Err(Errno::INTR) => Ok(false),
            Err(errno) => Err(errno),
        }
    }

    /// Takes a source's descriptor out. Fails if it was closed already.
    pub(crate) fn forget(&mut self, fd: RawFd, known: &mut bool) -> Result<(), Errno> {
        self.was_taken_out(known);
        self.epoll.take_out(fd)
    }

    /// Another thread has taken a source's descriptor out.
    pub(crate) fn was_taken_out(&mut self, known: &mut bool) {
        *known = false;
        self.len -= 1;
    }

    /// What has fired, until nothing is left: sources, and events of `poll(2)`. If that fails it
    /// will never tell anything again.
    pub(crate) fn drain(&mut self, mut fired: impl FnMut(SourceId, u32)) -> Result<(), Errno> {
        let mut room = [const { MaybeUninit::<Event>::uninit() }; BATCH];
        loop {
            let events = match wait(&self.epoll, &mut room) {
                Ok(events) => events,
                Err(Errno::INTR) => continue,
                Err(errno) => {
                    self.is_blind = true;
                    return Err(errno);
                }
            };
            for event in &*events {
                // The fields of a packed struct are copied out.
                let (data, flags) = (event.data.u64(), event.flags);
                // An unparker that has fired has done its work: the loop is awake.
                if data != UNPARKER {
                    fired(SourceId(data as u32), flags.bits());
                }
            }
            if events.len() < BATCH {
                return Ok(());
            }
        }
    }
}

/// Takes what has fired, without waiting.
fn wait<'a>(epoll: &Epoll, room: &'a mut [MaybeUninit<Event>]) -> Result<&'a mut [Event], Errno> {
    #[cfg(test)]
    super::fault::check(super::fault::Call::Drain)?;
    epoll::wait(epoll, room, Some(&Timespec::default())).map(|(events, _)| events)
}

impl AsFd for Overflow {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }
}

/// The descriptor of a source that is registered, or is about to be.
///
/// What this promises: a source is deregistered before its descriptor is closed (`Io` and `AsyncFd`
/// own both), so the number is open. It could be wrong only if someone closed it behind the owner's
/// back, and then the kernel answers EBADF or acts on the file that has the number now; no memory
/// is at stake.
#[allow(unsafe_code)]
pub(super) fn borrow<'a>(fd: RawFd) -> BorrowedFd<'a> {
    // SAFETY: not -1: it came from an `OwnedFd`, or was checked (`Registration::for_edges`). Open,
    // as said above.
    unsafe { BorrowedFd::borrow_raw(fd) }
}
