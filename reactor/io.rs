//! The building block of everything that can be polled: a descriptor, registered for as long as it
//! is open.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::task::{Context, Poll};

use super::driver::Close;
use super::ids::{Direction, Home};
use super::readiness::{Interest, Ready};
use super::registration::Registration;

/// A non-blocking descriptor and its [`Registration`].
///
/// Dropping it cancels what is armed *before* the descriptor closes, since an armed poll keeps the
/// file open: no FIN, no end of file, a listener that stays bound. Dropped on another thread than
/// the reactor's, it is closed by that thread, in the next turn of its loop.
pub(crate) struct Io {
    registration: Registration,
    /// `None` only while dropped.
    fd: Option<OwnedFd>,
    close: Close,
}

impl Io {
    /// Registers a descriptor, which must be in non-blocking mode.
    ///
    /// # Errors
    ///
    /// If `home` is not a reactor of this thread.
    pub(crate) fn new(home: Home, fd: OwnedFd, close: Close) -> io::Result<Self> {
        Ok(Self { registration: Registration::new(home, fd.as_fd(), close)?, fd: Some(fd), close })
    }

    /// Where it lives.
    pub(crate) fn home(&self) -> Home {
        self.registration.home()
    }

    /// Ends the registration and gives the descriptor back. Nothing is armed on it any more. On
    /// another thread than the reactor's it gives a duplicate, since the reactor may be about to
    /// use the number.
    pub(crate) fn into_fd(mut self) -> io::Result<OwnedFd> {
        if self.home().is_somewhere_else() {
            return self.as_fd().try_clone_to_owned();
        }
        let fd = self.fd.take().expect("an `Io` has its descriptor until it is dropped");
        self.registration.deregister(None, Close::BeforeReturn);
        Ok(fd)
    }

    /// Attempts until the result is not `WouldBlock`, waiting for readiness in between. The task of
    /// the latest call for this direction is woken.
    pub(crate) fn poll_io<R>(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
        mut attempt: impl FnMut(BorrowedFd<'_>) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        self.registration.poll_io(cx, direction, || attempt(self.as_fd()))
    }

    /// [`poll_io`](Self::poll_io) as a future; any number of them may wait for one direction.
    pub(crate) async fn io<R>(
        &self,
        direction: Direction,
        mut attempt: impl FnMut(BorrowedFd<'_>) -> io::Result<R>,
    ) -> io::Result<R> {
        self.registration.io(direction, || attempt(self.as_fd())).await
    }

    /// Waits until an event says that an attempt may succeed.
    pub(crate) fn ready(&self, direction: Direction) -> impl Future<Output = io::Result<()>> + Send + Sync {
        self.registration.ready(direction)
    }

    /// [`ready`](Self::ready) for the task of the latest call.
    pub(crate) fn poll_ready(&self, cx: &mut Context<'_>, direction: Direction) -> Poll<io::Result<()>> {
        self.registration.poll_ready(cx, direction, self.as_fd().as_raw_fd()).map_ok(|_| ())
    }

    /// Waits until one of these directions is ready. Says what is ready, and whether there is an
    /// error.
    pub(crate) async fn ready_for(&self, interest: Interest) -> io::Result<Ready> {
        self.registration.ready_for(interest, self.as_fd().as_raw_fd()).await
    }

    /// Attempts something of the user's that needs one of these directions, or several.
    pub(crate) fn try_io_for<R>(&self, interest: Interest, attempt: impl FnOnce() -> io::Result<R>) -> io::Result<R> {
        match interest.only() {
            Some(direction) => self.registration.try_io(direction, attempt),
            None => self.registration.try_io_for(interest, attempt),
        }
    }

    /// The same until the result is not `WouldBlock`, waiting in between.
    pub(crate) async fn io_for<R>(&self, interest: Interest, attempt: impl FnMut() -> io::Result<R>) -> io::Result<R> {
        match interest.only() {
            Some(direction) => self.registration.io(direction, attempt).await,
            None => self.registration.io_for(interest, self.as_fd().as_raw_fd(), attempt).await,
        }
    }

    /// Attempts once. `WouldBlock` makes the next wait a real one.
    pub(crate) fn try_io<R>(
        &self,
        direction: Direction,
        attempt: impl FnOnce(BorrowedFd<'_>) -> io::Result<R>,
    ) -> io::Result<R> {
        self.registration.try_io(direction, || attempt(self.as_fd()))
    }

    /// See [`Registration::assume_ready`].
    pub(crate) fn assume_ready(&self, interest: Interest) {
        self.registration.assume_ready(interest);
    }

    /// See [`Registration::clear_ready`].
    pub(crate) fn clear_ready(&self, direction: Direction) {
        self.registration.clear_ready(direction);
    }
}

impl AsFd for Io {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_ref().expect("an `Io` has its descriptor until it is dropped").as_fd()
    }
}

impl Drop for Io {
    fn drop(&mut self) {
        if let Some(fd) = self.fd.take() {
            self.registration.deregister(Some(fd), self.close);
        }
    }
}

impl fmt::Debug for Io {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Io").field("fd", &self.as_fd().as_raw_fd()).finish_non_exhaustive()
    }
}
