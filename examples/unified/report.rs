//! What the demonstration measured.

use std::fs;
use std::io;
use std::time::{Duration, Instant};

use aio_runtime::{Handle, Metrics};
use hdrhistogram::Histogram;

/// The clocks and counters at one moment.
pub(crate) struct Mark {
    at: Instant,
    thread: Duration,
    process: Duration,
    threads: u64,
    metrics: Metrics,
}

impl Mark {
    /// Reads them. To be called on the server's thread.
    pub(crate) fn take() -> io::Result<Self> {
        Ok(Self {
            at: Instant::now(),
            thread: cpu_time("/proc/thread-self/stat")?,
            process: cpu_time("/proc/self/stat")?,
            threads: threads()?,
            metrics: Handle::current().metrics(),
        })
    }
}

/// Prints what happened between two marks. `times`: of all requests then, in nanoseconds.
pub(crate) fn print(from: &Mark, to: &Mark, times: &Histogram<u64>) {
    let requests = times.len() as f64;
    let seconds = (to.at - from.at).as_secs_f64();
    let grown = |counter: fn(&Metrics) -> u64| (counter(&to.metrics) - counter(&from.metrics)) as f64;
    let per_request = |time: Duration| time.as_secs_f64() * 1e6 / requests;
    let quantile = |q| times.value_at_quantile(q) as f64 / 1e3;
    let from_ring = grown(|metrics| metrics.events_from_ring);
    let events = from_ring + grown(|metrics| metrics.events_from_syscall);

    let number = |name, number: f64, digits, unit| println!("{name:<38}{number:>10.digits$}{unit}");
    number("requests, each answer checked", requests, 0, "");
    number("requests per second", requests / seconds, 0, "");
    number("latency, p50", quantile(0.50), 0, " µs");
    number("latency, p99", quantile(0.99), 0, " µs");
    number("CPU per request, server's thread", per_request(to.thread - from.thread), 1, " µs");
    number("CPU per request, whole process", per_request(to.process - from.process), 1, " µs");
    number("io_submit calls per request", grown(|metrics| metrics.submit_calls) / requests, 3, "");
    number("events reaped without a system call", 100.0 * from_ring / events, 1, " %");
    number("threads: the server, the demo's load", to.threads as f64, 0, "");
}

/// User and system time, from a `stat` file of `/proc`.
fn cpu_time(stat: &str) -> io::Result<Duration> {
    let text = fs::read_to_string(stat)?;
    // The second field is the program's name, in parentheses; utime and stime are the 14th and
    // 15th.
    let ticks: Option<u64> = text.rsplit_once(')').and_then(|(_, fields)| {
        let mut times = fields.split_whitespace().skip(11).map(str::parse::<u64>);
        Some(times.next()?.ok()? + times.next()?.ok()?)
    });
    let ticks = ticks.ok_or_else(|| io::Error::other(format!("{stat} reads {text:?}")))?;
    let per_second = rustix::param::clock_ticks_per_second();
    Ok(Duration::from_secs(ticks) / per_second as u32)
}

fn threads() -> io::Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let number = status.lines().find_map(|line| line.strip_prefix("Threads:"));
    number
        .and_then(|number| number.trim().parse().ok())
        .ok_or_else(|| io::Error::other("/proc/self/status counts no threads"))
}
