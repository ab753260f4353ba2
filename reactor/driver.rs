//! The reactor put together: registrations and operations on one side, the context on the other.

use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use rustix::event::epoll::EventFlags;
use rustix::io::Errno;
use slab::Slab;

use super::abi::{IoEvent, Iocb, SignalMask};
use super::contexts;
use super::kioctx::Kioctx;
use super::metrics::Counters;
use super::operation::{Command, Request};
use super::overflow::{self, Overflow};
use super::source::{Direction, Membership, Side, Source, SourceId, Wait, concerns_both, gone};
use super::submission::{Outcome, Submission};
use super::table::{Completion, Disarm, Key, OperationId, Table, Tenant};
use super::unpark::Unparker;

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

/// How many leaf operations a task may complete in one poll before it must let others run; tokio's number.
const BUDGET: u32 = 128;

/// After `EAGAIN` from `io_submit`: how long to wait for an event before trying again all the same.
const BACK_OFF: Duration = Duration::from_millis(10);

/// How long a close waits for the event of a poll that was cancelled. It takes microseconds; the limit is
/// against a broken kernel.
const CLOSE_PATIENCE: Duration = Duration::from_millis(100);

/// How long a dropped reactor waits for file I/O before it leaves the context to be destroyed elsewhere.
const SHUTDOWN_PATIENCE: Duration = Duration::from_millis(20);

/// The cross-thread wake's place among the sources.
const UNPARK: SourceId = SourceId(0);
/// The nested epoll's.
const OVERFLOW: SourceId = SourceId(1);

/// The one event source of a runtime.
///
/// All methods take `&self` and borrow the driver for a moment. Law: no user code runs under the borrow;
/// wakers are cloned, woken and dropped outside of it.
#[derive(Debug)]
pub(crate) struct Reactor {
    /// `None` after [`shutdown`](Self::shutdown): what is registered then gets an error.
    driver: RefCell<Option<Driver>>,
    budget: Cell<u32>,
    /// Its thread is in the loop, so that what a close leaves behind is seen soon.
    driven: Cell<bool>,
    unparker: Arc<Unparker>,
    counters: Arc<Counters>,
}

#[derive(Debug)]
struct Driver {
    kioctx: Kioctx,
    config: Config,
    table: Table<Request>,
    submission: Submission,
    sources: Slab<Source>,
    overflow: Overflow,
    unparker: Arc<Unparker>,
    counters: Arc<Counters>,
    /// Descriptors to be closed when the events of their cancelled polls have come; until then the kernel's
    /// reference would keep the file open anyway, and the peer would see the close late.
    closing: Vec<Closing>,
    /// Do not submit before this time unless an event comes: the kernel had no room.
    stalled_until: Option<Instant>,
    /// Who is to be woken as soon as the borrow is released.
    wakers: Vec<Waker>,
    // Scratch space, empty between calls.
    events: Vec<IoEvent>,
    keys: Vec<Key>,
    refused: Vec<(Key, Errno)>,
    no_room: Vec<Key>,
}

#[derive(Debug)]
struct Closing {
    polls: [Option<Key>; 2],
    _fd: OwnedFd,
}

/// Which waker of a direction a caller speaks for.
#[derive(Debug)]
pub(super) enum Waiter {
    /// The one of the `poll_*` functions: the latest caller's.
    Task,
    /// A future's own, from its first wait on.
    Future(Option<usize>),
}

impl Reactor {
    /// Makes the context and what belongs to it.
    pub(crate) fn new(config: Config) -> io::Result<Rc<Self>> {
        let kioctx = contexts::acquire(config.capacity)?;
        let unparker = Arc::new(Unparker::new()?);
        let overflow = Overflow::new()?;
        let counters = Arc::new(Counters::default());
        let capacity = kioctx.capacity();
        let table = Table::new(capacity);
        counters.capacity.set(table.capacity());

        let mut sources = Slab::new();
        let own = [(UNPARK, unparker.as_fd()), (OVERFLOW, overflow.as_fd())];
        for (id, fd) in own {
            let at = sources.insert(Source::new(fd.as_raw_fd()));
            debug_assert_eq!(at, id.index(), "the reactor's own sources come first");
        }
        let driver = Driver {
            kioctx,
            config,
            submission: Submission::new(table.capacity()),
            table,
            sources,
            overflow,
            unparker: Arc::clone(&unparker),
            counters: Arc::clone(&counters),
            closing: Vec::new(),
            stalled_until: None,
            wakers: Vec::new(),
            events: Vec::new(),
            keys: Vec::new(),
            refused: Vec::new(),
            no_room: Vec::new(),
        };
        Ok(Rc::new(Self { driver: RefCell::new(Some(driver)), budget: Cell::new(BUDGET), driven: Cell::new(false), unparker, counters }))
    }

