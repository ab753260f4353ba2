//! A descriptor known to the reactor, and owned by somebody else: try, then wait.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker, ready};

use futures::task::AtomicWaker;

use super::coop;
use super::driver::Close;
use super::error::gone;
use super::ids::{Direction, Home, SourceId};
use super::mailbox::Command;
use super::readiness::{Until, Waiter};

/// The registration of a descriptor, which it never closes. Whoever owns the descriptor ends the
/// registration first, by [`deregister`](Self::deregister).
///
/// For each direction at most one poll is armed. It belongs to the registration and not to a
/// future: dropping a future withdraws its waker, and the poll stays armed for the next one. If
/// none comes within a few turns, the poll is cancelled. (Not at once: a `select!` loop drops its
/// waits and makes them again all the time.)
///
/// Callers of [`poll_io`](Self::poll_io) give no notice when they lose interest, and futures give
/// none if they have waited on another thread. So their polls stay armed until an event, or until
/// the registration ends.
///
/// An attempt is a system call, and is made on the spot on any thread. To wait is the reactor's
/// affair: on another thread than its own the wait is sent there (see [`Home`]).
#[derive(Debug)]
pub(crate) struct Registration {
    home: Home,
    id: SourceId,
}

impl Registration {
    /// Registers a descriptor, which must be in non-blocking mode.
    ///
    /// # Errors
    ///
    /// If `home` is not a reactor of this thread.
    pub(crate) fn new(home: Home, fd: BorrowedFd<'_>) -> io::Result<Self> {
        let id = home.with_driver(|driver| driver.register(fd)).ok_or_else(|| home.wait_error())?;
        Ok(Self { home, id })
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
        self.poll_attempt(cx, direction, &mut Waiter::Task, attempt)
    }

    /// [`poll_io`](Self::poll_io) as a future; any number of them may wait for one direction.
    pub(crate) async fn io<R>(
        &self,
        direction: Direction,
        mut attempt: impl FnMut() -> io::Result<R>,
    ) -> io::Result<R> {
        let mut ready = Ready::new(self, direction);
        std::future::poll_fn(|cx| self.poll_attempt(cx, direction, &mut ready.waiter, &mut attempt)).await
    }

    /// Waits until an event says that an attempt may succeed.
    pub(crate) fn ready(&self, direction: Direction) -> impl Future<Output = io::Result<()>> + Send + Sync {
        Ready::new(self, direction)
    }

