//! The reactor: the kernel below, wakers above. It knows file descriptors, buffers and wakers; no
//! task, no socket type, no path.
//!
//! Everything that a runtime waits for goes through one native-AIO context:
//!
//! ```text
//!        Io (fd readiness)         FileOperation (file I/O)      Unparker (other threads)
//!              │ wait                     │ start                      │ eventfd
//!              ▼                          ▼                            ▼
//!   ┌─ Driver ───────────────────────────────────────────────────────────────────────────┐
//!   │  readiness/: sources       requests/: slots, operations, buffers        own polls  │
//!   │      │ no slot, EINVAL          │ queue                   ▲ completions     │      │
//!   │      ▼                          ▼                         │                 ▼      │
//!   ├─ kernel/ ──────────────────────────────────────────────────────────────────────────┤
//!   │  Overflow (epoll) ──poll──► Batch ──io_submit──►     Kioctx + Ring ◄─io_pgetevents │
//!   └────────────────────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! - [`Reactor`], here, is the driver behind a `RefCell`. [`io`] and [`operation`] are what the
//!   layers above use of it; [`coop`] is the budget of the tasks that do.
//! - [`driver`] puts the parts together: it decides how a descriptor waits, submits, completes,
//!   closes.
//! - [`readiness`] and [`requests`] are pure state machines: what is known of a descriptor, what
//!   is in flight. They make no call.
//! - [`kernel`] makes the calls, and holds the unsafe code; its essay says why that is sound.
//! - [`ids`] are the names by which these floors speak of one another's things.
//! - [`park`] and [`unpark`] wake the loop from other threads.

mod buf;
mod coop;
mod driver;
mod error;
mod ids;
mod io;
mod kernel;
mod metrics;
mod operation;
mod park;
mod readiness;
mod requests;
mod unpark;

#[cfg(test)]
mod tests;

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use driver::{Aftermath, Driver, Late};

pub use buf::Buf;
pub use metrics::Metrics;

pub(crate) use driver::{Close, Config};
pub(crate) use error::explain;
pub(crate) use ids::Direction;
pub(crate) use io::Io;
pub(crate) use kernel::credentials::peer_credentials;
pub(crate) use metrics::Counters;
pub(crate) use operation::FileOperation;
pub(crate) use requests::Request;
pub(crate) use unpark::Unparker;

/// Where [`park`] takes its atomics from.
mod sync {
    pub(super) use std::sync::atomic::{AtomicU8, Ordering};
}

/// The one event source of a runtime.
///
/// All methods take `&self` and borrow the driver for a moment. Law: no user code runs under the
/// borrow; wakers are cloned, woken and dropped outside of it, and so is what is logged.
#[derive(Debug)]
pub(crate) struct Reactor {
    /// `None` after [`shutdown`](Self::shutdown): what is registered then gets an error.
    driver: RefCell<Option<Driver>>,
    coop: coop::Coop,
    /// Whether the thread is in the loop, which will finish pending closes soon.
    in_loop: Cell<bool>,
    unparker: Arc<Unparker>,
    counters: Arc<Counters>,
}

impl Reactor {
    /// Makes the context and what belongs to it.
    pub(crate) fn new(config: Config) -> std::io::Result<Rc<Self>> {
        let unparker = Arc::new(Unparker::new()?);
        let counters = Arc::new(Counters::default());
        let driver = Driver::new(config, &unparker, &counters)?;
        Ok(Rc::new(Self {
            driver: RefCell::new(Some(driver)),
            coop: coop::Coop::default(),
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

    /// The counters as they are at this moment. (Other threads see what is held now as of the end
    /// of the latest turn.)
    pub(crate) fn metrics(&self) -> Metrics {
        self.with(|driver| driver.publish_gauges());
        self.counters.snapshot()
    }

    /// The budget of the task that is being polled.
    pub(crate) fn coop(&self) -> &coop::Coop {
        &self.coop
    }

    /// Whether the calling process made this reactor; a forked child did not.
    pub(crate) fn is_ours(&self) -> bool {
        self.driver.borrow().as_ref().is_none_or(|driver| driver.kioctx.is_ours())
    }

    /// Marks the thread as inside the loop. Dropping the guard completes the closes still pending.
    pub(crate) fn enter_loop(&self) -> InLoop<'_> {
        self.in_loop.set(true);
        InLoop(self)
    }

    fn is_in_loop(&self) -> bool {
        self.in_loop.get()
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

    /// Ends the reactor. Registrations and operations that are still held get an error from now on.
    pub(crate) fn shutdown(&self) {
        let Some(driver) = self.driver.borrow_mut().take() else { return };
        // In a forked child it is only dropped: all that it could end is the parent's.
        if driver.kioctx.is_ours() {
            let Aftermath { wakers, late, incidents } = driver.shutdown();
            wake_all(wakers);
            drop_all(late);
            log(incidents);
        }
    }

    /// The door to the driver: closed after `shutdown`, and for a forked child, which must not
    /// touch its parent's context, ring and epoll. (So a stream that a child inherits fails at
    /// once, and does not first attempt to read what may be its parent's.)
    fn with<R>(&self, f: impl FnOnce(&mut Driver) -> R) -> Option<R> {
        let mut driver = self.driver.borrow_mut();
        // Not `Option::map`: what `f` has captured must not be dropped under the borrow, called or
        // not.
        let driver = driver.as_mut().filter(|driver| driver.kioctx.is_ours())?;
        Some(f(driver))
    }

    /// Wakes the wakers that the driver has found, drops what it has released and logs what it has
    /// met, with the borrow released.
    fn wake(&self) {
        let Some(Aftermath { mut wakers, mut late, incidents }) = self.with(Driver::take_aftermath) else { return };
        log(incidents);
        if wakers.is_empty() && late.is_empty() {
            return;
        }
        wake_all(wakers.drain(..));
        drop_all(late.drain(..));
        self.with(|driver| driver.give_back(wakers, late));
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
        let Self(reactor) = self;
        reactor.in_loop.set(false);
        reactor.coop.lift();
        let late = reactor.with(|driver| {
            let late = driver.close_all();
            driver.publish_gauges();
            late
        });
        drop_all(late.into_iter().flatten());
    }
}

/// Wakes all, also when one of them panics.
pub(crate) fn wake_all(wakers: impl IntoIterator<Item = Waker>) {
    for waker in wakers {
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| waker.wake())) {
            // Its drop is user code too, and may panic.
            std::mem::forget(payload);
            tracing::error!("a waker panicked; the others are woken anyway");
        }
    }
}

/// Drops all, also when one of them panics.
fn drop_all(late: impl IntoIterator<Item = Late>) {
    for late in late {
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(late))) {
            std::mem::forget(payload);
            tracing::error!("the owner of a descriptor panicked when it was dropped");
        }
    }
}

fn log(incidents: Vec<(&'static str, Option<rustix::io::Errno>)>) {
    for (what, errno) in incidents {
        let error = errno.map(std::io::Error::from);
        tracing::error!(error = error.as_ref().map(tracing::field::display), "{what}");
    }
}

/// The error of anything that was registered with a reactor that has gone.
fn gone() -> std::io::Error {
    std::io::Error::other(
        "the aio-runtime this was registered with has been dropped, or belongs to the process before the fork",
    )
}
