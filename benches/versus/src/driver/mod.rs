//! The driver: plans the cells, lets the peers take turns in each, and reports.

mod quiet;
mod report;
mod results;
mod targets;

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};

use crate::child::{Child, Job, Part};
use crate::measure::{Measurement, Window};
use crate::peers::{self, Files, PEERS, Peer};
use crate::workloads::{Driven, Workload};
use crate::{blocks, load};
use quiet::Quiet;
use results::{Cell, Results};

#[derive(Args)]
pub struct Options {
    /// Only these workloads (comma-separated).
    #[arg(long, short, value_delimiter = ',')]
    workload: Vec<Workload>,
    /// Only these runtimes (comma-separated).
    #[arg(long, short, value_delimiter = ',', value_parser = peer_names())]
    runtime: Vec<String>,
    /// How often every runtime takes its turn.
    #[arg(long)]
    rounds: Option<usize>,
    /// How long each turn is counted, after a quarter of that to warm up.
    #[arg(long)]
    seconds: Option<f64>,
    /// The core of what is measured.
    #[arg(long, default_value_t = 0)]
    server_core: usize,
    /// The core of the load generator.
    #[arg(long, default_value_t = 1)]
    load_core: usize,
    /// Where to make the file that is read (256 MiB); its file system must have O_DIRECT.
    #[arg(long, default_value_os_t = std::env::temp_dir())]
    dir: PathBuf,
    /// Where to write the results [default: versus.json beside this program].
    #[arg(long)]
    json: Option<PathBuf>,
}

/// What the options leave open.
pub struct Effort {
    rounds: usize,
    seconds: f64,
}

impl Effort {
    pub const FULL: Effort = Effort { rounds: 9, seconds: 1.0 };
    pub const SMOKE: Effort = Effort { rounds: 1, seconds: 0.4 };
}

fn peer_names() -> Vec<&'static str> {
    PEERS.iter().map(|peer| peer.name).collect()
}

pub fn run(options: &Options, effort: Effort) -> Result<()> {
    let rounds = options.rounds.unwrap_or(effort.rounds);
    let seconds = options.seconds.unwrap_or(effort.seconds);
    ensure!(rounds > 0 && seconds > 0.0, "nothing to measure in no time");
    ensure!(options.server_core != options.load_core, "server and load need a core each");
    let counted = Duration::try_from_secs_f64(seconds)?;
    let window = Window { warmup: counted / 4, counted };
    let (source, target) = (blocks::create(&options.dir)?, blocks::create(&options.dir)?);
    let files = Files { source: blocks::path_of(&source), target: blocks::path_of(&target) };
    let stage = Stage { window, server_core: options.server_core, load_core: options.load_core, files };

    let mut cells = options.cells();
    let progress = progress_bar(cells.len() * rounds);
    let quiet = Quiet::begin()?;
    for group in cells.chunk_by_mut(Cell::same_case) {
        for _ in 0..rounds {
            for cell in &mut *group {
                progress.set_message(cell.to_string());
                cell.runs.push(stage.measure(cell)?);
                progress.inc(1);
            }
        }
    }
    progress.finish_and_clear();

    let results = Results::new(rounds, seconds, quiet.end()?, cells);
    println!("{}", report::tables(&results));
    let json = match &options.json {
        Some(path) => path.clone(),
        None => std::env::current_exe()?.with_file_name("versus.json"),
    };
    fs::write(&json, serde_json::to_vec_pretty(&results)?).with_context(|| format!("write {}", json.display()))?;
    println!("All of it: {}", json.display());
    Ok(())
}

impl Options {
    /// What is to be measured: peers that take turns stand together.
    fn cells(&self) -> Vec<Cell> {
        let mut cells = Vec::new();
        for &workload in Workload::value_variants() {
            if !self.workload.is_empty() && !self.workload.contains(&workload) {
                continue;
            }
            for case in workload.cases() {
                let able = PEERS.iter().filter(|peer| self.wants(peer) && peer.can(workload, &case));
                cells.extend(able.map(|peer| Cell::new(workload, case, peer.name)));
            }
        }
        cells
    }

    fn wants(&self, peer: &Peer) -> bool {
        self.runtime.is_empty() || self.runtime.iter().any(|name| name == peer.name)
    }
}

/// What all runs have in common.
struct Stage {
    window: Window,
    server_core: usize,
    load_core: usize,
    files: Files,
}

impl Stage {
    /// One run of one cell, in new processes.
    fn measure(&self, cell: &Cell) -> Result<Measurement> {
        let mut peer = Child::start(
            cell.to_string(),
            &Job {
                core: self.server_core,
                part: Part::Peer(peers::Run {
                    peer: cell.peer.to_owned(),
                    workload: cell.workload,
                    case: cell.case,
                    window: self.window,
                    files: self.files.clone(),
                }),
            },
        )?;
        if cell.workload.driven() == Driven::ByItself {
            return peer.measurement();
        }
        let mut load = Child::start(
            format!("the load for {cell}"),
            &Job {
                core: self.load_core,
                part: Part::Load(load::Run {
                    workload: cell.workload,
                    case: cell.case,
                    port: peer.port()?,
                    server: peer.pid(),
                    window: self.window,
                }),
            },
        )?;
        load.measurement()
    }
}

fn progress_bar(steps: usize) -> ProgressBar {
    let style =
        ProgressStyle::with_template("{bar:30} {pos}/{len}  {msg}  ({eta} left)").expect("the template is well-formed");
    // No steady tick: nothing but the measured processes should wake up during a run.
    ProgressBar::new(steps as u64).with_style(style)
}
