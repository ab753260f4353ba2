//! Figures as text.

use super::machine::Machine;
use super::results::Results;
use crate::measure::Figure;

/// If others take more than this share of the machine, the report says so.
const TOLERABLE: f64 = 0.03;

pub fn time(nanoseconds: f64) -> String {
    match nanoseconds {
        ns if ns < 1e3 => format!("{ns:.0} ns"),
        ns if ns < 1e6 => format!("{:.2} µs", ns / 1e3),
        ns => format!("{:.2} ms", ns / 1e6),
    }
}

pub fn mebibytes(bytes: f64) -> String {
    format!("{:.1} MiB", bytes / f64::from(1 << 20))
}

/// Three digits, as far as they mean something.
pub fn short(figure: f64) -> String {
    let decimals = match figure {
        0.0 => 0,
        figure if figure < 9.995 => 2,
        figure if figure < 99.95 => 1,
        _ => 0,
    };
    format!("{figure:.decimals$}")
}

pub fn machine(machine: &Machine) -> String {
    let gibibytes = machine.memory_bytes as f64 / f64::from(1 << 30);
    format!("{}, {} cores, {gibibytes:.0} GiB", machine.cpu, machine.cores)
}

/// A warning, if others had too much of the machine.
pub fn not_quiet(results: &Results) -> Option<String> {
    let percent = 100.0 * results.disturbed;
    let words = format!("other processes and the hypervisor took {percent:.0} % of the machine");
    (results.disturbed > TOLERABLE).then_some(words)
}

/// How many rounds there were, and how long a turn was.
pub fn rounds(results: &Results) -> String {
    let Results { rounds, most_rounds, seconds, .. } = *results;
    let (count, plural) = match most_rounds > rounds {
        true => (format!("{rounds} to {most_rounds}"), "s"),
        false => (rounds.to_string(), if rounds == 1 { "" } else { "s" }),
    };
    format!("{count} round{plural}, with turns of {seconds} s (longer where latency counts)")
}

/// What follows a case.
pub fn denied(io_uring_denied: bool) -> &'static str {
    if io_uring_denied { ", io_uring denied" } else { "" }
}

pub fn name(figure: Figure) -> &'static str {
    match figure {
        Figure::Cpu => "CPU/op",
        Figure::Throughput => "ops/s",
        Figure::P50 => "p50",
        Figure::P99 => "p99",
        Figure::P999 => "p99.9",
        Figure::Busy => "busy",
        Figure::Resident => "memory",
        Figure::Peak => "peak",
        Figure::BytesEach => "bytes each",
        Figure::Written => "written/s",
        Figure::SystemCalls => "calls",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_takes_the_unit_that_fits() {
        assert_eq!([999.4, 1_000.0, 999_000.0, 1.5e6].map(time), ["999 ns", "1.00 µs", "999.00 µs", "1.50 ms"]);
    }

    #[test]
    fn short_has_three_digits() {
        assert_eq!([0.0, 0.5, 9.994, 9.996, 99.96, 12_345.6].map(short), ["0", "0.50", "9.99", "10.0", "100", "12346"]);
    }
}
