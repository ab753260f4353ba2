//! The reactor as the layers above see it: the driver behind a `RefCell`.

use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::driver::{Config, Driver, Waiter};
use super::metrics::Counters;
use super::operation::Request;
use super::unpark::Unparker;
use crate::reactor::readiness::{Direction, SourceId};
use crate::reactor::requests::OperationId;

/// How many leaf operations a task may complete in one poll before it must let others run; tokio's
/// number.
const BUDGET: u32 = 128;

/// The one event source of a runtime.
///
/// All methods take `&self` and borrow the driver for a moment. Law: no user code runs under the
/// borrow; wakers are cloned, woken and dropped outside of it, and so is what is logged.
#[derive(Debug)]
pub(crate) struct Reactor {
    /// `None` after [`shutdown`](Self::shutdown): what is registered then gets an error.
    driver: RefCell<Option<Driver>>,
    budget: Cell<u32>,
    /// Its thread is in the loop, so that what a close leaves behind is seen soon.
    in_loop: Cell<bool>,
    unparker: Arc<Unparker>,
    counters: Arc<Counters>,
}

impl Reactor {
    /// Makes the context and what belongs to it.
    pub(crate) fn new(config: Config) -> io::Result<Rc<Self>> {
        let unparker = Arc::new(Unparker::new()?);
        let counters = Arc::new(Counters::default());
        let driver = Driver::new(config, &unparker, &counters)?;
        Ok(Rc::new(Self {
            driver: RefCell::new(Some(driver)),
            budget: Cell::new(BUDGET),
            in_loop: Cell::new(false),
            unparker,
            counters,
        }))
    }

    pub(crate) fn unparker(&self) -> &Arc<Unparker> {
        &self.unparker
    }

    pub(crate) fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    /// Whether the calling process made this reactor; a forked child did not.
    pub(crate) fn is_ours(&self) -> bool {
        self.driver.borrow().as_ref().is_none_or(Driver::is_ours)
    }

    // ---- the loop ----

