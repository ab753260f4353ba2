//! What the demonstration measured.

use std::fs;
use std::io;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// The clocks and counters of a server at one moment. All threads of the process are the server's
/// but this one, which runs the clients: so a pool's threads count, too.
pub(crate) struct Mark {
    at: Instant,
    cpu: Duration,
    switches: u64,
    threads: usize,
}

impl Mark {
    /// Reads them. Call it on the clients' thread.
    pub(crate) fn take() -> io::Result<Self> {
        let cpu = |clock| Duration::try_from(clock_gettime(clock)).expect("no clock is negative");
        let switches = context_switches_of_others()?;
        Ok(Self {
            at: Instant::now(),
            cpu: cpu(ClockId::ProcessCPUTime) - cpu(ClockId::ThreadCPUTime),
            switches: switches.iter().sum(),
            threads: switches.len(),
        })
    }
}

/// What a server did, and what it used.
#[derive(Default)]
pub(crate) struct Measured {
    /// In order.
    latencies: Vec<Duration>,
    time: Duration,
    cpu: Duration,
    switches: u64,
    threads: usize,
}

impl Measured {
    pub(crate) fn between(from: &Mark, to: &Mark, latencies: Vec<Duration>) -> Self {
        Self {
            latencies,
            time: to.at - from.at,
            cpu: to.cpu - from.cpu,
            // A thread that ended in between took its count with it.
            switches: to.switches.saturating_sub(from.switches),
            threads: to.threads,
        }
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.latencies.extend(other.latencies);
        self.latencies.sort_unstable();
        self.time += other.time;
        self.cpu += other.cpu;
        self.switches += other.switches;
        self.threads = self.threads.max(other.threads);
    }

    fn requests(&self) -> f64 {
        self.latencies.len() as f64
    }

    fn latency(&self, percent: usize) -> Duration {
        self.latencies[(self.latencies.len() - 1) * percent / 100]
    }
}

/// Prints a table with a column for each server.
pub(crate) fn print(servers: &[(&str, Measured)]) {
    print_row("", servers.iter().map(|(name, _)| (*name).to_owned()));
    let row = |name, cell: fn(&Measured) -> String| {
        print_row(name, servers.iter().map(|(_, server)| cell(server)));
    };
    row("CPU time per request", |server| format!("{:.1} µs", server.cpu.as_secs_f64() * 1e6 / server.requests()));
    row("context switches per request", |server| format!("{:.2}", server.switches as f64 / server.requests()));
    row("threads of the server", |server| server.threads.to_string());
    row("requests per second", |server| format!("{:.0}", server.requests() / server.time.as_secs_f64()));
    row("latency, p50", |server| millis(server.latency(50)));
    row("latency, p99", |server| millis(server.latency(99)));
}

fn print_row(name: &str, cells: impl Iterator<Item = String>) {
    let cells = cells.map(|cell| format!("{cell:>14}"));
    println!("{name:<30}{}", cells.collect::<String>());
}

fn millis(latency: Duration) -> String {
    format!("{:.2} ms", latency.as_secs_f64() * 1e3)
}

/// The context switches of each thread of the process but this one.
fn context_switches_of_others() -> io::Result<Vec<u64>> {
    let own = fs::read_link("/proc/thread-self")?;
    let mut switches = Vec::new();
    for thread in fs::read_dir("/proc/self/task")? {
        let thread = thread?.path();
        if thread.file_name() == own.file_name() {
            continue;
        }
        // If this fails, the thread has ended since the directory was read.
        let Ok(status) = fs::read_to_string(thread.join("status")) else { continue };
        // There are two such lines: `voluntary_..` and `nonvoluntary_..`.
        let counts = status.lines().filter_map(|line| line.split_once("voluntary_ctxt_switches:"));
        switches.push(counts.filter_map(|(_, count)| count.trim().parse::<u64>().ok()).sum());
    }
    Ok(switches)
}
