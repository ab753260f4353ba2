//! This program beside another build of it: what a change of the library did to its figures.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::cell::Cell;
use super::estimate::Estimate;
use super::options::{Extent, Options};
use super::stage::Stage;
use super::targets::OURS;
use super::{format, instructions, plan};
use crate::measure::{Measurement, Window};
use crate::peers::PEERS;
use crate::workloads::Workload::{self, *};
use crate::workloads::{Case, echo};

/// A change must not cost more than this.
const LIMIT: f64 = 1.01;

/// Rounds before a case may be decided, and rounds after which it is left undecided.
const FEWEST: usize = 15;
const MOST: usize = 60;

/// What a change of the library is checked with, unless the options choose something else.
const CASES: [(Workload, Case); 10] = [
    (Echo, Case::of(64).sized(echo::SMALL)),
    (Echo, Case::of(512).sized(echo::SMALL)),
    (Unified, Case::of(32)),
    (Unified, Case::of(256)),
    (Read, Case::of(32)),
    (Read, Case::of(128)),
    (SpawnJoin, Case::of(1)),
    (SpawnJoin, Case::of(1_000)),
    (YieldNow, Case::of(1_000)),
    (Sleep, Case::of(100_000)),
];

/// Measures aio-runtime in this program and in `other`, turn by turn, and prints the ratios.
pub fn against(options: &Options, other: &Path) -> Result<()> {
    let other = other.canonicalize().with_context(|| format!("find {}", other.display()))?;
    let most = options.rounds.unwrap_or(MOST);
    let seconds = options.seconds.unwrap_or(0.5);
    ensure!(most > 0 && seconds > 0.0, "nothing to measure in no time");
    let counted = Duration::try_from_secs_f64(seconds)?;
    let window = Window { warmup: counted / 4, counted, count_calls: false };
    let stage = Stage::set(&options.dir, options.server_core, options.load_core)?;

    let this = std::env::current_exe()?;
    let counts = instructions::can_be_counted();
    println!("new: {}", this.display());
    println!("old: {}", other.display());
    println!("new/old, the median of rounds (and its 95 % interval); at most {LIMIT} is wanted\n");
    for (workload, case) in chosen(options) {
        let pair = Pair::measure(workload, case, options.deny_io_uring, most, |cell, is_old| match is_old {
            false => stage.measure(cell, window),
            true => stage.measure_in(&other, cell, window),
        })?;
        println!("{}", pair.line());
        if workload.has_instructions() && counts {
            let count = |program| instructions::per_operation(program, &pair.new, options.server_core);
            match count(&this).and_then(|new| Ok((new, count(&other)?))) {
                Ok((new, old)) => println!("{:24} instructions {:.3} ({new:.1} / {old:.1})", "", new / old),
                Err(error) => println!("{:24} instructions - ({error:#})", ""),
            }
        }
    }
    Ok(())
}

fn chosen(options: &Options) -> Vec<(Workload, Case)> {
    if options.workload.is_empty() && options.case.is_empty() {
        return CASES.to_vec();
    }
    plan::cases(options, Extent::Full)
}

/// One case, as the new program and the old one ran it, round by round.
struct Pair {
    new: Cell,
    old: Cell,
}

impl Pair {
    /// Goes on until the ratio is certainly on one side of the limit, or `most` rounds are over.
    fn measure(
        workload: Workload,
        case: Case,
        io_uring_denied: bool,
        most: usize,
        measure: impl Fn(&Cell, bool) -> Result<Measurement>,
    ) -> Result<Pair> {
        let ours = PEERS.iter().find(|peer| peer.name == OURS).expect("ours is one of the peers");
        let cell = || Cell::new(workload, case, ours, io_uring_denied);
        let mut pair = Pair { new: cell(), old: cell() };
        for round in 0..most {
            // Each goes first as often as it goes second.
            let order = [round % 2 == 1, round % 2 == 0];
            for is_old in order {
                let cell = if is_old { &mut pair.old } else { &mut pair.new };
                cell.run(|cell| measure(cell, is_old));
                ensure!(cell.failure.is_none(), "{cell} ({}): {:?}", if is_old { "old" } else { "new" }, cell.failure);
            }
            if round + 1 >= FEWEST && pair.verdict().is_some() {
                break;
            }
        }
        Ok(pair)
    }

    fn ratio(&self) -> Estimate {
        let figure = self.new.workload.figure();
        let rounds = self.new.runs.iter().zip(&self.old.runs);
        let ratios = rounds.filter_map(|(new, old)| Some(new.figure(figure)? / old.figure(figure)?));
        Estimate::of(ratios.filter(|ratio| ratio.is_finite())).expect("both were measured")
    }

    /// Whether the limit is kept; none if that cannot be told.
    fn verdict(&self) -> Option<bool> {
        let ratio = self.ratio();
        match ratio {
            _ if ratio.high <= LIMIT => Some(true),
            _ if ratio.low > LIMIT => Some(false),
            _ => None,
        }
    }

    fn line(&self) -> String {
        let Estimate { median, low, high } = self.ratio();
        let Cell { workload, case, runs, .. } = &self.new;
        let verdict = match self.verdict() {
            Some(true) => "kept",
            Some(false) => "MISSED",
            None => "undecided",
        };
        let figure = format::name(workload.figure());
        let (rounds, case) = (runs.len(), case.to_string());
        format!("{workload:11} {case:12} {figure:6} {median:.3} ({low:.3}-{high:.3}) {verdict:9} after {rounds} rounds")
    }
}
