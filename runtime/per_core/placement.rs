//! On which CPUs the runtimes run.

use std::collections::BTreeSet;
use std::io::{self, ErrorKind};
use std::thread::available_parallelism;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::reactor::explain;

/// On which CPUs the runtimes run, as it was asked for.
#[derive(Clone, Debug)]
pub(super) enum Placement {
    /// One on each CPU that the calling thread may use.
    EachCpu,
    /// That many, wherever the kernel puts them.
    Anywhere(usize),
    /// One on each of these.
    On(Vec<usize>),
}

impl Placement {
    /// For each runtime, the CPU to which its thread is pinned, if it is pinned.
    pub(super) fn cpus(&self) -> io::Result<Vec<Option<usize>>> {
        match self {
            Self::EachCpu => each_cpu(),
            Self::Anywhere(0) => Err(invalid("PerCore::cores: 0 cores would do nothing")),
            Self::Anywhere(cores) => Ok(vec![None; *cores]),
            Self::On(cpus) => listed(cpus),
        }
    }
}

fn each_cpu() -> io::Result<Vec<Option<usize>>> {
    let allowed = allowed()?;
    let cpus: Vec<_> = (0..CpuSet::MAX_CPU).filter(|&cpu| allowed.is_set(cpu)).map(Some).collect();
    // It knows the same mask, and the quota of CPU time that a container may have (`cpu.max`).
    match available_parallelism() {
        // Which CPUs are free, only the scheduler knows: all containers of a host see the same
        // ones, and would crowd on the first.
        Ok(worth) if worth.get() < cpus.len() => Ok(vec![None; worth.get()]),
        Ok(_) | Err(_) => Ok(cpus),
    }
}

fn listed(cpus: &[usize]) -> io::Result<Vec<Option<usize>>> {
    if cpus.is_empty() {
        return Err(invalid("PerCore::cpus: the list has no CPU"));
    }
    let mut seen = BTreeSet::new();
    for &cpu in cpus {
        if cpu >= CpuSet::MAX_CPU {
            return Err(invalid(format!("PerCore::cpus: there is no CPU {cpu}; Linux numbers them from 0")));
        }
        if !seen.insert(cpu) {
            return Err(invalid(format!("PerCore::cpus: CPU {cpu} is in the list twice")));
        }
    }
    Ok(cpus.iter().copied().map(Some).collect())
}

/// The CPUs that this thread may use.
pub(super) fn allowed() -> io::Result<CpuSet> {
    sched_getaffinity(None).map_err(|errno| {
        explain(
            errno,
            "cannot find out which CPUs this process may use (sched_getaffinity); PerCore::cores does not need to know",
        )
    })
}

/// Pins this thread.
pub(super) fn pin(cpu: usize) -> io::Result<()> {
    let mut only = CpuSet::new();
    only.set(cpu);
    sched_setaffinity(None, &only).map_err(|errno| {
        explain(
            errno,
            format!(
                "cannot pin its thread to CPU {cpu} (sched_setaffinity); EINVAL: there is no such CPU, or this \
                 process's cpuset does not have it; EPERM: a sandbox forbids it, and PerCore::cores pins none"
            ),
        )
    })
}

fn invalid(text: impl Into<String>) -> io::Error {
    io::Error::new(ErrorKind::InvalidInput, text.into())
}
