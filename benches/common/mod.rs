//! What the benchmarks share: short times, and the way to time async code.

use std::time::{Duration, Instant};

use aio_runtime::Runtime;
use criterion::{Bencher, Criterion};

/// All of `cargo bench` in a minute or so; the command line can ask for more.
pub(crate) fn criterion() -> Criterion {
    Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .sample_size(30)
        .configure_from_args()
}

/// Times rounds of `round` on `runtime`, one after the other.
pub(crate) fn rounds(bencher: &mut Bencher<'_>, runtime: &Runtime, mut round: impl AsyncFnMut()) {
    bencher.iter_custom(|rounds| {
        runtime.block_on(async {
            let begin = Instant::now();
            for _ in 0..rounds {
                round().await;
            }
            begin.elapsed()
        })
    });
}
