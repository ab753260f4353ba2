//! What the terminal shows, and the tables that the page has too. What was lost is printed like
//! what was won.

use super::cell::Spread;
use super::format::{self, mebibytes, time};
use super::ratios::Ratio;
use super::results::{Results, Summary};
use super::sheet::Column::{Figures, Words};
use super::sheet::Sheet;
use crate::workloads::Workload;

pub fn tables(results: &Results) -> String {
    let Results { machine, rounds, seconds, .. } = results;
    let (denied, free): (Vec<_>, Vec<_>) = results.cells.iter().partition(|summary| summary.cell.io_uring_denied);
    let mut out = format!("{}; {}\n", format::machine(machine), machine.storage);
    out += &format!("Linux {}; {} UTC\n", machine.kernel, machine.date);
    out += &format!("Median (min-max) of {rounds} rounds of {seconds} s\n");
    if !free.is_empty() {
        out += &format!("\n{}\n", costs(&free).for_terminal());
    }
    if !denied.is_empty() {
        out += &format!("\nWith io_uring denied, as in a container:\n\n{}\n", costs(&denied).for_terminal());
    }
    out += "\nCPU/op: user and system time of the measured process, all its threads.\n\
            calls: system calls per operation, in a run of its own.\n\
            busy: its share of its core; well below 100 %, the load or the disk was the limit.\n";
    for Summary { cell, .. } in &results.cells {
        if let Some(reason) = &cell.failure {
            out += &format!("FAILED: {cell}: {reason}\n");
        }
    }
    if let Some(others) = format::not_quiet(results) {
        out += &format!("NOT QUIET: {others}.\n");
    }
    if !results.ratios.is_empty() {
        let ratios = ratios(results.ratios.iter()).for_terminal();
        out += &format!("\nOur figure, as a multiple of another's in the same round\n\n{ratios}\n");
    }
    out
}

/// What each cell costs.
pub fn costs(cells: &[&Summary]) -> Sheet {
    let header = [
        Words("workload"),
        Words("case"),
        Words("runtime"),
        Figures("CPU/op"),
        Figures("(min-max)"),
        Figures("ops/s"),
        Figures("p50"),
        Figures("p99"),
        Figures("p99.9"),
        Figures("memory"),
        Figures("peak"),
        Figures("calls"),
        Figures("busy"),
        Figures("besides"),
    ];
    let row = |summary: &&Summary| {
        let cell = &summary.cell;
        let median = |spread: Option<Spread>, show: fn(f64) -> String| {
            spread.map_or_else(|| "-".to_owned(), |spread| show(spread.median))
        };
        let cpu = match &cell.failure {
            Some(_) => "failed".to_owned(),
            None => median(summary.cpu_ns_per_op, time),
        };
        vec![
            cell.workload.to_string(),
            cell.case.to_string(),
            cell.peer.to_owned(),
            cpu,
            summary.cpu_ns_per_op.map_or_else(String::new, |cpu| format!("({}-{})", time(cpu.min), time(cpu.max))),
            median(summary.ops_per_second, |rate| format!("{rate:.0}")),
            median(summary.p50, time),
            median(summary.p99, time),
            median(summary.p999, time),
            median(summary.resident_bytes, mebibytes),
            median(summary.peak_bytes, mebibytes),
            cell.system_calls.map_or_else(|| "-".to_owned(), |calls| format!("{calls:.2}")),
            median(summary.busy, |share| format!("{:.1} %", 100.0 * share)),
            match (summary.bytes_each, cell.workload, summary.written_per_second) {
                (Some(each), ..) => format!("{:.0} B each", each.median),
                (None, Workload::Mixed, Some(copied)) => format!("{}/s copied", mebibytes(copied.median)),
                (None, ..) => String::new(),
            },
        ]
    };
    Sheet::new(&header, cells.iter().map(row))
}

/// How ours compares.
pub fn ratios<'a>(ratios: impl Iterator<Item = &'a Ratio>) -> Sheet {
    let header = [
        Words("workload"),
        Words("case"),
        Words("ours"),
        Words("against"),
        Words("of"),
        Figures("ratio"),
        Figures("(min-max)"),
        Figures("target"),
        Figures("reached"),
    ];
    let row = |ratio: &Ratio| {
        let denied = if ratio.io_uring_denied { ", io_uring denied" } else { "" };
        vec![
            ratio.workload.to_string(),
            format!("{}{denied}", ratio.case),
            ratio.ours.to_owned(),
            ratio.against.clone(),
            format::name(ratio.figure).to_owned(),
            format!("{:.3}", ratio.value.median),
            format!("({:.3}-{:.3})", ratio.value.min, ratio.value.max),
            ratio.target.map_or_else(|| "-".to_owned(), |target| target.to_string()),
            match ratio.met {
                Some(true) => "met",
                Some(false) => "MISSED",
                None => "",
            }
            .to_owned(),
        ]
    };
    Sheet::new(&header, ratios.map(row))
}
