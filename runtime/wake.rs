//! The three ways to become ready: a task is woken, a task is aborted, the future of `block_on` is
//! woken.
//!
//! Each may happen on any thread. On the runtime's own thread it goes straight to the scheduler.
//! From another thread it goes through [`Shared`], and the loop is unparked.

use std::sync::Arc;
use std::task::Wake;

use super::context;
use super::scheduler::end_now;
use super::shared::{Runnable, Shared, TaskMeta};

/// A task is woken: it joins the ready ones of its runtime.
///
/// This is every task's schedule function. It captures nothing and finds the runtime in the task's
/// metadata: around a schedule function that captures something, async-task holds a reference to
/// the task, at two atomic operations per wake.
pub(super) fn schedule(runnable: Runnable) {
    let mut runnable = Some(runnable);
    context::with(|scheduler| {
        if let Some(runnable) = runnable.take_if(|task| Arc::ptr_eq(task.metadata().runtime(), scheduler.shared())) {
            scheduler.push_ready(runnable);
        }
    });
    let Some(runnable) = runnable else { return };
    // A clone, since the loop may run and free the task as soon as it is in the inbox.
    let runtime = Arc::clone(runnable.metadata().runtime());
    if let Err(refused) = runtime.send_runnable(runnable) {
        // The runtime has ended, and with it every task that it had. So this one is new and comes
        // from a `Handle`: what it holds is `Send`, and may be dropped here.
        end_now(refused);
    }
}

/// A task is aborted: it will drop its future when it runs next. One that is not active is ready or
/// running, and checks for an abort before it goes pending.
pub(super) fn abort(task: &TaskMeta) {
    if let Some(index) = task.set_aborted() {
        match context::current_if(task.runtime()) {
            Some(scheduler) => scheduler.wake_active(index),
            None => task.runtime().send_aborted(index),
        }
    }
}

/// The future of `block_on` is woken: this is its waker.
impl Wake for Shared {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.wake_main();
        if !context::is_inside_of(self) {
            self.unpark();
        }
    }
}
