//! What the user chooses: which cases, how long, where.

use std::path::PathBuf;

use clap::Args;

use super::docs;
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
    /// Only cases with these names, or with so many at once: "64 x 1000 B", or 64 for all that begin
    /// so (comma-separated).
    #[arg(long, short, value_delimiter = ',')]
    pub case: Vec<String>,
    /// How often every runtime takes its turn.
    #[arg(long)]
    pub rounds: Option<usize>,
    /// How long each turn is counted, after a quarter of that to warm up.
    #[arg(long)]
    pub seconds: Option<f64>,
    /// Deny io_uring to all that is measured, as containers do; unless given, a few cases show that
    /// beside.
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
    /// Where to write the results [default: versus.json beside this program].
    #[arg(long)]
    pub json: Option<PathBuf>,
    /// Where to write the page and its pictures [default: the docs of this repository if all is
    /// measured, else nowhere].
    #[arg(long)]
    pub docs: Option<PathBuf>,
}

/// What the options leave open.
pub struct Effort {
    pub extent: Extent,
    pub rounds: usize,
    pub seconds: f64,
}

impl Effort {
    pub const FULL: Effort = Effort { extent: Extent::Full, rounds: 7, seconds: 0.5 };
    pub const SMOKE: Effort = Effort { extent: Extent::Quick, rounds: 1, seconds: 0.1 };
}

fn peer_names() -> Vec<&'static str> {
    PEERS.iter().map(|peer| peer.name).collect()
}

/// How much of it all.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    Full,
    /// One case of each workload, and the open loops.
    Quick,
}

impl Options {
    pub fn rates(&self) -> Rates {
        Rates { echo: self.echo_rate, unified: self.unified_rate }
    }

    pub fn wants(&self, workload: Workload, case: &Case) -> bool {
        let name = case.to_string();
        let begins = |wanted: &String| name == *wanted || name.split(' ').next() == Some(wanted);
        (self.workload.is_empty() || self.workload.contains(&workload))
            && (self.case.is_empty() || self.case.iter().any(begins))
    }

    /// Where the page goes, if one is to be written.
    pub fn docs(&self, effort: &Effort) -> Option<PathBuf> {
        let chosen = !(self.workload.is_empty() && self.runtime.is_empty() && self.case.is_empty());
        let lessened = self.rounds.is_some() || self.seconds.is_some() || self.deny_io_uring;
        // Part of the whole, or a hasty look at it, does not replace what is there unless that is
        // asked for.
        let whole = effort.extent == Extent::Full && !chosen && !lessened;
        self.docs.clone().or_else(|| whole.then(|| docs::OF_REPOSITORY.into()))
    }

    pub fn wants_peer(&self, peer: &Peer) -> bool {
        self.runtime.is_empty() || self.runtime.iter().any(|name| name == peer.name)
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
    }

    pub fn docs(effort: &Effort, line: &str) -> Option<PathBuf> {
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
