//! Waiting as a future, which any number of tasks may do for one direction.

use std::future::poll_fn;
use std::io;
use std::os::fd::RawFd;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use super::elsewhere::Elsewhere;
use super::{Registration, is_would_block, ready_now};
use crate::reactor::coop;
use crate::reactor::ids::Direction;
use crate::reactor::mailbox::Command;
use crate::reactor::readiness::{Interest, Ready, ReadyEvent, Until, Waiter};

impl Registration {
    /// [`poll_io`](Self::poll_io) as a future; any number of them may wait for one direction.
    pub(crate) async fn io<R>(
        &self,
        direction: Direction,
        mut attempt: impl FnMut() -> io::Result<R>,
    ) -> io::Result<R> {
        let mut ready = DirectionReady::new(self, direction);
        poll_fn(|cx| {
            let DirectionReady { waiter, elsewhere, .. } = &mut ready;
            self.poll_attempt(cx, direction, waiter, &mut attempt, |cx| {
                elsewhere.wait(self, direction, Until::Attempt, cx)
            })
        })
        .await
    }

    /// Waits until an event says that an attempt may succeed.
    pub(crate) fn ready(&self, direction: Direction) -> impl Future<Output = io::Result<()>> + Send + Sync {
        DirectionReady::new(self, direction)
    }

    /// Waits until one of these directions is ready, and says what is. What is known may be an
    /// attempt's, since which nothing has been watched for. So if the wait is over at once, the
    /// descriptor, `fd`, is asked.
    pub(crate) async fn ready_for(&self, interest: Interest, fd: RawFd) -> io::Result<Ready> {
        loop {
            let mut event = pin!(self.event_for(interest, fd));
            let mut has_waited = false;
            let event = poll_fn(|cx| {
                let poll = event.as_mut().poll(cx);
                has_waited |= poll.is_pending();
                poll
            });
            let event = event.await?;
            if has_waited {
                return Ok(event.ready);
            }
            let now = ready_now(fd, interest)?;
            if now.intersects(Ready::of(interest)) {
                return Ok(now);
            }
            self.found_nothing(interest);
        }
    }

    /// Waits until events, or attempts, say that one of these directions is ready. On another
    /// thread than the reactor's, `fd` is asked what is.
    pub(crate) async fn event_for(&self, interest: Interest, fd: RawFd) -> io::Result<ReadyEvent> {
        let waits_for = |direction| DirectionReady::new(self, direction);
        let mut waits = Direction::ALL.map(|direction| interest.includes(direction).then(|| waits_for(direction)));
        let mut ready = Ready::EMPTY;
        poll_fn(|cx| {
            // Charged: what is at its end is ready each time.
            let unit = ready!(coop::poll_proceed(cx));
            // Each of them is polled: those that are pending are to wake this task.
            for wait in waits.iter_mut().flatten() {
                if let Poll::Ready(result) = Pin::new(&mut *wait).poll(cx) {
                    result?;
                    ready |= Ready::own(wait.direction);
                }
            }
            if ready.is_empty() {
                return Poll::Pending;
            }
            unit.made_progress();
            Poll::Ready(io::Result::Ok(()))
        })
        .await?;
        let event = self.look(interest, fd)?;
        Ok(event.with_ready(event.ready | ready))
    }

    /// Waits for any of these directions, then attempts, until the result is not `WouldBlock`. The
    /// attempt may be the user's, and mean anything.
    pub(crate) async fn io_for<R>(
        &self,
        interest: Interest,
        fd: RawFd,
        mut attempt: impl FnMut() -> io::Result<R>,
    ) -> io::Result<R> {
        let mut awaited = interest;
        loop {
            let event = self.event_for(awaited, fd).await?;
            match attempt() {
                Err(error) if is_would_block(&error) => {
                    self.deny(event.concerning(awaited));
                    awaited = match event.ready.not_ended(interest) {
                        Some(others) => others,
                        // All have ended, and yet it blocks: somebody has opened a FIFO again, say.
                        None => {
                            self.found_nothing(interest);
                            interest
                        }
                    };
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }
}

/// A future's place among those that wait for a direction.
#[derive(Debug)]
struct DirectionReady<'a> {
    registration: &'a Registration,
    direction: Direction,
    waiter: Waiter,
    elsewhere: Elsewhere,
}

impl<'a> DirectionReady<'a> {
    fn new(registration: &'a Registration, direction: Direction) -> Self {
        Self { registration, direction, waiter: Waiter::Future(None), elsewhere: Elsewhere::default() }
    }
}

impl Future for DirectionReady<'_> {
    type Output = io::Result<()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { registration, direction, waiter, elsewhere } = &mut *self;
        registration.poll_event(cx, *direction, waiter, |cx| elsewhere.poll_event(registration, *direction, cx))
    }
}

impl Drop for DirectionReady<'_> {
    fn drop(&mut self) {
        let Self { registration: Registration { home, id: source, .. }, direction, waiter, elsewhere } = self;
        let (source, direction) = (*source, *direction);
        // What comes back is dropped outside the borrow.
        if let Waiter::Future(Some(_)) = waiter {
            let waiter = std::mem::replace(waiter, Waiter::Future(None));
            let withdrawn = home.with_driver(|driver| driver.forget(source, direction, &waiter));
            if withdrawn.is_none() {
                let _gone = home.send(Command::Forget { source, direction, waiter });
            }
        }
        if let Some(waker) = elsewhere.pending() {
            let withdrawn = home.with_driver(|driver| driver.forget_elsewhere(source, direction, &waker));
            if withdrawn.is_none() {
                let _gone = home.send(Command::ForgetElsewhere { source, direction, waker });
            }
        }
    }
}
