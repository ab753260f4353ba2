//! What the rounds add up to: for each cell the median and how far the rounds lie apart, and our ratio to every other.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::targets::{self, OURS};
use crate::measure::{Latency, Measurement};
use crate::workloads::{Case, Workload};

/// One peer in one case (a workload at a size), with the runs of all rounds.
#[derive(Serialize)]
pub struct Cell {
    pub workload: Workload,
    pub case: Case,
    pub peer: &'static str,
    pub runs: Vec<Measurement>,
}

impl Cell {
    pub fn new(workload: Workload, case: Case, peer: &'static str) -> Cell {
        Cell { workload, case, peer, runs: Vec::new() }
    }

    fn has_latency(&self) -> bool {
        self.runs.iter().any(|run| run.latency.is_some())
    }

    pub fn same_case(&self, other: &Cell) -> bool {
        (self.workload, self.case) == (other.workload, other.case)
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} on {}", self.workload, self.case, self.peer)
    }
}

/// A cell, and its figures over all rounds.
#[derive(Serialize)]
pub struct Summary {
    #[serde(flatten)]
    pub cell: Cell,
    pub cpu_ns_per_op: Spread,
    pub ops_per_second: Spread,
    pub busy: Spread,
    /// Nanoseconds; none where latencies are not taken.
    pub p50: Option<Spread>,
    pub p99: Option<Spread>,
}

impl Summary {
    fn of(cell: Cell) -> Summary {
        let over = |figure: fn(&Measurement) -> f64| Spread::of(cell.runs.iter().map(figure));
        let latency = |quantile: fn(&Latency) -> Duration| {
            let taken = cell.runs.iter().filter_map(|run| run.latency.as_ref());
            let nanoseconds = taken.map(|latency| quantile(latency).as_nanos() as f64);
            cell.has_latency().then(|| Spread::of(nanoseconds))
        };
        Summary {
            cpu_ns_per_op: over(Measurement::cpu_ns_per_op),
            ops_per_second: over(Measurement::ops_per_second),
            busy: over(Measurement::busy),
            p50: latency(|latency| latency.p50),
            p99: latency(|latency| latency.p99),
            cell,
        }
    }
}

#[derive(Clone, Copy, Serialize)]
pub struct Spread {
    pub median: f64,
    pub min: f64,
    pub max: f64,
}

impl Spread {
    /// # Panics
    ///
    /// If there are no figures: there is at least one round.
    fn of(figures: impl Iterator<Item = f64>) -> Spread {
        let mut figures: Vec<f64> = figures.collect();
        figures.sort_by(f64::total_cmp);
        let (upper, lower) = (figures.len() / 2, (figures.len() - 1) / 2);
        Spread { median: (figures[lower] + figures[upper]) / 2.0, min: figures[0], max: figures[figures.len() - 1] }
    }
}

/// Our CPU time per operation over another's.
#[derive(Serialize)]
pub struct Ratio {
    pub workload: Workload,
    pub case: Case,
    pub against: &'static str,
    /// Taken in each round, where the two ran one right after the other: a machine that is slower for a while is slower
    /// for both.
    pub value: Spread,
    pub target: Option<f64>,
}

impl Ratio {
    fn between(ours: &Cell, theirs: &Cell) -> Ratio {
        let rounds = ours.runs.iter().zip(&theirs.runs);
        Ratio {
            workload: ours.workload,
            case: ours.case,
            against: theirs.peer,
            value: Spread::of(rounds.map(|(ours, theirs)| ours.cpu_ns_per_op() / theirs.cpu_ns_per_op())),
            target: targets::at_most(ours.workload, ours.case, theirs.peer),
        }
    }

    /// None where no target is set.
    pub fn is_met(&self) -> Option<bool> {
        self.target.map(|at_most| self.value.median <= at_most)
    }
}

/// All that is reported, and what the JSON file holds.
#[derive(Serialize)]
pub struct Results {
    pub kernel: String,
    pub rounds: usize,
    pub seconds: f64,
    /// The share of the machine that others took meanwhile.
    pub disturbed: f64,
    pub cells: Vec<Summary>,
    pub ratios: Vec<Ratio>,
}

impl Results {
    pub fn new(rounds: usize, seconds: f64, disturbed: f64, cells: Vec<Cell>) -> Results {
        let ratios = cells
            .chunk_by(Cell::same_case)
            .flat_map(|case| {
                let ours = case.iter().find(|cell| cell.peer == OURS);
                let others = case.iter().filter(|cell| cell.peer != OURS);
                others.filter_map(move |theirs| Some(Ratio::between(ours?, theirs)))
            })
            .collect();
        Results {
            kernel: rustix::system::uname().release().to_string_lossy().into_owned(),
            rounds,
            seconds,
            disturbed,
            cells: cells.into_iter().map(Summary::of).collect(),
            ratios,
        }
    }
}
