//! What other threads see of a runtime and of its tasks: plain data behind a mutex and atomics.
//! `wake.rs` decides when to use it.
//!
//! What a poll or a wake calls is `#[inline]`: the compiler does not inline across codegen units by
//! itself here, and a yield would take 5 % more instructions.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::blocking::{self, BlockingPool};
use crate::reactor::{Counters, Reactor, Unparker};

/// A task that is ready to run.
pub(super) type Runnable = async_task::Runnable<TaskMeta>;

/// One runtime, as other threads see it.
#[derive(Debug)]
pub(crate) struct Shared {
    inbox: Mutex<Inbox>,
    /// The future of `block_on` is to be polled.
    main_woken: AtomicBool,
    unparker: Arc<Unparker>,
    counters: Arc<Counters>,
    blocking: BlockingPool,
}

/// What other threads have left for the loop.
#[derive(Debug, Default)]
struct Inbox {
    /// Tasks that they have made ready.
    runnables: VecDeque<Runnable>,
    /// Indexes of active tasks that they have aborted. The loop wakes these.
    aborted: Vec<usize>,
    /// The runtime has ended.
    closed: bool,
}

impl Shared {
    pub(super) fn new(reactor: &Reactor, blocking: blocking::Config) -> Self {
        Self {
            inbox: Mutex::default(),
            main_woken: AtomicBool::new(false),
            unparker: Arc::clone(reactor.unparker()),
            counters: Arc::clone(reactor.counters()),
            blocking: BlockingPool::new(blocking),
        }
    }

    pub(super) fn counters(&self) -> &Counters {
        &self.counters
    }

    pub(super) fn blocking(&self) -> &BlockingPool {
        &self.blocking
    }

    // ---- for any thread ----

    /// Hands a ready task to the loop. Returns it if the runtime has ended.
    pub(super) fn send_runnable(&self, runnable: Runnable) -> Result<(), Runnable> {
        {
            let mut inbox = self.inbox();
            if inbox.closed {
                return Err(runnable);
            }
            inbox.runnables.push_back(runnable);
        }
        self.unpark();
        Ok(())
    }

    /// Has the loop wake an active task that was aborted. Once the runtime has ended no task is
    /// active.
    pub(super) fn send_aborted(&self, index: usize) {
        {
            let mut inbox = self.inbox();
            if inbox.closed {
                return;
            }
            inbox.aborted.push(index);
        }
        self.unpark();
    }

    /// Has the loop poll the future of `block_on`. If the loop sleeps it must be unparked as well.
    #[inline]
    pub(super) fn wake_main(&self) {
        self.main_woken.store(true, Ordering::Release);
    }

    pub(super) fn unpark(&self) {
        self.unparker.unpark();
    }

    // ---- for the loop ----

    #[inline]
    pub(super) fn is_main_woken(&self) -> bool {
        self.main_woken.load(Ordering::Relaxed)
    }

    #[inline]
    pub(super) fn take_main_wake(&self) -> bool {
        // Most looks find nothing, and then a plain load is all they cost.
        self.is_main_woken() && self.main_woken.swap(false, Ordering::Acquire)
    }

    /// Whether the loop was unparked since the last call, so that the inbox may have something.
    #[inline]
    pub(super) fn take_notification(&self) -> bool {
        self.unparker.take_notification()
    }

    /// Empties the inbox: its tasks go to `ready`, the indexes of aborted ones are returned.
    pub(super) fn take_inbox(&self, ready: &mut VecDeque<Runnable>) -> Vec<usize> {
        let mut inbox = self.inbox();
        ready.append(&mut inbox.runnables);
        std::mem::take(&mut inbox.aborted)
    }

    /// Lets nothing into the inbox any more.
    pub(super) fn close_inbox(&self) {
        self.inbox().closed = true;
    }

    fn inbox(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The metadata of a task, in the same allocation as its future: where it runs, and how an abort
/// reaches it.
#[derive(Debug)]
pub(crate) struct TaskMeta {
    runtime: Arc<Shared>,
    aborted: AtomicBool,
    /// The index among the runtime's active tasks, or `INACTIVE`. Only the task itself writes it.
    index: AtomicU32,
}

/// Not polled yet, or ended.
const INACTIVE: u32 = u32::MAX;

impl TaskMeta {
    pub(super) fn new(runtime: &Arc<Shared>) -> Self {
        Self { runtime: Arc::clone(runtime), aborted: AtomicBool::new(false), index: AtomicU32::new(INACTIVE) }
    }

    pub(super) fn runtime(&self) -> &Arc<Shared> {
        &self.runtime
    }

    /// Marks the task as aborted. Returns its index if it is active: it may be waiting then, and
    /// must be woken to see the mark.
    pub(super) fn set_aborted(&self) -> Option<usize> {
        // SeqCst, as in `activate` and `is_aborted`: either this sees the index, or the task, which
        // checks for an abort once it is active, sees the mark.
        self.aborted.store(true, Ordering::SeqCst);
        active_index(self.index.load(Ordering::SeqCst))
    }

    #[inline]
    pub(super) fn is_aborted(&self) -> bool {
        self.aborted.load(Ordering::SeqCst)
    }

    #[inline]
    pub(super) fn is_active(&self) -> bool {
        self.index.load(Ordering::Relaxed) != INACTIVE
    }

    #[inline]
    pub(super) fn activate(&self, index: usize) {
        self.index.store(index as u32, Ordering::SeqCst);
    }

    /// Returns the index that the task had, if it was active. Aborts have nothing to wake from now
    /// on.
    #[inline]
    pub(super) fn deactivate(&self) -> Option<usize> {
        let index = active_index(self.index.load(Ordering::Relaxed))?;
        self.index.store(INACTIVE, Ordering::Relaxed);
        Some(index)
    }
}

fn active_index(index: u32) -> Option<usize> {
    match index {
        INACTIVE => None,
        index => Some(index as usize),
    }
}
