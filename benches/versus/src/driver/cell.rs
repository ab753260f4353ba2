//! A cell: one peer in one case of a workload, with what was measured of it.

use std::fmt;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::estimate::Estimate;
use crate::measure::{Figure, Measurement};
use crate::peers::{Kind, Peer};
use crate::workloads::{Case, Workload};

#[derive(Serialize, Deserialize)]
pub struct Cell {
    pub workload: Workload,
    pub case: Case,
    /// The case in words.
    label: String,
    pub io_uring_denied: bool,
    pub peer: String,
    pub kind: Kind,
    pub role: Role,
    /// In the order of their rounds, some of which may be missing.
    pub turns: Vec<Turn>,
    /// Per operation, in a run of its own.
    pub system_calls: Option<f64>,
    /// Per operation, in user space, in runs of their own.
    pub instructions: Option<f64>,
    /// Why it was not run again, or never.
    pub failure: Option<String>,
}

/// What a cell is there for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// For the peer's own figures.
    Peer,
    /// A control: the peer once more. Any difference between the two is chance.
    Again,
    /// The peer in the same case without its idle connections.
    WithoutIdle,
    /// The peer as it was in an older build of this program.
    Old,
}

/// What was measured in a round.
#[derive(Serialize, Deserialize)]
pub struct Turn {
    pub round: usize,
    pub measured: Measurement,
}

/// The samples that a p99.9 has to rest on: 100 of them lie beyond it.
const SAMPLES_FOR_P999: u64 = 100_000;

impl Cell {
    pub fn new(workload: Workload, case: Case, peer: &Peer, role: Role, io_uring_denied: bool) -> Cell {
        Cell {
            workload,
            case,
            label: case.to_string(),
            io_uring_denied,
            peer: peer.name.to_owned(),
            kind: peer.kind,
            role,
            turns: Vec::new(),
            system_calls: None,
            instructions: None,
            failure: None,
        }
    }

    /// The name of its line in a table: no other cell of the case has it.
    pub fn name(&self) -> String {
        let peer = &self.peer;
        match self.role {
            Role::Peer => peer.clone(),
            Role::Again => format!("{peer} (again)"),
            Role::WithoutIdle => format!("{peer} (no idle)"),
            Role::Old => format!("{peer} (old)"),
        }
    }

    /// What its child runs.
    pub fn case_to_run(&self) -> Case {
        match self.role {
            Role::WithoutIdle => self.case.beside(0),
            Role::Peer | Role::Again | Role::Old => self.case,
        }
    }

    /// Takes its turn in a round, unless it has failed.
    pub fn run(&mut self, round: usize, measure: impl FnOnce(&Cell) -> Result<Measurement>) {
        if self.failure.is_none() {
            match measure(self) {
                Ok(measured) => self.turns.push(Turn { round, measured }),
                Err(error) => self.failure = Some(format!("{error:#}")),
            }
        }
    }

    /// As [`Cell::run`], for the system calls alone.
    pub fn count_calls(&mut self, measure: impl FnOnce(&Cell) -> Result<Measurement>) {
        if self.failure.is_none() {
            match measure(self) {
                Ok(measured) => self.system_calls = measured.figure(Figure::SystemCalls),
                Err(error) => self.failure = Some(format!("while its system calls were counted: {error:#}")),
            }
        }
    }

    pub fn same_case(&self, other: &Cell) -> bool {
        (self.workload, self.case, self.io_uring_denied) == (other.workload, other.case, other.io_uring_denied)
    }

    /// A figure over all rounds; none if it has no such figure, or too few samples for it.
    pub fn estimate(&self, figure: Figure) -> Option<Estimate> {
        if figure == Figure::P999 && self.samples() < SAMPLES_FOR_P999 {
            return None;
        }
        Estimate::of(self.turns.iter().filter_map(|turn| turn.measured.figure(figure)))
    }

    /// Its figure as a multiple of another's in the same round; none without such rounds.
    pub fn ratio_to(&self, other: &Cell, figure: Figure) -> Option<Estimate> {
        let ratios = self.turns.iter().filter_map(|turn| {
            let theirs = other.turns.iter().find(|theirs| theirs.round == turn.round)?;
            Some(turn.measured.figure(figure)? / theirs.measured.figure(figure)?)
        });
        // Nothing over nothing says nothing.
        Estimate::of(ratios.filter(|ratio| ratio.is_finite()))
    }

    fn samples(&self) -> u64 {
        self.turns.iter().filter_map(|turn| Some(turn.measured.latency.as_ref()?.samples)).sum()
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let denied = if self.io_uring_denied { ", io_uring denied" } else { "" };
        write!(f, "{} {} on {}{denied}", self.workload, self.case, self.name())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::measure::Latency;
    use crate::peers::PEERS;

    /// With a turn for each round and its CPU time; each has 40,000 samples.
    fn cell(turns: &[(usize, u64)]) -> Cell {
        let mut cell = Cell::new(Workload::Read, Case::of(1), &PEERS[0], Role::Peer, false);
        for &(round, nanoseconds) in turns {
            let latency = Some(Latency { samples: 40_000, ..Latency::default() });
            let cpu = Duration::from_nanos(nanoseconds);
            cell.run(round, |_| Ok(Measurement { ops: 1, cpu, latency, ..Measurement::default() }));
        }
        cell
    }

    #[test]
    fn ratio_is_taken_in_rounds_that_both_have_run() {
        let (ours, theirs) = (cell(&[(0, 1), (1, 6), (3, 8)]), cell(&[(1, 3), (2, 5), (3, 2)]));
        let ratio = ours.ratio_to(&theirs, Figure::Cpu).unwrap();
        assert_eq!((ratio.low, ratio.median, ratio.high, ratio.count), (2.0, 3.0, 4.0, 2));
        assert!(cell(&[(0, 1)]).ratio_to(&cell(&[(1, 1)]), Figure::Cpu).is_none());
    }

    #[test]
    fn p999_needs_its_samples() {
        assert!(cell(&[(0, 1), (1, 1)]).estimate(Figure::P999).is_none());
        assert!(cell(&[(0, 1), (1, 1), (2, 1)]).estimate(Figure::P999).is_some());
        assert!(cell(&[(0, 1)]).estimate(Figure::P99).is_some());
    }

    #[test]
    fn failure_ends_the_turns_and_keeps_those_before() {
        let mut cell = cell(&[(0, 1)]);
        cell.run(1, |_| Err(anyhow::anyhow!("too much")));
        cell.run(2, |_| unreachable!("it has failed"));
        assert_eq!((cell.turns.len(), cell.failure.as_deref()), (1, Some("too much")));
    }
}
