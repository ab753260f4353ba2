//! What the terminal shows, and the tables that the page has too. Losses are printed like wins.

use super::estimate::Estimate;
use super::format::{self, mebibytes, time};
use super::ratios::Ratio;
use super::results::{Results, Summary};
use super::sheet::Column::{Figures, Words};
use super::sheet::Sheet;
use super::targets::Verdict;
use crate::workloads::Workload;

pub fn tables(results: &Results) -> String {
    let Results { machine, .. } = results;
    let (denied, allowed): (Vec<_>, Vec<_>) = results.cells.iter().partition(|summary| summary.cell.io_uring_denied);
    let mut out = format!("{}; {}\n", format::machine(machine), machine.storage);
    out += &format!("Linux {}; {} UTC\n", machine.kernel, machine.date);
    out += &format!("Median (and its 95 % interval) of {}\n", format::rounds(results));
    if !allowed.is_empty() {
        out += &format!("\n{}\n", costs(&allowed).for_terminal());
    }
    if !denied.is_empty() {
        out += &format!("\nWith io_uring denied, as in a container:\n\n{}\n", costs(&denied).for_terminal());
    }
    out += "\nCPU/op: user and system time of the measured process, all its threads.\n\
            calls: system calls per operation, in a run of its own.\n\
            instr.: instructions per operation in user space, counted by callgrind.\n\
            busy: the share of its core; well below 100 %, the load or the disk was the limit.\n";
    for Summary { cell, .. } in &results.cells {
        if let Some(reason) = &cell.failure {
            out += &format!("FAILED: {cell}: {reason}\n");
        }
    }
    if let Some(others) = format::not_quiet(results) {
        out += &format!("NOT QUIET: {others}.\n");
    }
    if !results.controls.is_empty() {
        let controls = controls(&results.controls).for_terminal();
        out += &format!("\naio-runtime beside itself: differences that are chance\n\n{controls}\n");
    }
    if !results.ratios.is_empty() {
        let ratios = ratios(results.ratios.iter()).for_terminal();
        out += &format!("\nOur figure as a multiple of another's in the same round\n\n{ratios}\n");
        out += &format!("\n{}\n", verdicts(&results.ratios));
    }
    out
}

/// How many targets are met.
pub fn verdicts(ratios: &[Ratio]) -> String {
    let count = |verdict| ratios.iter().filter(|ratio| ratio.verdict == Some(verdict)).count();
    let (met, missed, undecided) = (count(Verdict::Met), count(Verdict::Missed), count(Verdict::Undecided));
    let all = met + missed + undecided;
    format!("{met} of {all} targets met, {missed} missed, {undecided} undecided.")
}

