//! Waiting for a descriptor of the user's.

use std::io;
use std::os::fd::AsRawFd;
use std::task::{Context, Poll, ready};

use super::async_fd::AsyncFd;
use super::guard::{AsyncFdReadyGuard, AsyncFdReadyMutGuard};
use crate::reactor::{Direction, Interest};

impl<T: AsRawFd> AsyncFd<T> {
    /// Waits until one of these is so.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for what the descriptor was not registered for; and if its runtime has gone,
    /// or is another one than that which drives this thread.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before it is ready, nothing has happened.
    pub async fn ready(&self, interest: Interest) -> io::Result<AsyncFdReadyGuard<'_, T>> {
        Ok(AsyncFdReadyGuard::new(self, self.wait(interest).await?))
    }

    /// [`ready`](Self::ready) with exclusive access to the object.
    ///
    /// # Errors
    ///
    /// As for `ready`.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before it is ready, nothing has happened.
    pub async fn ready_mut(&mut self, interest: Interest) -> io::Result<AsyncFdReadyMutGuard<'_, T>> {
        let event = self.wait(interest).await?;
        Ok(AsyncFdReadyMutGuard::new(self, event))
    }

    /// Waits until a read would not block; see [`ready`](Self::ready).
    ///
    /// # Errors
    ///
    /// As for `ready`.
    pub async fn readable(&self) -> io::Result<AsyncFdReadyGuard<'_, T>> {
        self.ready(Interest::READABLE).await
    }

    /// Waits until a read would not block; see [`ready_mut`](Self::ready_mut).
    ///
    /// # Errors
    ///
    /// As for `ready`.
    pub async fn readable_mut(&mut self) -> io::Result<AsyncFdReadyMutGuard<'_, T>> {
        self.ready_mut(Interest::READABLE).await
    }

    /// Waits until a write would not block; see [`ready`](Self::ready).
    ///
    /// # Errors
    ///
    /// As for `ready`.
    pub async fn writable(&self) -> io::Result<AsyncFdReadyGuard<'_, T>> {
        self.ready(Interest::WRITABLE).await
    }

    /// Waits until a write would not block; see [`ready_mut`](Self::ready_mut).
    ///
    /// # Errors
    ///
    /// As for `ready`.
    pub async fn writable_mut(&mut self) -> io::Result<AsyncFdReadyMutGuard<'_, T>> {
        self.ready_mut(Interest::WRITABLE).await
    }

    /// [`readable`](Self::readable) for hand-written futures. Only the task of the latest call is
    /// woken, of this function and of its `_mut` form.
    ///
    /// # Errors
    ///
    /// As for [`ready`](Self::ready).
    pub fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<AsyncFdReadyGuard<'_, T>>> {
        let event = ready!(self.poll_wait(cx, Direction::Read))?;
        Poll::Ready(Ok(AsyncFdReadyGuard::new(self, event)))
    }

    /// [`readable_mut`](Self::readable_mut) for hand-written futures. Only the task of the latest
    /// call is woken.
    ///
    /// # Errors
    ///
    /// As for [`ready`](Self::ready).
    pub fn poll_read_ready_mut(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<AsyncFdReadyMutGuard<'_, T>>> {
        let event = ready!(self.poll_wait(cx, Direction::Read))?;
        Poll::Ready(Ok(AsyncFdReadyMutGuard::new(self, event)))
    }

    /// [`writable`](Self::writable) for hand-written futures. Only the task of the latest call is
    /// woken, of this function and of its `_mut` form.
    ///
    /// # Errors
    ///
    /// As for [`ready`](Self::ready).
    pub fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<AsyncFdReadyGuard<'_, T>>> {
        let event = ready!(self.poll_wait(cx, Direction::Write))?;
        Poll::Ready(Ok(AsyncFdReadyGuard::new(self, event)))
    }

    /// [`writable_mut`](Self::writable_mut) for hand-written futures. Only the task of the latest
    /// call is woken.
    ///
    /// # Errors
    ///
    /// As for [`ready`](Self::ready).
    pub fn poll_write_ready_mut(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<AsyncFdReadyMutGuard<'_, T>>> {
        let event = ready!(self.poll_wait(cx, Direction::Write))?;
        Poll::Ready(Ok(AsyncFdReadyMutGuard::new(self, event)))
    }
}