    pub(crate) fn unparker(&self) -> &Arc<Unparker> {
        &self.unparker
    }

    pub(crate) fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    /// Whether the calling process made this reactor; a forked child did not.
    pub(crate) fn is_ours(&self) -> bool {
        self.driver.borrow().as_ref().is_none_or(|driver| driver.kioctx.is_ours())
    }

    // ---- the loop ----

    /// Notes that the thread is in the loop, until the guard is dropped; then what was closed meanwhile is closed for good.
    pub(crate) fn drive(&self) -> Driven<'_> {
        self.driven.set(true);
        Driven(self)
    }

    /// Submits what is queued, takes what has completed, wakes. Never sleeps.
    pub(crate) fn turn(&self) {
        self.with(|driver| {
            driver.counters.turns.add(1);
            driver.flush();
            driver.reap();
        });
        self.wake();
    }

    /// Waits until something completes, a notification arrives or `timeout` is over (`None`: no limit), and wakes.
    pub(crate) fn park(&self, timeout: Option<Duration>) {
        self.with(|driver| driver.park(timeout));
        self.wake();
    }

    /// A fresh budget for the task that is polled next.
    pub(crate) fn reset_budget(&self) {
        self.budget.set(BUDGET);
    }

    /// Ready as long as the task has budget left; otherwise it is woken again at once, behind the others.
    pub(crate) fn poll_proceed(&self, cx: &mut Context<'_>) -> Poll<()> {
        match self.budget.get().checked_sub(1) {
            Some(left) => {
                self.budget.set(left);
                Poll::Ready(())
            }
            None => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
        }
    }

    // ---- registrations, for `Io` ----

    pub(super) fn register(&self, fd: BorrowedFd<'_>) -> io::Result<SourceId> {
        self.with(|driver| SourceId(driver.sources.insert(Source::new(fd.as_raw_fd())) as u32)).ok_or_else(gone)
    }

    /// Ends a registration and closes the descriptor, where one is given, so that the other side sees the
    /// close at once. `sync`: not to return before the kernel has let go of the file too, as far as that can
    /// be known.
    pub(super) fn deregister(&self, id: SourceId, fd: Option<OwnedFd>, sync: bool) {
        let sync = sync || !self.driven.get();
        // The source holds wakers, whose drop is user code: outlives the borrow.
        let _source = self.with(|driver| driver.deregister(id, fd, sync));
    }

    /// Ready when the next try may succeed.
    pub(super) fn poll_ready(
        &self,
        id: SourceId,
        direction: Direction,
        waiter: &mut Waiter,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        match self.with(|driver| driver.side(id, direction).readiness()) {
            Some(None) => {}
            Some(Some(readiness)) => return Poll::Ready(readiness.map_err(io::Error::from)),
            None => return Poll::Ready(Err(gone())),
        }
        let waker = cx.waker().clone();
        let waited = self.with(|driver| {
            let replaced = driver.await_ready(id, direction, waiter, waker);
            // What cannot be waited for is known at once.
            (driver.side(id, direction).readiness(), replaced)
        });
        match waited {
            Some((Some(readiness), _)) => Poll::Ready(readiness.map_err(io::Error::from)),
            _ => Poll::Pending,
        }
    }

    /// The latest try met `EAGAIN`, or moved less than it could have.
    pub(super) fn clear_ready(&self, id: SourceId, direction: Direction) {
        self.with(|driver| driver.side(id, direction).ready = false);
    }

    /// A future waits no longer. What is armed stands for the next one.
    pub(super) fn forget_waiter(&self, id: SourceId, direction: Direction, waiter: &Waiter) {
        if let Waiter::Future(Some(at)) = waiter {
            let _withdrawn = self.with(|driver| driver.side(id, direction).waiters.try_remove(*at));
        }
    }

    // ---- file operations, for `Operation` ----

    pub(super) fn start(&self, request: Request, waker: Waker) -> Result<OperationId, (io::Error, Request)> {
        match &mut *self.driver.borrow_mut() {
            Some(driver) if driver.kioctx.is_ours() => Ok(driver.table.start(request, waker)),
            _ => Err((gone(), request)),
        }
    }

    pub(super) fn fetch(&self, id: &OperationId, cx: &mut Context<'_>) -> Poll<io::Result<(Request, i64)>> {
        match self.with(|driver| driver.table.fetch(id)) {
            Some(Some(done)) => return Poll::Ready(Ok(done)),
            Some(None) => {}
            None => return Poll::Ready(Err(gone())),
        }
        let waker = cx.waker().clone();
        let _replaced = self.with(|driver| driver.table.await_result(id, waker));
        Poll::Pending
    }

    pub(super) fn abandon(&self, id: OperationId) {
        let _withdrawn = self.with(|driver| {
            let waker = driver.table.take_waker(&id);
            let request = driver.table.abandon(id);
            driver.publish();
            (waker, request)
        });
    }

    // ---- the end ----

    /// Ends the reactor. Registrations and operations that are still held get an error from now on.
    pub(crate) fn shutdown(&self) {
        let Some(driver) = self.driver.borrow_mut().take() else {
            return;
        };
        wake_all(driver.shutdown());
    }

    fn with<R>(&self, f: impl FnOnce(&mut Driver) -> R) -> Option<R> {
        self.driver.borrow_mut().as_mut().map(f)
    }

    /// Wakes whom the driver has found, with the borrow released.
    fn wake(&self) {
        let Some(mut wakers) = self.with(|driver| std::mem::take(&mut driver.wakers)) else {
            return;
        };
        if wakers.is_empty() {
            return;
        }
        wake_all(wakers.drain(..));
        self.with(|driver| {
            // The allocation is used again.
            if driver.wakers.is_empty() {
                driver.wakers = wakers;
            }
        });
    }
}

