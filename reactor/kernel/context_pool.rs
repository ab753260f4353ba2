//! Contexts between runtimes: reused while idle, destroyed off the hot path.
//!
//! `io_destroy` waits for RCU grace periods, about 32 ms with nothing in flight, and for the device
//! where something is. So a runtime does not call it. A context with nothing in flight is kept for
//! the next runtime of the process, for a short while, and then destroyed by a thread that ends
//! when it has none left. One with requests in flight is destroyed at once, by a thread of its own,
//! since a dead device would hold up the others; what the kernel may still write to is freed only
//! after that, and never if `io_destroy` fails (denied by a seccomp filter that was installed
//! later).

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::io::Errno;

use super::kioctx::{Kioctx, quota};
use super::probe::{Unusable, probe};
use super::process::PerProcess;
use crate::reactor::wake::log;

/// How long an idle context waits for a runtime before its quota is given back.
const LINGER: Duration = Duration::from_millis(250);

/// The share of the host's quota that growth leaves to others.
const RESERVE: u64 = 8;

/// A context for `asked` requests, used before or new, or for fewer if the host grants no more.
pub(crate) fn acquire(asked: u32) -> io::Result<Kioctx> {
    if let Some(kioctx) = Pool::lock().take_idle(asked) {
        return Ok(kioctx);
    }
    match Kioctx::setup_exact(asked) {
        Ok(kioctx) => return started(kioctx),
        Err(Errno::AGAIN) => {
            // Some of the host's quota may be held by idle contexts of our own.
            let idle = Pool::lock().take_all_idle();
            drop(idle);
        }
        // Retried by `setup`, which settles for less or explains the error.
        Err(_) => {}
    }
    started(Kioctx::setup(asked)?)
}

fn started(kioctx: Kioctx) -> io::Result<Kioctx> {
    probed(kioctx).map_err(|(unusable, _retired)| unusable.into())
}

/// Why a running loop gets no context.
#[derive(Debug)]
pub(crate) struct Refused {
    /// What fails, if native AIO turns out not to work here: to ask again is of no use then. Else
    /// it is the quota, most often.
    pub(crate) for_good: Option<Unusable>,
    /// A context that was of no use.
    pub(crate) retired: Option<Retired>,
}

impl Refused {
    const FOR_NOW: Self = Self { for_good: None, retired: None };
}

/// The same for a runtime that has started without a context, and whose loop runs. It does not
/// sleep, but in the process's first probe: so it leaves the idle contexts of other sizes to their
/// thread, and those that are of no use to the caller.
pub(crate) fn acquire_quickly(asked: u32) -> Result<Kioctx, Refused> {
    if let Some(kioctx) = Pool::lock().take_idle(asked) {
        return Ok(kioctx);
    }
    let kioctx = Kioctx::setup(asked).map_err(|_| Refused::FOR_NOW)?;
    probed(kioctx).map_err(|(unusable, retired)| Refused {
        for_good: (!unusable.is_unknown()).then_some(unusable),
        retired: Some(retired),
    })
}

/// A larger context for a runtime that has one. Where none is available, the runtime goes on with
/// what it has: so it asks for no less, leaves a reserve, and never sleeps.
pub(crate) fn acquire_larger(asked: u32) -> Result<Kioctx, Refused> {
    if let Some(kioctx) = Pool::lock().take_idle(asked) {
        return Ok(kioctx);
    }
    // Where the quota cannot be read, io_setup knows it.
    if let (Some(taken), Some(limit)) = (quota("aio-nr"), quota("aio-max-nr"))
        && taken + u64::from(asked) > limit - limit / RESERVE
    {
        return Err(Refused::FOR_NOW);
    }
    Kioctx::setup_exact(asked).map_err(|_| Refused::FOR_NOW)
}

/// A context, once one of this process is known to work.
fn probed(mut kioctx: Kioctx) -> Result<Kioctx, (Unusable, Retired)> {
    static PROBED: AtomicBool = AtomicBool::new(false);
    let is_known = PROBED.load(Ordering::Relaxed);
    #[cfg(test)]
    let is_known = is_known && super::fault::check(super::fault::Call::Probed).is_ok();
    if !is_known {
        if let Err(unusable) = probe(&mut kioctx) {
            return Err((unusable, Retired { kioctx: Some(kioctx), is_reusable: false }));
        }
        PROBED.store(true, Ordering::Relaxed);
    }
    Ok(kioctx)
}

/// A context that a running loop no longer needs. Its drop hands it on, which may start a thread,
/// and may log: so a driver that is borrowed passes it to its caller.
#[derive(Debug)]
pub(crate) struct Retired {
    /// `None` only inside the drop.
    kioctx: Option<Kioctx>,
    is_reusable: bool,
}

