//! Who waits for one direction.

use std::task::Waker;

use rustix::io::Errno;
use slab::Slab;

/// Which of a direction's wakers a caller speaks for.
#[derive(Debug)]
pub(crate) enum Waiter {
    /// The one of the `poll_*` functions: the latest caller's.
    Task,
    /// A future's own, from its first wait on.
    Future(Option<usize>),
    /// The one of the `poll_*` functions on other threads: the latest caller's.
    TaskElsewhere,
    /// A future's on another thread, for one event. Its waker is its name.
    FutureElsewhere,
}

/// What a waiter's place holds.
#[derive(Debug, Default)]
enum Place {
    /// Nobody waits.
    #[default]
    Empty,
    /// Woken, and not polled since.
    Woken,
    Waiting(Waker),
    /// Woken because waiting is impossible, which it has not been told.
    Failed(Errno),
}

impl Place {
    fn store(&mut self, waker: Waker) -> Option<Waker> {
        std::mem::replace(self, Self::Waiting(waker)).into_waker()
    }

    /// Leaves something else in the place of a waker.
    fn take(&mut self, left: Self) -> Option<Waker> {
        let is_waiting = matches!(self, Self::Waiting(_));
        is_waiting.then(|| std::mem::replace(self, left)).and_then(Self::into_waker)
    }

    fn into_waker(self) -> Option<Waker> {
        match self {
            Self::Waiting(waker) => Some(waker),
            Self::Empty | Self::Woken | Self::Failed(_) => None,
        }
    }

    /// Whether it was woken. Said once.
    fn take_woken(&mut self) -> bool {
        let was_woken = matches!(self, Self::Woken);
        if was_woken {
            *self = Self::Empty;
        }
        was_woken
    }

    fn take_error(&mut self) -> Option<Errno> {
        let Self::Failed(errno) = *self else { return None };
        *self = Self::Empty;
        Some(errno)
    }
}

/// The wakers of one direction.
#[derive(Debug, Default)]
pub(super) struct Waiters {
    /// The task of the latest `poll_*` call.
    task: Place,
    /// The futures that wait, any number of them.
    futures: Slab<Place>,
    /// The task of the latest `poll_*` call on another thread.
    task_elsewhere: Option<Waker>,
    /// The futures that wait on other threads.
    futures_elsewhere: Vec<Waker>,
}

impl Waiters {
    /// Stores a waker and returns the one it replaces.
    pub(super) fn store(&mut self, waiter: &mut Waiter, waker: Waker) -> Option<Waker> {
        match waiter {
            Waiter::Task => self.task.store(waker),
            Waiter::Future(Some(at)) => self.futures[*at].store(waker),
            Waiter::TaskElsewhere => self.task_elsewhere.replace(waker),
            // One that asks again, without an event in between, waits once.
            Waiter::FutureElsewhere if self.find_elsewhere(&waker).is_some() => Some(waker),
            Waiter::FutureElsewhere => {
                self.futures_elsewhere.push(waker);
                None
            }
            Waiter::Future(at @ None) => {
                *at = Some(self.futures.insert(Place::Waiting(waker)));
                None
            }
        }
    }

    /// Removes a future's waker. A task's stays: whoever calls `poll_*` next replaces it.
    pub(super) fn remove(&mut self, waiter: &Waiter) -> Option<Waker> {
        match waiter {
            Waiter::Task | Waiter::Future(None) | Waiter::TaskElsewhere | Waiter::FutureElsewhere => None,
            Waiter::Future(Some(at)) => self.futures.try_remove(*at).and_then(Place::into_waker),
        }
    }

    /// Removes the waker of a future on another thread.
    pub(super) fn remove_elsewhere(&mut self, waker: &Waker) -> Option<Waker> {
        self.find_elsewhere(waker).map(|at| self.futures_elsewhere.swap_remove(at))
    }

    fn find_elsewhere(&self, waker: &Waker) -> Option<usize> {
        self.futures_elsewhere.iter().position(|known| known.will_wake(waker))
    }

    /// Whether no task waits, and no future has a place.
    pub(super) fn is_empty(&self) -> bool {
        self.futures.is_empty() && !matches!(self.task, Place::Waiting(_)) && !self.has_elsewhere()
    }

    /// Whether anybody waits on another thread.
    pub(super) fn has_elsewhere(&self) -> bool {
        self.task_elsewhere.is_some() || !self.futures_elsewhere.is_empty()
    }

    /// Hands over all wakers. Their futures keep their places.
    pub(super) fn take_into(&mut self, wakers: &mut Vec<Waker>) {
        wakers.extend(self.task.take(Place::Woken));
        wakers.extend(self.task_elsewhere.take());
        wakers.append(&mut self.futures_elsewhere);
        wakers.extend(self.futures.iter_mut().filter_map(|(_, place)| place.take(Place::Woken)));
    }

    /// The same, because waiting is impossible, which each of them is to be told. Those on other
    /// threads cannot be told, and stay.
    pub(super) fn fail_into(&mut self, errno: Errno, wakers: &mut Vec<Waker>) {
        wakers.extend(self.task.take(Place::Failed(errno)));
        wakers.extend(self.futures.iter_mut().filter_map(|(_, place)| place.take(Place::Failed(errno))));
    }

    /// Whether a future was woken, and has not been told yet.
    pub(super) fn take_woken(&mut self, waiter: &Waiter) -> bool {
        match waiter {
            Waiter::Future(Some(at)) => self.futures[*at].take_woken(),
            Waiter::Future(None) | Waiter::Task | Waiter::TaskElsewhere | Waiter::FutureElsewhere => false,
        }
    }

    /// What the waiter is to be told, once.
    pub(super) fn take_error(&mut self, waiter: &Waiter) -> Option<Errno> {
        match waiter {
            Waiter::Task => self.task.take_error(),
            Waiter::Future(Some(at)) => self.futures[*at].take_error(),
            Waiter::Future(None) | Waiter::TaskElsewhere | Waiter::FutureElsewhere => None,
        }
    }

    /// Nobody is to be told any more.
    pub(super) fn forget_errors(&mut self) {
        self.task.take_error();
        for (_, place) in &mut self.futures {
            place.take_error();
        }
    }
}
