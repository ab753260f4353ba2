//! How many system calls a process makes, counted by the kernel's tracepoint, which makes each of
//! them a little slower.

use std::fs;

use anyhow::{Context, Result};
use perf_event::events::Tracepoint;
use perf_event::{Builder, Counter};

/// Counters of all threads of a process, and of all that they start from now on.
pub struct SystemCalls(Vec<Counter>);

impl SystemCalls {
    /// # Errors
    ///
    /// If the kernel has no such tracepoint, or does not let this user count.
    pub fn of(pid: u32) -> Result<SystemCalls> {
        const ID: &str = "/sys/kernel/tracing/events/raw_syscalls/sys_enter/id";
        let id = fs::read_to_string(ID).with_context(|| format!("read {ID}"))?.trim().parse()?;
        let mut counters = Vec::new();
        for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
            let thread = thread?.file_name().to_string_lossy().parse()?;
            let mut counter = Builder::new(Tracepoint::with_id(id));
            // The tracepoint is hit in the kernel, where nothing is counted unless requested.
            counter.observe_pid(thread).any_cpu().inherit(true).include_kernel().enabled(true);
            counters.push(counter.build()?);
        }
        Ok(SystemCalls(counters))
    }

    pub fn so_far(&mut self) -> Result<u64> {
        self.0.iter_mut().try_fold(0, |sum, counter| Ok(sum + counter.read()?))
    }
}