impl Retired {
    /// A context with nothing in flight.
    pub(crate) fn new(kioctx: Kioctx) -> Self {
        Self { kioctx: Some(kioctx), is_reusable: true }
    }
}

impl Drop for Retired {
    fn drop(&mut self) {
        match self.kioctx.take() {
            Some(kioctx) if self.is_reusable => put(kioctx),
            Some(kioctx) if kioctx.is_ours() => destroy(vec![kioctx], Box::new(())),
            // The parent's is left alone.
            Some(_) | None => {}
        }
    }
}

/// Takes back a context with nothing in flight, or none at all.
pub(crate) fn put(kioctx: Kioctx) {
    // The parent's is left alone.
    if !kioctx.exists() || !kioctx.is_ours() {
        return;
    }
    if kioctx.is_reduced() {
        // Not worth keeping: it got less than it asked for, and the quota may have recovered.
        return destroy(vec![kioctx], Box::new(()));
    }
    let starts_worker = {
        let mut pool = Pool::lock();
        pool.idle.push((kioctx, Instant::now() + LINGER));
        !std::mem::replace(&mut pool.worker_runs, true)
    };
    if starts_worker && !spawn("aio-idle", expire_idle) {
        let idle = {
            let mut pool = Pool::lock();
            pool.worker_runs = false;
            pool.take_all_idle()
        };
        // Slow here, but nothing is leaked.
        drop(idle);
    }
}

/// Destroys contexts, then frees what the kernel may touch until then. If one cannot be destroyed,
/// nothing is freed.
pub(crate) fn destroy(contexts: Vec<Kioctx>, memory: Box<dyn Send>) {
    let dying = Dying(contexts, Some(memory));
    // Where no thread is available, the closure is dropped here and now, which is slow, but neither
    // leaks nor frees too early.
    spawn("aio-destroy", move || drop(dying));
}

/// Contexts with requests in flight, and what these may touch.
struct Dying(Vec<Kioctx>, Option<Box<dyn Send>>);

impl Drop for Dying {
    fn drop(&mut self) {
        let Self(contexts, memory) = self;
        // The parent's contexts, and the memory is our own copy; but before Linux 6.5 the device
        // may write to the child's copy of a page.
        let mut is_free = contexts.iter().all(Kioctx::is_ours);
        for kioctx in contexts.drain(..) {
            if let Err(errno) = kioctx.destroy() {
                is_free = false;
                log(
                    "io_destroy failed; the context's quota and its requests' buffers are held until the process ends",
                    Some(errno),
                );
            }
        }
        if !is_free {
            std::mem::forget(memory.take());
        }
    }
}

/// Runs `work` on a thread of its own, if one is available.
fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> bool {
    #[cfg(test)]
    if super::fault::check(super::fault::Call::Spawn).is_err() {
        return false;
    }
    thread::Builder::new().name(name.to_owned()).spawn(work).is_ok()
}

/// The contexts of this process that no runtime has. Locked for list work only: neither
/// `io_destroy` nor logging happens inside.
#[derive(Default)]
struct Pool {
    /// Each with the time at which it is destroyed.
    idle: Vec<(Kioctx, Instant)>,
    worker_runs: bool,
}

/// A forked child has neither the contexts nor the thread of its parent, and the lock may be held
/// by a thread that the child does not have: so it gets a pool of its own.
static POOL: PerProcess<(Mutex<Pool>, Condvar)> = PerProcess::new(Default::default);

impl Pool {
    fn lock() -> MutexGuard<'static, Self> {
        let (pool, _) = POOL.get();
        pool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes the worker, which waits for what is idle to expire.
    fn taken() -> &'static Condvar {
        let (_, taken) = POOL.get();
        taken
    }

    fn take_idle(&mut self, asked: u32) -> Option<Kioctx> {
        let at = self.idle.iter().position(|(kioctx, _)| kioctx.asked() == asked)?;
        Some(self.idle.swap_remove(at).0)
    }

    fn take_all_idle(&mut self) -> Vec<(Kioctx, Instant)> {
        Self::taken().notify_one();
        std::mem::take(&mut self.idle)
    }
}

/// The thread that destroys what has been idle for long, until nothing is left.
fn expire_idle() {
    let mut pool = Pool::lock();
    loop {
        let now = Instant::now();
        let (expired, idle): (Vec<_>, Vec<_>) = pool.idle.drain(..).partition(|(_, until)| *until <= now);
        pool.idle = idle;
        if !expired.is_empty() {
            drop(pool);
            drop(expired);
            pool = Pool::lock();
            continue;
        }
        let Some(next) = pool.idle.iter().map(|(_, until)| *until).min() else {
            pool.worker_runs = false;
            return;
        };
        let wait = Pool::taken().wait_timeout(pool, next.saturating_duration_since(now));
        pool = wait.unwrap_or_else(PoisonError::into_inner).0;
    }
}
