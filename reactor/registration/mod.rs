//! A descriptor known to the reactor, and owned by somebody else: try, then wait.

mod elsewhere;
mod ready;

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, Waker, ready};

use rustix::io::Errno;

use super::coop;
use super::driver::{Close, Driver, WaitElsewhere};
use super::error::gone;
use super::ids::{Direction, Home, SourceId};
use super::kernel::level::events_now;
use super::mailbox::Command;
use super::readiness::{Interest, Ready, ReadyEvent, Until, Waiter};

/// The registration of a descriptor, which it never closes. Whoever owns the descriptor ends the
/// registration first, by [`deregister`](Self::deregister).
///
/// For each direction at most one poll is armed. It belongs to the registration and not to a
/// future: dropping a future withdraws its waker, and the poll stays armed for the next one. If
/// none comes within a few turns, the poll is cancelled. (Not at once: a `select!` loop drops its
/// waits and makes them again all the time.)
///
/// Callers of [`poll_io`](Self::poll_io) give no notice when they lose interest. So their polls
/// stay armed until an event, or until the registration ends.
///
/// An attempt is a system call, and is made on the spot on any thread. To wait is the reactor's
/// affair: on another thread than its own the wait is sent there (see [`Home`]).
#[derive(Debug)]
pub(crate) struct Registration {
    home: Home,
    id: SourceId,
    /// The directions in which [`try_io`](Self::try_io) met `EAGAIN` on another thread. The reactor
    /// is told with the next wait there.
    blocked_elsewhere: AtomicU8,
}

impl Registration {
    /// Registers a descriptor, which must be in non-blocking mode, and is to be closed in this way.
    ///
    /// # Errors
    ///
    /// If `home` is not a reactor of this thread.
    pub(crate) fn new(home: Home, fd: BorrowedFd<'_>, close: Close) -> io::Result<Self> {
        let id = home.with_driver(|driver| driver.register(fd, close)).ok_or_else(|| home.wait_error())?;
        Ok(Self { home, id, blocked_elsewhere: AtomicU8::new(0) })
    }

    /// Registers a descriptor for these directions, and for errors, whose edges are watched for
    /// from now on: so an attempt, and what it means, may be the user's. Its owner ends the
    /// registration by [`release`](Self::release).
    ///
    /// # Errors
    ///
    /// Those of `epoll_ctl(2)`, and if `home` is not a reactor of this thread.
    pub(crate) fn for_edges(home: Home, fd: RawFd, interest: Interest) -> io::Result<Self> {
        if fd < 0 {
            return Err(Errno::BADF.into());
        }
        let interest = interest | Interest::ERROR;
        let id =
            home.with_driver(|driver| driver.register_for_edges(fd, interest)).ok_or_else(|| home.wait_error())??;
        Ok(Self { home, id, blocked_elsewhere: AtomicU8::new(0) })
    }

    /// It is new, and probably ready for these: as in tokio, whoever waits before the first attempt
    /// is told so at once.
    pub(crate) fn assume_ready(&self, interest: Interest) {
        self.home.with_driver(|driver| driver.assume_ready(self.id, interest));
    }

    /// Where it lives.
    pub(crate) fn home(&self) -> Home {
        self.home
    }

    /// Attempts until the result is not `WouldBlock`, waiting for readiness in between. The task of
    /// the latest call for this direction is woken.
    pub(crate) fn poll_io<R>(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
        attempt: impl FnMut() -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        self.poll_attempt(cx, direction, &mut Waiter::Task, attempt, |cx| {
            self.wait_elsewhere(direction, Until::Attempt, Waiter::TaskElsewhere, cx.waker().clone())
        })
    }

    /// [`ready`](Self::ready) for the task of the latest call. On another thread a task has no
    /// place to note that its event has come, so the descriptor, `fd`, is asked.
    pub(crate) fn poll_ready(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
        fd: RawFd,
    ) -> Poll<io::Result<ReadyEvent>> {
        let unit = ready!(coop::poll_proceed(cx));
        ready!(self.poll_event(cx, direction, &mut Waiter::Task, |cx| {
            // Not after `EAGAIN`: then the descriptor may be one that contradicts it.
            if self.blocked_elsewhere.load(Ordering::Relaxed) & bit(direction) == 0 {
                if ready_now(fd, direction.into())?.intersects(Ready::of(direction.into())) {
                    return Poll::Ready(Ok(()));
                }
                self.blocked_elsewhere.fetch_or(bit(direction), Ordering::Relaxed);
            }
            self.wait_elsewhere(direction, Until::Event, Waiter::TaskElsewhere, cx.waker().clone())?;
            Poll::Pending
        }))?;
        unit.made_progress();
        Poll::Ready(self.look(direction.into(), fd))
    }

