//! The scheduler: the queue of ready tasks, and the loop that drives them and the reactor.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::ptr;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use slab::Slab;

use super::blocking::{self, BlockingPool};
use super::own_waker;
use super::shared::{Runnable, Shared, TaskMeta};
use crate::reactor::{Reactor, Round, Timers, contain, coop, process_number};

/// One runtime, as its own thread sees it. It is handed the waker of `block_on` and enters no
/// context itself: both belong to the layers above.
pub(crate) struct Scheduler {
    reactor: Reactor,
    ready: RefCell<VecDeque<Runnable>>,
    /// Wakers of all tasks that have been polled and are not complete. The runtime's end finds the
    /// tasks by them.
    active: RefCell<Slab<Waker>>,
    shared: Arc<Shared>,
    event_interval: usize,
    /// How many of the tasks that were ready when this round began have still to run.
    left_in_round: Cell<usize>,
    /// Time each poll.
    measure_stalls: bool,
    /// The process that it belongs to.
    process: u32,
    /// A run of tasks, or the future of `block_on`, is being polled at this moment.
    is_polling: Cell<bool>,
    /// Under the name of tokio: whether there may be sockets.
    #[cfg(feature = "facade")]
    pub(super) enables_io: bool,
}

/// How long the runtime's end sleeps when another thread is about to hand a task over. It sleeps,
/// since that thread may have a lower real-time priority, and would never run beside a loop that
/// only yields.
const HAND_OVER: Duration = Duration::from_micros(100);

impl Scheduler {
    pub(super) fn new(
        reactor: Reactor,
        event_interval: u32,
        measure_stalls: bool,
        blocking: blocking::Config,
        #[cfg(feature = "facade")] enables_io: bool,
    ) -> Rc<Self> {
        let shared = Arc::new(Shared::new(&reactor, blocking));
        Rc::new(Self {
            reactor,
            ready: RefCell::default(),
            active: RefCell::default(),
            shared,
            event_interval: event_interval as usize,
            left_in_round: Cell::new(0),
            measure_stalls,
            process: process_number(),
            is_polling: Cell::new(false),
            #[cfg(feature = "facade")]
            enables_io,
        })
    }

    pub(crate) fn reactor(&self) -> &Reactor {
        &self.reactor
    }

    pub(crate) fn timers(&self) -> &Timers {
        self.reactor.timers()
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    pub(super) fn blocking(&self) -> &BlockingPool {
        self.shared.blocking()
    }

    /// # Panics
    ///
    /// In a process that was forked after the runtime was built.
    #[track_caller]
    pub(super) fn assert_ours(&self) {
        assert!(
            self.process == process_number(),
            "this aio-runtime belongs to the process that built it: a forked child must build a runtime of its own"
        );
    }

    /// Drives the runtime until `future` is complete. The caller has entered the runtime, and
    /// `waker` must call [`Shared::wake_main`].
    ///
    /// # Panics
    ///
    /// If the future panics, or in a process that was forked after the runtime was built.
    pub(super) fn run<F: Future>(&self, mut future: Pin<&mut F>, waker: &Waker) -> F::Output {
        let mut cx = Context::from_waker(waker);
        self.shared.wake_main();
        loop {
            self.take_inbox();
            let mut interval = self.event_interval;
            while interval > 0 && !self.is_idle() {
                if self.shared.take_main_wake() {
                    interval -= 1;
                    own_waker::set(waker);
                    let polling = self.begin_polling();
                    if let Poll::Ready(output) = self.poll_one(|| future.as_mut().poll(&mut cx)) {
                        return output;
                    }
                    drop(polling);
                    if self.shared.is_main_woken() {
                        interval = interval.min(self.ready.borrow().len());
                    }
                    // However short the interval, a task has its turn after the main future.
                    if interval == 0 {
                        self.run_ready(&mut 1);
                    }
                }
                self.run_ready(&mut interval);
            }
            self.reactor.turn_in(self.next_in_round());
            self.timers().fire();
            if self.is_idle() {
                // Wakers and late drops have run, and one may have forked. The child's loop would
                // not sleep: `park` does nothing there.
                self.assert_ours();
                self.reactor.park(self.timers().time_to_next());
                self.timers().fire();
            }
        }
    }

    /// Runs ready tasks, including ones that become ready in the meantime, until the interval is
    /// used up. A task that wakes itself (it yields, or has used up its budget) cuts the interval
    /// short, so that the loop checks for completions before running it again.
    fn run_ready(&self, interval: &mut usize) {
        let mut is_traced = false;
        contain(SUBSCRIBER, || is_traced = tracing::span_enabled!(tracing::Level::TRACE));
        let _polling = self.begin_polling();
        let mut count = 0;
        while *interval > 0 {
            let Some(runnable) = self.ready.borrow_mut().pop_front() else { break };
            *interval -= 1;
            count += 1;
            let task = ptr::from_ref(runnable.metadata());
            // Does not unwind: a panic of the future is caught inside the task.
            let run = || self.poll_one(|| runnable.run());
            let woke_itself = if is_traced { in_span(task, run) } else { run() };
            if woke_itself {
                // It is the last in the queue: it was put there when its poll returned.
                *interval = (*interval).min(self.ready.borrow().len().saturating_sub(1));
            }
        }
        self.left_in_round.set(self.left_in_round.get().saturating_sub(count));
    }

    /// A turn of the loop comes. Once every task has run that was ready at the beginning of the
    /// round, another one begins.
    fn next_in_round(&self) -> Round {
        if self.left_in_round.get() > 0 {
            return Round::GoesOn;
        }
        self.left_in_round.set(self.ready.borrow().len());
        Round::IsOver
    }

    /// Something is polled until the guard is dropped.
    fn begin_polling(&self) -> Polling<'_> {
        self.is_polling.set(true);
        Polling(&self.is_polling)
    }

