//! What a run comes to: operations, time, CPU time and memory between two marks, and latencies.

use std::time::{Duration, Instant};

use anyhow::Result;
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

/// Reads what a process has used, whichever process one is.
pub struct Gauge {
    pid: u32,
}

/// One end of a window.
pub struct Mark {
    at: Instant,
    cpu: Duration,
    written: u64,
    ops: u64,
}

impl Gauge {
    pub fn of(pid: u32) -> Result<Gauge> {
        Ok(Gauge { pid })
    }

    /// Reads the clocks, with the number of operations that the process has done by now.
    pub fn mark(&self, ops: u64) -> Result<Mark> {
        let written = sys::bytes_written(self.pid)?;
        Ok(Mark { at: Instant::now(), cpu: sys::cpu_time(self.pid)?, written, ops })
    }

    /// What lies between two marks, the second just taken.
    pub fn measure(&self, from: &Mark, to: &Mark, latencies: Option<&Latencies>) -> Result<Measurement> {
        let quantile = |all: &Latencies, quantile| Duration::from_nanos(all.value_at_quantile(quantile));
        Ok(Measurement {
            ops: to.ops - from.ops,
            wall: to.at - from.at,
            cpu: to.cpu - from.cpu,
            latency: latencies.map(|all| Latency {
                p50: quantile(all, 0.50),
                p99: quantile(all, 0.99),
                p999: quantile(all, 0.999),
            }),
            resident: sys::resident_bytes(self.pid)?,
            peak: sys::peak_resident_bytes(self.pid)?,
            bytes_each: None,
            written: to.written - from.written,
        })
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
    /// Resident bytes of the process at the end of the window.
    pub resident: u64,
    /// The most resident bytes that the process ever had.
    pub peak: u64,
    /// Resident bytes for each of what the workload keeps.
    pub bytes_each: Option<f64>,
    /// Bytes that went to the disk.
    pub written: u64,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
pub struct Latency {
    pub p50: Duration,
    pub p99: Duration,
    pub p999: Duration,
}

impl Measurement {
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
