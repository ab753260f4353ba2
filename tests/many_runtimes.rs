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

/// Requests charged to the host's quota, by all its processes.
fn charged() -> u64 {
    std::fs::read_to_string("/proc/sys/fs/aio-nr").unwrap().trim().parse().unwrap()
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
    let (contexts, charged_before) = (own_contexts(), charged());
    for panics in [false, true] {
        let begin = Instant::now();
        for _ in 0..200 {
            one_lifetime(panics);
        }
        // io_destroy alone would take 6 s.
        let took = begin.elapsed();
        assert!(took < Duration::from_secs(4), "200 runtimes took {took:?}");
        assert!(own_contexts() <= contexts + 2, "an idle context is used again");
    }
    // Several at once.
    let many: Vec<_> = (0..20).map(|_| Builder::new().capacity(512).build().unwrap()).collect();
    assert!(own_contexts() >= contexts + 20);
    drop(many);
    wait_until("idle contexts are given back", || own_contexts() == contexts);
    // Other processes charge the quota as well. A leak would be far more: 210,000, or at least some
    // tens of thousands.
    wait_until("the quota is given back", || charged() < charged_before + 5000);

    // With the default capacity: thirty-two that have little to do leave most of the host's quota.
    let before = charged();
    let idle: Vec<_> = (0..32).map(|_| Builder::new().build().unwrap()).collect();
    let taken = charged().saturating_sub(before);
    assert!(taken < 65_536 / 2, "{taken}");
    drop(idle);
    wait_until("the quota is given back", || charged() < charged_before + 5000);
    clean.end_without_runtime();
}
