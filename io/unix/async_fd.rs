//! A descriptor of the user's.
#![allow(unsafe_code)] // `register` is unsafe to call, as tokio's is.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::task::{Context, Poll, ready};

use super::error::AsyncFdRegisterError;
use crate::reactor::{Direction, Interest, ReadyEvent, Registration};
use crate::runtime::context;

/// A descriptor of your own that the runtime waits for: a socket of another library's, an eventfd,
/// a timerfd, an inotify, a tty, anything that `epoll(7)` takes. Names and meanings are those of
/// tokio's `AsyncFd`.
///
/// It owns the object that the descriptor is of, and ends the registration before that is dropped
/// or [given back](Self::into_inner). The descriptor should be in non-blocking mode: an attempt
/// that blocks stops the whole loop.
///
/// Unlike our own sockets it is watched for edges, as it must be when the attempts are yours: only
/// you know what they mean. So *try until `WouldBlock`*, by a
/// [guard's](super::AsyncFdReadyGuard::try_io) `try_io` or by [`async_io`](Self::async_io), which
/// note it; only then wait. A wait that comes earlier is over at once.
///
/// Any number of tasks may wait. On another thread than its runtime's it works too, if slower: what
/// was taken back there is looked at again after some milliseconds, and not only at the next event.
/// Whoever waits then is told, though nothing may have come.
///
/// Do not register the descriptor of one of this library's own sockets, or a descriptor that
/// another `AsyncFd` has: an epoll has one place for it.
///
/// # Examples
///
/// An eventfd, by which another thread counts up:
///
/// ```
/// use std::os::fd::OwnedFd;
///
/// use aio_runtime::io::Interest;
/// use aio_runtime::io::unix::AsyncFd;
/// use rustix::event::{EventfdFlags, eventfd};
///
/// # #[aio_runtime::main]
/// # async fn main() -> std::io::Result<()> {
/// let counter = eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?;
/// let other = counter.try_clone()?;
/// // SAFETY: an `OwnedFd` keeps its descriptor open, and has no other.
/// let counter = unsafe { AsyncFd::<OwnedFd>::register_with_interest(counter, Interest::READABLE)? };
/// std::thread::spawn(move || rustix::io::write(other, &3_u64.to_ne_bytes()));
///
/// let mut count = [0; 8];
/// counter.async_io(Interest::READABLE, |fd| Ok(rustix::io::read(fd, &mut count)?)).await?;
/// assert_eq!(u64::from_ne_bytes(count), 3);
/// # Ok(())
/// # }
/// ```
pub struct AsyncFd<T: AsRawFd> {
    registration: Registration,
    /// The descriptor that was registered, whatever the object says of itself later.
    fd: RawFd,
    /// What may be waited for.
    interest: Interest,
    /// `None` only while it is dropped or given back.
    inner: Option<T>,
}

impl<T: AsRawFd> AsyncFd<T> {
    /// Registers a descriptor for reading and writing.
    ///
    /// # Safety
    ///
    /// As for [`register_with_interest`](Self::register_with_interest).
    ///
    /// # Errors
    ///
    /// As for `register_with_interest`.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[track_caller]
    pub unsafe fn register(inner: T) -> Result<Self, AsyncFdRegisterError<T>> {
        // SAFETY: the caller's promise is the same.
        unsafe { Self::register_with_interest(inner, Interest::READABLE | Interest::WRITABLE) }
    }

