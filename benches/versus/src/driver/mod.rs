//! The driver: plans the cells, lets the peers take turns in each, and reports.

mod against;
mod docs;
mod estimate;
mod format;
mod instructions;
mod machine;
mod plan;
mod quiet;
mod ratios;
mod report;
mod results;
mod sheet;
mod stage;
mod targets;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};

use crate::measure::Window;
use crate::peers::{Kind, PEERS, Peer};
use crate::workloads::{Case, Rates, Workload};
pub use against::against;
use machine::Machine;
use plan::Extent;
use quiet::Quiet;
use results::{Cell, Measured, Results};
use stage::Stage;

#[derive(Args)]
pub struct Options {
    /// Only these workloads (comma-separated).
    #[arg(long, short, value_delimiter = ',')]
    workload: Vec<Workload>,
    /// Only these runtimes (comma-separated).
    #[arg(long, short, value_delimiter = ',', value_parser = peer_names())]
    runtime: Vec<String>,
    /// Only cases with these names, or with so many at once: "64 x 1 KiB", or 64 for all that begin
    /// so (comma-separated).
    #[arg(long, short, value_delimiter = ',')]
    case: Vec<String>,
    /// How often every runtime takes its turn.
    #[arg(long)]
    rounds: Option<usize>,
    /// How long each turn is counted, after a quarter of that to warm up.
    #[arg(long)]
    seconds: Option<f64>,
    /// Deny io_uring to all that is measured, as containers do; unless given, a few cases show that
    /// beside.
    #[arg(long)]
    deny_io_uring: bool,
    /// Requests per second for echo in an open loop; every runtime should be able to serve them.
    #[arg(long, default_value_t = 40_000)]
    echo_rate: u32,
    /// Requests per second for unified in an open loop.
    #[arg(long, default_value_t = 15_000)]
    unified_rate: u32,
    /// The core of what is measured.
    #[arg(long, default_value_t = 0)]
    server_core: usize,
    /// The core of the load generator.
    #[arg(long, default_value_t = 1)]
    load_core: usize,
    /// Where to make the files that are read and written (512 MiB); the file system must have
    /// O_DIRECT.
    #[arg(long, default_value_os_t = std::env::temp_dir())]
    dir: PathBuf,
    /// Where to write the results [default: versus.json beside this program].
    #[arg(long)]
    json: Option<PathBuf>,
    /// Where to write the page and its pictures [default: the docs of this repository if all is
    /// measured, else nowhere].
    #[arg(long)]
    docs: Option<PathBuf>,
}

/// What the options leave open.
pub struct Effort {
    extent: Extent,
    rounds: usize,
    seconds: f64,
}

impl Effort {
    pub const FULL: Effort = Effort { extent: Extent::Full, rounds: 7, seconds: 0.5 };
    pub const SMOKE: Effort = Effort { extent: Extent::Quick, rounds: 1, seconds: 0.1 };
}

fn peer_names() -> Vec<&'static str> {
    PEERS.iter().map(|peer| peer.name).collect()
}

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

    let measured = Measured { machine: Machine::this(), rounds, seconds, disturbed: quiet.end()?, cells };
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

impl Options {
    fn rates(&self) -> Rates {
        Rates { echo: self.echo_rate, unified: self.unified_rate }
    }

    fn wants(&self, workload: Workload, case: &Case) -> bool {
        let name = case.to_string();
        let begins = |wanted: &String| name == *wanted || name.split(' ').next() == Some(wanted);
        (self.workload.is_empty() || self.workload.contains(&workload))
            && (self.case.is_empty() || self.case.iter().any(begins))
    }

    /// Where the page goes, if one is to be written.
    fn docs(&self, effort: &Effort) -> Option<PathBuf> {
        let chosen = !(self.workload.is_empty() && self.runtime.is_empty() && self.case.is_empty());
        let lessened = self.rounds.is_some() || self.seconds.is_some() || self.deny_io_uring;
        // Part of the whole, or a hasty look at it, does not replace what is there unless that is
        // asked for.
        let whole = effort.extent == Extent::Full && !chosen && !lessened;
        self.docs.clone().or_else(|| whole.then(|| docs::OF_REPOSITORY.into()))
    }

    fn wants_peer(&self, peer: &Peer) -> bool {
        self.runtime.is_empty() || self.runtime.iter().any(|name| name == peer.name)
    }
}

fn progress_bar(steps: usize) -> ProgressBar {
    let style =
        ProgressStyle::with_template("{bar:30} {pos}/{len}  {msg}  ({eta} left)").expect("the template is well-formed");
    // No steady tick: nothing but the measured processes should wake up during a run.
    ProgressBar::new(steps as u64).with_style(style)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        options: Options,
    }

    fn docs(effort: &Effort, line: &str) -> Option<PathBuf> {
        Line::parse_from(["versus"].into_iter().chain(line.split_whitespace())).options.docs(effort)
    }

    #[test]
    fn only_the_whole_replaces_the_page_unasked() {
        assert_eq!(docs(&Effort::FULL, ""), Some(docs::OF_REPOSITORY.into()));
        for part in ["-w echo", "-r tokio", "-c 64", "--rounds 1", "--seconds 0.1", "--deny-io-uring"] {
            assert_eq!(docs(&Effort::FULL, part), None, "{part}");
        }
        assert_eq!(docs(&Effort::SMOKE, ""), None);
        assert_eq!(docs(&Effort::SMOKE, "--docs there"), Some("there".into()));
    }
}
