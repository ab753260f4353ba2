//! The parts put together: registrations and operations on one side, the context on the other.
//!
//! One struct, told in the order of a request's way: [`arm`] decides how a descriptor waits,
//! [`submit`] hands requests to the kernel, [`complete`] takes what comes back, [`close`] ends
//! registrations, and [`abandon`] cancels the polls that nobody waits for; [`grow`] moves it all to
//! a larger context, and [`without_context`] does without one. Here: what there is, and the turn of
//! the loop with its sleep.

mod abandon;
mod arm;
mod close;
mod closing;
mod complete;
mod elsewhere;
mod former;
mod grow;
mod submit;
mod without_context;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::io;
use std::mem::ManuallyDrop;
use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use slab::Slab;

use super::error::explain;
use super::ids::{Direction, Key, PollKind, SourceId};
use super::kernel::abi::IoEvent;
use super::kernel::batch::Batch;
use super::kernel::context_pool;
use super::kernel::kioctx::{Kioctx, quota};
use super::kernel::overflow::{Epoll, Overflow};
use super::metrics::Counters;
use super::readiness::{Readiness, Source};
use super::requests::{Request, Requests};
use super::unpark::Unparker;
use closing::Closing;
use former::Former;

pub(crate) use closing::{Close, Late, Round};
pub(in crate::reactor) use elsewhere::WaitElsewhere;

/// After `EAGAIN` from `io_submit`: how long to wait for an event before retrying anyway.
const BACK_OFF: Duration = Duration::from_millis(10);

const RING_IS_INHERITED: &str = "madvise(MADV_DONTFORK) failed: a forked child could take the ring's events";

/// What a reactor is made with.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// The most requests to ask of `io_setup`.
    pub(crate) capacity: u32,
    /// Requests to begin with, if that is less.
    pub(crate) initial: u32,
    /// How long to watch the ring before sleeping.
    pub(crate) spin: Duration,
    /// Take every event by a system call, so that strace and valgrind see them.
    pub(crate) force_syscalls: bool,
    /// The thread's signal mask while it sleeps.
    pub(crate) signal_mask: Option<libc::sigset_t>,
    /// Time each `io_submit`.
    pub(crate) measure_stalls: bool,
}

impl Config {
    /// What to ask for first.
    fn first(&self) -> u32 {
        self.initial.min(self.capacity)
    }

    /// Whether a context's events are taken from its ring, without a system call.
    fn reaps_in_user_space(&self, kioctx: &Kioctx) -> bool {
        kioctx.has_ring() && !self.force_syscalls
    }
}

/// Whether growth is worth a try.
#[derive(Debug)]
enum Growth {
    Possible,
    RefusedUntil(Instant),
    /// Native AIO does not work here.
    Impossible,
}

