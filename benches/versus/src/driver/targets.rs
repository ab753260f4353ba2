//! What aio-runtime means to reach: CPU time per operation, as a multiple of another's.

use crate::workloads::{Case, Workload};

/// The peer whose targets these are.
pub const OURS: &str = "aio-runtime";

pub fn at_most(_: Workload, _: Case, _: &str) -> Option<f64> {
    None
}
