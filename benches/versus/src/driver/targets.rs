//! What aio-runtime means to reach: CPU time per operation, as a multiple of another's.

use crate::workloads::Workload::{self, *};

/// The peer whose targets these are.
pub const OURS: &str = "aio-runtime";

struct Target {
    workload: Workload,
    size: usize,
    against: &'static str,
    at_most: f64,
}

pub fn at_most(workload: Workload, size: usize, against: &str) -> Option<f64> {
    TARGETS
        .iter()
        .find(|target| (target.workload, target.size, target.against) == (workload, size, against))
        .map(|target| target.at_most)
}

const fn target(workload: Workload, size: usize, against: &'static str, at_most: f64) -> Target {
    Target { workload, size, against, at_most }
}

const TARGETS: &[Target] = &[
    target(Echo, 64, "tokio", 1.05),
    target(Echo, 512, "tokio", 1.05),
    target(Read, 32, "bare", 1.15),
    target(Read, 32, "tokio", 0.25),
    target(Read, 128, "bare", 1.15),
    target(Read, 128, "tokio", 0.25),
    target(Unified, 32, "bare", 1.12),
    target(Unified, 32, "tokio", 0.60),
    target(Unified, 256, "bare", 1.12),
    target(Unified, 256, "tokio", 0.38),
    target(SpawnJoin, 1, "tokio", 0.333),
    target(YieldNow, 1_000, "tokio", 0.6),
    target(Sleep, 100_000, "tokio", 0.65),
];
