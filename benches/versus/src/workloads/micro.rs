//! The runtime's own moves, without I/O: spawn and join, yield, sleep. Written once, for any [`Executor`].

use std::fmt::Debug;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::measure::{Mark, Measurement, Window};

/// The few things of a runtime that are measured here.
pub trait Executor {
    fn block_on<F: Future>(body: F) -> Result<F::Output>;

    // Each spawns one task and returns what joins it.
    fn spawn_empty() -> impl Joins;
    fn spawn_yielding(times: usize) -> impl Joins;
    fn spawn_sleeping(duration: Duration) -> impl Joins;
}

/// What every runtime's join handle is.
pub trait Joins: Future<Output = Result<(), Self::Error>> {
    type Error: Debug;
}

impl<E: Debug, J: Future<Output = Result<(), E>>> Joins for J {
    type Error = E;
}

pub fn spawn_join<E: Executor>(alive: usize, window: Window) -> Result<Measurement> {
    const BATCH: usize = 10_000;
    repeat::<E>(window, async || {
        for _ in 0..BATCH / alive {
            join_all(std::iter::repeat_with(E::spawn_empty).take(alive)).await;
        }
        BATCH / alive * alive
    })
}

pub fn yield_now<E: Executor>(tasks: usize, window: Window) -> Result<Measurement> {
    const TIMES: usize = 100;
    repeat::<E>(window, async || {
        join_all((0..tasks).map(|_| E::spawn_yielding(TIMES))).await;
        tasks * TIMES
    })
}

pub fn sleep<E: Executor>(sleeps: usize, window: Window) -> Result<Measurement> {
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

/// Spawns them all, then waits for one after the other.
async fn join_all<J: Joins>(spawned: impl Iterator<Item = J>) {
    for handle in spawned.collect::<Vec<_>>() {
        handle.await.expect("no task panics");
    }
}

/// Repeats `batch`, which returns how many operations it did, until the window closes; it is made of whole batches.
fn repeat<E: Executor>(window: Window, mut batch: impl AsyncFnMut() -> usize) -> Result<Measurement> {
    let pid = std::process::id();
    E::block_on(async {
        let opens = Instant::now() + window.warmup;
        while Instant::now() < opens {
            batch().await;
        }
        let from = Mark::take(pid, 0)?;
        let closes = Instant::now() + window.counted;
        let mut ops = 0;
        while Instant::now() < closes {
            ops += batch().await as u64;
        }
        Ok(Measurement::between(&from, &Mark::take(pid, ops)?, None))
    })?
}