impl Driver {
    fn side(&mut self, id: SourceId, direction: Direction) -> &mut Side {
        self.sources[id.index()].side_mut(direction)
    }

    // ---- waiting for readiness ----

    /// Makes sure that the direction is waited for, and by whom. Returns the waker that was there before, to
    /// be dropped elsewhere.
    fn await_ready(&mut self, id: SourceId, direction: Direction, waiter: &mut Waiter, waker: Waker) -> Option<Waker> {
        let side = self.side(id, direction);
        let replaced = match waiter {
            Waiter::Task => side.task.replace(waker),
            Waiter::Future(Some(at)) => side.waiters[*at].replace(waker),
            Waiter::Future(at @ None) => {
                *at = Some(side.waiters.insert(Some(waker)));
                None
            }
        };
        if side.wait == Wait::Idle {
            self.arm(id, direction);
        }
        replaced
    }

    /// Arms an AIO poll where there is a slot, the nested epoll where there is none. The choice is made anew each time.
    fn arm(&mut self, id: SourceId, direction: Direction) {
        if !self.kioctx.is_ours() {
            // A forked child: what it registered before the fork is waited for by the parent.
            return self.sources[id.index()].fail(direction, Errno::OWNERDEAD, &mut self.wakers);
        }
        match self.table.arm(id, direction) {
            Some(key) => self.side(id, direction).wait = Wait::Poll(key),
            None => self.arm_by_epoll(id, direction),
        }
    }

    fn arm_by_epoll(&mut self, id: SourceId, direction: Direction) {
        self.side(id, direction).wait = Wait::Epoll;
        let source = &mut self.sources[id.index()];
        let interest = source.epoll_interest();
        match self.overflow.watch(id, overflow::borrow(source.fd), &mut source.membership, interest) {
            Ok(()) => self.arm_own(OVERFLOW),
            // epoll refuses what is always ready: a regular file, a directory.
            Err(Errno::PERM) => {
                let side = source.side_mut(direction);
                side.wait = Wait::Idle;
                side.wake_into(&mut self.wakers);
            }
            Err(errno) => source.fail(direction, errno, &mut self.wakers),
        }
        self.counters.overflow_fds.set(self.overflow.members());
    }

    /// Arms one of the reactor's own polls, unless it stands already.
    fn arm_own(&mut self, id: SourceId) {
        if self.side(id, Direction::Read).wait == Wait::Idle {
            let key = self.table.arm_own(id);
            self.side(id, Direction::Read).wait = Wait::Poll(key);
        }
    }

    // ---- submission ----

    /// Submits all that is queued: by one `io_submit`, and by another where what the kernel refused put
    /// something new into the queue.
    fn flush(&mut self) {
        while self.can_submit() {
            self.stalled_until = None;
            self.submit_queue();
            self.take_refusals();
            self.make_room();
            self.publish();
        }
    }

