//! The building block of everything that can be polled: a descriptor, registered for as long as it
//! is open.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use super::driver::{Close, Late};
use super::ids::{Direction, SourceId};
use super::readiness::{Until, Waiter};
use super::{Reactor, gone};

/// A non-blocking descriptor and its registration: try, then wait.
///
/// For each direction at most one poll is armed. It belongs to the registration and not to a
/// future: dropping a future withdraws its waker, and the poll stays armed for the next one (a
/// cancel would walk all armed polls with interrupts off). Dropping the `Io` cancels what is armed
/// *before* the descriptor closes, since an armed poll keeps the file open: no FIN, no end of file,
/// a listener that stays bound.
pub(crate) struct Io {
    reactor: Rc<Reactor>,
    id: SourceId,
    /// `None` only while dropped.
    fd: Option<OwnedFd>,
    close: Close,
}

impl Io {
    /// Registers a descriptor, which must be in non-blocking mode.
    pub(crate) fn new(reactor: &Rc<Reactor>, fd: OwnedFd, close: Close) -> io::Result<Self> {
        let id = reactor.with(|driver| driver.register(fd.as_fd())).ok_or_else(gone)?;
        Ok(Self { reactor: Rc::clone(reactor), id, fd: Some(fd), close })
    }

    pub(crate) fn reactor(&self) -> &Rc<Reactor> {
        &self.reactor
    }

    /// Ends the registration and gives the descriptor back. Nothing is armed on it any more.
    pub(crate) fn into_fd(mut self) -> OwnedFd {
        let fd = self.fd.take().expect("an `Io` has its descriptor until it is dropped");
        self.deregister(None, Close::BeforeReturn);
        fd
    }

    /// Attempts until the result is not `WouldBlock`, waiting for readiness in between. The task of
    /// the latest call for this direction is woken.
    pub(crate) fn poll_io<R>(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
        mut attempt: impl FnMut(BorrowedFd<'_>) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        self.poll_attempt(cx, direction, &mut Waiter::Task, &mut attempt)
    }

    /// [`poll_io`](Self::poll_io) as a future; any number of them may wait for one direction.
    pub(crate) async fn io<R>(
        &self,
        direction: Direction,
        mut attempt: impl FnMut(BorrowedFd<'_>) -> io::Result<R>,
    ) -> io::Result<R> {
        let mut ready = Ready { io: self, direction, waiter: Waiter::Future(None) };
        std::future::poll_fn(|cx| self.poll_attempt(cx, direction, &mut ready.waiter, &mut attempt)).await
    }

    /// Waits until an event says that an attempt may succeed.
    pub(crate) fn ready(&self, direction: Direction) -> impl Future<Output = io::Result<()>> {
        Ready { io: self, direction, waiter: Waiter::Future(None) }
    }

    /// Attempts once. `WouldBlock` makes the next wait a real one.
    pub(crate) fn try_io<R>(
        &self,
        direction: Direction,
        attempt: impl FnOnce(BorrowedFd<'_>) -> io::Result<R>,
    ) -> io::Result<R> {
        let result = attempt(self.as_fd());
        if result.as_ref().is_err_and(is_would_block) {
            self.reactor.with(|driver| driver.readiness(self.id, direction).would_block());
        }
        result
    }

    /// The latest transfer was short: the next one would find nothing, so it waits first. A poll is
    /// checked when it is submitted, so nothing can be missed.
    pub(crate) fn clear_ready(&self, direction: Direction) {
        self.reactor.with(|driver| driver.readiness(self.id, direction).clear());
    }

    /// Takes two short borrows where it must wait: one asks whether an attempt is worthwhile; the
    /// other, after `EAGAIN`, stores the waker and arms.
    fn poll_attempt<R>(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
        waiter: &mut Waiter,
        attempt: &mut impl FnMut(BorrowedFd<'_>) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        let unit = ready!(self.reactor.coop().poll_proceed(cx));
        ready!(self.poll_wait(cx, direction, Until::Attempt, waiter))?;
        loop {
            match attempt(self.as_fd()) {
                Err(error) if is_would_block(&error) => {
                    // User code, which may bring this very direction an event. `block` then notes
                    // an EAGAIN that is older, and no harm is done: arming checks the level.
                    let waker = cx.waker().clone();
                    let waited = self.reactor.with(|driver| driver.block(self.id, direction, waiter, waker));
                    let (waited, _replaced) = waited.ok_or_else(gone)?;
                    ready!(waited)?;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => {
                    unit.made_progress();
                    return Poll::Ready(result);
                }
            }
        }
    }

    /// Ready when there is no reason to wait.
    fn poll_wait(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
        until: Until,
        waiter: &mut Waiter,
    ) -> Poll<io::Result<()>> {
        let ready = self.reactor.with(|driver| driver.readiness(self.id, direction).is_ready(until));
        if ready.ok_or_else(gone)? {
            return Poll::Ready(Ok(()));
        }
        // Cloned outside the borrow, as it is user code; it may have made the direction ready.
        let waker = cx.waker().clone();
        let waited = self.reactor.with(|driver| driver.wait(self.id, direction, until, waiter, waker));
        let (waited, _replaced) = waited.ok_or_else(gone)?;
        waited
    }

    /// Ends the registration, and closes the descriptor if it is given.
    fn deregister(&self, owned: Option<Late>, close: Close) {
        // Outside the loop nobody would see what is left to be closed.
        let close = if self.reactor.is_in_loop() { close } else { Close::BeforeReturn };
        // The source holds wakers, whose drop is user code; a close may block. Both outlive the
        // borrow.
        let _ended = self.reactor.with(|driver| driver.deregister(self.id, owned, close));
    }
}

fn is_would_block(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock
}

impl AsFd for Io {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_ref().expect("an `Io` has its descriptor until it is dropped").as_fd()
    }
}

impl Drop for Io {
    fn drop(&mut self) {
        if let Some(fd) = self.fd.take() {
            self.deregister(Some(fd.into()), self.close);
        }
    }
}

impl fmt::Debug for Io {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Io").field("fd", &self.as_fd().as_raw_fd()).finish_non_exhaustive()
    }
}

/// A future's place among those that wait for a direction.
#[derive(Debug)]
struct Ready<'a> {
    io: &'a Io,
    direction: Direction,
    waiter: Waiter,
}

impl Future for Ready<'_> {
    type Output = io::Result<()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { io, direction, waiter } = &mut *self;
        let unit = ready!(io.reactor.coop().poll_proceed(cx));
        ready!(io.poll_wait(cx, *direction, Until::Event, waiter))?;
        unit.made_progress();
        Poll::Ready(Ok(()))
    }
}

impl Drop for Ready<'_> {
    fn drop(&mut self) {
        let Self { io, direction, waiter } = self;
        let _withdrawn = io.reactor.with(|driver| driver.readiness(io.id, *direction).forget(waiter));
    }
}
