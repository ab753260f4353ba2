//! Runtimes that come and go quickly, as in a test suite: each is cheap, and the host's quota is
//! given back.

mod common;

use std::time::{Duration, Instant};

use aio_runtime::io::{AsyncReadExt, AsyncWriteExt};
use aio_runtime::{Builder, spawn};
use common::{Clean, stream_pair, wait_until};

/// AIO contexts of this process: each maps its ring.
fn own_contexts() -> usize {
    std::fs::read_to_string("/proc/self/maps").unwrap().lines().filter(|line| line.contains("[aio]")).count()
}

/// Requests that this process's contexts have charged to the host's quota, or more: a ring has room
/// for twice what was charged, at 32 bytes each. `fs.aio-nr` itself counts other processes too.
fn charged() -> u64 {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let rings = maps.lines().filter(|line| line.contains("[aio]"));
    let bytes = |line: &str| {
        let (begin, end) = line.split_once(' ').unwrap().0.split_once('-').unwrap();
        u64::from_str_radix(end, 16).unwrap() - u64::from_str_radix(begin, 16).unwrap()
    };
    rings.map(bytes).sum::<u64>() / 64
}

/// One runtime's life.
fn one_lifetime(panics: bool) {
    let runtime = Builder::new().capacity(512).build().unwrap();
    runtime.block_on(async {
        let (mut near, mut far) = stream_pair();
        let echo = spawn(async move {
            let mut byte = [0];
            far.read_exact(&mut byte).await.unwrap();
            far.write_all(&byte).await.unwrap();
            assert!(!panics, "in a task");
            // Dropped with the runtime, while its poll is armed.
            let _ = far.read(&mut byte).await;
        });
        near.write_all(b"x").await.unwrap();
        near.read_exact(&mut [0]).await.unwrap();
        if panics {
            assert!(echo.await.unwrap_err().is_panic());
        }
    });
}

#[test]
fn two_hundred_runtimes() {
    let clean = Clean::begin();
    let contexts = own_contexts();
    for panics in [false, true] {
        let timed = || {
            let begin = Instant::now();
            one_lifetime(panics);
            begin.elapsed()
        };
        let mut took: Vec<_> = (0..200).map(|_| timed()).collect();
        took.sort_unstable();
        // io_destroy alone would take 32 ms of each. On a loaded machine some take long anyway.
        assert!(took[50] < Duration::from_millis(15), "{took:?}");
        assert!(own_contexts() <= contexts + 2, "an idle context is used again");
    }
    // Several at once.
    let many: Vec<_> = (0..20).map(|_| Builder::new().capacity(512).build().unwrap()).collect();
    assert!(own_contexts() >= contexts + 20);
    drop(many);
    wait_until("idle contexts are given back", || own_contexts() == contexts);

    // With the default capacity: thirty-two that have little to do leave half of the usual quota of
    // a host, which is 65,536.
    let idle: Vec<_> = (0..32).map(|_| Builder::new().build().unwrap()).collect();
    let taken = charged();
    assert!((32 * 64..40_000).contains(&taken), "{taken}");
    drop(idle);
    wait_until("the quota is given back", || own_contexts() == contexts);
    clean.end_without_runtime();
}
