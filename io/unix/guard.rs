//! What a wait for a descriptor has found, until the user says that it is so no longer.

use std::fmt;
use std::io;
use std::os::fd::AsRawFd;

use super::async_fd::AsyncFd;
use super::error::TryIoError;
use crate::reactor::{Ready, ReadyEvent};

/// Defines a guard, with what the two of them share. `$Ref` is how it holds the descriptor.
macro_rules! guard {
    ($(#[$doc:meta])* $Guard:ident, $Ref:ty, $shown:literal) => {
        $(#[$doc])*
        ///
        /// Dropped as it is, it leaves the descriptor ready: the next wait is over at once.
        #[must_use = "say whether the descriptor is still ready, by try_io, clear_ready or retain_ready"]
        pub struct $Guard<'a, T: AsRawFd> {
            fd: $Ref,
            /// What was ready, without what has been taken back.
            event: ReadyEvent,
        }

        impl<'a, T: AsRawFd> $Guard<'a, T> {
            pub(super) fn new(fd: $Ref, event: ReadyEvent) -> Self {
                Self { fd, event }
            }

            /// What the descriptor was ready for when the wait ended, without what has been taken
            /// back.
            pub fn ready(&self) -> Ready {
                self.event.ready
            }

            /// Takes the readiness back: an attempt has met `WouldBlock`, so the next wait is for
            /// another event. An event that has come since the wait ended is not forgotten; nor are
            /// ends ([`Ready::is_read_closed`], [`Ready::is_write_closed`]).
            ///
            /// Do not call it after a success: if there was more than you have taken, no event will
            /// tell of the rest.
            pub fn clear_ready(&mut self) {
                self.clear_ready_matching(Ready::ALL);
            }

            /// [`clear_ready`](Self::clear_ready) for a part of it: if a wait was for reading and
            /// for writing, and only a read met `WouldBlock`, say.
            pub fn clear_ready_matching(&mut self, ready: Ready) {
                self.fd.deny(self.event.with_ready(self.event.ready & ready));
                self.event.ready -= ready;
            }

            fn conclude<R>(&mut self, result: io::Result<R>) -> Result<io::Result<R>, TryIoError> {
                if result.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock) {
                    self.clear_ready();
                    return Err(TryIoError(()));
                }
                Ok(result)
            }

            /// Leaves the descriptor ready, which dropping the guard does too.
            pub fn retain_ready(&mut self) {}
        }

        impl<T: fmt::Debug + AsRawFd> fmt::Debug for $Guard<'_, T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct($shown).field("async_fd", &self.fd).finish()
            }
        }
    };
}

guard! {
    /// A descriptor that was ready; from [`AsyncFd::readable`] and its like.
    AsyncFdReadyGuard, &'a AsyncFd<T>, "ReadyGuard"
}

guard! {
    /// A descriptor that was ready, with exclusive access to its object; from
    /// [`AsyncFd::readable_mut`] and its like.
    AsyncFdReadyMutGuard, &'a mut AsyncFd<T>, "MutReadyGuard"
}

impl<'a, T: AsRawFd> AsyncFdReadyGuard<'a, T> {
    /// Attempts something. If it returns `WouldBlock`, the readiness is [taken
    /// back](Self::clear_ready).
    ///
    /// # Errors
    ///
    /// [`TryIoError`] for `WouldBlock`: wait again. Every other result is inside.
    pub fn try_io<R>(
        &mut self,
        attempt: impl FnOnce(&'a AsyncFd<T>) -> io::Result<R>,
    ) -> Result<io::Result<R>, TryIoError> {
        let result = attempt(self.fd);
        self.conclude(result)
    }

    /// The descriptor.
    pub fn get_ref(&self) -> &'a AsyncFd<T> {
        self.fd
    }

    /// The object that the descriptor is of.
    pub fn get_inner(&self) -> &'a T {
        self.fd.get_ref()
    }
}

impl<T: AsRawFd> AsyncFdReadyMutGuard<'_, T> {
    /// Attempts something. If it returns `WouldBlock`, the readiness is [taken
    /// back](Self::clear_ready).
    ///
    /// # Errors
    ///
    /// [`TryIoError`] for `WouldBlock`: wait again. Every other result is inside.
    pub fn try_io<R>(
        &mut self,
        attempt: impl FnOnce(&mut AsyncFd<T>) -> io::Result<R>,
    ) -> Result<io::Result<R>, TryIoError> {
        let result = attempt(self.fd);
        self.conclude(result)
    }

    /// The descriptor.
    pub fn get_ref(&self) -> &AsyncFd<T> {
        self.fd
    }

    /// The descriptor.
    pub fn get_mut(&mut self) -> &mut AsyncFd<T> {
        self.fd
    }

    /// The object that the descriptor is of.
    pub fn get_inner(&self) -> &T {
        self.fd.get_ref()
    }

    /// The object that the descriptor is of.
    pub fn get_inner_mut(&mut self) -> &mut T {
        self.fd.get_mut()
    }
}
