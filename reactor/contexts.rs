//! Contexts between runtimes: reused while idle, destroyed off the hot path.
//!
//! `io_destroy` waits for RCU grace periods, about 32 ms with nothing in flight, and for the device where
//! something is. So a runtime never calls it. A context with nothing in flight is kept for the next runtime
//! of the process, for a short while; one with requests in flight is destroyed at once, and what the kernel
//! may still write to is freed only after that. Both are the work of one thread, which ends when it has none.

use std::io;
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::fork;
use super::kioctx::Kioctx;

/// How long an idle context waits for a runtime before its quota is given back.
const LINGER: Duration = Duration::from_millis(250);

/// What the kernel may touch until the context is destroyed.
pub(super) type Leftovers = Box<dyn Send>;

/// A context for `asked` requests, used before or new.
pub(super) fn acquire(asked: u32) -> io::Result<Kioctx> {
    if let Some(kioctx) = Depot::lock().take_idle(asked) {
        return Ok(kioctx);
    }
    let mut kioctx = Kioctx::setup(asked)?;
    static PROBED: OnceLock<()> = OnceLock::new();
    if PROBED.get().is_none() {
        kioctx.probe()?;
        let _ = PROBED.set(());
    }
    Ok(kioctx)
}

/// Takes back a context with nothing in flight.
pub(super) fn keep(kioctx: Kioctx) {
    if !kioctx.is_ours() {
        return;
    }
    let mut depot = Depot::lock();
    depot.idle.push(Idle { kioctx, until: Instant::now() + LINGER });
    depot.ensure_worker();
}

/// Destroys a context with requests in flight, then drops what they may touch.
pub(super) fn destroy(kioctx: Kioctx, leftovers: Leftovers) {
    if !kioctx.is_ours() {
        return;
    }
    let mut depot = Depot::lock();
    depot.dying.push(Dying { _kioctx: kioctx, _leftovers: leftovers });
    depot.ensure_worker();
}

struct Idle {
    kioctx: Kioctx,
    until: Instant,
}

/// Dropped in the order of the fields: the context first, and only then what its requests may touch.
struct Dying {
    _kioctx: Kioctx,
    _leftovers: Leftovers,
}

/// The contexts of this process that no runtime has.
struct Depot {
    /// The process that the rest is true for: a forked child inherits the list, but neither contexts nor thread.
    owner: u32,
    idle: Vec<Idle>,
    dying: Vec<Dying>,
    worker_runs: bool,
}

static DEPOT: Mutex<Depot> = Mutex::new(Depot { owner: 0, idle: Vec::new(), dying: Vec::new(), worker_runs: false });
static WORK: Condvar = Condvar::new();

impl Depot {
    fn lock() -> MutexGuard<'static, Self> {
        let mut depot = DEPOT.lock().unwrap_or_else(PoisonError::into_inner);
        let pid = fork::pid();
        if depot.owner != pid {
            // The parent's contexts mean nothing here: their `Drop` does nothing, and their leftovers are our own copy.
            *depot = Self { owner: pid, idle: Vec::new(), dying: Vec::new(), worker_runs: false };
        }
        depot
    }

    fn take_idle(&mut self, asked: u32) -> Option<Kioctx> {
        let at = self.idle.iter().position(|idle| idle.kioctx.asked() == asked)?;
        Some(self.idle.swap_remove(at).kioctx)
    }

    fn ensure_worker(&mut self) {
        WORK.notify_one();
        if self.worker_runs {
            return;
        }
        match thread::Builder::new().name("aio-contexts".to_owned()).spawn(work) {
            Ok(_) => self.worker_runs = true,
            Err(error) => {
                // Slow, but nothing is leaked and nothing is freed too early.
                tracing::warn!(%error, "no thread to destroy AIO contexts; destroying them here");
                self.idle.clear();
                self.dying.clear();
            }
        }
    }
}

/// The thread: destroys what is dying, then what has been idle for long, until nothing is left.
fn work() {
    let mut depot = Depot::lock();
    loop {
        let dying = std::mem::take(&mut depot.dying);
        let now = Instant::now();
        let (expired, idle): (Vec<_>, Vec<_>) = depot.idle.drain(..).partition(|idle| idle.until <= now);
        depot.idle = idle;
        if !dying.is_empty() || !expired.is_empty() {
            drop(depot);
            drop((dying, expired));
            depot = Depot::lock();
            continue;
        }
        let Some(next) = depot.idle.iter().map(|idle| idle.until).min() else {
            depot.worker_runs = false;
            return;
        };
        let wait = WORK.wait_timeout(depot, next.saturating_duration_since(now));
        depot = wait.unwrap_or_else(PoisonError::into_inner).0;
    }
}
