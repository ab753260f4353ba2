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
//!   │  Overflow (epoll) ──poll──► Batch ──io_submit──►     Kioctx + Ring ◄─io_getevents  │
//!   └────────────────────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! - [`Reactor`], here, is what a runtime drives. Its [`core`] is the driver behind a `RefCell`.
//! - [`io`], [`operation`] and [`timers`] are what the layers above wait with. They know their
//!   reactor by a number, and find it from any thread: [`home`], [`mailbox`]. [`registration`] is
//!   what `io` stands on, and [`coop`] is the budget of the tasks that wait.
//! - [`driver`] puts the parts together: it decides how a descriptor waits, submits, completes,
//!   closes.
//! - [`readiness`] and [`requests`] are pure state machines: what is known of a descriptor, what
//!   is in flight. They make no call.
//! - [`kernel`] makes the calls, and holds the unsafe code; its essay says why that is sound.
//! - [`ids`] are the names by which these floors speak of one another's things.
//! - [`park`] and [`unpark`] wake the loop from other threads.

mod buf;
pub(crate) mod coop;
mod core;
mod driver;
mod error;
mod home;
mod ids;
mod io;
mod kernel;
mod mailbox;
mod metrics;
mod operation;
mod park;
mod readiness;
mod registration;
mod requests;
mod timers;
mod unpark;
mod wake;

#[cfg(test)]
mod tests;

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use self::core::Core;
use driver::Driver;
use mailbox::Mailbox;
use wake::drop_all;

pub use buf::Buf;
pub use metrics::Metrics;
pub use readiness::{Interest, Ready};

pub(crate) use driver::{Close, Config, Round};
pub(crate) use error::{explain, explain_as, gone, is_gone};
pub(crate) use ids::{Direction, Home};
pub(crate) use io::Io;
pub(crate) use kernel::credentials::peer_credentials;
#[cfg(test)]
pub(crate) use kernel::fault;
pub(crate) use kernel::kioctx::quota as aio_quota;
pub(crate) use kernel::process::number as process_number;
pub(crate) use kernel::sigpipe::write_to_pipe;
pub(crate) use metrics::{Counters, Detour};
pub(crate) use operation::FileOperation;
pub(crate) use readiness::ReadyEvent;
pub(crate) use registration::Registration;
pub(crate) use requests::Request;
pub(crate) use timers::{TimerKey, Timers};
pub(crate) use unpark::Unparker;
pub(crate) use wake::{contain, log, wake_all};

/// Where [`park`] takes its atomics from.
mod sync {
    pub(super) use std::sync::atomic::{AtomicU8, Ordering};
}

/// The one event source of a runtime: the [`Core`], which everything registered finds by its
/// number, and what drives it.
#[derive(Debug)]
pub(crate) struct Reactor {
    core: Rc<Core>,
    unparker: Arc<Unparker>,
    counters: Arc<Counters>,
}

impl Reactor {
    /// Makes the context and what belongs to it.
    pub(crate) fn new(config: Config) -> std::io::Result<Self> {
        let unparker = Arc::new(Unparker::new()?);
        let counters = Arc::new(Counters::default());
        let driver = Driver::new(config, &unparker, &counters)?;
        let mailbox = Mailbox::new(&unparker, driver.epoll());
        let core = Rc::new(Core::new(driver, mailbox));
        home::open(&core);
        Ok(Self { core, unparker, counters })
    }

    /// Its number.
    pub(crate) fn home(&self) -> Home {
        self.core.home()
    }

    pub(crate) fn timers(&self) -> &Timers {
        self.core.timers()
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
        self.core.with(|driver| driver.publish_gauges());
        self.counters.snapshot()
    }

    /// Whether file operations may be started here. If not, the host's quota has left no context,
    /// and they are to run on threads.
    pub(crate) fn has_context(&self) -> bool {
        // Where the driver has gone they fail, and say why.
        self.core.with(Driver::has_context).unwrap_or(true)
    }

    /// Whether the calling process made this reactor; a forked child did not.
    pub(crate) fn is_ours(&self) -> bool {
        self.core.is_ours()
    }

    /// Marks the thread as inside the loop. Dropping the guard completes the closes still pending.
    pub(crate) fn enter_loop(&self) -> InLoop<'_> {
        home::move_to_front(self.home());
        self.core.set_in_loop(true);
        InLoop(self)
    }

    /// Submits what is queued, takes what has completed, wakes. Never sleeps. Where the round of
    /// ready tasks goes on, closes have to wait.
    pub(crate) fn turn_in(&self, round: Round) {
        self.core.carry_out_commands();
        self.core.with(|driver| driver.turn(round));
        self.core.wake();
    }

    /// Waits until something completes, a notification arrives or `timeout` is over (`None`: no
    /// limit), and wakes.
    pub(crate) fn park(&self, timeout: Option<Duration>) {
        self.core.with(|driver| driver.park(timeout));
        self.core.wake();
    }

    /// A turn at the end of a round.
    #[cfg(test)]
    fn turn(&self) {
        self.turn_in(Round::IsOver);
    }

    /// The door to the driver.
    #[cfg(test)]
    fn with<R>(&self, f: impl FnOnce(&mut Driver) -> R) -> Option<R> {
        self.core.with(f)
    }

    /// Ends the reactor. Registrations and operations that are still held get an error from now on.
    pub(crate) fn shutdown(&self) {
        self.core.shutdown();
        home::close(self.home());
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
        let core = &self.0.core;
        core.carry_out_commands();
        core.set_in_loop(false);
        coop::lift();
        let late = core.with(|driver| {
            let late = driver.close_all();
            driver.publish_gauges();
            late
        });
        drop_all(late.into_iter().flatten());
        // Whom the events concern that came with those of the closes.
        core.wake();
    }
}
