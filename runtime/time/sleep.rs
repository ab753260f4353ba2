//! Waiting for a point in time.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use super::instant::Instant;
use crate::reactor::{Home, TimerKey, coop};
use crate::runtime::context;
use crate::runtime::scheduler::Scheduler;

/// Waits for a duration. It is kept to the nanosecond, not rounded to milliseconds.
///
/// A duration that the clock cannot represent is capped at thirty years.
///
/// # Panics
///
/// If awaited outside a runtime.
///
/// # Cancel safety
///
/// Cancel safe: dropping it removes the timer.
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

/// Waits until an instant.
///
/// The loop reads the clock once per turn: a deadline that has only just passed may cost one turn.
///
/// # Panics
///
/// If awaited outside a runtime.
///
/// # Cancel safety
///
/// Cancel safe: dropping it removes the timer.
///
/// # Examples
///
/// ```
/// # #[aio_runtime::main]
/// # async fn main() {
/// use aio_runtime::time::{Duration, Instant, sleep_until};
///
/// // Every millisecond, however long a round takes.
/// let mut next = Instant::now();
/// for _ in 0..3 {
///     next += Duration::from_millis(1);
///     sleep_until(next).await;
///     assert!(Instant::now() >= next);
/// }
/// # }
/// ```
pub fn sleep_until(deadline: Instant) -> Sleep {
    Sleep { deadline, timer: None }
}

/// The future of [`sleep`] and [`sleep_until`].
///
/// Awaiting it once more after it has ended returns at once.
#[derive(Debug)]
#[must_use = "futures do nothing unless they are awaited"]
pub struct Sleep {
    deadline: Instant,
    /// The timer, from the first wait on, and where it is.
    timer: Option<(TimerKey, Home)>,
}

impl Sleep {
    /// The deadline.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Whether the deadline has passed.
    pub fn is_elapsed(&self) -> bool {
        Instant::now() >= self.deadline
    }

    /// Sets a new deadline, even if the old one has passed. A task that is waiting is woken at the
    /// new one.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[aio_runtime::main]
    /// # async fn main() {
    /// use aio_runtime::time::{Duration, Instant, sleep};
    ///
    /// let mut idle = std::pin::pin!(sleep(Duration::from_secs(60)));
    /// idle.as_mut().reset(Instant::now() + Duration::from_millis(1));
    /// idle.await;
    /// # }
    /// ```
    pub fn reset(mut self: Pin<&mut Self>, deadline: Instant) {
        self.deadline = deadline;
        let Some((key, home)) = self.timer.take() else { return };
        self.timer = home.reschedule_timer(key, deadline.into_std()).map(|key| (key, home));
    }

    fn cancel(&mut self) {
        if let Some((key, home)) = self.timer.take() {
            home.remove_timer(key);
        }
    }

    /// `poll`, without a look at the task's budget.
    pub(super) fn poll_unbudgeted(&mut self, scheduler: &Scheduler, cx: &mut Context<'_>) -> Poll<()> {
        let timers = scheduler.timers();
        if let Some((key, home)) = self.timer
            && home == scheduler.reactor().home()
        {
            if !timers.is_due(key) {
                timers.update(key, cx.waker());
                return Poll::Pending;
            }
            // It has usually fired and is gone. After a reset to the past it is still there, and
            // wakes once for nothing.
            self.timer = None;
            return Poll::Ready(());
        }
        // If the sleep was moved, it waits in this runtime from now on.
        self.cancel();
        // By the clock as it was read for this turn. Reading it again for every sleep would cost
        // more than the turn that a deadline which has just passed has to wait.
        if timers.is_past(self.deadline.into_std()) {
            return Poll::Ready(());
        }
        self.timer = Some((timers.insert(self.deadline.into_std(), cx.waker().clone()), scheduler.reactor().home()));
        Poll::Pending
    }
}

impl Future for Sleep {
    type Output = ();

    #[track_caller]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let scheduler = context::current();
        let unit = ready!(coop::poll_proceed(cx));
        ready!(self.poll_unbudgeted(&scheduler, cx));
        unit.made_progress();
        Poll::Ready(())
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.cancel();
    }
}
