//! What the rounds add up to: for each cell the median and how far the rounds lie apart, and our
//! ratio to every other.

use std::fmt;

use anyhow::Result;
use serde::{Deserialize, Serialize, Serializer};

use super::machine::Machine;
use super::ratios::{self, Ratio};
use crate::measure::{Figure, Measurement};
use crate::peers::{Kind, Peer};
use crate::workloads::{Case, Workload};

/// One peer in one case of a workload, with the runs of all rounds.
#[derive(Serialize, Deserialize)]
pub struct Cell {
    pub workload: Workload,
    pub case: Case,
    /// The case in words.
    #[serde(rename = "label")]
    words: String,
    pub io_uring_denied: bool,
    pub peer: String,
    pub kind: Kind,
    pub runs: Vec<Measurement>,
    /// In a run of its own.
    pub system_calls: Option<f64>,
    /// Why it was not run again, or never.
    pub failure: Option<String>,
}

impl Cell {
    pub fn new(workload: Workload, case: Case, peer: &Peer, io_uring_denied: bool) -> Cell {
        Cell {
            workload,
            case,
            words: case.to_string(),
            io_uring_denied,
            peer: peer.name.to_owned(),
            kind: peer.kind,
            runs: Vec::new(),
            system_calls: None,
            failure: None,
        }
    }

    /// Does one run more, unless one has failed.
    pub fn run(&mut self, measure: impl FnOnce(&Cell) -> Result<Measurement>) {
        if self.failure.is_none() {
            match measure(self) {
                Ok(measurement) => self.runs.push(measurement),
                Err(error) => self.failure = Some(format!("{error:#}")),
            }
        }
    }

    /// As [`Cell::run`], for the system calls alone.
    pub fn count_calls(&mut self, measure: impl FnOnce(&Cell) -> Result<Measurement>) {
        if self.failure.is_none() {
            match measure(self) {
                Ok(measurement) => self.system_calls = measurement.figure(Figure::SystemCalls),
                Err(error) => self.failure = Some(format!("while its system calls were counted: {error:#}")),
            }
        }
    }

    pub fn same_case(&self, other: &Cell) -> bool {
        (self.workload, self.case, self.io_uring_denied) == (other.workload, other.case, other.io_uring_denied)
    }

    pub fn spread(&self, figure: Figure) -> Option<Spread> {
        Spread::of(self.runs.iter().filter_map(|run| run.figure(figure)))
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let denied = if self.io_uring_denied { ", io_uring denied" } else { "" };
        write!(f, "{} {} on {}{denied}", self.workload, self.case, self.peer)
    }
}

/// A cell, and its figures over all rounds: absent where there are none.
#[derive(Serialize)]
pub struct Summary {
    #[serde(flatten)]
    pub cell: Cell,
    pub cpu_ns_per_op: Option<Spread>,
    pub ops_per_second: Option<Spread>,
    /// Nanoseconds.
    pub p50: Option<Spread>,
    pub p99: Option<Spread>,
    pub p999: Option<Spread>,
    pub busy: Option<Spread>,
    pub resident_bytes: Option<Spread>,
    pub peak_bytes: Option<Spread>,
    pub bytes_each: Option<Spread>,
    pub written_per_second: Option<Spread>,
}

impl Summary {
    fn of(cell: Cell) -> Summary {
        Summary {
            cpu_ns_per_op: cell.spread(Figure::Cpu),
            ops_per_second: cell.spread(Figure::Throughput),
            p50: cell.spread(Figure::P50),
            p99: cell.spread(Figure::P99),
            p999: cell.spread(Figure::P999),
            busy: cell.spread(Figure::Busy),
            resident_bytes: cell.spread(Figure::Resident),
            peak_bytes: cell.spread(Figure::Peak),
            bytes_each: cell.spread(Figure::BytesEach),
            written_per_second: cell.spread(Figure::Written),
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
    /// None of no figures.
    pub fn of(figures: impl Iterator<Item = f64>) -> Option<Spread> {
        let mut figures: Vec<f64> = figures.collect();
        figures.sort_by(f64::total_cmp);
        let (&min, &max) = (figures.first()?, figures.last()?);
        let (upper, lower) = (figures.len() / 2, (figures.len() - 1) / 2);
        Some(Spread { median: (figures[lower] + figures[upper]) / 2.0, min, max })
    }
}

/// What was measured: all else follows from it, and is made anew when a results file is read.
#[derive(Deserialize)]
pub struct Measured {
    pub machine: Machine,
    pub rounds: usize,
    pub seconds: f64,
    /// The share of the machine that others took meanwhile.
    pub disturbed: f64,
    pub cells: Vec<Cell>,
}

/// All that is reported, and what the JSON file holds.
#[derive(Serialize, Deserialize)]
#[serde(from = "Measured")]
pub struct Results {
    pub machine: Machine,
    pub rounds: usize,
    pub seconds: f64,
    pub disturbed: f64,
    pub cells: Vec<Summary>,
    pub ratios: Vec<Ratio>,
}

impl From<Measured> for Results {
    fn from(Measured { machine, rounds, seconds, disturbed, cells }: Measured) -> Results {
        let ratios = ratios::of(&cells);
        let cells = cells.into_iter().map(Summary::of).collect();
        Results { machine, rounds, seconds, disturbed, cells, ratios }
    }
}

/// For what has a name to be written in words.
pub fn in_words<T: fmt::Display, S: Serializer>(it: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(it)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn median(figures: &[f64]) -> Option<f64> {
        Spread::of(figures.iter().copied()).map(|spread| spread.median)
    }

    #[test]
    fn median_is_the_one_in_the_middle_or_between_two() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0]), Some(3.0));
        assert_eq!(median(&[9.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[10.0, 1.0, 2.0, 4.0]), Some(3.0));
    }

    #[test]
    fn spread_goes_from_least_to_most() {
        let spread = Spread::of([5.0, -1.0, 7.0].into_iter()).unwrap();
        assert_eq!((spread.min, spread.max), (-1.0, 7.0));
    }
}
