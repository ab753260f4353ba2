//! The page: where, when and how it was measured, the pictures, and every figure.

use super::picture::Picture;
use crate::driver::ratios::Ratio;
use crate::driver::results::{Results, Summary};
use crate::driver::sheet::Column::Words;
use crate::driver::sheet::Sheet;
use crate::driver::{format, report};
use crate::measure::Figure;
use crate::workloads::Workload;

/// The directory of the pictures, beside the page.
pub const PICTURES: &str = "benchmarks";

const HEAD: &str = "\
<!-- Written by benches/versus: what is changed here is lost when it runs again. -->

# Benchmarks: aio-runtime beside its peers

One command measures all of this again, and writes this page and its pictures:

```sh
cargo run --release --manifest-path benches/versus/Cargo.toml -- all
```
";

const METHOD: &str = "\
## How

Every run is a new process on one core, with one runtime and one workload; for what is served over TCP, a load generator
in another process on another core checks every answer. The runtimes take turns, round after round. A figure is the
median of the rounds, with the least and the most of them; a ratio is taken within a round, then the median.

- **CPU/op** counts before all else: user and system time of the measured process, all its threads, per operation.
- **p50, p99, p99.9** are latencies. In an open loop (*at 15000/s*) they count from when a request was due.
- **memory** is resident at the end, **peak** the most ever.
- **calls** are system calls per operation, counted in a run of its own.
- **busy** is the share of its core that the process kept busy. Well below 100 %, the load or the disk was the limit.
- In the pictures, the thin line through a panel is where aio-runtime's bar ends; a whisker without a tip goes further.

[benches/versus](../benches/versus/README.md) says more, and what each workload does.
";

pub fn markdown(results: &Results, pictures: &[Picture]) -> String {
    [
        HEAD.to_owned(),
        conditions(results),
        shown(pictures),
        METHOD.to_owned(),
        targets(&results.ratios),
        failures(&results.cells),
        figures(results),
    ]
    .into_iter()
    .filter(|section| !section.is_empty())
    .collect::<Vec<_>>()
    .join("\n")
}

fn conditions(results: &Results) -> String {
    let Results { machine, rounds, seconds, .. } = results;
    let versions: Vec<String> = machine.versions.iter().map(|(name, version)| format!("{name} {version}")).collect();
    let quiet = match format::not_quiet(results) {
        Some(others) => format!("**no**: {others}"),
        None => format!("yes: others took {:.1} % of the machine meanwhile", 100.0 * results.disturbed),
    };
    let rows = [
        ("machine", format::machine(machine)),
        ("files on", machine.storage.clone()),
        ("kernel", format!("Linux {}", machine.kernel)),
        ("date", format!("{} UTC", machine.date)),
        ("rounds", format!("{rounds} of {seconds} s, after a quarter of that to warm up")),
        ("quiet", quiet),
        ("versions", versions.join(", ")),
    ];
    let sheet = Sheet::new(&[Words("measured"), Words("on")], rows.map(|(name, it)| vec![name.into(), it]).into_iter());
    sheet.as_markdown()
}

fn shown(pictures: &[Picture]) -> String {
    let image = |picture: &Picture| {
        let (title, file) = (picture.title, picture.file_name());
        format!("![{title}. All its figures are in the tables below.]({PICTURES}/{file})\n")
    };
    pictures.iter().map(image).collect::<Vec<_>>().join("\n")
}

fn targets(ratios: &[Ratio]) -> String {
    let aimed: Vec<&Ratio> = ratios.iter().filter(|ratio| ratio.target.is_some()).collect();
    let met = aimed.iter().filter(|ratio| ratio.met == Some(true)).count();
    let mut out = "## What aio-runtime means to reach\n\n\
                   Its figure as a multiple of another's; `best` is the peer with the best median in that case.\n\n"
        .to_owned();
    if !aimed.is_empty() {
        out += &format!("**{met} of {} targets met.**\n\n", aimed.len());
        out += &report::ratios(aimed.into_iter()).as_markdown();
    }
    if !ratios.is_empty() {
        out += &folded("All ratios", &report::ratios(ratios.iter()));
    }
    out
}

/// What failed, each reason once for all cells of a runtime that it befell.
fn failures(cells: &[Summary]) -> String {
    let mut rows: Vec<(Vec<String>, Vec<String>)> = Vec::new();
    for cell in cells.iter().map(|summary| &summary.cell) {
        let Some(reason) = &cell.failure else { continue };
        let io_uring = if cell.io_uring_denied { "denied" } else { "allowed" };
        let key = vec![cell.peer.clone(), io_uring.to_owned(), reason.clone()];
        let what = format!("{} {}", cell.workload, cell.case);
        match rows.iter_mut().find(|row| row.0 == key) {
            Some((_, cases)) => cases.push(what),
            None => rows.push((key, vec![what])),
        }
    }
    if rows.is_empty() {
        return String::new();
    }
    let rows = rows.into_iter().map(|(mut key, cases)| {
        key.push(cases.join(", "));
        key
    });
    let sheet = Sheet::new(&[Words("runtime"), Words("io_uring"), Words("why"), Words("where")], rows);
    format!("## What failed\n\n{}", sheet.as_markdown())
}

fn figures(results: &Results) -> String {
    let mut out = "## All figures\n".to_owned();
    for cells in results.cells.chunk_by(|one, other| table_of(one) == table_of(other)) {
        let (workload, denied) = table_of(&cells[0]);
        let denied = if denied { ", io_uring denied" } else { "" };
        let first = format::name(workload.figure());
        let note = if workload.figure() == Figure::Cpu { String::new() } else { format!(" ({first} counts)") };
        let cells: Vec<&Summary> = cells.iter().collect();
        out += &folded(&format!("{workload}{denied}{note}"), &report::costs(&cells).without("workload"));
    }
    out
}

/// What stands in one table.
fn table_of(summary: &Summary) -> (Workload, bool) {
    (summary.cell.workload, summary.cell.io_uring_denied)
}

fn folded(title: &str, sheet: &Sheet) -> String {
    format!("\n<details><summary>{title}</summary>\n\n{}\n</details>\n", sheet.as_markdown())
}