    fn can_submit(&self) -> bool {
        self.table.has_queue() && self.stalled_until.is_none_or(|until| Instant::now() >= until)
    }

    fn submit_queue(&mut self) {
        self.table.take_queue(&mut self.keys);
        for key in self.keys.drain(..) {
            match self.table.tenant(key).expect("a queued slot has a tenant") {
                Tenant::Poll { source, direction } => {
                    let fd = self.sources[source.index()].fd;
                    self.submission.push(key, Iocb::poll(fd, direction.poll_mask(), key.to_data()));
                    self.counters.submitted_polls.add(1);
                }
                Tenant::Operation(id) => {
                    let request = self.table.payload_mut(id);
                    self.submission.push(key, request.iocb(key));
                    match request.command {
                        Command::Read => self.counters.submitted_reads.add(1),
                        Command::Write => self.counters.submitted_writes.add(1),
                        Command::Sync { .. } => self.counters.submitted_syncs.add(1),
                    }
                }
            }
        }
        let calls = self.submission.submit(&self.kioctx, |key, outcome| match outcome {
            Outcome::Accepted => self.table.accepted(key),
            Outcome::Refused(errno) => self.refused.push((key, errno)),
            Outcome::NoRoom => self.no_room.push(key),
        });
        self.counters.submit_calls.add(calls);
    }

    /// What the kernel would not take: the nested epoll takes the polls that it is able to, the rest end with
    /// the errno.
    fn take_refusals(&mut self) {
        for (key, errno) in std::mem::take(&mut self.refused) {
            match self.table.complete(key, -i64::from(errno.raw_os_error())) {
                // Two wait queues (a tty, a FIFO opened read-write), and not ready at this moment.
                Completion::Poll { source, direction, .. } if errno == Errno::INVAL && source != OVERFLOW => {
                    self.arm_by_epoll(source, direction);
                }
                Completion::Poll { source, direction, .. } => {
                    if is_own(source) {
                        tracing::error!(%errno, "io_submit refuses the reactor's own poll");
                        self.stall();
                    }
                    self.sources[source.index()].fail(direction, errno, &mut self.wakers);
                }
                Completion::Operation(waker) => self.wakers.extend(waker),
                Completion::Orphan(_) | Completion::Disarmed | Completion::Stale => {
                    unreachable!("a refused request was queued: what is dropped or disarmed then leaves at once")
                }
            }
        }
    }

    /// What the kernel has no room for: idle polls could hold their slots for ever, so polls go to the nested
    /// epoll, and the rest waits for an event, or a while.
    fn make_room(&mut self) {
        if self.no_room.is_empty() {
            return;
        }
        let mut no_room = std::mem::take(&mut self.no_room);
        no_room.retain(|key| match self.table.tenant(*key) {
            Some(Tenant::Poll { source, direction }) if !is_own(source) => {
                self.table.complete(*key, 0);
                self.arm_by_epoll(source, direction);
                false
            }
            _ => true,
        });
        if !no_room.is_empty() {
            self.table.requeue(&no_room);
            self.stall();
        }
        no_room.clear();
        self.no_room = no_room;
    }

    /// No further submission before an event or the end of the back-off, and no longer sleep than that.
    fn stall(&mut self) {
        self.stalled_until = Some(Instant::now() + BACK_OFF);
    }

    // ---- completion ----

    /// Takes all events that are there, from the ring where it can be read.
    fn reap(&mut self) {
        if self.reaps_in_user_space() {
            let taken = self.kioctx.reap(&mut self.events);
            self.counters.events_from_ring.add(taken as u64);
        } else if self.table.in_use() > 0 {
            self.take_by_syscall(Some(Duration::ZERO));
        }
        self.dispatch();
        self.table.end_flush();
    }

    fn reaps_in_user_space(&self) -> bool {
        self.kioctx.has_ring() && !self.config.force_syscalls
    }

    fn take_by_syscall(&mut self, timeout: Option<Duration>) {
        self.counters.getevents_calls.add(1);
        match self.kioctx.wait(timeout, self.config.signal_mask.as_ref(), &mut self.events) {
            Ok(taken) => self.counters.events_from_syscall.add(taken as u64),
            // Denied since the start, by a seccomp filter say. Nothing is lost; a pause keeps the loop from
            // spinning on it.
            Err(errno) => {
                tracing::error!(%errno, "io_pgetevents failed");
                std::thread::sleep(timeout.map_or(BACK_OFF, |timeout| timeout.min(BACK_OFF)));
            }
        }
    }

