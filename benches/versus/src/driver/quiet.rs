//! Whether the machine was quiet: the CPU time that others took during the runs, the hypervisor
//! among them.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::sys;

/// The clocks at the start.
pub struct Quiet {
    at: Instant,
    machine: Duration,
    ours: Duration,
}

impl Quiet {
    pub fn begin() -> Result<Quiet> {
        Ok(Quiet { at: Instant::now(), machine: machine_time()?, ours: sys::family_time()? })
    }

    /// The share of the machine that others have taken since, from 0 to 1.
    pub fn end(self) -> Result<f64> {
        let now = Quiet::begin()?;
        let cores = std::thread::available_parallelism()?.get();
        let others = (now.machine - self.machine).saturating_sub(now.ours - self.ours);
        Ok(others.as_secs_f64() / (now.at - self.at).as_secs_f64() / cores as f64)
    }
}

/// All time that was not idle, of all cores, since the machine was started.
fn machine_time() -> Result<Duration> {
    let stat = fs::read_to_string("/proc/stat")?;
    let ticks: Vec<u64> = stat
        .lines()
        .next()
        .context("/proc/stat is empty")?
        .split_whitespace()
        .skip(1)
        .map(str::parse)
        .collect::<Result<_, _>>()?;
    let [user, nice, system, _idle, _iowait, irq, softirq, steal, ..] = ticks[..] else {
        anyhow::bail!("/proc/stat has too few figures: {ticks:?}");
    };
    let busy = user + nice + system + irq + softirq + steal;
    Ok(Duration::from_secs(busy) / rustix::param::clock_ticks_per_second() as u32)
}