/// What is left to be done once the borrow is released: user code, and what may block.
#[derive(Debug)]
pub(super) struct Aftermath {
    pub(super) wakers: Vec<Waker>,
    /// To be dropped.
    pub(super) late: Vec<Late>,
    /// What went wrong without being anyone's error, to be logged.
    pub(super) incidents: Vec<(&'static str, Option<Errno>)>,
}

impl Aftermath {
    fn is_empty(&self) -> bool {
        self.wakers.is_empty() && self.late.is_empty() && self.incidents.is_empty()
    }
}

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Driver {
    pub(super) kioctx: Kioctx,
    /// The one before the latest growth, until nothing is in flight there.
    former: Option<Former>,
    growth: Growth,
    /// Not dropped with the driver: the kernel may write to its buffers until the context is
    /// destroyed, which can fail. [`shutdown`](Self::shutdown) frees it when it may be freed; a
    /// driver that is dropped otherwise (a panic, a forked child) leaks it.
    pub(super) requests: ManuallyDrop<Requests<Request>>,
    batch: Batch,
    config: Config,
    sources: Slab<Source>,
    overflow: Overflow,
    /// The polls by which the reactor waits for itself, while they are queued or armed.
    unpark_poll: Option<Key>,
    overflow_poll: Option<Key>,
    unparker: Arc<Unparker>,
    counters: Arc<Counters>,
    closing: Closing,
    /// Some polls may end only when they fire.
    cancel_was_denied: bool,
    /// Do not submit before this time unless an event comes: the kernel had no room.
    stalled_until: Option<Instant>,
    /// Queued slots whose copies this flush had no time for.
    deferred_copies: VecDeque<Key>,
    /// Directions to be retried in the next turn, without a poll.
    retries: Vec<(SourceId, Direction)>,
    /// When to wake directions for which nothing but a timer can tell.
    back_offs: BinaryHeap<Reverse<(Instant, SourceId, Direction)>>,
    /// Wakers to wake once the borrow is released.
    wakers: Vec<Waker>,
    /// What went wrong without being anyone's error, to be logged then.
    incidents: Vec<(&'static str, Option<Errno>)>,
    /// Scratch space, empty between calls.
    events: Vec<IoEvent>,
}

impl Driver {
    pub(super) fn new(config: Config, unparker: &Arc<Unparker>, counters: &Arc<Counters>) -> io::Result<Self> {
        let overflow =
            Overflow::new().map_err(|error| explain(error, "cannot start the reactor: epoll_create1 failed"))?;
        let kioctx = first_context(&config)?;
        let requests = ManuallyDrop::new(Requests::new(kioctx.capacity()));
        counters.capacity.set(requests.slots.capacity());
        Ok(Self {
            batch: Batch::new(),
            kioctx,
            former: None,
            growth: Growth::Possible,
            requests,
            config,
            sources: Slab::new(),
            overflow,
            unpark_poll: None,
            overflow_poll: None,
            unparker: Arc::clone(unparker),
            counters: Arc::clone(counters),
            closing: Closing::default(),
            cancel_was_denied: false,
            stalled_until: None,
            deferred_copies: VecDeque::new(),
            retries: Vec::new(),
            back_offs: BinaryHeap::new(),
            wakers: Vec::new(),
            incidents: Vec::new(),
            events: Vec::new(),
        })
    }

    // ---- the loop ----

    /// Submits what is queued and takes what has completed. Never sleeps.
    pub(super) fn turn(&mut self, round: Round) {
        self.counters.turns.add(1);
        self.closing.begin_turn(round);
        self.queue_left();
        self.submit_and_reap();
        self.publish_gauges();
    }

    /// Sleeps until an event, a notification or the timeout; not at all if there is something to do
    /// already.
    pub(super) fn park(&mut self, timeout: Option<Duration>) {
        if !self.overflow.watches_unparker() {
            self.arm_own(PollKind::Unpark);
        }
        if self.overflow.is_of_use() {
            self.arm_own(PollKind::Overflow);
        }
        // No task is ready that would have to wait.
        self.closing.begin_turn(Round::IsOver);
        self.submit_and_reap();
        self.publish_gauges();
        // What the reaping woke, admitted or released comes first, and what is to be moved.
        let is_busy = self.can_submit() || self.closing.is_due() || self.is_moving();
        if self.wakers.is_empty() && !is_busy {
            self.sleep(timeout);
            self.publish_gauges();
        }
    }

    fn submit_and_reap(&mut self) {
        if self.requests.operations.has_backlog() {
            self.grow();
        }
        if self.former.is_some() {
            self.advance_growth();
        }
        self.cancel_share();
        self.flush();
        self.take_completions();
        self.wake_retries();
        self.end_back_offs();
    }

    /// Watches the ring for a while if the configuration says so, then sleeps in the kernel.
    fn sleep(&mut self, timeout: Option<Duration>) {
        let mut timeout = [timeout, self.until_back_off_ends()].into_iter().flatten().min();
        if self.spin(&mut timeout) {
            return self.take_completions();
        }
        if !self.unparker.state.try_sleep() {
            return;
        }
        if !self.kioctx.exists() {
            self.sleep_without_context(timeout);
            self.unparker.state.wake_up();
            return self.take_completions();
        }
        // No long sleep while something that ought to end it is not armed.
        let deaf = (self.unpark_poll.is_none() && !self.overflow.watches_unparker())
            || (self.overflow.is_of_use() && self.overflow_poll.is_none());
        let limit = (deaf || self.stalled_until.is_some()).then_some(BACK_OFF);
        let nap = self.limit_by_left().map(|nap| (nap, Instant::now()));
        // Only here are signals let in: no look for events and no close is a sleep of the loop.
        let mask = self.config.signal_mask;
        let longest = [timeout, limit, nap.map(|(nap, _)| nap)].into_iter().flatten().min();
        self.take_by_syscall(longest, mask.as_ref());
        // A timer that is due, or a signal, ends a sleep too; then it was not long enough to tell.
        if nap.is_some_and(|(nap, begin)| self.events.is_empty() && begin.elapsed() >= nap) {
            self.requests.slots.end_grace();
        }
        self.unparker.state.wake_up();
        self.take_completions();
    }

    /// Watches the ring's tail for the configured time, but not beyond `timeout`. Subtracts the
    /// elapsed time from `timeout`. Returns true if there is something to do.
    fn spin(&self, timeout: &mut Option<Duration>) -> bool {
        if self.config.spin.is_zero() || !self.config.reaps_in_user_space(&self.kioctx) {
            return false;
        }
        let limit = timeout.map_or(self.config.spin, |timeout| timeout.min(self.config.spin));
        // On this very core there may be the threads of the kernel that complete what we watch for.
        let yields = self.requests.operations.has_in_flight(Request::needs_kernel_threads);
        let begin = Instant::now();
        loop {
            // Reading the clock costs more than looking.
            for _ in 0..32 {
                if self.has_events() || self.unparker.state.is_notified() {
                    return true;
                }
                std::hint::spin_loop();
            }
            if yields {
                std::thread::yield_now();
            }
            let elapsed = begin.elapsed();
            if elapsed >= limit {
                *timeout = timeout.map(|timeout| timeout.saturating_sub(elapsed));
                return false;
            }
        }
    }

    fn has_events(&self) -> bool {
        self.kioctx.has_events() || self.former.as_ref().is_some_and(|former| former.kioctx().has_events())
    }

    /// Takes what is to be done outside the borrow, if there is anything: of what is to be dropped,
    /// a turn's share.
    pub(super) fn take_aftermath(&mut self) -> Option<Aftermath> {
        let aftermath = Aftermath {
            // What is empty stays here, with its allocation: most turns wake nobody.
            wakers: if self.wakers.is_empty() { Vec::new() } else { std::mem::take(&mut self.wakers) },
            late: self.closing.take_share(),
            incidents: std::mem::take(&mut self.incidents),
        };
        (!aftermath.is_empty()).then_some(aftermath)
    }

    /// Takes the allocations back.
    pub(super) fn give_back(&mut self, Aftermath { wakers, late, .. }: Aftermath) {
        if self.wakers.capacity() == 0 {
            self.wakers = wakers;
        }
        self.closing.give_back(late);
    }

    /// The nested epoll, for other threads.
    pub(super) fn epoll(&self) -> &Epoll {
        self.overflow.epoll()
    }

    // ---- what all parts use ----

    pub(super) fn readiness(&mut self, id: SourceId, direction: Direction) -> &mut Readiness {
        self.sources[id.index()].direction(direction)
    }

    fn own_poll(&mut self, kind: PollKind) -> &mut Option<Key> {
        match kind {
            PollKind::Unpark => &mut self.unpark_poll,
            PollKind::Overflow => &mut self.overflow_poll,
            PollKind::Waiters(..) => unreachable!("a registration keeps the key of its poll itself"),
        }
    }

    fn report(&mut self, what: &'static str, errno: impl Into<Option<Errno>>) {
        self.incidents.push((what, errno.into()));
    }

    /// Updates the gauges: after each turn, before and after each sleep, and whenever the runtime's
    /// own thread asks for them.
    pub(super) fn publish_gauges(&self) {
        self.counters.orphans.set(self.requests.operations.orphans());
        self.counters.slots_in_use.set(self.requests.slots.in_use());
        self.counters.slots_peak.set(self.requests.slots.peak());
        self.counters.overflow_fds.set(self.overflow.len());
    }
}

/// The context to begin with, or none where the host's quota has nothing left. Says once what the
/// runtime stands on. Nothing is borrowed yet: a subscriber is user code.
fn first_context(config: &Config) -> io::Result<Kioctx> {
    let mut kioctx = match context_pool::acquire(config.first()) {
        Ok(kioctx) => kioctx,
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            tracing::warn!(
                %error,
                "this runtime starts without an AIO context: until it gets one, sockets wait in an epoll, and threads \
                 read and write files"
            );
            return Ok(Kioctx::none());
        }
        Err(error) => return Err(error),
    };
    if config.signal_mask.is_some() {
        kioctx
            .probe_signal_mask()
            .map_err(|errno| explain(errno, "Builder::signal_mask needs io_pgetevents, which is refused"))?;
    }
    announce(&kioctx, config);
    Ok(kioctx)
}

fn announce(kioctx: &Kioctx, config: &Config) {
    if let Err(errno) = kioctx.hidden_from_children() {
        tracing::warn!(%errno, "{RING_IS_INHERITED}");
    }
    if kioctx.is_reduced() {
        tracing::warn!(
            asked = kioctx.asked(),
            granted = kioctx.granted(),
            "the host has little of its quota of AIO requests left (fs.aio-nr, fs.aio-max-nr): this runtime begins small"
        );
    }
    if !tracing::enabled!(tracing::Level::DEBUG) {
        return;
    }
    tracing::debug!(
        completions = if config.reaps_in_user_space(kioctx) { "mapped ring" } else { "io_getevents" },
        sleeps_in = if config.signal_mask.is_some() { "io_pgetevents" } else { "io_getevents" },
        asked = kioctx.asked(),
        granted = kioctx.granted(),
        capacity = kioctx.capacity(),
        limit = config.capacity,
        aio_nr = quota("aio-nr"),
        aio_max_nr = quota("aio-max-nr"),
        "a runtime starts on native AIO"
    );
}
