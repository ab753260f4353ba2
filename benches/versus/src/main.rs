//! aio-runtime beside its peers: the same servers, one per runtime, under the same load.
//!
//! `driver` plans the rounds and prints the tables. Everything that it measures runs in a process
//! of its own, which is this binary started again with a job (`child`). A runtime is a file in
//! `peers`, a workload is a file in `workloads`.

mod blocks;
mod child;
mod confine;
mod driver;
mod job;
mod load;
mod measure;
mod peers;
mod sys;
mod syscalls;
mod workloads;

use std::path::PathBuf;

use anyhow::Result;
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(about, version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Measure everything. In each of many rounds, the runtimes take turns.
    All {
        #[command(flatten)]
        options: driver::Options,
        #[command(flatten)]
        output: driver::Output,
    },
    /// Run everything once and briefly, to see that it works. The numbers mean little.
    Quick {
        #[command(flatten)]
        options: driver::Options,
        #[command(flatten)]
        output: driver::Output,
    },
    /// Compare aio-runtime in this program with an older build of it, turn by turn.
    Against {
        /// The older build.
        old: PathBuf,
        #[command(flatten)]
        options: driver::Options,
    },
    /// Tell how far two runs of `all` differ.
    Compare {
        /// The results of one run.
        before: PathBuf,
        /// The results of the other.
        after: PathBuf,
    },
    /// Write the page and its pictures again from the results of a run, without measuring.
    Charts {
        /// The results, as `all` or `quick` wrote them.
        #[arg(long)]
        json: PathBuf,
        /// Where to write benchmarks.md, and the pictures beside it.
        #[arg(long)]
        out: PathBuf,
    },
    /// How the driver starts this binary.
    #[command(hide = true)]
    Child { job: String },
}

fn main() -> Result<()> {
    match Cli::parse().command {
        Command::All { options, output } => driver::run(&options, &output, driver::Effort::FULL),
        Command::Quick { options, output } => driver::run(&options, &output, driver::Effort::SMOKE),
        Command::Against { old, options } => driver::against(&options, &old),
        Command::Compare { before, after } => driver::compare(&before, &after),
        Command::Charts { json, out } => driver::write_docs(&json, &out),
        Command::Child { job } => child::run(&job),
    }
}
