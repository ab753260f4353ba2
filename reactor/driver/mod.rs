//! The parts put together: registrations and operations on one readiness_of, the context on the other.
//!
//! One struct, told in the order of a request's way: [`arm`] decides what is armed,
//! [`submit`] hands it to the kernel, [`complete`] takes what comes back, [`close`] closes.
//! Here: what there is, and the turn of the loop with its sleep.

mod arm;
mod close;
mod complete;
mod submit;

use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use slab::Slab;

use crate::reactor::error::explain;
use crate::reactor::kernel::abi::{self, IoEvent, SignalMask};
use crate::reactor::kernel::batch::Batch;
use crate::reactor::kernel::context_pool;
use crate::reactor::kernel::kioctx::Kioctx;
use crate::reactor::kernel::overflow::Overflow;
use crate::reactor::metrics::Counters;
use crate::reactor::operation::Request;
use crate::reactor::readiness::{Direction, OVERFLOW, Readiness, Source, SourceId, UNPARK};
use crate::reactor::requests::{Key, OperationId, Requests};
use crate::reactor::unpark::Unparker;
use close::Closing;
use submit::BACK_OFF;

pub(super) use arm::Waiter;

/// What a reactor is made with.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// Requests to ask of `io_setup`.
    pub(crate) capacity: u32,
    /// How long to watch the ring before sleeping.
    pub(crate) spin: Duration,
    /// Take every event by a system call, so that strace and valgrind see them.
    pub(crate) force_syscalls: bool,
    /// The thread's signal mask while it sleeps.
    pub(crate) signal_mask: Option<SignalMask>,
}

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Driver {
    /// The first field: dropped, it ends all requests, and only then may the table with their
    /// buffers go.
    kioctx: Kioctx,
    table: Requests<Request>,
    batch: Batch,
    config: Config,
    sources: Slab<Source>,
    overflow: Overflow,
    unparker: Arc<Unparker>,
    counters: Arc<Counters>,
    /// Descriptors to be closed when the events of their cancelled polls have come; until then the
    /// kernel's reference would keep the file open anyway, and the peer would see the close late.
    closing: Vec<Closing>,
    /// Do not submit before this time unless an event comes: the kernel had no room.
    stalled_until: Option<Instant>,
    /// Who is to be woken as soon as the borrow is released.
    wakers: Vec<Waker>,
    /// Directions to be tried in the next turn, without a poll.
    retries: Vec<(SourceId, Direction)>,
    /// What is to be logged then.
    incidents: Vec<Incident>,
    // Scratch space, empty between calls.
    events: Vec<IoEvent>,
    keys: Vec<Key>,
    refused: Vec<(Key, Errno)>,
    no_room: Vec<Key>,
}

/// What went wrong without being anyone's error. Logging is user code (a subscriber's), so it waits
/// until the driver is not borrowed.
#[derive(Debug)]
pub(super) struct Incident {
    what: &'static str,
    errno: Option<Errno>,
}

impl Incident {
    pub(super) fn log(&self) {
        let error = self.errno.map(io::Error::from);
        tracing::error!(error = error.as_ref().map(tracing::field::display), "{}", self.what);
    }
}

impl Driver {
    pub(super) fn new(config: Config, unparker: &Arc<Unparker>, counters: &Arc<Counters>) -> io::Result<Self> {
        let overflow = Overflow::new()?;
        let mut sources = Slab::new();
        for (id, fd) in [(UNPARK, unparker.as_fd()), (OVERFLOW, overflow.as_fd())] {
            let at = sources.insert(Source::new(fd.as_raw_fd()));
            debug_assert_eq!(at, id.index(), "the reactor's own sources come first");
        }
        let mut kioctx = context_pool::acquire(config.capacity)?;
        if config.signal_mask.is_some() {
            // With all signals blocked: those of the mask are to be let in by the sleep alone.
            let probed = kioctx.wait(Some(Duration::ZERO), Some(&abi::all_signals()), &mut Vec::new());
            probed.map_err(|errno| explain(errno, "Builder::signal_mask needs io_pgetevents, which is refused"))?;
        }
        let table = Requests::new(kioctx.capacity());
        counters.capacity.set(table.capacity());
        Ok(Self {
            kioctx,
            batch: Batch::new(table.capacity()),
            table,
            config,
            sources,
            overflow,
            unparker: Arc::clone(unparker),
            counters: Arc::clone(counters),
            closing: Vec::new(),
            stalled_until: None,
            wakers: Vec::new(),
            retries: Vec::new(),
            incidents: Vec::new(),
            events: Vec::new(),
            keys: Vec::new(),
            refused: Vec::new(),
            no_room: Vec::new(),
        })
    }

