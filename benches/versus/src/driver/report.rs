//! The tables on the terminal. What was lost is printed like what was won.

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, Table};

use super::results::{Ratio, Results, Spread, Summary};
use super::targets::OURS;

/// Above this share of the machine, others are worth a word.
const TOLERABLE: f64 = 0.03;

pub fn tables(results: &Results) -> String {
    let Results { kernel, rounds, seconds, disturbed, .. } = results;
    let costs = costs(results);
    let mut out = format!(
        "Linux {kernel}; median (min-max) of {rounds} rounds of {seconds} s\n\n{costs}\n\n\
         CPU/op: user and system time of the measured process, all its threads.\n\
         busy: its share of its core; well below 100 %, the load or the disk was the limit.\n"
    );
    if *disturbed > TOLERABLE {
        out += &format!(
            "NOT QUIET: other processes and the hypervisor took {:.0} % of the machine meanwhile.\n",
            100.0 * disturbed
        );
    }
    if !results.ratios.is_empty() {
        let ratios = ratios(&results.ratios);
        out += &format!("\nCPU/op of {OURS}, as a multiple of another's in the same round\n\n{ratios}\n");
    }
    out
}

fn costs(results: &Results) -> Table {
    let mut table = table(&["workload", "case", "runtime", "CPU/op", "", "ops/s", "p50", "p99", "busy"]);
    for summary in &results.cells {
        let Summary { cell, cpu_ns_per_op: cpu, .. } = summary;
        let latency = |spread: &Option<Spread>| {
            let taken = spread.as_ref();
            taken.map_or("-".to_owned(), |spread| time(spread.median))
        };
        table.add_row([
            cell.workload.to_string(),
            cell.case.to_string(),
            cell.peer.to_owned(),
            time(cpu.median),
            format!("({}-{})", time(cpu.min), time(cpu.max)),
            format!("{:.0}", summary.ops_per_second.median),
            latency(&summary.p50),
            latency(&summary.p99),
            format!("{:.0} %", 100.0 * summary.busy.median),
        ]);
    }
    table
}

fn ratios(ratios: &[Ratio]) -> Table {
    let mut table = table(&["workload", "case", "against", "ratio", "", "target", ""]);
    for ratio in ratios {
        let target = ratio.target.map_or("-".to_owned(), |most| format!("<= {most:.3}"));
        let verdict = match ratio.is_met() {
            Some(true) => "met",
            Some(false) => "MISSED",
            None => "",
        };
        table.add_row([
            ratio.workload.to_string(),
            ratio.case.to_string(),
            ratio.against.to_owned(),
            format!("{:.3}", ratio.value.median),
            format!("({:.3}-{:.3})", ratio.value.min, ratio.value.max),
            target,
            verdict.to_owned(),
        ]);
    }
    table
}

/// Words to the left, figures to the right.
fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(NOTHING).set_header(header);
    for column in table.column_iter_mut() {
        let alignment = match column.index {
            0 | 2 => CellAlignment::Left,
            _ => CellAlignment::Right,
        };
        column.set_cell_alignment(alignment);
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