    fn dispatch(&mut self) {
        if self.events.is_empty() {
            return;
        }
        self.stalled_until = None;
        let mut disarmed = false;
        let mut events = std::mem::take(&mut self.events);
        for event in events.drain(..) {
            match self.table.complete(Key::from_data(event.data), event.res) {
                Completion::Poll { source, direction, born_ready } => {
                    self.counters.polls_born_ready.add(born_ready.into());
                    self.poll_completed(source, direction, event.res);
                }
                Completion::Operation(waker) => self.wakers.extend(waker),
                // Its buffer and its reference to the file are freed here.
                Completion::Orphan(_request) => {}
                Completion::Disarmed => disarmed = true,
                Completion::Stale => {
                    tracing::error!(data = event.data, "an event of no request of ours")
                }
            }
        }
        self.events = events;
        if disarmed {
            self.close_what_is_free();
        }
        self.publish();
    }

    fn publish(&self) {
        self.counters.orphans.set(self.table.orphans());
        self.counters.slots_in_use.set(self.table.in_use());
        self.counters.slots_peak.set(self.table.peak());
    }

    /// A poll is over. Its mask is only a hint: the next try tells.
    fn poll_completed(&mut self, id: SourceId, direction: Direction, res: i64) {
        self.side(id, direction).wait = Wait::Idle;
        match id {
            UNPARK => self.unparker.drain(),
            OVERFLOW => self.drain_overflow(),
            _ => {
                let source = &mut self.sources[id.index()];
                source.side_mut(direction).wake_into(&mut self.wakers);
                if concerns_both(res) {
                    source.side_mut(direction.other()).wake_into(&mut self.wakers);
                }
            }
        }
    }

    fn drain_overflow(&mut self) {
        let (sources, wakers) = (&mut self.sources, &mut self.wakers);
        let mut half_fired = Vec::new();
        self.overflow.drain(|id, flags| {
            // A descriptor that was closed behind our back could not be taken out: a duplicate keeps it in the set.
            let Some(source) = sources.get_mut(id.index()) else {
                return;
            };
            let both = flags.intersects(EventFlags::ERR | EventFlags::HUP);
            for direction in Direction::BOTH {
                let side = source.side_mut(direction);
                if both || flags.intersects(direction.epoll_flags()) {
                    if side.wait == Wait::Epoll {
                        side.wait = Wait::Idle;
                    }
                    side.wake_into(wakers);
                }
            }
            // The registration was for one shot of either direction.
            half_fired
                .extend(Direction::BOTH.into_iter().find(|d| source.side(*d).wait == Wait::Epoll).map(|d| (id, d)));
        });
        for (id, direction) in half_fired {
            self.arm_by_epoll(id, direction);
        }
        if self.overflow.members() > 0 {
            self.arm_own(OVERFLOW);
        }
    }

    // ---- sleep ----

    /// Sleeps until there is an event, a notification, or no time left; not at all if there is something to do already.
    fn park(&mut self, mut timeout: Option<Duration>) {
        self.arm_own(UNPARK);
        self.flush();
        self.reap();
        // What the reaping woke or admitted comes first.
        if !self.wakers.is_empty() || self.can_submit() {
            return;
        }
        if self.spin(&mut timeout) {
            return self.reap();
        }
        if !self.unparker.park.fall_asleep() {
            return;
        }
        let limit = self.stalled_until.map(|_| BACK_OFF);
        let timeout = [timeout, limit].into_iter().flatten().min();
        self.take_by_syscall(timeout);
        self.unparker.park.wake_up();
        self.dispatch();
        self.reap();
    }