    /// What these directions are ready for.
    pub(super) fn look(&self, interest: Interest, fd: RawFd) -> io::Result<ReadyEvent> {
        match self.home.with_driver(|driver| driver.look(self.id, interest)) {
            Some(event) => Ok(event),
            None => Ok(ReadyEvent::elsewhere(ready_now(fd, interest)?)),
        }
    }

    /// Attempts once. `WouldBlock` makes the next wait a real one.
    pub(crate) fn try_io<R>(&self, direction: Direction, attempt: impl FnOnce() -> io::Result<R>) -> io::Result<R> {
        let result = attempt();
        let is_blocked = result.as_ref().is_err_and(is_would_block);
        let told = self.home.with_driver(|driver| match is_blocked {
            true => driver.would_block(self.id, direction),
            false => driver.readiness(self.id, direction).moved(),
        });
        if told.is_none() && is_blocked {
            self.blocked_elsewhere.fetch_or(bit(direction), Ordering::Relaxed);
        }
        result
    }

    /// [`try_io`](Self::try_io) for any of these directions. Where edges are watched for, and have
    /// announced nothing, it does not attempt. `WouldBlock` is said of what was ready before.
    pub(crate) fn try_io_for<R>(&self, interest: Interest, attempt: impl FnOnce() -> io::Result<R>) -> io::Result<R> {
        let before = match self.home.with_driver(|driver| driver.look_before_attempt(self.id, interest)) {
            Some(None) => return Err(io::ErrorKind::WouldBlock.into()),
            Some(Some(event)) => event,
            None => ReadyEvent::elsewhere(
                interest.directions().fold(Ready::EMPTY, |ready, direction| ready | Ready::own(direction)),
            ),
        };
        let result = attempt();
        if result.as_ref().is_err_and(is_would_block) {
            self.deny(before.concerning(interest));
        }
        result
    }

    /// `poll(2)` has just said that these directions are not ready.
    pub(super) fn found_nothing(&self, interest: Interest) {
        for direction in interest.directions() {
            self.home.with_driver(|driver| driver.found_nothing(self.id, direction));
        }
    }

    /// The user says that what was ready is so no longer, as an attempt has told.
    pub(crate) fn deny(&self, event: ReadyEvent) {
        if self.home.with_driver(|driver| driver.deny(self.id, event)).is_none() {
            let denied = Direction::ALL.into_iter().filter(|direction| event.ready.intersects(Ready::own(*direction)));
            self.blocked_elsewhere.fetch_or(denied.map(bit).sum(), Ordering::Relaxed);
        }
    }

    /// The latest transfer was short: the next one would find nothing, so it waits first. A poll is
    /// checked when it is submitted, so nothing can be missed.
    pub(crate) fn clear_ready(&self, direction: Direction) {
        self.home.with_driver(|driver| driver.clear_ready(self.id, direction));
    }

    /// Ends the registration, and closes the descriptor if it is given. On another thread than the
    /// reactor's it asks for that; the descriptor must then be given.
    pub(super) fn deregister(&self, fd: Option<OwnedFd>, close: Close) {
        let mut fd = fd;
        let deregistered = self.home.with(|core| core.deregister(self.id, fd.take(), close));
        if deregistered.is_none()
            && let Some(fd) = fd
        {
            // Where the reactor has gone nothing is armed, and the descriptor is closed here.
            let _gone = self.home.send(Command::Deregister { source: self.id, fd, close });
        }
    }

    /// Ends the registration of a descriptor that goes back to its owner, who may close it then.
    pub(crate) fn release(&self, fd: RawFd) {
        if self.home.with(|core| core.deregister(self.id, None, Close::BeforeReturn)).is_none() {
            // At once, since the number may be another descriptor's when the loop gets to it.
            self.home.take_out(fd);
            let _gone = self.home.send(Command::Release(self.id));
        }
    }

