//! Waiting for a point in time.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use super::timers::{TimerKey, Timers};
use crate::runtime::context;
use crate::runtime::scheduler::Scheduler;

/// Waits for a duration, to the nanosecond: nothing is rounded to milliseconds.
///
/// A duration too long for the clock is cut to thirty years.
///
/// # Panics
///
/// When awaited outside a runtime.
///
/// # Cancel safety
///
/// Dropping it takes the timer out.
///
/// # Examples
///
/// ```
/// # #[aio_runtime::main]
/// # async fn main() {
/// use aio_runtime::time::{Duration, Instant, sleep};
///
/// let begin = Instant::now();
/// sleep(Duration::from_micros(300)).await;
/// assert!(begin.elapsed() >= Duration::from_micros(300));
/// # }
/// ```
pub fn sleep(duration: Duration) -> Sleep {
    const FAR_FUTURE: Duration = Duration::from_secs(30 * 365 * 24 * 3600);
    let now = Instant::now();
    sleep_until(now.checked_add(duration).unwrap_or_else(|| now + FAR_FUTURE))
}

/// Waits until an instant; if it is past, not at all or for the loop's next turn, as the loop reads
/// the clock once in each.
///
/// # Panics
///
/// When awaited outside a runtime.
pub fn sleep_until(deadline: Instant) -> Sleep {
    Sleep { deadline, timer: None }
}

/// The future of [`sleep`] and [`sleep_until`].
#[derive(Debug)]
#[must_use = "futures do nothing unless they are awaited"]
pub struct Sleep {
    deadline: Instant,
    /// The timer, from the first wait on, and the runtime that has it.
    timer: Option<(TimerKey, Rc<Timers>)>,
}

impl Sleep {
    /// When it ends.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Whether its time is over.
    pub fn is_elapsed(&self) -> bool {
        Instant::now() >= self.deadline
    }

    /// Sets another end, also after the first one. A task that waits for it is woken at the new
    /// one.
    pub fn reset(mut self: Pin<&mut Self>, deadline: Instant) {
        self.deadline = deadline;
        self.timer = self.timer.take().and_then(|(key, timers)| Some((timers.reschedule(key, deadline)?, timers)));
    }

    fn cancel(&mut self) {
        if let Some((key, timers)) = self.timer.take() {
            timers.remove(key);
        }
    }

    /// `poll`, at nothing from the task's budget.
    pub(super) fn poll_unbudgeted(&mut self, scheduler: &Scheduler, cx: &mut Context<'_>) -> Poll<()> {
        if let Some((key, timers)) = &self.timer
            && Rc::ptr_eq(timers, scheduler.timers())
        {
            if !timers.is_due(*key) {
                timers.update(*key, cx.waker());
                return Poll::Pending;
            }
            // Fired and gone, mostly. After a reset to the past it is still there, and wakes once
            // for nothing.
            self.timer = None;
            return Poll::Ready(());
        }
        // Waits in another runtime from now on, if it was moved.
        self.cancel();
        let timers = scheduler.timers();
        // By the clock as it was read for this turn: to read it again, for every sleep, costs more
        // than to wait for the next one where that has just come to be wrong.
        if timers.is_past(self.deadline) {
            return Poll::Ready(());
        }
        self.timer = Some((timers.insert(self.deadline, cx.waker().clone()), Rc::clone(timers)));
        Poll::Pending
    }
}

impl Future for Sleep {
    type Output = ();

    #[track_caller]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let scheduler = context::current();
        ready!(scheduler.reactor().poll_proceed(cx));
        ready!(self.poll_unbudgeted(&scheduler, cx));
        scheduler.reactor().made_progress();
        Poll::Ready(())
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.cancel();
    }
}