    /// Registers a descriptor for what is to be waited for. Errors can be waited for in any case.
    ///
    /// # Safety
    ///
    /// Until this `AsyncFd` is dropped, forgotten or turned [into its
    /// object](Self::into_inner), `inner.as_raw_fd()` is always the same number, and that stays
    /// open and of the same file. (See I/O safety in [`std::os::fd`]. This library would wait for
    /// another file at worst; code that takes a [`BorrowedFd`] of it may rely on more.)
    ///
    /// # Errors
    ///
    /// `EPERM` for what cannot be waited for (a regular file, a directory), `EEXIST` if the
    /// descriptor is registered already, `EBADF` if it is not open, `ENOSPC` if the user's
    /// `fs.epoll.max_user_watches` are used up. The object comes back with it.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    ///
    /// # References
    ///
    /// `epoll_ctl(2)`.
    #[track_caller]
    pub unsafe fn register_with_interest(inner: T, interest: Interest) -> Result<Self, AsyncFdRegisterError<T>> {
        let fd = inner.as_raw_fd();
        match Registration::for_edges(context::home(), fd, interest) {
            Ok(registration) => Ok(Self { registration, fd, interest, inner: Some(inner) }),
            Err(cause) => Err(AsyncFdRegisterError { inner, cause }),
        }
    }

    /// Registers a descriptor for reading and writing.
    ///
    /// # Errors
    ///
    /// As for [`register_with_interest`](Self::register_with_interest).
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[deprecated(note = "whether the descriptor stays open cannot be checked: use `AsyncFd::register`")]
    #[track_caller]
    pub fn new(inner: T) -> io::Result<Self> {
        // SAFETY: not kept, which is why this is deprecated. See there for what is at stake.
        Ok(unsafe { Self::register(inner) }?)
    }

    /// Registers a descriptor for what is to be waited for.
    ///
    /// # Errors
    ///
    /// As for [`register_with_interest`](Self::register_with_interest).
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[deprecated(note = "whether the descriptor stays open cannot be checked: use `AsyncFd::register_with_interest`")]
    #[track_caller]
    pub fn with_interest(inner: T, interest: Interest) -> io::Result<Self> {
        // SAFETY: not kept, which is why this is deprecated. See there for what is at stake.
        Ok(unsafe { Self::register_with_interest(inner, interest) }?)
    }

    /// Registers a descriptor for reading and writing.
    ///
    /// # Errors
    ///
    /// As for [`register_with_interest`](Self::register_with_interest).
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[deprecated(note = "whether the descriptor stays open cannot be checked: use `AsyncFd::register`")]
    #[track_caller]
    pub fn try_new(inner: T) -> Result<Self, AsyncFdRegisterError<T>> {
        // SAFETY: not kept, which is why this is deprecated. See there for what is at stake.
        unsafe { Self::register(inner) }
    }

    /// Registers a descriptor for what is to be waited for.
    ///
    /// # Errors
    ///
    /// As for [`register_with_interest`](Self::register_with_interest).
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[deprecated(note = "whether the descriptor stays open cannot be checked: use `AsyncFd::register_with_interest`")]
    #[track_caller]
    pub fn try_with_interest(inner: T, interest: Interest) -> Result<Self, AsyncFdRegisterError<T>> {
        // SAFETY: not kept, which is why this is deprecated. See there for what is at stake.
        unsafe { Self::register_with_interest(inner, interest) }
    }

    /// The object that the descriptor is of.
    pub fn get_ref(&self) -> &T {
        self.inner.as_ref().expect("it has its object until it is dropped")
    }

    /// The object that the descriptor is of. Do not put another one in its place: see
    /// [`register`](Self::register).
    pub fn get_mut(&mut self) -> &mut T {
        self.inner.as_mut().expect("it has its object until it is dropped")
    }

    /// Ends the registration, and gives the object back.
    pub fn into_inner(mut self) -> T {
        self.release().expect("it has its object until it is dropped")
    }

    fn release(&mut self) -> Option<T> {
        let inner = self.inner.take()?;
        self.registration.release(self.fd);
        Some(inner)
    }

    /// Attempts something, and waits while it returns `WouldBlock`, which it must return only if
    /// the descriptor is not ready for what `interest` names.
    ///
    /// # Errors
    ///
    /// Those of `attempt`, except `WouldBlock` and `Interrupted`, and those of
    /// [`ready`](Self::ready).
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before it is ready, no attempt has succeeded.
    pub async fn async_io<R>(&self, interest: Interest, mut attempt: impl FnMut(&T) -> io::Result<R>) -> io::Result<R> {
        self.check(interest)?;
        self.registration.io_for(interest, self.fd, || attempt(self.get_ref())).await
    }

