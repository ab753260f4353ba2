//! The driver: plans the cells, lets them take turns, and reports.

mod against;
mod cell;
mod compare;
mod docs;
mod estimate;
mod format;
mod instructions;
mod machine;
mod options;
mod plan;
mod quiet;
mod race;
mod ratios;
mod report;
mod results;
mod sheet;
mod stage;
mod targets;

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use indicatif::{ProgressBar, ProgressStyle};

use crate::measure::Window;
use crate::peers::Kind;
pub use against::against;
use cell::{Cell, Role};
pub use compare::compare;
use machine::Machine;
use options::Extent;
pub use options::{Effort, Options, Output};
use quiet::Quiet;
use results::{Measured, Results};
use stage::Stage;

/// Measures what the options choose, and reports.
pub fn run(options: &Options, output: &Output, default: Effort) -> Result<()> {
    let effort = options.effort(default)?;
    let mut cells = plan::cells(options, effort.extent);
    ensure!(!cells.is_empty(), "no such case: a run without --case shows their names");

    let stage = Stage::set(&options.dir, options.server_core, options.load_core)?;
    let quiet = Quiet::begin()?;
    measure(&mut cells, &effort, &stage);

    let measured = Measured {
        machine: Machine::this(&options.dir),
        rounds: effort.rounds.least,
        most_rounds: effort.rounds.most,
        seconds: effort.seconds,
        disturbed: quiet.end()?,
        cells,
    };
    let results = Results::from(measured);
    println!("{}", report::tables(&results));
    let json = match &output.json {
        Some(path) => path.clone(),
        None => std::env::current_exe()?.with_file_name("versus.json"),
    };
    fs::write(&json, serde_json::to_vec_pretty(&results)?).with_context(|| format!("write {}", json.display()))?;
    println!("Everything in detail: {}", json.display());
    if let Some(dir) = output.docs(options, effort.extent) {
        docs::write(&results, &dir)?;
        println!("The page and its pictures: {}", dir.display());
    }
    let ours = results.cells.iter().filter(|summary| summary.cell.kind == Kind::Ours);
    let failures = ours.filter(|summary| summary.cell.failure.is_some()).count();
    ensure!(failures == 0, "{failures} of our own cells failed");
    Ok(())
}

/// Writes the page and its pictures again, from a results file.
pub fn write_docs(json: &Path, docs: &Path) -> Result<()> {
    docs::write(&Results::read(json)?, docs)
}

/// Measures case by case: first the rounds, then what is counted in runs of its own.
fn measure(cells: &mut [Cell], effort: &Effort, stage: &Stage) {
    let can_count_instructions = effort.extent == Extent::Full && instructions::can_be_counted();
    let has_calls = |cell: &Cell| cell.workload.has_calls() && cell.role == Role::Peer;
    let has_instructions = |cell: &Cell| can_count_instructions && cell.workload.has_instructions(&cell.case);
    let counts = |cell: &Cell| usize::from(has_calls(cell)) + usize::from(has_instructions(cell));
    let progress = progress_bar(cells.iter().map(|cell| effort.rounds.least + counts(cell)).sum());

    for row in cells.chunk_by_mut(Cell::same_case) {
        let window = effort.window(row[0].workload, &row[0].case);
        let (mut turns, planned) = (0, effort.rounds.least * row.len());
        race::run(row, effort.rounds, ratios::close, |cell| {
            progress.set_message(cell.to_string());
            let measured = stage.measure(cell, window);
            turns += 1;
            progress.inc_length(u64::from(turns > planned));
            progress.inc(1);
            measured
        });
        for cell in row.iter_mut().filter(|cell| has_calls(cell)) {
            progress.set_message(format!("{cell}: system calls"));
            cell.count_calls(|cell| stage.measure(cell, COUNTING));
            progress.inc(1);
        }
        for cell in row.iter_mut().filter(|cell| has_instructions(cell)) {
            progress.set_message(format!("{cell}: instructions"));
            // A runtime that callgrind cannot run has no such figure.
            cell.instructions = instructions::per_operation(stage.program(cell.role), cell, stage.server_core).ok();
            progress.inc(1);
        }
    }
    progress.finish_and_clear();
}

/// System calls are counted rather than timed, so a short window is enough.
const COUNTING: Window =
    Window { warmup: Duration::from_millis(25), counted: Duration::from_millis(75), count_calls: true };

fn progress_bar(steps: usize) -> ProgressBar {
    let style =
        ProgressStyle::with_template("{bar:30} {pos}/{len}  {msg}  ({eta} left)").expect("the template is well-formed");
    // No steady tick: nothing but the measured processes should wake up during a run.
    ProgressBar::new(steps as u64).with_style(style)
}
