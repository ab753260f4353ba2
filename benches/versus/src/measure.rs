//! What is measured of a run: operations, time, CPU time and memory between two marks; latencies.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use anyhow::Result;
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::sys;
use crate::syscalls::SystemCalls;

/// How long a run takes: a time to warm up, then the time that counts.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub struct Window {
    pub warmup: Duration,
    pub counted: Duration,
    /// Whether system calls are counted, which makes them slower.
    pub count_calls: bool,
}

/// In nanoseconds from 1 us to 1 min, exact to three digits.
pub type Latencies = Histogram<u64>;

pub fn latencies() -> Latencies {
    Histogram::new_with_bounds(1_000, 60_000_000_000, 3).expect("the bounds are in order")
}

/// Reads what a process has used: this one or another.
pub struct Gauge {
    pid: u32,
    /// None if they are not to be counted, or cannot be.
    system_calls: Option<RefCell<SystemCalls>>,
}

/// One end of a window.
pub struct Mark {
    at: Instant,
    cpu: Duration,
    written: u64,
    system_calls: Option<u64>,
    ops: u64,
}

impl Gauge {
    pub fn of(pid: u32, window: Window) -> Gauge {
        let system_calls = window.count_calls.then(|| SystemCalls::of(pid).ok()).flatten();
        Gauge { pid, system_calls: system_calls.map(RefCell::new) }
    }

    /// Reads the clocks, when the process has done `ops` operations.
    pub fn mark(&self, ops: u64) -> Result<Mark> {
        let written = sys::bytes_written(self.pid)?;
        let system_calls = self.system_calls.as_ref().map(|calls| calls.borrow_mut().so_far()).transpose()?;
        Ok(Mark { at: Instant::now(), cpu: sys::cpu_time(self.pid)?, written, system_calls, ops })
    }

    /// What happened between two marks, the second of which was just taken.
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
                samples: all.len(),
            }),
            resident: sys::resident_bytes(self.pid)?,
            peak: sys::peak_resident_bytes(self.pid)?,
            bytes_each: None,
            written: to.written - from.written,
            system_calls: to.system_calls.zip(from.system_calls).map(|(to, from)| to - from),
        })
    }
}

/// What one runtime did in one window.
#[derive(Default, Serialize, Deserialize)]
pub struct Measurement {
    pub ops: u64,
    pub wall: Duration,
    /// User and system time of the measured process, all its threads.
    pub cpu: Duration,
    /// Absent if single operations are too short to be timed.
    pub latency: Option<Latency>,
    /// Resident bytes of the process at the end of the window.
    pub resident: u64,
    /// The most resident bytes that the process has ever had.
    pub peak: u64,
    /// Resident bytes for each task or connection that the workload keeps.
    pub bytes_each: Option<f64>,
    /// Bytes that went to the disk.
    pub written: u64,
    /// Of all threads; absent if they were not counted.
    pub system_calls: Option<u64>,
}

#[derive(Clone, Copy, Default, Serialize, Deserialize)]
pub struct Latency {
    pub p50: Duration,
    pub p99: Duration,
    pub p999: Duration,
    /// How many operations were timed; an older build of this program does not say.
    #[serde(default)]
    pub samples: u64,
}

impl Measurement {
    /// One of its figures; none if it has no such figure.
    pub fn figure(&self, figure: Figure) -> Option<f64> {
        let per_op = |all: f64| (self.ops > 0).then(|| all / self.ops as f64);
        let latency = |of: fn(&Latency) -> Duration| self.latency.as_ref().map(|all| of(all).as_nanos() as f64);
        match figure {
            Figure::Cpu => per_op(self.cpu.as_nanos() as f64),
            Figure::Throughput => Some(self.ops as f64 / self.wall.as_secs_f64()),
            Figure::P50 => latency(|all| all.p50),
            Figure::P99 => latency(|all| all.p99),
            Figure::P999 => latency(|all| all.p999),
            Figure::Busy => Some(self.cpu.as_secs_f64() / self.wall.as_secs_f64()),
            Figure::Resident => Some(self.resident as f64),
            Figure::Peak => Some(self.peak as f64),
            Figure::BytesEach => self.bytes_each,
            Figure::Written => Some(self.written as f64 / self.wall.as_secs_f64()),
            Figure::SystemCalls => per_op(self.system_calls? as f64),
        }
    }
}

/// A figure by which runtimes can be compared.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Figure {
    /// Nanoseconds of user and system time per operation.
    Cpu,
    /// Operations per second. More is better here and for `Written`, less everywhere else.
    Throughput,
    /// Nanoseconds.
    P50,
    P99,
    P999,
    /// The share of its core that the process kept busy. If it is much below 1, the load or the
    /// disk was the bottleneck.
    Busy,
    /// Bytes.
    Resident,
    Peak,
    BytesEach,
    /// Bytes per second.
    Written,
    /// Per operation.
    SystemCalls,
}

impl Figure {
    pub fn more_is_better(self) -> bool {
        matches!(self, Figure::Throughput | Figure::Written)
    }
}
