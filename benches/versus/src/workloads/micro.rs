//! What a runtime does without I/O: spawn and join, yield, wake, sleep, start and stop; and the
//! memory of a task. Written once, for any [`Executor`].

use std::future::{pending, poll_fn};
use std::iter::repeat_with;
use std::mem::forget;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::measure::{Gauge, Measurement, Window};
use crate::sys;
use crate::workloads::Workload;

/// The few operations of a runtime that are measured here.
///
/// The futures that `spawn*` return join the task. Dropping one may cancel the task, so none is
/// dropped here.
pub trait Executor {
    /// Builds a runtime, runs `body` on it, and drops it.
    fn block_on<F: Future>(body: F) -> Result<F::Output>;

    fn spawn(task: impl Future<Output = ()> + Send + 'static) -> impl Future;

    // A runtime whose own futures are not Send must put them into a task itself.
    fn spawn_yielding(times: usize) -> impl Future;
    fn spawn_sleeping(duration: Duration) -> impl Future;
}

/// Measures one of these workloads, for a case with `many` tasks.
pub fn run<E: Executor>(workload: Workload, many: usize, window: Window) -> Result<Measurement> {
    match workload {
        Workload::SpawnJoin => spawn_join::<E>(many, window),
        Workload::YieldNow => yield_now::<E>(many, window),
        Workload::Wake => wake::<E>(many, window),
        Workload::Sleep => sleep::<E>(many, window),
        Workload::StartStop => start_stop::<E>(window),
        Workload::TaskMemory => task_memory::<E>(many, window),
        other => bail!("{other} needs more than an executor"),
    }
}

fn spawn_join<E: Executor>(alive: usize, window: Window) -> Result<Measurement> {
    const BATCH: usize = 10_000;
    repeat::<E>(window, async || {
        for _ in 0..BATCH / alive {
            join_all(repeat_with(|| E::spawn(async {})).take(alive)).await;
        }
        BATCH / alive * alive
    })
}

fn yield_now<E: Executor>(tasks: usize, window: Window) -> Result<Measurement> {
    const TIMES: usize = 100;
    repeat::<E>(window, async || {
        join_all((0..tasks).map(|_| E::spawn_yielding(TIMES))).await;
        tasks * TIMES
    })
}

/// The tasks of a pair pass a baton to each other. An operation is one wake, and one wait until the
/// baton comes back.
fn wake<E: Executor>(pairs: usize, window: Window) -> Result<Measurement> {
    const TIMES: usize = 100;
    repeat::<E>(window, async || {
        let batons: Vec<_> = repeat_with(Arc::<Baton>::default).take(pairs).collect();
        join_all(batons.iter().flat_map(|baton| {
            [false, true].map(|side| {
                let baton = baton.clone();
                E::spawn(async move {
                    for _ in 0..TIMES {
                        baton.wait(side).await;
                        baton.pass(side);
                    }
                })
            })
        }))
        .await;
        2 * pairs * TIMES
    })
}

fn sleep<E: Executor>(sleeps: usize, window: Window) -> Result<Measurement> {
    let mut random = fastrand::Rng::with_seed(1);
    repeat::<E>(window, async || {
        join_all((0..sleeps).map(|_| {
            let duration = Duration::from_micros(random.u64(10_000..110_000));
            E::spawn_sleeping(duration)
        }))
        .await;
        sleeps
    })
}

fn start_stop<E: Executor>(window: Window) -> Result<Measurement> {
    let gauge = Gauge::of(std::process::id(), window);
    let opens = Instant::now() + window.warmup;
    while Instant::now() < opens {
        E::block_on(async {})?;
    }
    let from = gauge.mark(0)?;
    let closes = Instant::now() + window.counted;
    let mut ops = 0;
    while Instant::now() < closes {
        E::block_on(async {})?;
        ops += 1;
    }
    gauge.measure(&from, &gauge.mark(ops)?, None)
}

/// Resident bytes for each of `tasks` tasks that wait forever. The time it takes to spawn them is
/// measured too.
fn task_memory<E: Executor>(tasks: usize, window: Window) -> Result<Measurement> {
    static BEGUN: AtomicUsize = AtomicUsize::new(0);
    let pid = std::process::id();
    let gauge = Gauge::of(pid, window);
    E::block_on(async {
        E::spawn_yielding(1).await;
        let empty = sys::resident_bytes(pid)?;
        let from = gauge.mark(0)?;
        for _ in 0..tasks {
            // Never joined, and must not be cancelled.
            forget(E::spawn(async {
                BEGUN.fetch_add(1, Relaxed);
                pending().await
            }));
        }
        while BEGUN.load(Relaxed) < tasks {
            E::spawn_yielding(1).await;
        }
        let to = gauge.mark(tasks as u64)?;
        let full = sys::resident_bytes(pid)?;
        let bytes_each = (full.saturating_sub(empty)) as f64 / tasks as f64;
        Ok(Measurement { bytes_each: Some(bytes_each), ..gauge.measure(&from, &to, None)? })
    })?
}

/// What a pair of tasks shares: whose turn it is, and the waker of the one that waits. A runtime's
/// own channel would be measured along with its wakers.
#[derive(Default)]
struct Baton(Mutex<Turn>);

#[derive(Default)]
struct Turn {
    side: bool,
    waiting: Option<Waker>,
}

impl Baton {
    fn wait(&self, side: bool) -> impl Future<Output = ()> {
        poll_fn(move |context| {
            let mut turn = self.0.lock().expect("nobody panicked");
            if turn.side == side {
                return Poll::Ready(());
            }
            turn.waiting = Some(context.waker().clone());
            Poll::Pending
        })
    }

    fn pass(&self, side: bool) {
        let mut turn = self.0.lock().expect("nobody panicked");
        turn.side = !side;
        let waiting = turn.waiting.take();
        drop(turn);
        if let Some(waker) = waiting {
            waker.wake();
        }
    }
}

/// Spawns them all, then waits for one after the other.
async fn join_all<J: Future>(spawned: impl Iterator<Item = J>) {
    for handle in spawned.collect::<Vec<_>>() {
        handle.await;
    }
}

/// Repeats `batch`, which returns how many operations it did, until the window closes. The window
/// holds whole batches.
fn repeat<E: Executor>(window: Window, mut batch: impl AsyncFnMut() -> usize) -> Result<Measurement> {
    let gauge = Gauge::of(std::process::id(), window);
    E::block_on(async {
        let opens = Instant::now() + window.warmup;
        while Instant::now() < opens {
            batch().await;
        }
        let from = gauge.mark(0)?;
        let closes = Instant::now() + window.counted;
        let mut ops = 0;
        while Instant::now() < closes {
            ops += batch().await as u64;
        }
        gauge.measure(&from, &gauge.mark(ops)?, None)
    })?
}