    /// [`async_io`](Self::async_io) with exclusive access to the object.
    ///
    /// # Errors
    ///
    /// As for `async_io`.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before it is ready, no attempt has succeeded.
    pub async fn async_io_mut<R>(
        &mut self,
        interest: Interest,
        mut attempt: impl FnMut(&mut T) -> io::Result<R>,
    ) -> io::Result<R> {
        self.check(interest)?;
        let inner = self.inner.as_mut().expect("it has its object until it is dropped");
        self.registration.io_for(interest, self.fd, || attempt(inner)).await
    }

    /// Attempts something if the descriptor is ready for it. If it returns `WouldBlock`, the
    /// readiness is taken back.
    ///
    /// # Errors
    ///
    /// Those of `attempt`; `WouldBlock`, without a call of it, if no event says that anything is
    /// ready; `InvalidInput` for what the descriptor was not registered for.
    pub fn try_io<R>(&self, interest: Interest, attempt: impl FnOnce(&T) -> io::Result<R>) -> io::Result<R> {
        self.check(interest)?;
        self.registration.try_io_for(interest, || attempt(self.get_ref()))
    }

    /// [`try_io`](Self::try_io) with exclusive access to the object.
    ///
    /// # Errors
    ///
    /// As for `try_io`.
    pub fn try_io_mut<R>(
        &mut self,
        interest: Interest,
        attempt: impl FnOnce(&mut T) -> io::Result<R>,
    ) -> io::Result<R> {
        self.check(interest)?;
        let inner = self.inner.as_mut().expect("it has its object until it is dropped");
        self.registration.try_io_for(interest, || attempt(inner))
    }

    /// See [`Registration::deny`].
    pub(super) fn deny(&self, event: ReadyEvent) {
        self.registration.deny(event);
    }

    /// Waits until one of these is so, and says what is.
    pub(super) async fn wait(&self, interest: Interest) -> io::Result<ReadyEvent> {
        self.check(interest)?;
        Ok(seen(self.registration.event_for(interest, self.fd).await?, interest))
    }

    /// The same for one direction and the task of the latest call.
    pub(super) fn poll_wait(&self, cx: &mut Context<'_>, direction: Direction) -> Poll<io::Result<ReadyEvent>> {
        self.check(direction.into())?;
        let event = ready!(self.registration.poll_ready(cx, direction, self.fd))?;
        Poll::Ready(Ok(seen(event, direction.into())))
    }

    /// Fails for what no event would ever be told of.
    fn check(&self, interest: Interest) -> io::Result<()> {
        match interest.remove(self.interest | Interest::ERROR) {
            None => Ok(()),
            Some(missing) => Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!(
                    "this AsyncFd was registered for {:?}, and so cannot wait for {missing:?}: see \
                     AsyncFd::register_with_interest",
                    self.interest
                ),
            )),
        }
    }
}

/// An event as those see it who waited for this. The descriptor may be a pipe's.
fn seen(event: ReadyEvent, interest: Interest) -> ReadyEvent {
    event.with_ready(event.ready.of_pipe().concerning(interest))
}

impl<T: AsRawFd> AsRawFd for AsyncFd<T> {
    fn as_raw_fd(&self) -> RawFd {
        self.get_ref().as_raw_fd()
    }
}

impl<T: AsRawFd> AsFd for AsyncFd<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: not -1, which cannot be registered. Whoever registered it has promised that it is
        // open for as long.
        unsafe { BorrowedFd::borrow_raw(self.fd) }
    }
}

impl<T: AsRawFd + fmt::Debug> fmt::Debug for AsyncFd<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsyncFd").field("inner", self.get_ref()).finish()
    }
}

impl<T: AsRawFd> Drop for AsyncFd<T> {
    fn drop(&mut self) {
        // Only then is the object dropped, which most often closes the descriptor.
        drop(self.release());
    }
}
