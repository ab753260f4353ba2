//! What a run comes to: operations, time and CPU time between two marks, and latencies.

use std::io;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::sys;

/// How long a run goes on: a time to warm up, then the time that counts.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub struct Window {
    pub warmup: Duration,
    pub counted: Duration,
}

/// Nanoseconds from 1 us to 1 min, exact to three digits.
pub type Latencies = Histogram<u64>;

pub fn latencies() -> Latencies {
    Histogram::new_with_bounds(1_000, 60_000_000_000, 3).expect("the bounds are in order")
}

/// One end of a window.
pub struct Mark {
    at: Instant,
    cpu: Duration,
    ops: u64,
}

impl Mark {
    /// Reads the clocks, with the number of operations that process `pid` has done by now.
    pub fn take(pid: u32, ops: u64) -> io::Result<Mark> {
        Ok(Mark { at: Instant::now(), cpu: sys::cpu_time(pid)?, ops })
    }
}

/// What one runtime did in one window.
#[derive(Serialize, Deserialize)]
pub struct Measurement {
    pub ops: u64,
    pub wall: Duration,
    /// User and system time of the measured process, all its threads.
    pub cpu: Duration,
    /// Absent where single operations are too short to be timed.
    pub latency: Option<Latency>,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
pub struct Latency {
    pub p50: Duration,
    pub p99: Duration,
}

impl Measurement {
    pub fn between(from: &Mark, to: &Mark, latencies: Option<&Latencies>) -> Measurement {
        Measurement {
            ops: to.ops - from.ops,
            wall: to.at - from.at,
            cpu: to.cpu - from.cpu,
            latency: latencies.map(|all| Latency {
                p50: Duration::from_nanos(all.value_at_quantile(0.50)),
                p99: Duration::from_nanos(all.value_at_quantile(0.99)),
            }),
        }
    }

    pub fn cpu_ns_per_op(&self) -> f64 {
        self.cpu.as_nanos() as f64 / self.ops as f64
    }

    pub fn ops_per_second(&self) -> f64 {
        self.ops as f64 / self.wall.as_secs_f64()
    }

    /// The share of its core that the process kept busy. Much below 1, the load or the disk was the bottleneck.
    pub fn busy(&self) -> f64 {
        self.cpu.as_secs_f64() / self.wall.as_secs_f64()
    }
}