    /// Attempts once. `WouldBlock` makes the next wait a real one.
    pub(crate) fn try_io<R>(&self, direction: Direction, attempt: impl FnOnce() -> io::Result<R>) -> io::Result<R> {
        let result = attempt();
        let is_blocked = result.as_ref().is_err_and(is_would_block);
        self.home.with_driver(|driver| match is_blocked {
            true => driver.would_block(self.id, direction),
            false => driver.readiness(self.id, direction).moved(),
        });
        result
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

    /// Takes two short borrows where it must wait: one asks whether an attempt is worthwhile; the
    /// other, after `EAGAIN`, stores the waker and arms.
    fn poll_attempt<R>(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
        waiter: &mut Waiter,
        mut attempt: impl FnMut() -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        let unit = ready!(coop::poll_proceed(cx));
        let is_here =
            match self.home.with_driver(|driver| driver.readiness(self.id, direction).is_ready(Until::Attempt)) {
                Some(is_ready) => {
                    if !is_ready {
                        ready!(self.poll_wait(cx, direction, Until::Attempt, waiter))?;
                    }
                    true
                }
                None => {
                    self.check_not_gone()?;
                    false
                }
            };
        loop {
            match attempt() {
                Err(error) if is_would_block(&error) => {
                    if is_here {
                        ready!(self.poll_block(cx, direction, waiter))?;
                    } else {
                        return self.wait_from_elsewhere(direction, Until::Attempt, cx.waker().clone());
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => {
                    unit.made_progress();
                    return Poll::Ready(result);
                }
            }
        }
    }

    /// An attempt met `EAGAIN`. Ready when there is no reason to wait.
    fn poll_block(&self, cx: &mut Context<'_>, direction: Direction, waiter: &mut Waiter) -> Poll<io::Result<()>> {
        // User code, which may bring this very direction an event. `block` then knows that the
        // EAGAIN is older.
        let waker = cx.waker().clone();
        self.home.check_driven()?;
        let waited = self.home.with_driver(|driver| driver.block(self.id, direction, waiter, waker));
        let (waited, _replaced) = waited.ok_or_else(gone)?;
        waited
    }

    /// Ready when there is no reason to wait. On the reactor's thread.
    fn poll_wait(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
        until: Until,
        waiter: &mut Waiter,
    ) -> Poll<io::Result<()>> {
        // Cloned outside the borrow, as it is user code; it may have made the direction ready.
        let waker = cx.waker().clone();
        self.home.check_driven()?;
        let waited = self.home.with_driver(|driver| driver.wait(self.id, direction, until, waiter, waker));
        let (waited, _replaced) = waited.ok_or_else(gone)?;
        waited
    }

    /// Asks the reactor's thread to wake `waker`.
    #[cold]
    fn wait_from_elsewhere<R>(&self, direction: Direction, until: Until, waker: Waker) -> Poll<io::Result<R>> {
        match self.home.send(Command::Wait { source: self.id, direction, until, waker }) {
            Ok(()) => Poll::Pending,
            Err(_) => Poll::Ready(Err(gone())),
        }
    }

    /// Not here: on another thread, or nowhere?
    #[cold]
    fn check_not_gone(&self) -> io::Result<()> {
        if self.home.is_somewhere_else() { Ok(()) } else { Err(gone()) }
    }
}

fn is_would_block(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock
}

/// A future's place among those that wait for a direction.
#[derive(Debug)]
struct Ready<'a> {
    registration: &'a Registration,
    direction: Direction,
    waiter: Waiter,
    /// From the first wait on another thread than the reactor's.
    notice: Option<Arc<Notice>>,
}

impl<'a> Ready<'a> {
    fn new(registration: &'a Registration, direction: Direction) -> Self {
        Self { registration, direction, waiter: Waiter::Future(None), notice: None }
    }

    #[cold]
    fn poll_elsewhere(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.registration.check_not_gone()?;
        let (notice, is_new) = match &self.notice {
            Some(notice) => (notice, false),
            None => (&*self.notice.insert(Arc::default()), true),
        };
        notice.waker.register(cx.waker());
        if notice.has_come.load(Ordering::Acquire) {
            return Poll::Ready(Ok(()));
        }
        if is_new {
            let waker = Waker::from(Arc::clone(notice));
            return self.registration.wait_from_elsewhere(self.direction, Until::Event, waker);
        }
        Poll::Pending
    }
}

impl Future for Ready<'_> {
    type Output = io::Result<()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { registration, direction, waiter, .. } = &mut *self;
        let unit = ready!(coop::poll_proceed(cx));
        match registration
            .home
            .with_driver(|driver| driver.readiness(registration.id, *direction).is_ready(Until::Event))
        {
            Some(true) => {}
            Some(false) => ready!(registration.poll_wait(cx, *direction, Until::Event, waiter))?,
            None => ready!(self.poll_elsewhere(cx))?,
        }
        unit.made_progress();
        Poll::Ready(Ok(()))
    }
}

impl Drop for Ready<'_> {
    fn drop(&mut self) {
        let Self { registration, direction, waiter, .. } = self;
        let Waiter::Future(Some(_)) = waiter else { return };
        let waiter = std::mem::replace(waiter, Waiter::Future(None));
        let withdrawn = registration.home.with_driver(|driver| driver.forget(registration.id, *direction, &waiter));
        if withdrawn.is_none() {
            let (source, direction) = (registration.id, *direction);
            let _gone = registration.home.send(Command::Forget { source, direction, waiter });
        }
    }
}

/// How the reactor's thread tells a future on another one that the event has come.
#[derive(Debug, Default)]
struct Notice {
    has_come: AtomicBool,
    waker: AtomicWaker,
}

impl Wake for Notice {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.has_come.store(true, Ordering::Release);
        self.waker.wake();
    }
}
