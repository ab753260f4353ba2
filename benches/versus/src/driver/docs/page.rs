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
<!-- Written by benches/versus: changes are lost when it runs again. -->

# Benchmarks: aio-runtime beside its peers

One command measures everything again, and writes this page and its pictures:

```sh
cargo run --release --manifest-path benches/versus/Cargo.toml -- all
```
";

const METHOD: &str = "\
## How

Every run is a new process on one core, with one runtime and one workload. For what is served, a load
generator in another process on another core checks every answer. In each round of a case all runtimes take turns,
in a random order that the next round reverses. So a machine that is slow for a while is slow for all of them.

- A **ratio** is taken within each round; the table shows the median of the rounds and its 95 % interval.
- A target is **met** or **missed** only if the whole interval lies on one side of its limit. A race in which it does not
  goes on for up to four times as many rounds. If that does not help either, it is **undecided**.
- **CPU/op** counts first: user and system time of the measured process, all its threads, per operation. It is shown
  as the ratio to aio-runtime times aio-runtime's median, so that it agrees with the ratios.
- **p50, p99, p99.9** are latencies. In an open loop (*at 15000/s*) they count from when a request was due. A p99.9 is
  shown if at least 100 samples lie beyond it.
- **memory** is resident at the end, **peak** the most ever.
- **calls** are system calls per operation, counted in a run of its own.
- **instr.** are instructions per operation in user space, counted by callgrind. Two counts of one program agree to three
  digits on any machine, so this is the figure to compare commits with.
- **busy** is the share of its core that the process kept busy. Well below 100 %, the load or the disk was the limit.
- In the pictures, the thin line through a panel is where aio-runtime's bar ends. A whisker without a tip goes further.

[benches/versus](../benches/versus/README.md) says more, and what each workload does.
";

const CONTROLS: &str = "\
## What cannot be told apart

In each round aio-runtime runs twice, the second time as *aio-runtime (again)*. What the two differ by is chance, so a
smaller difference between two runtimes means nothing. For each workload: in how many of its cases the 95 % interval of
their ratio holds 1, and the largest distances from 1 of a median and of an interval's end.

";

const NO_INSTRUCTIONS: &str = "\
Instructions were not counted: valgrind was not installed.
";

pub fn markdown(results: &Results, pictures: &[Picture]) -> String {
    [
        HEAD.to_owned(),
        conditions(results),
        shown(pictures),
        METHOD.to_owned(),
        if counts_instructions(results) { String::new() } else { NO_INSTRUCTIONS.to_owned() },
        targets(&results.ratios),
        controls(&results.controls),
        failures(&results.cells),
        figures(results),
    ]
    .into_iter()
    .filter(|section| !section.is_empty())
    .collect::<Vec<_>>()
    .join("\n")
}

fn conditions(results: &Results) -> String {
    let Results { machine, .. } = results;
    let versions: Vec<String> = machine.versions.iter().map(|(name, version)| format!("{name} {version}")).collect();
    let quiet = match format::not_quiet(results) {
        Some(others) => format!("**no**: {others}"),
        None => format!("yes: others took {:.1} % of the machine", 100.0 * results.disturbed),
    };
    let rows = [
        ("machine", format::machine(machine)),
        ("files on", machine.storage.clone()),
        ("kernel", format!("Linux {}", machine.kernel)),
        ("date", format!("{} UTC", machine.date)),
        ("rounds", format!("{}, after a quarter of that to warm up", format::rounds(results))),
        ("quiet", quiet),
        ("versions", versions.join(", ")),
    ];
    let sheet = Sheet::new(&[Words("measured"), Words("on")], rows.map(|(name, it)| vec![name.into(), it]).into_iter());
    sheet.as_markdown()
}

fn shown(pictures: &[Picture]) -> String {
    let image = |picture: &Picture| {
        let (title, file) = (picture.title, picture.file_name());
        format!("![{title}. The tables below have all its figures.]({PICTURES}/{file})\n")
    };
    pictures.iter().map(image).collect::<Vec<_>>().join("\n")
}

fn counts_instructions(results: &Results) -> bool {
    results.cells.iter().any(|summary| summary.cell.instructions.is_some())
}

fn targets(ratios: &[Ratio]) -> String {
    let mut out = "## What aio-runtime aims for\n\n\
                   Its figure as a multiple of another's; `best` is the peer that it compares worst with.\n\n"
        .to_owned();
    if ratios.iter().any(|ratio| ratio.limit.is_some()) {
        out += &format!("**{}**\n\n", report::verdicts(ratios));
        out += &report::ratios(ratios.iter().filter(|ratio| ratio.limit.is_some())).as_markdown();
    }
    if !ratios.is_empty() {
        out += &folded("All ratios", &report::ratios(ratios.iter()));
    }
    out
}

fn controls(controls: &[Ratio]) -> String {
    if controls.is_empty() {
        return String::new();
    }
    format!("{CONTROLS}{}", report::controls(controls).as_markdown())
}

/// What failed. Each reason is told once for all cells of a runtime.
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

/// What has a table of its own.
fn table_of(summary: &Summary) -> (Workload, bool) {
    (summary.cell.workload, summary.cell.io_uring_denied)
}

fn folded(title: &str, sheet: &Sheet) -> String {
    format!("\n<details><summary>{title}</summary>\n\n{}\n</details>\n", sheet.as_markdown())
}
