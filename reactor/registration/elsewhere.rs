//! Waits of futures on other threads than the reactor's.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use futures::task::AtomicWaker;

use super::Registration;
use crate::reactor::ids::Direction;
use crate::reactor::readiness::{Until, Waiter};

/// A future's wait on another thread than the reactor's, from the first one on.
#[derive(Debug, Default)]
pub(super) struct Elsewhere(Option<Arc<Notice>>);

impl Elsewhere {
    pub(super) fn wait(
        &mut self,
        registration: &Registration,
        direction: Direction,
        until: Until,
        cx: &Context<'_>,
    ) -> io::Result<()> {
        let notice = self.0.get_or_insert_default();
        notice.waker.register(cx.waker());
        notice.has_come.store(false, Ordering::Relaxed);
        registration.wait_elsewhere(direction, until, Waiter::FutureElsewhere, Waker::from(Arc::clone(notice)))
    }

    #[cold]
    pub(super) fn poll_event(
        &mut self,
        registration: &Registration,
        direction: Direction,
        cx: &Context<'_>,
    ) -> Poll<io::Result<()>> {
        match self.ask(cx) {
            None => self.wait(registration, direction, Until::Event, cx)?,
            Some(true) => return Poll::Ready(Ok(())),
            Some(false) => {}
        }
        Poll::Pending
    }

    /// Whether the event has come that it waits for. `None` if it does not wait.
    fn ask(&self, cx: &Context<'_>) -> Option<bool> {
        let notice = self.0.as_ref()?;
        notice.waker.register(cx.waker());
        Some(notice.has_come.load(Ordering::Acquire))
    }

    /// The waker by which the reactor knows the wait, if its event has not come.
    pub(super) fn pending(&mut self) -> Option<Waker> {
        self.0.take().filter(|notice| !notice.has_come.load(Ordering::Relaxed)).map(Waker::from)
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