    /// Takes two short borrows where it must wait: one asks whether an attempt is worthwhile; the
    /// other, after `EAGAIN`, stores the waker and arms. On another thread, where nobody can be
    /// asked, it attempts at once, and `wait_elsewhere` does the rest.
    fn poll_attempt<R>(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
        waiter: &mut Waiter,
        mut attempt: impl FnMut() -> io::Result<R>,
        wait_elsewhere: impl FnOnce(&mut Context<'_>) -> io::Result<()>,
    ) -> Poll<io::Result<R>> {
        let unit = ready!(coop::poll_proceed(cx));
        let asked = self.home.with_driver(|driver| driver.readiness(self.id, direction).is_ready(Until::Attempt));
        match asked {
            Some(true) => {}
            Some(false) => ready!(self.poll_wait(cx, direction, Until::Attempt, waiter))?,
            None => self.check_not_gone()?,
        }
        loop {
            match attempt() {
                Err(error) if is_would_block(&error) => {
                    if asked.is_none() {
                        wait_elsewhere(cx)?;
                        return Poll::Pending;
                    }
                    ready!(self.poll_here(cx, |driver, waker| driver.block(self.id, direction, waiter, waker)))?;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => {
                    unit.made_progress();
                    return Poll::Ready(result);
                }
            }
        }
    }

    /// Ready when an event has said that an attempt may succeed. `poll_elsewhere` does this on
    /// another thread.
    fn poll_event(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
        waiter: &mut Waiter,
        poll_elsewhere: impl FnOnce(&mut Context<'_>) -> Poll<io::Result<()>>,
    ) -> Poll<io::Result<()>> {
        match self.home.with_driver(|driver| driver.readiness(self.id, direction).is_ready(Until::Event)) {
            Some(true) => {}
            Some(false) => ready!(self.poll_wait(cx, direction, Until::Event, waiter))?,
            None => {
                self.check_not_gone()?;
                ready!(poll_elsewhere(cx))?;
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Has the driver wait, on its thread. Ready when there is no reason to wait.
    fn poll_here(
        &self,
        cx: &Context<'_>,
        wait: impl FnOnce(&mut Driver, Waker) -> (Poll<io::Result<()>>, Option<Waker>),
    ) -> Poll<io::Result<()>> {
        // Cloned outside the borrow, as it is user code. It may have made the direction ready; the
        // driver then knows that an EAGAIN is older.
        let waker = cx.waker().clone();
        self.home.check_driven()?;
        let waited = self.home.with_driver(|driver| wait(driver, waker));
        let (waited, _replaced) = waited.ok_or_else(gone)?;
        waited
    }

    fn poll_wait(
        &self,
        cx: &Context<'_>,
        direction: Direction,
        until: Until,
        waiter: &mut Waiter,
    ) -> Poll<io::Result<()>> {
        self.poll_here(cx, |driver, waker| driver.wait(self.id, direction, until, waiter, waker, false))
    }

    /// Asks the reactor's thread to wake `waker`. With [`Until::Attempt`] an attempt has just met
    /// `EAGAIN`.
    #[cold]
    fn wait_elsewhere(&self, direction: Direction, until: Until, waiter: Waiter, waker: Waker) -> io::Result<()> {
        let source = self.id;
        let blocked = self.blocked_elsewhere.fetch_and(!bit(direction), Ordering::Relaxed);
        let has_blocked = until == Until::Attempt || blocked & bit(direction) != 0;
        let wait = WaitElsewhere { source, direction, until, has_blocked, waiter, waker };
        self.home.send(Command::Wait(wait)).map_err(|_| gone())
    }

    /// Not here: on another thread, or nowhere?
    #[cold]
    fn check_not_gone(&self) -> io::Result<()> {
        if self.home.is_somewhere_else() { Ok(()) } else { Err(gone()) }
    }
}

pub(super) fn is_would_block(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock
}

/// What `poll(2)` says at this moment.
pub(super) fn ready_now(fd: RawFd, interest: Interest) -> io::Result<Ready> {
    let events = interest.directions().fold(0, |events, direction| events | direction.poll_mask());
    Ok(Ready::from_events(events_now(fd, events)?))
}

fn bit(direction: Direction) -> u8 {
    1 << direction as u8
}