    /// Polls something, with a budget of its own.
    ///
    /// # Panics
    ///
    /// If it has forked, and this is the child.
    #[inline(always)]
    fn poll_one<R>(&self, poll: impl FnOnce() -> R) -> R {
        coop::refill();
        let begin = self.measure_stalls.then(Instant::now);
        let polled = poll();
        if let Some(begin) = begin {
            self.shared.counters().note_poll(begin.elapsed());
        }
        self.assert_ours();
        polled
    }

    fn take_inbox(&self) {
        if !self.shared.take_notification() {
            return;
        }
        let aborted = self.shared.take_inbox(&mut self.ready.borrow_mut());
        aborted.into_iter().for_each(|index| self.wake_active(index));
    }

    fn is_idle(&self) -> bool {
        self.ready.borrow().is_empty() && !self.shared.is_main_woken()
    }

    // ---- for tasks ----

    #[inline]
    pub(super) fn push_ready(&self, runnable: Runnable) {
        self.ready.borrow_mut().push_back(runnable);
    }

    /// Records a task that has been polled and is not complete. Returns its index.
    pub(super) fn add_active(&self, waker: Waker) -> usize {
        let mut active = self.active.borrow_mut();
        let index = active.insert(waker);
        self.shared.counters().set_tasks(active.len());
        index
    }

    /// Wakes the task at an index. If another task has the index by now, that one is woken for
    /// nothing.
    pub(super) fn wake_active(&self, index: usize) {
        let waker = self.active.borrow().get(index).cloned();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Removes a task that is complete or dropped.
    pub(super) fn remove_active(&self, index: usize) {
        let mut active = self.active.borrow_mut();
        let waker = active.try_remove(index);
        self.shared.counters().set_tasks(active.len());
        drop(active);
        drop(waker);
    }

    // ---- the end ----

    /// Drops all tasks, here and now, and shuts the reactor down. Then waits for the functions that
    /// have begun on the pool. The caller has entered the runtime.
    pub(super) fn shutdown(&self) {
        // A forked child: its tasks belong to the parent, and what other threads of the parent were
        // about to hand over will never come. Or a task has called `process::exit`, which drops the
        // thread's locals: that task cannot be dropped under its own frame, and would be waited for
        // forever.
        if !self.reactor.is_ours() || self.is_polling.get() {
            std::mem::forget((self.ready.take(), self.active.take()));
            return;
        }
        self.end_tasks();
        self.shared.blocking().close();
        self.reactor.shutdown();
        self.shared.close_inbox();
        // Once more, for tasks that were spawned or handed over while the others ended.
        self.end_tasks();
        // Last: a function may wait for a task that it has spawned, and must be told that it ended.
        self.shared.blocking().join();
    }

    /// Each round makes the active tasks ready, then ends the ready ones. That may spawn others,
    /// hence the rounds. A task that another thread is about to put into the inbox is waited for,
    /// since its future must be dropped on this thread.
    fn end_tasks(&self) {
        loop {
            self.timers().clear();
            let wakers: Vec<Waker> = self.active.borrow().iter().map(|(_, waker)| waker.clone()).collect();
            wakers.into_iter().for_each(Waker::wake);
            // Aborted tasks are active, and have just been woken with the others.
            let _aborted = self.shared.take_inbox(&mut self.ready.borrow_mut());
            let runnables = self.ready.take();
            if runnables.is_empty() {
                if self.active.borrow().is_empty() {
                    return;
                }
                std::thread::sleep(HAND_OVER);
            }
            runnables.into_iter().for_each(end_now);
        }
    }
}

impl fmt::Debug for Scheduler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scheduler").finish_non_exhaustive()
    }
}

/// See [`Scheduler::begin_polling`]. The future of `block_on` may panic.
struct Polling<'a>(&'a Cell<bool>);

impl Drop for Polling<'_> {
    fn drop(&mut self) {
        self.0.set(false);
    }
}

/// What is reported when a subscriber panics.
const SUBSCRIBER: &str = "a tracing subscriber panicked at the span of a task";

/// Runs a task in a span, which is named after the task's address.
fn in_span<R>(task: *const TaskMeta, run: impl FnOnce() -> R) -> R {
    let mut span = None;
    contain(SUBSCRIBER, || span = Some(tracing::trace_span!("task", ?task).entered()));
    let result = run();
    contain(SUBSCRIBER, || drop(span));
    result
}

/// Ends a task that is ready: drops its future, here and now.
pub(super) fn end_now(runnable: Runnable) {
    // It runs at once, so it need not be woken at its index.
    let _index = runnable.metadata().set_aborted();
    runnable.run();
}