    /// Notes that the thread is in the loop, until the guard is dropped; then what was closed
    /// meanwhile is closed for good.
    pub(crate) fn enter_loop(&self) -> InLoop<'_> {
        self.in_loop.set(true);
        InLoop(self)
    }

    /// Submits what is queued, takes what has completed, wakes. Never sleeps.
    pub(crate) fn turn(&self) {
        self.with(Driver::turn);
        self.wake();
    }

    /// Waits until something completes, a notification arrives or `timeout` is over (`None`: no
    /// limit), and wakes.
    pub(crate) fn park(&self, timeout: Option<Duration>) {
        self.with(|driver| driver.park(timeout));
        self.wake();
    }

    // ---- the budget ----

    /// A fresh budget for the task that is polled next.
    pub(crate) fn reset_budget(&self) {
        self.budget.set(BUDGET);
    }

    /// Whether the task may complete another leaf operation in this poll. Outside the loop there is
    /// no task to make way for, and nobody hands out a fresh budget.
    pub(crate) fn has_budget(&self) -> bool {
        self.budget.get() > 0 || !self.in_loop.get()
    }

    /// Ready as long as the task has budget left; otherwise it is woken again at once, behind the
    /// others. Budget is spent by [`made_progress`](Self::made_progress) alone: who only waits, on
    /// however many things, waits on all.
    pub(crate) fn poll_proceed(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.has_budget() {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// A leaf operation of the task is complete.
    pub(crate) fn made_progress(&self) {
        self.budget.set(self.budget.get().saturating_sub(1));
    }

    // ---- registrations, for `Io` ----

    pub(super) fn register(&self, fd: BorrowedFd<'_>) -> io::Result<SourceId> {
        self.with(|driver| driver.register(fd)).ok_or_else(gone)
    }

    /// Ends a registration and closes the descriptor, where one is given, so that the other readiness_of
    /// sees the close at once. `sync`: not to return before the kernel has let go of the file too,
    /// as far as that can be known.
    pub(super) fn deregister(&self, id: SourceId, fd: Option<OwnedFd>, sync: bool) {
        let sync = sync || !self.in_loop.get();
        // The source holds wakers, whose drop is user code: outlives the borrow.
        let _source = self.with(|driver| driver.deregister(id, fd, sync));
    }

    /// Ready when the next try may succeed. `certain`: not before an event has said so.
    pub(super) fn poll_ready(
        &self,
        id: SourceId,
        direction: Direction,
        certain: bool,
        waiter: &mut Waiter,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        match self.with(|driver| driver.readiness(id, direction, certain)) {
            Some(Poll::Pending) => {}
            Some(ready) => return ready,
            None => return Poll::Ready(Err(gone())),
        }
        let waker = cx.waker().clone();
        let waited = self.with(|driver| {
            let replaced = driver.await_ready(id, direction, certain, waiter, waker);
            // What cannot be waited for is known at once.
            (driver.readiness(id, direction, certain), replaced)
        });
        waited.map_or_else(|| Poll::Ready(Err(gone())), |(readiness, _replaced)| readiness)
    }

    /// The latest try met `EAGAIN`.
    pub(super) fn would_block(&self, id: SourceId, direction: Direction) {
        self.with(|driver| driver.would_block(id, direction));
    }

    /// The latest try moved less than it could have.
    pub(super) fn clear_ready(&self, id: SourceId, direction: Direction) {
        self.with(|driver| driver.clear_ready(id, direction));
    }

    /// A future waits no longer. What is armed stands for the next one.
    pub(super) fn forget_waiter(&self, id: SourceId, direction: Direction, waiter: &Waiter) {
        let _withdrawn = self.with(|driver| driver.forget_waiter(id, direction, waiter));
    }

    // ---- file operations, for `Operation` ----

    pub(super) fn start(&self, request: Request, waker: Waker) -> Result<OperationId, (io::Error, Request)> {
        match &mut *self.driver.borrow_mut() {
            Some(driver) if driver.is_ours() => Ok(driver.start(request, waker)),
            _ => Err((gone(), request)),
        }
    }

    pub(super) fn fetch(&self, id: &OperationId, cx: &mut Context<'_>) -> Poll<io::Result<(Request, i64)>> {
        match self.with(|driver| driver.fetch(id)) {
            Some(Some(done)) => return Poll::Ready(Ok(done)),
            Some(None) => {}
            None => return Poll::Ready(Err(gone())),
        }
        let waker = cx.waker().clone();
        match self.with(|driver| driver.await_result(id, waker)) {
            Some(_replaced) => Poll::Pending,
            None => Poll::Ready(Err(gone())),
        }
    }

    pub(super) fn abandon(&self, id: OperationId) {
        let _withdrawn = self.with(|driver| driver.abandon(id));
    }

    // ---- the end ----

    /// Ends the reactor. Registrations and operations that are still held get an error from now on.
    pub(crate) fn shutdown(&self) {
        let Some(driver) = self.driver.borrow_mut().take() else { return };
        wake_all(driver.shutdown());
    }

    fn with<R>(&self, f: impl FnOnce(&mut Driver) -> R) -> Option<R> {
        let mut driver = self.driver.borrow_mut();
        // Not `Option::map`: what `f` has captured must not be dropped under the borrow, called or
        // not.
        let driver = driver.as_mut()?;
        Some(f(driver))
    }

    /// Wakes whom the driver has found and logs what it has met, with the borrow released.
    fn wake(&self) {
        let Some((mut wakers, incidents)) = self.with(Driver::take_wakeups) else { return };
        for incident in incidents {
            incident.log();
        }
        if wakers.is_empty() {
            return;
        }
        wake_all(wakers.drain(..));
        self.with(|driver| driver.give_back(wakers));
    }
}

impl Drop for Reactor {
    fn drop(&mut self) {
        self.shutdown();
    }
}

/// See [`Reactor::enter_loop`].
#[derive(Debug)]
pub(crate) struct InLoop<'a>(&'a Reactor);

impl Drop for InLoop<'_> {
    fn drop(&mut self) {
        self.0.in_loop.set(false);
        self.0.with(Driver::close_all);
    }
}

/// Wakes all, also when one of them panics.
pub(crate) fn wake_all(wakers: impl IntoIterator<Item = Waker>) {
    for waker in wakers {
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| waker.wake())) {
            // Its drop is user code too, and may panic.
            std::mem::forget(payload);
            tracing::error!("a waker panicked; the others are woken all the same");
        }
    }
}

/// The error of what was registered with a reactor that is no more.
fn gone() -> io::Error {
    io::Error::other("the aio-runtime that this belongs to was dropped, or left behind by a fork")
}
