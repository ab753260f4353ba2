//! aio-runtime beside its peers: the same servers, one per runtime, under the same load.
//!
//! `driver` plans the rounds and prints the tables; everything it measures runs in a process of its
//! own, which is this binary started again with a job (`child`). A runtime is a file in `peers`, a
//! workload is a file in `workloads`.

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
    /// Measure everything: seven rounds, in each of which the runtimes take turns.
    All(driver::Options),
    /// Run everything once and briefly, to see that it works. The numbers mean little.
    Quick(driver::Options),
    /// Compare aio-runtime in this program with that in another, built from another commit: their
    /// turns alternate.
    Against {
        /// The other program.
        other: PathBuf,
        #[command(flatten)]
        options: driver::Options,
    },
    /// Make the page and its pictures again from the results of a run, without measuring.
    Charts {
        /// The results, as `all` or `quick` wrote them.
        #[arg(long)]
        json: PathBuf,
        /// Where to write benchmarks.md, and the pictures beside it.
        #[arg(long)]
        out: PathBuf,
    },
    /// What the driver starts this binary with.
    #[command(hide = true)]
    Child { job: String },
}

fn main() -> Result<()> {
    match Cli::parse().command {
        Command::All(options) => driver::run(&options, driver::Effort::FULL),
        Command::Quick(options) => driver::run(&options, driver::Effort::SMOKE),
        Command::Against { other, options } => driver::against(&options, &other),
        Command::Charts { json, out } => driver::write_docs(&json, &out),
        Command::Child { job } => child::run(&job),
    }
}
