//! A function for the pool, and the future of its output.

use std::any::Any;
use std::fmt;
use std::io;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use crate::reactor::{coop, gone, process_number, wake_all};

/// Why there is no output.
#[derive(Debug)]
pub(crate) enum Failure<A> {
    /// The function was not run: there is no thread, or the runtime has ended.
    Refused { error: io::Error, argument: A },
    /// It panicked.
    Panicked(Box<dyn Any + Send>),
    /// This is a forked child, and the function is its parent's.
    Inherited,
}

impl<A> From<Failure<A>> for io::Error {
    fn from(failure: Failure<A>) -> Self {
        match failure {
            Failure::Refused { error, .. } => error,
            Failure::Panicked(_) => Self::other("background task failed"),
            Failure::Inherited => gone(),
        }
    }
}

/// What the future and the pool share. No user code (the function, a waker, any drop) runs under
/// the lock.
pub(super) struct Call<A, F, T> {
    stage: Mutex<Stage<A, F, T>>,
    /// What happens to a function that has not begun when nobody waits for it any more.
    unwanted: Unwanted,
}

/// What happens to a function that has not begun when its future is dropped, or its pool closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unwanted {
    Dropped,
    /// It runs anyway.
    Run,
}

enum Stage<A, F, T> {
    Queued {
        argument: A,
        function: F,
        waker: Option<Waker>,
    },
    Running {
        waker: Option<Waker>,
    },
    Done(Result<T, Failure<A>>),
    /// The output was taken, or the future was dropped.
    Over,
}

/// A call, as the pool sees it. Its methods unwind if the drop of something that nobody wants any
/// more panics.
pub(super) trait Job: Send + Sync {
    /// Runs the function, if its future is still there.
    fn run(&self);

    /// Ends the call with an error, if the function has not begun.
    fn refuse(&self, error: io::Error);

    /// What happens to the function when its pool is closed.
    fn unwanted(&self) -> Unwanted;
}

/// A call, as its future sees it.
trait Pending<A, T>: Send + Sync {
    fn poll(&self, cx: &mut Context<'_>) -> Poll<Result<T, Failure<A>>>;

    /// The future is gone. A function that has not begun is dropped here, unless it must run.
    fn abandon(&self);
}

impl<A, F, T> Call<A, F, T> {
    pub(super) fn new(argument: A, function: F, unwanted: Unwanted) -> Self {
        Self { stage: Mutex::new(Stage::Queued { argument, function, waker: None }), unwanted }
    }

    fn stage(&self) -> MutexGuard<'_, Stage<A, F, T>> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the function, unless it was taken or abandoned.
    fn begin(&self) -> Option<(A, F)> {
        let mut stage = self.stage();
        match mem::replace(&mut *stage, Stage::Over) {
            Stage::Queued { argument, function, waker } => {
                *stage = Stage::Running { waker };
                Some((argument, function))
            }
            other @ (Stage::Running { .. } | Stage::Done(_) | Stage::Over) => {
                *stage = other;
                None
            }
        }
    }

    /// Hands the output to the future, or drops it if the future has gone meanwhile.
    fn finish(&self, output: Result<T, Failure<A>>) {
        let mut stage = self.stage();
        if let Stage::Running { waker } = &mut *stage {
            let waker = waker.take();
            *stage = Stage::Done(output);
            drop(stage);
            wake_all(waker);
        } else {
            drop(stage);
            drop(output);
        }
    }
}

impl<A, F, T> Job for Call<A, F, T>
where
    A: Send,
    F: FnOnce(A) -> T + Send,
    T: Send,
{
    fn run(&self) {
        if let Some((argument, function)) = self.begin() {
            let output = catch_unwind(AssertUnwindSafe(|| function(argument)));
            self.finish(output.map_err(Failure::Panicked));
        }
    }

    fn refuse(&self, error: io::Error) {
        if let Some((argument, _function)) = self.begin() {
            self.finish(Err(Failure::Refused { error, argument }));
        }
    }

    fn unwanted(&self) -> Unwanted {
        self.unwanted
    }
}

impl<A: Send, F: Send, T: Send> Pending<A, T> for Call<A, F, T> {
    fn poll(&self, cx: &mut Context<'_>) -> Poll<Result<T, Failure<A>>> {
        let mut clone = None;
        loop {
            let mut stage = self.stage();
            let stored = match &mut *stage {
                Stage::Queued { waker, .. } | Stage::Running { waker } => waker,
                Stage::Done(_) | Stage::Over => match mem::replace(&mut *stage, Stage::Over) {
                    Stage::Done(output) => return Poll::Ready(output),
                    _ => panic!("a call of the blocking pool was polled after it was complete"),
                },
            };
            if stored.as_ref().is_some_and(|stored| stored.will_wake(cx.waker())) {
                return Poll::Pending;
            }
            if let Some(waker) = clone.take() {
                let _replaced = stored.replace(waker);
                drop(stage);
                return Poll::Pending;
            }
            drop(stage);
            clone = Some(cx.waker().clone());
        }
    }

    fn abandon(&self) {
        match self.unwanted {
            Unwanted::Dropped => {
                let _dropped_outside_the_lock = mem::replace(&mut *self.stage(), Stage::Over);
            }
            // The output will be dropped with the call.
            Unwanted::Run => {}
        }
    }
}

/// The future of a function's output. The function is on its way already; dropped, the future takes
/// it back unless it has begun.
pub(crate) struct Pooled<A, T> {
    call: Arc<dyn Pending<A, T>>,
    /// The process that called. In a forked child, the call's lock may be held by a thread of the
    /// parent forever.
    process: u32,
}

impl<A, T> Pooled<A, T> {
    pub(super) fn new<F>(call: Arc<Call<A, F, T>>) -> Self
    where
        A: Send + 'static,
        F: Send + 'static,
        T: Send + 'static,
    {
        Self { call, process: process_number() }
    }

    fn is_ours(&self) -> bool {
        self.process == process_number()
    }
}

impl<A, T> Future for Pooled<A, T> {
    type Output = Result<T, Failure<A>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if !self.is_ours() {
            return Poll::Ready(Err(Failure::Inherited));
        }
        let unit = ready!(coop::poll_proceed(cx));
        let output = ready!(self.call.poll(cx));
        unit.made_progress();
        Poll::Ready(output)
    }
}

impl<A, T> Drop for Pooled<A, T> {
    fn drop(&mut self) {
        if self.is_ours() {
            self.call.abandon();
        }
    }
}

impl<A, T> fmt::Debug for Pooled<A, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pooled").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_a_forked_child_inherits_is_not_locked() {
        let call = Arc::new(Call::new((), |()| (), Unwanted::Dropped));
        let mut inherited: Pooled<(), ()> = Pooled::new(Arc::clone(&call));
        inherited.process += 1;
        // As a thread of the parent may have held it at the fork.
        let _held = call.stage();
        let (done, is_done) = mpsc::channel();
        thread::spawn(move || {
            let polled = Pin::new(&mut inherited).poll(&mut Context::from_waker(Waker::noop()));
            drop(inherited);
            done.send(polled.map_err(io::Error::from)).unwrap();
        });
        let polled = is_done.recv_timeout(Duration::from_secs(10)).expect("it waits for the lock");
        let Poll::Ready(Err(error)) = polled else { panic!("it waits for the parent's thread") };
        assert!(error.to_string().contains("before the fork"), "{error}");
    }
}