    pub(super) fn is_ours(&self) -> bool {
        self.kioctx.is_ours()
    }

    // ---- the loop ----

    /// Submits what is queued and takes what has completed. Never sleeps.
    pub(super) fn turn(&mut self) {
        self.counters.turns.add(1);
        self.flush();
        self.reap();
        self.wake_retries();
    }

    /// Sleeps until there is an event, a notification, or no time left; not at all if there is
    /// something to do already.
    pub(super) fn park(&mut self, mut timeout: Option<Duration>) {
        self.arm_own(UNPARK);
        if self.overflow.members() > 0 {
            self.arm_own(OVERFLOW);
        }
        self.flush();
        self.reap();
        self.wake_retries();
        // What the reaping woke or admitted comes first.
        if !self.wakers.is_empty() || self.can_submit() {
            return;
        }
        if self.spin(&mut timeout) {
            return self.reap();
        }
        if !self.unparker.state.try_sleep() {
            return;
        }
        let limit = self.stalled_until.map(|_| BACK_OFF);
        let timeout = [timeout, limit].into_iter().flatten().min();
        self.take_by_syscall(timeout);
        self.unparker.state.wake_up();
        self.dispatch();
        self.reap();
    }

    /// Watches the ring's tail for the configured time, no longer than `timeout`, from which the
    /// time is taken; true when there is something to do.
    fn spin(&self, timeout: &mut Option<Duration>) -> bool {
        if self.config.spin.is_zero() || !self.reaps_in_user_space() {
            return false;
        }
        let limit = timeout.map_or(self.config.spin, |timeout| timeout.min(self.config.spin));
        let begin = Instant::now();
        loop {
            // Reading the clock costs more than looking.
            for _ in 0..32 {
                if self.kioctx.has_events() || self.unparker.state.is_notified() {
                    return true;
                }
                std::hint::spin_loop();
            }
            let elapsed = begin.elapsed();
            if elapsed >= limit {
                *timeout = timeout.map(|timeout| timeout.saturating_sub(elapsed));
                return false;
            }
        }
    }

    /// Whom to wake and what to log.
    pub(super) fn take_wakeups(&mut self) -> (Vec<Waker>, Vec<Incident>) {
        (std::mem::take(&mut self.wakers), std::mem::take(&mut self.incidents))
    }

    /// Takes an allocation back.
    pub(super) fn give_back(&mut self, wakers: Vec<Waker>) {
        if self.wakers.is_empty() {
            self.wakers = wakers;
        }
    }

    // ---- file operations ----

    pub(super) fn start(&mut self, request: Request, waker: Waker) -> OperationId {
        self.table.start(request, waker)
    }

    pub(super) fn fetch(&mut self, id: &OperationId) -> Option<(Request, i64)> {
        self.table.fetch(id)
    }

    pub(super) fn await_result(&mut self, id: &OperationId, waker: Waker) -> Option<Waker> {
        self.table.await_result(id, waker)
    }

    pub(super) fn abandon(&mut self, id: OperationId) -> (Option<Request>, Option<Waker>) {
        let withdrawn = self.table.abandon(id);
        self.publish();
        withdrawn
    }

    // ---- what all parts use ----

    fn readiness_of(&mut self, id: SourceId, direction: Direction) -> &mut Readiness {
        self.sources[id.index()].readiness_of_mut(direction)
    }

    fn report(&mut self, what: &'static str, errno: impl Into<Option<Errno>>) {
        self.incidents.push(Incident { what, errno: errno.into() });
    }

    /// Brings the counters of what is held now up to date.
    fn publish(&self) {
        self.counters.orphans.set(self.table.orphans());
        self.counters.slots_in_use.set(self.table.in_use());
        self.counters.slots_peak.set(self.table.peak());
        self.counters.overflow_fds.set(self.overflow.members());
    }
}
