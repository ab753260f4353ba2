//! Who waits for one direction.

use std::task::Waker;

use slab::Slab;

/// Which of a direction's wakers a caller speaks for.
#[derive(Debug)]
pub(crate) enum Waiter {
    /// The one of the `poll_*` functions: the latest caller's.
    Task,
    /// A future's own, from its first wait on.
    Future(Option<usize>),
    /// One of another thread's, for one event.
    Elsewhere,
}

/// The wakers of one direction.
#[derive(Debug, Default)]
pub(super) struct Waiters {
    /// The task of the latest `poll_*` call.
    task: Option<Waker>,
    /// The futures that wait, any number of them. `None`: woken, and not polled since.
    futures: Slab<Option<Waker>>,
    /// Those on other threads.
    elsewhere: Vec<Waker>,
}

impl Waiters {
    /// Stores a waker and returns the one it replaces.
    pub(super) fn store(&mut self, waiter: &mut Waiter, waker: Waker) -> Option<Waker> {
        match waiter {
            Waiter::Task => self.task.replace(waker),
            Waiter::Future(Some(at)) => self.futures[*at].replace(waker),
            // A task that asks again, without an event in between, waits once.
            Waiter::Elsewhere if self.elsewhere.iter().any(|known| known.will_wake(&waker)) => Some(waker),
            Waiter::Elsewhere => {
                self.elsewhere.push(waker);
                None
            }
            Waiter::Future(at @ None) => {
                *at = Some(self.futures.insert(Some(waker)));
                None
            }
        }
    }

    /// Removes a future's waker. A task's stays: whoever calls `poll_*` next replaces it.
    pub(super) fn remove(&mut self, waiter: &Waiter) -> Option<Waker> {
        match waiter {
            Waiter::Task | Waiter::Future(None) | Waiter::Elsewhere => None,
            Waiter::Future(Some(at)) => self.futures.try_remove(*at).flatten(),
        }
    }

    /// Hands over all wakers. Their futures keep their places.
    pub(super) fn take_into(&mut self, wakers: &mut Vec<Waker>) {
        wakers.extend(self.task.take());
        wakers.append(&mut self.elsewhere);
        wakers.extend(self.futures.iter_mut().filter_map(|(_, waker)| waker.take()));
    }
}