/// What each cell costs.
pub fn costs(cells: &[&Summary]) -> Sheet {
    let header = [
        Words("workload"),
        Words("case"),
        Words("runtime"),
        Figures("CPU/op"),
        Figures("(95 %)"),
        Figures("ops/s"),
        Figures("p50"),
        Figures("p99"),
        Figures("p99.9"),
        Figures("memory"),
        Figures("peak"),
        Figures("calls"),
        Figures("instr."),
        Figures("busy"),
        Figures("besides"),
    ];
    let row = |summary: &&Summary| {
        let cell = &summary.cell;
        let median = |figures: Option<Estimate>, show: fn(f64) -> String| {
            figures.map_or_else(|| "-".to_owned(), |figures| show(figures.median))
        };
        let cpu = match &cell.failure {
            Some(_) => "failed".to_owned(),
            None => median(summary.cpu_ns_per_op, time),
        };
        vec![
            cell.workload.to_string(),
            cell.case.to_string(),
            cell.name(),
            cpu,
            summary.cpu_ns_per_op.map_or_else(String::new, |cpu| format!("({}-{})", time(cpu.low), time(cpu.high))),
            median(summary.ops_per_second, |rate| format!("{rate:.0}")),
            median(summary.p50, time),
            median(summary.p99, time),
            median(summary.p999, time),
            median(summary.resident_bytes, mebibytes),
            median(summary.peak_bytes, mebibytes),
            cell.system_calls.map_or_else(|| "-".to_owned(), |calls| format!("{calls:.2}")),
            cell.instructions.map_or_else(|| "-".to_owned(), |instructions| format!("{instructions:.0}")),
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
        Figures("(95 %)"),
        Figures("rounds"),
        Figures("target"),
        Figures("verdict"),
    ];
    let row = |ratio: &Ratio| {
        vec![
            ratio.workload.to_string(),
            format!("{}{}", ratio.case, format::denied(ratio.io_uring_denied)),
            ratio.ours.to_owned(),
            ratio.whom(),
            format::name(ratio.figure).to_owned(),
            format!("{:.3}", ratio.value.median),
            format!("({:.3}-{:.3})", ratio.value.low, ratio.value.high),
            ratio.value.count.to_string(),
            ratio.limit.map_or_else(|| "-".to_owned(), |limit| limit.to_string()),
            ratio.verdict.map_or_else(String::new, |verdict| verdict.to_string()),
        ]
    };
    Sheet::new(&header, ratios.map(row))
}

/// How far ours seems to differ from itself, workload by workload.
pub fn controls(controls: &[Ratio]) -> Sheet {
    let header = [
        Words("workload"),
        Words("of"),
        Figures("cases"),
        Figures("interval holds 1"),
        Figures("median off by"),
        Figures("interval reaches"),
    ];
    let row = |all: &[Ratio]| {
        let holds = all.iter().filter(|ratio| (ratio.value.low..=ratio.value.high).contains(&1.0)).count();
        let greatest =
            |off: fn(&Estimate) -> f64| 100.0 * all.iter().map(|ratio| off(&ratio.value)).fold(0.0, f64::max);
        vec![
            all[0].workload.to_string(),
            format::name(all[0].figure).to_owned(),
            all.len().to_string(),
            format!("in {holds}"),
            format!("{:.1} %", greatest(|value| (value.median - 1.0).abs())),
            format!("{:.1} %", greatest(|value| value.reach_from(1.0))),
        ]
    };
    Sheet::new(&header, controls.chunk_by(|one, other| one.workload == other.workload).map(row))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver::targets::Limit;
    use crate::measure::Figure;
    use crate::workloads::Case;

    /// Of 9 rounds, with the median in the middle of the interval.
    fn ratio(workload: Workload, low: f64, high: f64, limit: Option<Limit>) -> Ratio {
        let value = Estimate { median: (low + high) / 2.0, low, high, count: 9 };
        Ratio {
            workload,
            case: Case::of(32),
            io_uring_denied: false,
            figure: Figure::Cpu,
            ours: "aio-runtime".to_owned(),
            against: "best".to_owned(),
            rival: Some("tokio".to_owned()),
            value,
            limit,
            verdict: limit.map(|limit| limit.verdict(&value)),
        }
    }

    #[test]
    fn verdicts_are_counted_one_by_one() {
        let of = |low, high, limit| ratio(Workload::Read, low, high, limit);
        let limit = Some(Limit::AtMost(1.0));
        let all =
            [of(0.8, 0.9, limit), of(0.9, 1.1, limit), of(1.1, 1.2, limit), of(0.7, 0.8, limit), of(0.5, 0.6, None)];
        assert_eq!(verdicts(&all), "2 of 4 targets met, 1 missed, 1 undecided.");
    }

    #[test]
    fn ratio_shows_its_interval_its_rounds_and_its_rival() {
        let table = ratios([ratio(Workload::Read, 0.8, 0.9, Some(Limit::AtMost(1.0)))].iter()).as_markdown();
        let line = table.lines().last().unwrap();
        let expected = "| read | 32 | aio-runtime | best: tokio | CPU/op | 0.850 | (0.800-0.900) | 9 | <= 1.00 | met |";
        assert_eq!(line, expected);
    }

    #[test]
    fn controls_tell_the_worst_of_each_workload() {
        let of = |workload, low, high| ratio(workload, low, high, None);
        let all = [of(Workload::Read, 0.99, 1.03), of(Workload::Read, 0.94, 0.98), of(Workload::Sleep, 0.998, 1.002)];
        let table = controls(&all).as_markdown();
        let lines: Vec<&str> = table.lines().skip(2).collect();
        assert_eq!(lines[0], "| read | CPU/op | 2 | in 1 | 4.0 % | 6.0 % |");
        assert_eq!(lines[1], "| sleep | CPU/op | 1 | in 1 | 0.0 % | 0.2 % |");
    }
}
