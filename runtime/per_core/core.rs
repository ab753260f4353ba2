//! One core of several, as its own future sees it: its number, and the signal to stop.

use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use futures::FutureExt;
use futures::channel::oneshot;
use futures::future::Shared;

/// One core of a [`per_core`](super::per_core) call: which one it is, and the signal to stop, which
/// all cores share.
///
/// It can be cloned, moved into tasks and sent to other threads (to one that waits for signals,
/// say).
///
/// # Examples
///
/// ```
/// use aio_runtime::Core;
/// use aio_runtime::time::{Duration, sleep};
///
/// async fn serve(core: Core) -> std::io::Result<usize> {
///     if core.index() == 0 {
///         sleep(Duration::from_millis(1)).await;
///         core.stop();
///     }
///     core.stopped().await;
///     Ok(core.index())
/// }
///
/// let indexes = aio_runtime::PerCore::new().cores(2).run(serve)?;
/// assert_eq!(indexes, [0, 1]);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone)]
pub struct Core {
    index: usize,
    count: usize,
    cpu: Option<usize>,
    stop: Arc<Stop>,
}

impl Core {
    pub(super) fn new(index: usize, count: usize, cpu: Option<usize>, stop: &Arc<Stop>) -> Self {
        Self { index, count, cpu, stop: Arc::clone(stop) }
    }

    /// The core's number: 0 and up, in the order of the CPUs.
    pub fn index(&self) -> usize {
        self.index
    }

    /// How many cores there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The CPU to which the core's thread is pinned, by the kernel's number, if it is pinned.
    pub fn cpu(&self) -> Option<usize> {
        self.cpu
    }

    /// Tells all cores to stop: [`stopped`](Self::stopped) is ready from now on, on each of them.
    ///
    /// From any thread. Once they are stopped it does nothing.
    pub fn stop(&self) {
        self.stop.stop();
    }

    /// Whether the cores were told to stop.
    pub fn is_stopped(&self) -> bool {
        self.stop.is_stopped()
    }

    /// Waits until the cores are told to stop: by [`stop`](Self::stop) on any of them, or because
    /// one has failed.
    ///
    /// Any number of tasks may wait. The future borrows nothing.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the signal stays.
    pub fn stopped(&self) -> Stopped {
        Stopped { stop: Arc::clone(&self.stop), signal: self.stop.signal.clone() }
    }
}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Core")
            .field("index", &self.index)
            .field("count", &self.count)
            .field("cpu", &self.cpu)
            .field("is_stopped", &self.is_stopped())
            .finish()
    }
}

/// "core 3 (CPU 5)".
impl fmt::Display for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "core {}", self.index)?;
        self.cpu.map_or(Ok(()), |cpu| write!(f, " (CPU {cpu})"))
    }
}

/// The future of [`Core::stopped`].
#[derive(Clone)]
#[must_use = "futures do nothing unless they are awaited"]
pub struct Stopped {
    stop: Arc<Stop>,
    signal: Shared<oneshot::Receiver<Infallible>>,
}

impl Future for Stopped {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        // Asked first, so that the future may be polled again after it was ready.
        if self.stop.is_stopped() { Poll::Ready(()) } else { self.signal.poll_unpin(cx).map(drop) }
    }
}

impl fmt::Debug for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stopped").field("is_stopped", &self.stop.is_stopped()).finish()
    }
}

/// The signal: a channel of which every core has the receiver. Nothing is ever sent, and the end of
/// the sender is the message.
pub(super) struct Stop {
    sender: Mutex<Option<oneshot::Sender<Infallible>>>,
    signal: Shared<oneshot::Receiver<Infallible>>,
}

impl Stop {
    pub(super) fn new() -> Self {
        let (sender, receiver) = oneshot::channel();
        Self { sender: Mutex::new(Some(sender)), signal: receiver.shared() }
    }

    pub(super) fn stop(&self) {
        let sender = self.sender().take();
        // With the lock released: it wakes tasks.
        drop(sender);
    }

    fn is_stopped(&self) -> bool {
        self.sender().is_none()
    }

    fn sender(&self) -> MutexGuard<'_, Option<oneshot::Sender<Infallible>>> {
        self.sender.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
