//! A cell: one peer in one case of a workload, with its runs.

use std::fmt;

use anyhow::Result;
use serde::{Deserialize, Serialize};

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