    /// Watches the ring's tail for the configured time, no longer than `timeout`, from which the time is
    /// taken; true when there is something to do.
    fn spin(&self, timeout: &mut Option<Duration>) -> bool {
        if self.config.spin.is_zero() || !self.reaps_in_user_space() {
            return false;
        }
        let limit = timeout.map_or(self.config.spin, |timeout| timeout.min(self.config.spin));
        let begin = Instant::now();
        loop {
            // Reading the clock costs more than looking.
            for _ in 0..32 {
                if self.kioctx.has_events() || self.unparker.park.is_notified() {
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

    // ---- the end of registrations, and of the driver ----

    /// See [`Reactor::deregister`].
    fn deregister(&mut self, id: SourceId, fd: Option<OwnedFd>, sync: bool) -> Source {
        if !self.kioctx.is_ours() {
            // The epoll and the context are the parent's.
            return self.sources.remove(id.index());
        }
        let polls = self.disarm_all(id);
        let source = self.sources.remove(id.index());
        self.publish();
        if polls == [None, None] {
            return source;
        }
        self.closing.extend(fd.map(|fd| Closing { polls, _fd: fd }));
        // Most often the event is in the ring when io_cancel returns.
        self.reap();
        if sync {
            self.settle(CLOSE_PATIENCE, |driver| !driver.any_in_flight(&polls));
        }
        source
    }

    /// Ends all waiting for a source. Returns the polls whose events are still to come.
    fn disarm_all(&mut self, id: SourceId) -> [Option<Key>; 2] {
        let polls = Direction::BOTH.map(|direction| {
            let Wait::Poll(key) = std::mem::take(&mut self.side(id, direction).wait) else {
                return None;
            };
            match self.table.disarm(key) {
                Disarm::Vacated => None,
                Disarm::Cancel => {
                    self.counters.cancels.add(1);
                    if let Err(errno) = self.submission.cancel(&self.kioctx, key) {
                        // Denied since the start: a socket's polls can be ended by shutting it down, others
                        // stand until they fire.
                        tracing::error!(%errno, "io_cancel failed");
                        let fd = overflow::borrow(self.sources[id.index()].fd);
                        let _ = rustix::net::shutdown(fd, rustix::net::Shutdown::Both);
                    }
                    Some(key)
                }
            }
        });
        let source = &mut self.sources[id.index()];
        if source.membership == Membership::Member {
            self.overflow.forget(overflow::borrow(source.fd), &mut source.membership);
            self.counters.overflow_fds.set(self.overflow.members());
        }
        polls
    }

    fn any_in_flight(&self, polls: &[Option<Key>]) -> bool {
        polls.iter().flatten().any(|key| self.table.tenant(*key).is_some())
    }

    fn close_what_is_free(&mut self) {
        let table = &self.table;
        self.closing.retain(|closing| closing.polls.iter().flatten().any(|key| table.tenant(*key).is_some()));
    }

    /// Takes events until `done`, but no longer than `patience`. Wakers are kept for the next turn.
    fn settle(&mut self, patience: Duration, done: impl Fn(&Self) -> bool) -> bool {
        let deadline = Instant::now() + patience;
        loop {
            if done(self) {
                return true;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || !self.kioctx.is_ours() {
                return false;
            }
            self.take_by_syscall(Some(left));
            self.dispatch();
            self.reap();
        }
    }

    /// Cancels all polls, waits a little for the rest, and hands the context on. Returns whom to tell that it is over.
    fn shutdown(mut self) -> Vec<Waker> {
        let ids: Vec<_> = self.sources.iter().map(|(at, _)| SourceId(at as u32)).collect();
        if self.kioctx.is_ours() {
            for id in &ids {
                self.disarm_all(*id);
            }
            self.settle(SHUTDOWN_PATIENCE, |driver| driver.table.in_use() == 0);
        }
        for id in ids {
            for direction in Direction::BOTH {
                let mut wakers = std::mem::take(&mut self.wakers);
                self.side(id, direction).wake_into(&mut wakers);
                self.wakers = wakers;
            }
        }
        self.counters.orphans.set(0);
        self.counters.slots_in_use.set(0);
        self.counters.overflow_fds.set(0);
        let idle = self.table.in_use() == 0;
        let (payloads, wakers) = self.table.into_payloads();
        self.wakers.extend(wakers);
        if idle {
            contexts::keep(self.kioctx);
        } else {
            contexts::destroy(self.kioctx, Box::new((payloads, self.closing)));
        }
        self.wakers
    }
}

/// Whether this is one of the reactor's own sources.
fn is_own(id: SourceId) -> bool {
    id == UNPARK || id == OVERFLOW
}

/// See [`Reactor::drive`].
#[derive(Debug)]
pub(crate) struct Driven<'a>(&'a Reactor);

impl Drop for Driven<'_> {
    fn drop(&mut self) {
        self.0.driven.set(false);
        self.0.with(|driver| driver.settle(CLOSE_PATIENCE, |driver| driver.closing.is_empty()));
    }
}

impl Drop for Reactor {
    fn drop(&mut self) {
        self.shutdown();
    }
}

/// Wakes all, also when one of them panics.
pub(crate) fn wake_all(wakers: impl IntoIterator<Item = Waker>) {
    for waker in wakers {
        if std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| waker.wake())).is_err() {
            tracing::error!("a waker panicked; the others are woken all the same");
        }
    }
}
