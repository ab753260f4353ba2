//! The driver: plans the cells, lets the peers take turns in each, and reports.

mod against;
mod cell;
mod docs;
mod estimate;
mod format;
mod instructions;
mod machine;
mod options;
mod plan;
mod quiet;
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
use cell::Cell;
use machine::Machine;
pub use options::{Effort, Options};
use quiet::Quiet;
use results::{Measured, Results};
use stage::Stage;

pub fn run(options: &Options, effort: Effort) -> Result<()> {
    let rounds = options.rounds.unwrap_or(effort.rounds);
    let seconds = options.seconds.unwrap_or(effort.seconds);
    ensure!(rounds > 0 && seconds > 0.0, "nothing to measure in no time");
    ensure!(seconds <= 30.0, "a child that says nothing for more than a minute is taken to hang");
    ensure!(options.echo_rate > 0 && options.unified_rate > 0, "an open loop needs a rate");
    ensure!(options.server_core != options.load_core, "server and load need a core each");
    let mut cells = plan::cells(options, effort.extent);
    ensure!(!cells.is_empty(), "no such case: see the names in the table of a run without --case");

    let counted = Duration::try_from_secs_f64(seconds)?;
    let window = Window { warmup: counted / 4, counted, count_calls: false };
    let stage = Stage::set(&options.dir, options.server_core, options.load_core)?;
    let quiet = Quiet::begin()?;
    take_turns(&mut cells, rounds, window, &stage);

    let measured = Measured { machine: Machine::this(&options.dir), rounds, seconds, disturbed: quiet.end()?, cells };
    let results = Results::from(measured);
    println!("{}", report::tables(&results));
    let json = match &options.json {
        Some(path) => path.clone(),
        None => std::env::current_exe()?.with_file_name("versus.json"),
    };
    fs::write(&json, serde_json::to_vec_pretty(&results)?).with_context(|| format!("write {}", json.display()))?;
    println!("All of it: {}", json.display());
    if let Some(dir) = options.docs(&effort) {
        docs::write(&results, &dir)?;
        println!("The page and its pictures: {}", dir.display());
    }
    let ours = results.cells.iter().filter(|summary| summary.cell.kind == Kind::Ours);
    let failures = ours.filter(|summary| summary.cell.failure.is_some()).count();
    ensure!(failures == 0, "{failures} of our own cells failed");
    Ok(())
}

/// Makes the page and its pictures again, from a results file.
pub fn write_docs(json: &Path, docs: &Path) -> Result<()> {
    let whose = || format!("read {}", json.display());
    let results: Results = serde_json::from_slice(&fs::read(json).with_context(whose)?).with_context(whose)?;
    docs::write(&results, docs)
}

/// Lets the peers of each case run one after the other, round by round; then once more, to count
/// system calls.
fn take_turns(cells: &mut [Cell], rounds: usize, window: Window, stage: &Stage) {
    let counted = cells.iter().filter(|cell| cell.workload.has_calls()).count();
    let progress = progress_bar(cells.len() * rounds + counted);
    for group in cells.chunk_by_mut(Cell::same_case) {
        for _ in 0..rounds {
            for cell in &mut *group {
                progress.set_message(cell.to_string());
                cell.run(|cell| stage.measure(cell, window));
                progress.inc(1);
            }
        }
        for cell in group.iter_mut().filter(|cell| cell.workload.has_calls()) {
            progress.set_message(format!("{cell}: system calls"));
            cell.count_calls(|cell| stage.measure(cell, Window { count_calls: true, ..window }));
            progress.inc(1);
        }
    }
    progress.finish_and_clear();
}

fn progress_bar(steps: usize) -> ProgressBar {
    let style =
        ProgressStyle::with_template("{bar:30} {pos}/{len}  {msg}  ({eta} left)").expect("the template is well-formed");
    // No steady tick: nothing but the measured processes should wake up during a run.
    ProgressBar::new(steps as u64).with_style(style)
}
