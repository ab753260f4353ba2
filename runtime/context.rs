//! Which runtime the current thread is in.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::mem::ManuallyDrop;
use std::rc::Rc;
use std::sync::Arc;
use std::thread;

use super::blocking::Pooled;
use super::scheduler::Scheduler;
use super::shared::Shared;
use crate::reactor::Home;

thread_local! {
    /// Empty unless an `Entered` exists, so `ManuallyDrop` leaks nothing. It is there because a
    /// thread-local that needs a drop cannot be used while its thread ends, and a runtime that is
    /// kept in a thread-local is dropped just then.
    static CURRENT: ManuallyDrop<RefCell<Option<Place>>> = const { ManuallyDrop::new(RefCell::new(None)) };

    /// The number of the latest place.
    static LATEST: Cell<u64> = const { Cell::new(0) };
}

/// A runtime that the thread is in.
struct Place {
    scheduler: Rc<Scheduler>,
    /// Whether the thread runs it or one around it, or has only entered them.
    runs: bool,
    /// By which its guard knows it. No other place has had it: a guard that `block_on` returned
    /// is not to take a later place for its own.
    number: u64,
}

#[cfg(not(feature = "facade"))]
const OUTSIDE: &str = "there is no aio-runtime on this thread: call this from a function under \
                       #[aio_runtime::main], from Runtime::block_on, or from a task of the runtime \
                       (Handle::spawn starts one from another thread)";
/// tokio's tests expect tokio's words.
#[cfg(feature = "facade")]
const OUTSIDE: &str = "there is no reactor running, must be called from the context of a Tokio 1.x runtime";

/// Runs `f` with the current runtime, if there is one. `f` must not run user code.
pub(crate) fn with<R>(f: impl FnOnce(&Rc<Scheduler>) -> R) -> Option<R> {
    CURRENT.with(|current| current.borrow().as_ref().map(|place| f(&place.scheduler)))
}

/// The runtime of `shared`, if this thread is in that one.
pub(super) fn current_if(shared: &Arc<Shared>) -> Option<Rc<Scheduler>> {
    with(|scheduler| Arc::ptr_eq(scheduler.shared(), shared).then(|| Rc::clone(scheduler))).flatten()
}

/// Whether this thread is in the runtime of `shared`.
pub(super) fn is_inside_of(shared: &Arc<Shared>) -> bool {
    with(|scheduler| Arc::ptr_eq(scheduler.shared(), shared)) == Some(true)
}

/// The current runtime.
///
/// # Panics
///
/// At the caller's location, if there is none.
#[track_caller]
pub(crate) fn current() -> Rc<Scheduler> {
    match with(Rc::clone) {
        Some(scheduler) => scheduler,
        None => panic!("{OUTSIDE}"),
    }
}

/// Where the sockets of the current runtime live.
///
/// # Panics
///
/// At the caller's location, if there is none.
#[track_caller]
pub(crate) fn home() -> Home {
    let scheduler = current();
    #[cfg(feature = "facade")]
    assert!(
        scheduler.enables_io,
        "A Tokio 1.x context was found, but IO is disabled. Call `enable_io` on the runtime builder to enable IO."
    );
    scheduler.reactor().home()
}

/// Runs a function on the blocking pool of the current runtime; see [`BlockingPool::run`].
///
/// [`BlockingPool::run`]: super::blocking::BlockingPool::run
///
/// # Panics
///
/// At the caller's location, if there is no current runtime.
#[track_caller]
pub(crate) fn on_pool<A, F, T>(argument: A, function: F) -> Pooled<A, T>
where
    A: Send + 'static,
    F: FnOnce(A) -> T + Send + 'static,
    T: Send + 'static,
{
    current().blocking().run(argument, function)
}

/// Runs a function on the blocking pool of the current runtime, whose drop waits for it; see
/// [`BlockingPool::run_surely`].
///
/// [`BlockingPool::run_surely`]: super::blocking::BlockingPool::run_surely
///
/// # Panics
///
/// At the caller's location, if there is no current runtime.
#[track_caller]
pub(crate) fn surely_on_pool<A, F, T>(argument: A, function: F) -> Pooled<A, T>
where
    A: Send + 'static,
    F: FnOnce(A) -> T + Send + 'static,
    T: Send + 'static,
{
    current().blocking().run_surely(argument, function)
}

/// Whether this thread is in a runtime.
pub(crate) fn is_inside() -> bool {
    with(|_| ()).is_some()
}

/// Whether this thread runs a runtime, whatever it has entered inside of that.
pub(super) fn is_running() -> bool {
    CURRENT.with(|current| current.borrow().as_ref().is_some_and(|place| place.runs))
}

/// Makes `scheduler`'s runtime the current one of this thread, until the guard is dropped.
pub(super) fn enter(scheduler: &Rc<Scheduler>) -> Entered {
    Entered::new(scheduler, false)
}

/// The same, to run the runtime.
pub(super) fn enter_to_run(scheduler: &Rc<Scheduler>) -> Entered {
    Entered::new(scheduler, true)
}

/// See [`enter`].
pub(super) struct Entered {
    outer: Option<Place>,
    /// Whether it is there to run the runtime.
    runs: bool,
    number: u64,
}

impl Entered {
    fn new(scheduler: &Rc<Scheduler>, runs: bool) -> Self {
        let number = LATEST.get() + 1;
        LATEST.set(number);
        let place = Place { scheduler: Rc::clone(scheduler), runs: runs || is_running(), number };
        Self { outer: CURRENT.with(|current| current.replace(Some(place))), runs, number }
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        // The loop leaves anyway: somebody may have leaked a guard inside.
        let innermost = CURRENT.with(|current| current.borrow().as_ref().map(|place| place.number));
        if innermost == Some(self.number) || self.runs {
            // Dropped with the borrow released.
            let _left = CURRENT.with(|current| current.replace(self.outer.take()));
        } else if !thread::panicking() {
            panic!(
                "a guard of Runtime::enter was dropped before one that was made after it, or after the block_on that \
                 it was made in"
            );
        }
    }
}

impl fmt::Debug for Entered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entered").finish_non_exhaustive()
    }
}

pin_project_lite::pin_project! {
    /// A future that must be awaited inside a runtime. Outside one it panics at the location that
    /// awaits it, and not somewhere inside the library.
    #[derive(Debug)]
    pub(crate) struct InRuntime<F> {
        #[pin]
        future: F,
    }
}

impl<F: Future> InRuntime<F> {
    pub(crate) fn new(future: F) -> Self {
        Self { future }
    }
}

impl<F: Future> Future for InRuntime<F> {
    type Output = F::Output;

    #[track_caller]
    fn poll(self: std::pin::Pin<&mut Self>, cx: &mut std::task::Context<'_>) -> std::task::Poll<F::Output> {
        assert!(is_inside(), "{OUTSIDE}");
        self.project().future.poll(cx)
    }
}
