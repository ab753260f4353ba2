//! Tasks: spawn, yield, wake.

mod common;

use std::thread;
use std::time::Instant;

use aio_runtime::{Runtime, spawn, task};
use criterion::{Criterion, Throughput};
use futures::StreamExt;
use futures::channel::mpsc;

fn main() {
    let mut criterion = common::criterion();
    let runtime = Runtime::new().expect("a runtime");
    spawn_and_join(&mut criterion, &runtime);
    yield_among_tasks(&mut criterion, &runtime);
    wake_across_threads(&mut criterion, &runtime);
    criterion.final_summary();
}

fn spawn_and_join(criterion: &mut Criterion, runtime: &Runtime) {
    criterion.bench_function("tasks/spawn and join", |bencher| {
        common::rounds(bencher, runtime, async || spawn(async {}).await.expect("no panic"));
    });
}

fn yield_among_tasks(criterion: &mut Criterion, runtime: &Runtime) {
    const TASKS: u64 = 100;
    let mut group = criterion.benchmark_group("tasks");
    group.throughput(Throughput::Elements(TASKS));
    group.bench_function(format!("yield among {TASKS}"), |bencher| {
        bencher.iter_custom(|times| {
            runtime.block_on(async {
                let tasks: Vec<_> = (0..TASKS).map(|_| spawn(yield_times(times))).collect();
                let begin = Instant::now();
                for task in tasks {
                    task.await.expect("no panic");
                }
                begin.elapsed()
            })
        });
    });
    group.finish();
}

async fn yield_times(times: u64) {
    for _ in 0..times {
        task::yield_now().await;
    }
}

/// To a runtime on another thread and back: two wakes, each of a loop that sleeps.
fn wake_across_threads(criterion: &mut Criterion, runtime: &Runtime) {
    let (there, mut arrivals) = mpsc::unbounded();
    let (back, mut returns) = mpsc::unbounded();
    let other = thread::spawn(move || {
        Runtime::new().expect("a runtime").block_on(async {
            while let Some(()) = arrivals.next().await {
                back.unbounded_send(()).expect("it is waited for");
            }
        });
    });
    criterion.bench_function("tasks/wake another thread and be woken", |bencher| {
        common::rounds(bencher, runtime, async || {
            there.unbounded_send(()).expect("it waits");
            returns.next().await.expect("it answers");
        });
    });
    drop(there);
    other.join().expect("no panic");
}
