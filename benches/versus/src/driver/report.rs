//! The tables on the terminal. What was lost is printed like what was won.

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, Table};

use super::ratios::Ratio;
use super::results::{Results, Spread, Summary};
use crate::measure::Figure;
use crate::workloads::Workload;

/// Above this share of the machine, others are worth a word.
const TOLERABLE: f64 = 0.03;

pub fn tables(results: &Results) -> String {
    let Results { machine, rounds, seconds, disturbed, .. } = results;
    let (denied, free): (Vec<_>, Vec<_>) = results.cells.iter().partition(|summary| summary.cell.io_uring_denied);
    let mut out = format!(
        "{}, {} cores, {:.0} GiB; Linux {}; {} UTC\n",
        machine.cpu,
        machine.cores,
        gibibytes(machine.memory_bytes),
        machine.kernel,
        machine.date
    );
    out += &format!("Median (min-max) of {rounds} rounds of {seconds} s\n");
    if !free.is_empty() {
        out += &format!("\n{}\n", costs(&free));
    }
    if !denied.is_empty() {
        out += &format!("\nWith io_uring denied, as in a container:\n\n{}\n", costs(&denied));
    }
    out += "\nCPU/op: user and system time of the measured process, all its threads.\n\
            calls: system calls per operation, in a run of its own.\n\
            busy: its share of its core; well below 100 %, the load or the disk was the limit.\n";
    for Summary { cell, .. } in &results.cells {
        if let Some(reason) = &cell.failure {
            out += &format!("FAILED: {cell}: {reason}\n");
        }
    }
    if *disturbed > TOLERABLE {
        let percent = 100.0 * disturbed;
        out +=
            &format!("NOT QUIET: other processes and the hypervisor took {percent:.0} % of the machine meanwhile.\n");
    }
    if !results.ratios.is_empty() {
        out += &format!("\nOur figure, as a multiple of another's in the same round\n\n{}\n", ratios(&results.ratios));
    }
    out
}

fn costs(cells: &[&Summary]) -> Table {
    let mut table = table(&[
        "workload", "case", "runtime", "CPU/op", "", "ops/s", "p50", "p99", "p99.9", "memory", "peak", "calls", "busy",
        "",
    ]);
    for summary in cells {
        let cell = &summary.cell;
        let median = |spread: Option<Spread>, show: fn(f64) -> String| {
            spread.map_or_else(|| "-".to_owned(), |spread| show(spread.median))
        };
        let cpu = match &cell.failure {
            Some(_) => "failed".to_owned(),
            None => median(summary.cpu_ns_per_op, time),
        };
        table.add_row([
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
        ]);
    }
    table
}

fn ratios(ratios: &[Ratio]) -> Table {
    let mut table = table(&["workload", "case", "ours", "against", "of", "ratio", "", "target", ""]);
    for ratio in ratios {
        let denied = if ratio.io_uring_denied { ", io_uring denied" } else { "" };
        table.add_row([
            ratio.workload.to_string(),
            format!("{}{denied}", ratio.case),
            ratio.ours.to_owned(),
            ratio.against.clone(),
            name(ratio.figure).to_owned(),
            format!("{:.3}", ratio.value.median),
            format!("({:.3}-{:.3})", ratio.value.min, ratio.value.max),
            ratio.target.map_or_else(|| "-".to_owned(), |target| target.to_string()),
            match ratio.met {
                Some(true) => "met",
                Some(false) => "MISSED",
                None => "",
            }
            .to_owned(),
        ]);
    }
    table
}

fn name(figure: Figure) -> &'static str {
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

/// The first three columns are words, to the left; the others figures, to the right.
fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(NOTHING).set_header(header);
    for column in table.column_iter_mut() {
        let words = column.index < 3 || header[column.index] == "against";
        column.set_cell_alignment(if words { CellAlignment::Left } else { CellAlignment::Right });
    }
    table
}

fn time(nanoseconds: f64) -> String {
    match nanoseconds {
        ns if ns < 1e3 => format!("{ns:.0} ns"),
        ns if ns < 1e6 => format!("{:.2} us", ns / 1e3),
        ns => format!("{:.2} ms", ns / 1e6),
    }
}

fn mebibytes(bytes: f64) -> String {
    format!("{:.1} MiB", bytes / f64::from(1 << 20))
}

fn gibibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 30)
}
