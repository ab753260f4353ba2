//! The reactor's requests, without a kernel: what the book-keeping of one costs.

#[allow(dead_code, reason = "a part is used")]
mod common;
/// The pure floors of the reactor, which make no call.
#[allow(dead_code, unused_imports, reason = "a part is used")]
#[path = "../reactor"]
mod reactor {
    mod buf;
    pub(crate) mod ids;
    pub(crate) mod requests;
}

use std::hint::black_box;
use std::task::Waker;

use criterion::{Criterion, Throughput};

use reactor::ids::{Direction, Key, SourceId};
use reactor::requests::Requests;

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
    bench(criterion, "arm and complete a poll", |requests, keys| {
        for source in 0..BATCH {
            requests.slots.arm(SourceId(source), Direction::Read).expect("there is room");
        }
        submit(requests, keys);
        for key in keys.drain(..) {
            black_box(requests.complete(key, 1));
        }
    });
}

fn operations(criterion: &mut Criterion) {
    let mut ids = Vec::new();
    bench(criterion, "start, complete and fetch an operation", move |requests, keys| {
        ids.extend((0..BATCH).map(|_| requests.start(Payload::default(), Waker::noop().clone())));
        submit(requests, keys);
        for key in keys.drain(..) {
            black_box(requests.complete(key, 4096));
        }
        for id in ids.drain(..) {
            black_box(requests.operations.fetch(&id).expect("it is complete"));
        }
    });
}

/// Times batches of `round` on requests that hold idle connections' polls.
fn bench(criterion: &mut Criterion, name: &str, mut round: impl FnMut(&mut Requests<Payload>, &mut Vec<Key>)) {
    let mut requests = Requests::new(CAPACITY);
    let mut keys = Vec::new();
    for source in 0..IDLE {
        requests.slots.arm(SourceId(source), Direction::Read).expect("there is room");
    }
    submit(&mut requests, &mut keys);
    keys.clear();

    let mut group = criterion.benchmark_group("requests");
    group.throughput(Throughput::Elements(BATCH.into()));
    group.bench_function(name, |bencher| bencher.iter(|| round(&mut requests, &mut keys)));
    group.finish();
}

/// What a flush does to the requests; the keys of what was submitted are added to `keys`.
fn submit(requests: &mut Requests<Payload>, keys: &mut Vec<Key>) {
    while let Some((key, _)) = requests.slots.next_queued() {
        requests.slots.accepted(key);
        keys.push(key);
    }
    requests.slots.end_flush();
}
