//! Timers: in, out, fire; among ten thousand others, as with a time limit on each connection.

mod common;

use std::pin::Pin;
use std::time::Instant;

use aio_runtime::time::{Duration, Sleep, sleep};
use aio_runtime::{Builder, Runtime, task};
use criterion::{Criterion, Throughput};
use futures::FutureExt;

const OTHERS: u64 = 10_000;
/// Below the cooperative budget of one poll: a sleep that is polled without budget sets no timer.
const BATCH: u64 = 100;

fn main() {
    let mut criterion = common::criterion();
    // Each yield is a turn of the loop, which fires what is due.
    let runtime = Builder::new().event_interval(1).build().expect("a runtime");
    let _others = runtime.block_on(async {
        let mut others = Vec::new();
        for _ in 0..OTHERS / BATCH {
            others.push(set(Duration::from_secs(3600)));
            task::yield_now().await;
        }
        others
    });
    insert_and_cancel(&mut criterion, &runtime);
    fire(&mut criterion, &runtime);
    criterion.final_summary();
}

fn insert_and_cancel(criterion: &mut Criterion, runtime: &Runtime) {
    let mut group = criterion.benchmark_group("timers");
    group.throughput(Throughput::Elements(BATCH));
    group.bench_function("insert and cancel", |bencher| {
        common::rounds(bencher, runtime, async || {
            drop(set(Duration::from_secs(30)));
            task::yield_now().await;
        });
    });
    group.finish();
}

/// Only the turn of the loop that fires them is timed, a tenth of what it takes.
fn fire(criterion: &mut Criterion, runtime: &Runtime) {
    let mut group = criterion.benchmark_group("timers");
    group.measurement_time(Duration::from_millis(100));
    group.throughput(Throughput::Elements(BATCH));
    group.bench_function("fire", |bencher| {
        bencher.iter_custom(|rounds| {
            let mut firing = Duration::ZERO;
            runtime.block_on(async {
                for _ in 0..rounds {
                    let due = set(Duration::from_micros(50));
                    while !due.iter().all(|sleep| sleep.is_elapsed()) {}
                    let begin = Instant::now();
                    task::yield_now().await;
                    firing += begin.elapsed();
                }
            });
            firing
        });
    });
    group.finish();
}

/// Sets a batch of timers, by polling the sleeps once.
fn set(duration: Duration) -> Vec<Pin<Box<Sleep>>> {
    let mut sleeps: Vec<_> = (0..BATCH).map(|_| Box::pin(sleep(duration))).collect();
    for sleep in &mut sleeps {
        let _ = sleep.now_or_never();
    }
    sleeps
}
