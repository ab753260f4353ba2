//! Choices by a seed, and futures that are dropped at random polls.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use aio_runtime::time::timeout;

use crate::failure;
use crate::streams::Dropper;

/// The choices of one world, and how many operations it has left.
pub(crate) struct Random {
    rng: RefCell<fastrand::Rng>,
    ops_left: Cell<u64>,
}

impl Random {
    pub(crate) fn new(seed: u64, ops: u64) -> Self {
        Self { rng: RefCell::new(fastrand::Rng::with_seed(seed)), ops_left: Cell::new(ops) }
    }

    /// A number below `end`.
    pub(crate) fn below(&self, end: usize) -> usize {
        self.rng.borrow_mut().usize(..end)
    }

    /// True once in `n` times.
    pub(crate) fn one_in(&self, n: usize) -> bool {
        self.below(n) == 0
    }

    /// Whether there is another operation to be made; counts it.
    pub(crate) fn next_op(&self) -> bool {
        let left = self.ops_left.get();
        if left > 0 {
            self.ops_left.set(left - 1);
            failure::note_operation();
        }
        left > 0
    }

    pub(crate) fn is_over(&self) -> bool {
        self.ops_left.get() == 0
    }

    /// Runs a future, and perhaps drops it before it is ready: after some polls, in as many turns,
    /// or by a time limit.
    pub(crate) async fn perhaps<F: Future>(&self, future: F) -> Option<F::Output> {
        match self.below(4) {
            0 => timeout(Duration::from_micros(self.below(500) as u64), future).await.ok(),
            1 => timeout(Duration::from_millis(20), future).await.ok(),
            _ => {
                let polls = self.below(6);
                poll_a_few_times(polls, pin!(future)).await
            }
        }
    }

    /// Runs a future for some polls, in as many turns, and then drops it on another thread.
    pub(crate) async fn perhaps_elsewhere<F>(&self, dropper: &Dropper, future: F) -> Option<F::Output>
    where
        F: Future + Send + 'static,
    {
        let mut future = Box::pin(future);
        let output = poll_a_few_times(self.below(6), future.as_mut()).await;
        let _ = dropper.send(Box::new(future));
        output
    }
}

async fn poll_a_few_times<F: Future>(mut polls_left: usize, mut future: Pin<&mut F>) -> Option<F::Output> {
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending if polls_left == 0 => Poll::Ready(None),
        Poll::Pending => {
            polls_left -= 1;
            cx.waker().wake_by_ref();
            Poll::Pending
        }
    })
    .await
}

/// The byte at a place of something: of a stream's `position`, of a file's `version`.
pub(crate) fn byte(of: u64, at: u64) -> u8 {
    let mixed = (of ^ at.rotate_left(32)).wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(at);
    (mixed >> 56) as u8
}
