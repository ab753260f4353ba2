//! What the user chooses: which cases, how long, where.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, ensure};
use clap::Args;

use super::docs;
use super::race::Rounds;
use crate::measure::Window;
use crate::peers::{PEERS, Peer};
use crate::workloads::{Case, Rates, Workload};

#[derive(Args)]
pub struct Options {
    /// Only these workloads (comma-separated).
    #[arg(long, short, value_delimiter = ',')]
    pub workload: Vec<Workload>,
    /// Only these runtimes (comma-separated).
    #[arg(long, short, value_delimiter = ',', value_parser = peer_names())]
    pub runtime: Vec<String>,
    /// Only cases with these names, as "64 x 1000 B"; 64 is short for all that begin with it
    /// (comma-separated).
    #[arg(long, short, value_delimiter = ',')]
    pub case: Vec<String>,
    /// How often every runtime takes its turn.
    #[arg(long)]
    pub rounds: Option<usize>,
    /// How often at most, where a race is close.
    #[arg(long)]
    pub most_rounds: Option<usize>,
    /// How long each turn counts, after a quarter of that to warm up; two or four times as long
    /// where latency counts.
    #[arg(long)]
    pub seconds: Option<f64>,
    /// Deny io_uring to everything that is measured, as containers do. Otherwise only a few cases
    /// are run again that way.
    #[arg(long)]
    pub deny_io_uring: bool,
    /// Requests per second for echo in an open loop; every runtime should be able to serve them.
    #[arg(long, default_value_t = 40_000)]
    pub echo_rate: u32,
    /// Requests per second for unified in an open loop.
    #[arg(long, default_value_t = 15_000)]
    pub unified_rate: u32,
    /// The core of what is measured.
    #[arg(long, default_value_t = 0)]
    pub server_core: usize,
    /// The core of the load generator.
    #[arg(long, default_value_t = 1)]
    pub load_core: usize,
    /// Where to make the files that are read and written (512 MiB); the file system must have
    /// O_DIRECT.
    #[arg(long, default_value_os_t = std::env::temp_dir())]
    pub dir: PathBuf,
}

/// Where the results go.
#[derive(Args)]
pub struct Output {
    /// Where to write the results [default: versus.json beside this program].
    #[arg(long)]
    pub json: Option<PathBuf>,
    /// Where to write the page and its pictures [default: the docs of this repository if everything
    /// is measured, else nowhere].
    #[arg(long)]
    pub docs: Option<PathBuf>,
}

/// What the options leave open.
#[derive(Clone, Copy)]
pub struct Effort {
    pub extent: Extent,
    pub rounds: Rounds,
    pub seconds: f64,
}

/// How much of it all.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    Full,
    /// One case of each workload, and the open loops.
    Quick,
}

impl Effort {
    pub const FULL: Effort = Effort { extent: Extent::Full, rounds: Rounds { least: 6, most: 24 }, seconds: 0.3 };
    pub const SMOKE: Effort = Effort { extent: Extent::Quick, rounds: Rounds { least: 1, most: 1 }, seconds: 0.1 };
    /// For two builds of ours alone.
    pub const PAIR: Effort = Effort { extent: Extent::Full, rounds: Rounds { least: 15, most: 60 }, seconds: 0.5 };

    pub fn window(&self, workload: Workload, case: &Case) -> Window {
        let counted = Duration::from_secs_f64(self.seconds * workload.turn_factor(case));
        Window { warmup: counted / 4, counted, count_calls: false }
    }
}

fn peer_names() -> Vec<&'static str> {
    PEERS.iter().map(|peer| peer.name).collect()
}

impl Options {
    /// What is asked for, or else the default.
    pub fn effort(&self, default: Effort) -> Result<Effort> {
        let least = self.rounds.unwrap_or(default.rounds.least);
        let most = self.most_rounds.unwrap_or(default.rounds.most).max(least);
        let seconds = self.seconds.unwrap_or(default.seconds);
        ensure!(least > 0 && seconds > 0.0, "nothing can be measured in no time");
        ensure!(most <= 1_000, "more than 1000 rounds tell no more");
        ensure!(seconds <= 10.0, "a child that says nothing for a minute is taken to hang");
        ensure!(self.echo_rate > 0 && self.unified_rate > 0, "an open loop needs a rate");
        ensure!(self.server_core != self.load_core, "server and load need a core each");
        Ok(Effort { rounds: Rounds { least, most }, seconds, ..default })
    }

    pub fn rates(&self) -> Rates {
        Rates { echo: self.echo_rate, unified: self.unified_rate }
    }

    pub fn wants(&self, workload: Workload, case: &Case) -> bool {
        let name = case.to_string();
        let begins = |wanted: &String| name == *wanted || name.split(' ').next() == Some(wanted);
        (self.workload.is_empty() || self.workload.contains(&workload))
            && (self.case.is_empty() || self.case.iter().any(begins))
    }

    pub fn wants_peer(&self, peer: &Peer) -> bool {
        self.runtime.is_empty() || self.runtime.iter().any(|name| name == peer.name)
    }

    /// Whether nothing is left out or shortened.
    fn is_whole(&self) -> bool {
        let selects = !(self.workload.is_empty() && self.runtime.is_empty() && self.case.is_empty());
        let shortens = self.rounds.is_some() || self.most_rounds.is_some() || self.seconds.is_some();
        !selects && !shortens && !self.deny_io_uring
    }
}

impl Output {
    /// Where the page goes, if one is to be written: a part of the whole, or a hasty look at it,
    /// does not replace what is there unless that is asked for.
    pub fn docs(&self, options: &Options, extent: Extent) -> Option<PathBuf> {
        let is_whole = extent == Extent::Full && options.is_whole();
        self.docs.clone().or_else(|| is_whole.then(|| docs::OF_REPOSITORY.into()))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        options: Options,
        #[command(flatten)]
        output: Output,
    }

    fn parse(line: &str) -> Line {
        Line::parse_from(["versus"].into_iter().chain(line.split_whitespace()))
    }

    fn docs(extent: Extent, line: &str) -> Option<PathBuf> {
        let Line { options, output } = parse(line);
        output.docs(&options, extent)
    }

    #[test]
    fn only_the_whole_replaces_the_page_unasked() {
        assert_eq!(docs(Extent::Full, ""), Some(docs::OF_REPOSITORY.into()));
        let parts = ["-w echo", "-r tokio", "-c 64", "--rounds 1", "--most-rounds 9", "--seconds 1", "--deny-io-uring"];
        for part in parts {
            assert_eq!(docs(Extent::Full, part), None, "{part}");
        }
        assert_eq!(docs(Extent::Quick, ""), None);
        assert_eq!(docs(Extent::Quick, "--docs there"), Some("there".into()));
    }

    #[test]
    fn close_races_have_at_least_the_rounds_of_all() {
        let rounds = |line| {
            let Effort { rounds, .. } = parse(line).options.effort(Effort::FULL).unwrap();
            (rounds.least, rounds.most)
        };
        assert_eq!(rounds(""), (6, 24));
        assert_eq!(rounds("--rounds 60"), (60, 60));
        assert_eq!(rounds("--rounds 3 --most-rounds 9"), (3, 9));
    }

    #[test]
    fn turns_that_need_many_samples_are_longer() {
        let window = |workload, case: Case| Effort::FULL.window(workload, &case).counted.as_secs_f64();
        assert_eq!(window(Workload::Echo, Case::of(64)), 0.3);
        assert_eq!(window(Workload::Echo, Case::of(64).at_rate(1)), 1.2);
        assert_eq!(window(Workload::Unified, Case::of(64)), 0.6);
    }
}
