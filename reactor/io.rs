//! The building block of everything that can be polled: a descriptor, registered for as long as it
//! is open.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use super::driver::Waiter;
use super::front::Reactor;
use crate::reactor::readiness::{Direction, SourceId};

/// A non-blocking descriptor and its registration.
///
/// For each direction at most one poll is armed. It belongs to the registration and not to a
/// future: dropping a future withdraws its waker, and the poll stands for the next one (a cancel
/// would walk all armed polls with interrupts off). Dropping the `Io` cancels what is armed
/// *before* the descriptor closes, since an armed poll keeps the file open: no FIN, no end of file,
/// a listener that stays bound.
pub(crate) struct Io {
    reactor: Rc<Reactor>,
    id: SourceId,
    /// `None` only while dropped.
    fd: Option<OwnedFd>,
    /// Dropping waits until the kernel has let go of the file, so that its address or name is free
    /// at once.
    close: Close,
}

/// When a dropped [`Io`]'s file is to be let go of by the kernel too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Close {
    /// As soon as the cancelled polls' events are seen: at once, mostly, else in the loop's next
    /// turn.
    Soon,
    /// Before `drop` returns.
    BeforeReturn,
}

impl Io {
    /// Registers a descriptor, which must be in non-blocking mode.
    pub(crate) fn new(reactor: &Rc<Reactor>, fd: OwnedFd, close: Close) -> io::Result<Self> {
        let id = reactor.register(fd.as_fd())?;
        Ok(Self { reactor: Rc::clone(reactor), id, fd: Some(fd), close })
    }

    pub(crate) fn reactor(&self) -> &Rc<Reactor> {
        &self.reactor
    }

    /// Ends the registration and gives the descriptor back. Nothing is armed on it any more.
    pub(crate) fn into_fd(mut self) -> OwnedFd {
        let fd = self.fd.take().expect("an `Io` has its descriptor until it is dropped");
        self.reactor.deregister(self.id, None, true);
        fd
    }

    /// Tries `operation` until it does something else than fail with `WouldBlock`, waiting for
    /// readiness in between. The task of the latest call for this direction is woken.
    pub(crate) fn poll_io<R>(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
        mut operation: impl FnMut(BorrowedFd<'_>) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        self.poll_io_as(cx, direction, &mut Waiter::Task, &mut operation)
    }

    /// [`poll_io`](Self::poll_io) as a future; any number of them may wait for one direction.
    pub(crate) async fn io<R>(
        &self,
        direction: Direction,
        mut operation: impl FnMut(BorrowedFd<'_>) -> io::Result<R>,
    ) -> io::Result<R> {
        let mut ready = Ready { io: self, direction, waiter: Waiter::Future(None) };
        std::future::poll_fn(|cx| self.poll_io_as(cx, direction, &mut ready.waiter, &mut operation)).await
    }

    /// Waits until an event says that a try may succeed.
    pub(crate) fn ready(&self, direction: Direction) -> impl Future<Output = io::Result<()>> {
        Ready { io: self, direction, waiter: Waiter::Future(None) }
    }

    /// Tries once. `WouldBlock` makes the next wait a real one.
    pub(crate) fn try_io<R>(
        &self,
        direction: Direction,
        operation: impl FnOnce(BorrowedFd<'_>) -> io::Result<R>,
    ) -> io::Result<R> {
        let result = operation(self.as_fd());
        if result.as_ref().is_err_and(is_would_block) {
            self.reactor.would_block(self.id, direction);
        }
        result
    }

    /// The latest transfer was short: the next one would find nothing, so it waits first. A poll is
    /// checked when it is submitted, so nothing can be missed.
    pub(crate) fn clear_ready(&self, direction: Direction) {
        self.reactor.clear_ready(self.id, direction);
    }

    fn poll_io_as<R>(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
        waiter: &mut Waiter,
        operation: &mut impl FnMut(BorrowedFd<'_>) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        ready!(self.reactor.poll_proceed(cx));
        loop {
            ready!(self.reactor.poll_ready(self.id, direction, false, waiter, cx))?;
            match self.try_io(direction, &mut *operation) {
                Err(error) if is_would_block(&error) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => {
                    self.reactor.made_progress();
                    return Poll::Ready(result);
                }
            }
        }
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
            self.reactor.deregister(self.id, Some(fd), self.close == Close::BeforeReturn);
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
        ready!(io.reactor.poll_proceed(cx));
        ready!(io.reactor.poll_ready(io.id, *direction, true, waiter, cx))?;
        io.reactor.made_progress();
        Poll::Ready(Ok(()))
    }
}

impl Drop for Ready<'_> {
    fn drop(&mut self) {
        self.io.reactor.forget_waiter(self.io.id, self.direction, &self.waiter);
    }
}
