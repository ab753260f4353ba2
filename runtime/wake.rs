//! How tasks and the future of `block_on` become ready, on any thread.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Wake;

use super::context;
use super::scheduler::end_now;
use super::shared::{INACTIVE, Runnable, Shared, TaskMeta};

/// Puts a task among the ready ones of its runtime. Called by wakers, on any thread.
///
/// This is every task's schedule function. It captures nothing and finds the runtime in the task:
/// async-task holds a reference to a task while it calls a function that captures something, at two
/// atomic operations a wake.
pub(super) fn schedule(runnable: Runnable) {
    let mut runnable = Some(runnable);
    context::with(|scheduler| {
        if let Some(runnable) =
            runnable.take_if(|runnable| Arc::ptr_eq(runnable.metadata().runtime(), scheduler.shared()))
        {
            scheduler.push_ready(runnable);
        }
    });
    if let Some(runnable) = runnable {
        // As soon as it is in the inbox the task may be run and freed.
        let shared = Arc::clone(runnable.metadata().runtime());
        shared.receive(runnable);
    }
}

impl TaskMeta {
    /// Has the task drop its future when it runs next, which comes soon. On any thread.
    pub(super) fn abort(&self) {
        // SeqCst: either this sees the index of the task, or the task, entering it, sees the abort
        // (`TaskFuture::poll`).
        self.aborted.store(true, Ordering::SeqCst);
        match self.index.load(Ordering::SeqCst) {
            // It is ready or runs, and looks before it becomes pending.
            INACTIVE => {}
            index => self.runtime().wake_aborted(index as usize),
        }
    }
}

impl Shared {
    /// Wakes the active task at an index, so that it sees that it was aborted.
    fn wake_aborted(self: &Arc<Self>, index: usize) {
        match context::inside(self) {
            Some(scheduler) => scheduler.wake_active(index),
            None => {
                let mut inbox = self.inbox();
                if !inbox.closed {
                    inbox.aborted.push(index);
                    drop(inbox);
                    self.unparker.unpark();
                }
            }
        }
    }

    /// Takes in a task that another thread has made ready. After the runtime's end the task ends
    /// too.
    fn receive(&self, runnable: Runnable) {
        let refused = {
            let mut inbox = self.inbox();
            if inbox.closed {
                Some(runnable)
            } else {
                inbox.runnables.push_back(runnable);
                None
            }
        };
        match refused {
            // The runtime is gone with all tasks that it had, so this one is new and comes from
            // `Handle::spawn`: it is `Send` and may end here.
            Some(runnable) => end_now(runnable),
            None => self.unparker.unpark(),
        }
    }
}

/// The waker of `block_on`'s future.
impl Wake for Shared {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.main_woken.store(true, Ordering::Release);
        if context::inside(self).is_none() {
            self.unparker.unpark();
        }
    }
}
