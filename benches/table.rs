//! The reactor's slot table, without a kernel: what the book-keeping of a request costs.

#[allow(dead_code, reason = "a part is used")]
mod common;
/// The pure floors of the reactor, which make no call.
#[allow(dead_code, reason = "a part is used")]
#[path = "../reactor"]
mod reactor {
    pub(crate) mod readiness;
    pub(crate) mod requests;
}

use std::hint::black_box;
use std::task::Waker;

use criterion::{Criterion, Throughput};

use reactor::readiness::{Direction, SourceId};
use reactor::requests::{Key, Requests};

const CAPACITY: usize = 4096;
const IDLE: u32 = 1000;
const BATCH: u32 = 64;

/// As large as a request with its buffer's handle.
type Payload = [u64; 8];

fn main() {
    let mut criterion = common::criterion();
    polls(&mut criterion);
    operations(&mut criterion);
    criterion.final_summary();
}

fn polls(criterion: &mut Criterion) {
    bench(criterion, "arm and complete a poll", |table, keys| {
        for source in 0..BATCH {
            table.arm(SourceId(source), Direction::Read).expect("there is room");
        }
        submit(table, keys);
        for key in keys.drain(..) {
            black_box(table.complete(key, 1));
        }
    });
}

fn operations(criterion: &mut Criterion) {
    let mut ids = Vec::new();
    bench(criterion, "start, complete and fetch an operation", move |table, keys| {
        ids.extend((0..BATCH).map(|_| table.start(Payload::default(), Waker::noop().clone())));
        submit(table, keys);
        for key in keys.drain(..) {
            black_box(table.complete(key, 4096));
        }
        for id in ids.drain(..) {
            black_box(table.fetch(&id).expect("it is complete"));
        }
    });
}

/// Times batches of `round` on a table that holds idle connections' polls.
fn bench(criterion: &mut Criterion, name: &str, mut round: impl FnMut(&mut Requests<Payload>, &mut Vec<Key>)) {
    let mut table = Requests::new(CAPACITY);
    let mut keys = Vec::new();
    for source in 0..IDLE {
        table.arm(SourceId(source), Direction::Read).expect("there is room");
    }
    submit(&mut table, &mut keys);
    keys.clear();

    let mut group = criterion.benchmark_group("table");
    group.throughput(Throughput::Elements(BATCH.into()));
    group.bench_function(name, |bencher| bencher.iter(|| round(&mut table, &mut keys)));
    group.finish();
}

/// What a flush does to the table; the keys of what was submitted are added to `keys`.
fn submit(table: &mut Requests<Payload>, keys: &mut Vec<Key>) {
    table.take_queue(keys);
    for key in keys.iter() {
        table.accepted(*key);
    }
    table.end_flush();
}
