//! What other threads see of a runtime and of its tasks.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::reactor::{Counters, Reactor, Unparker};

/// A task that is ready to run.
pub(super) type Runnable = async_task::Runnable<TaskMeta>;

/// One runtime, as other threads see it.
#[derive(Debug)]
pub(crate) struct Shared {
    inbox: Mutex<Inbox>,
    /// The future of `block_on` is to be polled.
    pub(super) main_woken: AtomicBool,
    pub(super) unparker: Arc<Unparker>,
    counters: Arc<Counters>,
}

/// What other threads have for the runtime.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    pub(super) runnables: VecDeque<Runnable>,
    /// Indexes of active tasks that are to be woken since they were aborted.
    pub(super) aborted: Vec<usize>,
    pub(super) closed: bool,
}

impl Shared {
    pub(super) fn new(reactor: &Reactor) -> Self {
        Self {
            inbox: Mutex::default(),
            main_woken: AtomicBool::new(false),
            unparker: Arc::clone(reactor.unparker()),
            counters: Arc::clone(reactor.counters()),
        }
    }

    pub(super) fn take_main_wake(&self) -> bool {
        // A load is enough to see that there is none, most often.
        self.main_woken.load(Ordering::Relaxed) && self.main_woken.swap(false, Ordering::Acquire)
    }

    pub(super) fn counters(&self) -> &Counters {
        &self.counters
    }

    pub(super) fn inbox(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Stands beside the future in its allocation: where it runs, and how an abort reaches it.
#[derive(Debug)]
pub(crate) struct TaskMeta {
    runtime: Arc<Shared>,
    pub(super) aborted: AtomicBool,
    /// The index among the active tasks of the runtime; `INACTIVE` before the first poll that left
    /// the task pending.
    pub(super) index: AtomicU32,
}

pub(super) const INACTIVE: u32 = u32::MAX;

impl TaskMeta {
    pub(super) fn new(runtime: &Arc<Shared>) -> Self {
        Self { runtime: Arc::clone(runtime), aborted: AtomicBool::new(false), index: AtomicU32::new(INACTIVE) }
    }

    pub(super) fn runtime(&self) -> &Arc<Shared> {
        &self.runtime
    }

    pub(super) fn is_aborted(&self) -> bool {
        self.aborted.load(Ordering::SeqCst)
    }

    pub(super) fn is_active(&self) -> bool {
        self.index.load(Ordering::Relaxed) != INACTIVE
    }
}
