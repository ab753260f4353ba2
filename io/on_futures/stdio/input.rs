//! The standard input.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::io::{self, Read};
use std::mem;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker, ready};
use std::time::Duration;

use futures::io::AsyncRead;
use rustix::event::PollFlags;

use super::insist;
use crate::reactor::{coop, process_number, wake_all};
use crate::runtime::blocking::{BlockingPool, Config, Pooled};

/// The most bytes to read at a time: what a pipe holds.
const MAX_READ: usize = 64 * 1024;

/// How long the thread stays without work.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// The standard input of the process.
///
/// All handles read the same stream, and none reads ahead: a read takes no more than it was asked
/// for, through the buffer of [`std::io::stdin`]. Read lines with a
/// [`BufReader`](crate::io::BufReader) that you keep.
///
/// A thread of the process does the reads. A read that is still waiting keeps neither the runtime
/// nor the process from ending. The descriptor stays as it is, blocking or not, since other
/// processes share it.
///
/// The thread holds the lock of [`std::io::stdin`] while it reads, also for a read that was dropped
/// (by a time limit, say). Code that reads by std in the same process waits until that read ends,
/// and does not see what it gets. A child that is forked meanwhile (without an `exec`) inherits the
/// lock and no thread that would release it: there a read by either way waits forever.
///
/// # Examples
///
/// ```no_run
/// use aio_runtime::io::{self, AsyncBufReadExt, BufReader};
/// use futures::StreamExt;
///
/// #[aio_runtime::main]
/// async fn main() -> io::Result<()> {
///     let mut lines = BufReader::new(io::stdin()).lines();
///     while let Some(line) = lines.next().await {
///         println!("you said {}", line?);
///     }
///     Ok(())
/// }
/// ```
pub fn stdin() -> Stdin {
    static HANDLES: AtomicU64 = AtomicU64::new(0);
    Stdin { input: Input::of_this_process(), number: HANDLES.fetch_add(1, Ordering::Relaxed) }
}

/// A handle to the standard input; see [`stdin`].
///
/// # Cancel safety
///
/// A read that is dropped before it is ready loses no bytes. What it has asked for is given to the
/// next read, of any handle.
pub struct Stdin {
    input: Arc<Input>,
    /// By which its waker is known.
    number: u64,
}

impl AsyncRead for Stdin {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let Self { input, number } = self.get_mut();
        if !input.is_ours() {
            *input = Input::of_this_process();
        }
        let unit = ready!(coop::poll_proceed(cx));
        let read = ready!(input.poll_read(cx, *number, buf));
        unit.made_progress();
        Poll::Ready(read)
    }
}

impl Drop for Stdin {
    fn drop(&mut self) {
        // The waker would keep something of its runtime as long as nothing is read.
        if self.input.is_ours() {
            self.input.waiters.remove(self.number);
        }
    }
}

impl fmt::Debug for Stdin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stdin").finish_non_exhaustive()
    }
}

impl AsFd for Stdin {
    fn as_fd(&self) -> BorrowedFd<'_> {
        rustix::stdio::stdin()
    }
}

impl AsRawFd for Stdin {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

/// What the handles of a process share.
struct Input {
    state: Mutex<State>,
    waiters: Arc<Waiters>,
    /// A forked child has no thread that would end its parent's read, so it has an `Input` of its
    /// own. That reads unless the fork came during a read: then std's lock stays held there.
    process: u32,
}

struct State {
    /// Never closed, so nobody waits for its thread.
    pool: BlockingPool,
    reading: Option<Reading>,
    /// What was read and is not taken.
    bytes: Vec<u8>,
    taken: usize,
}

/// A read on its way, with its buffer.
type Reading = Pooled<Vec<u8>, (io::Result<usize>, Vec<u8>)>;

impl Input {
    fn of_this_process() -> Arc<Self> {
        static INPUT: Mutex<Option<Arc<Input>>> = Mutex::new(None);
        let mut input = INPUT.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(input) = input.as_ref().filter(|input| input.is_ours()) {
            return Arc::clone(input);
        }
        let new = Arc::new(Self::new());
        let _inherited = input.replace(Arc::clone(&new));
        drop(input);
        new
    }

    fn new() -> Self {
        let config = Config { max_threads: 1, keep_alive: KEEP_ALIVE, thread_name: "aio-stdin".to_owned(), cpus: None };
        let pool = BlockingPool::new(config);
        let state = State { pool, reading: None, bytes: Vec::new(), taken: 0 };
        Self { state: Mutex::new(state), waiters: Arc::default(), process: process_number() }
    }

    fn is_ours(&self) -> bool {
        self.process == process_number()
    }

    fn poll_read(&self, cx: &mut Context<'_>, number: u64, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        if let Some(len) = self.state().take(buf) {
            return Poll::Ready(Ok(len));
        }
        // Before the look at the read, whose end wakes those that are here by then.
        self.waiters.set(number, cx.waker().clone());
        let read = ready!(self.state().poll_read(&self.waiters, buf));
        self.waiters.remove(number);
        Poll::Ready(read)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Takes what was read, if there is anything.
    fn take(&mut self, buf: &mut [u8]) -> Option<usize> {
        let rest = &self.bytes[self.taken..];
        let len = rest.len().min(buf.len());
        buf[..len].copy_from_slice(&rest[..len]);
        self.taken += len;
        (len > 0).then_some(len)
    }

    fn poll_read(&mut self, waiters: &Arc<Waiters>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        loop {
            if let Some(len) = self.take(buf) {
                return Poll::Ready(Ok(len));
            }
            let reading = self.read(buf.len().min(MAX_READ));
            let ended = ready!(Pin::new(reading).poll(&mut Context::from_waker(&waiters.waker())));
            self.reading = None;
            let (read, bytes) = ended?;
            (self.bytes, self.taken) = (bytes, 0);
            self.bytes.truncate(*read.as_ref().unwrap_or(&0));
            if self.bytes.is_empty() {
                return Poll::Ready(read);
            }
        }
    }

    /// The read that is on its way, or a new one.
    fn read(&mut self, len: usize) -> &mut Reading {
        let Self { pool, reading, bytes, taken } = self;
        reading.get_or_insert_with(|| {
            let mut bytes = mem::take(bytes);
            *taken = 0;
            bytes.resize(len, 0);
            pool.run(bytes, |mut bytes| {
                let read = || std::io::stdin().read(&mut bytes);
                (insist(rustix::stdio::stdin(), PollFlags::IN, read), bytes)
            })
        })
    }
}

/// The wakers of the handles that wait for the read. Its end wakes them all, and the first to come
/// takes the bytes. Wakers are cloned and dropped with the lock released, since that is user code.
#[derive(Default)]
struct Waiters(Mutex<BTreeMap<u64, Waker>>);

impl Waiters {
    fn set(&self, number: u64, waker: Waker) {
        let _replaced = self.wakers().insert(number, waker);
    }

    fn remove(&self, number: u64) {
        let _removed = self.wakers().remove(&number);
    }

    fn waker(self: &Arc<Self>) -> Waker {
        Waker::from(Arc::clone(self))
    }

    fn wakers(&self) -> MutexGuard<'_, BTreeMap<u64, Waker>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Waiters {
    fn wake(self: Arc<Self>) {
        let wakers = mem::take(&mut *self.wakers());
        wake_all(wakers.into_values());
    }
}
