//! What all rounds add up to: figures for each cell, and our ratio to every other.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::cell::{Cell, Role};
use super::estimate::Estimate;
use super::machine::Machine;
use super::ratios::{self, Ratio};
use crate::measure::Figure;
use crate::peers::Kind;

/// A cell, and its figures over all rounds: absent where there are none.
#[derive(Serialize)]
pub struct Summary {
    #[serde(flatten)]
    pub cell: Cell,
    /// As [`cpu_levelled`] tells.
    pub cpu_ns_per_op: Option<Estimate>,
    pub ops_per_second: Option<Estimate>,
    /// Nanoseconds.
    pub p50: Option<Estimate>,
    pub p99: Option<Estimate>,
    pub p999: Option<Estimate>,
    pub busy: Option<Estimate>,
    pub resident_bytes: Option<Estimate>,
    pub peak_bytes: Option<Estimate>,
    pub bytes_each: Option<Estimate>,
    pub written_per_second: Option<Estimate>,
}

impl Summary {
    fn of(cell: Cell, cpu_levelled: Option<Estimate>) -> Summary {
        Summary {
            cpu_ns_per_op: cpu_levelled,
            ops_per_second: cell.estimate(Figure::Throughput),
            p50: cell.estimate(Figure::P50),
            p99: cell.estimate(Figure::P99),
            p999: cell.estimate(Figure::P999),
            busy: cell.estimate(Figure::Busy),
            resident_bytes: cell.estimate(Figure::Resident),
            peak_bytes: cell.estimate(Figure::Peak),
            bytes_each: cell.estimate(Figure::BytesEach),
            written_per_second: cell.estimate(Figure::Written),
            cell,
        }
    }

    pub fn estimate(&self, figure: Figure) -> Option<Estimate> {
        match figure {
            Figure::Cpu => self.cpu_ns_per_op,
            other => self.cell.estimate(other),
        }
    }
}

/// The CPU time of an operation: its ratio to ours in the same rounds, times our median. A machine
/// whose speed changes in between would otherwise make figures that contradict their own ratios.
fn cpu_levelled(cell: &Cell, row: &[Cell]) -> Option<Estimate> {
    let ours = row.iter().find(|ours| ours.kind == Kind::Ours && ours.role == Role::Peer);
    match ours {
        Some(ours) if ours.name() != cell.name() => {
            Some(cell.ratio_to(ours, Figure::Cpu)?.times(ours.estimate(Figure::Cpu)?.median))
        }
        Some(_) | None => cell.estimate(Figure::Cpu),
    }
}

/// What was measured: all else follows from it, and is computed again when a results file is read.
#[derive(Deserialize)]
pub struct Measured {
    pub machine: Machine,
    /// How many rounds each case has at least, and at most where it is close.
    pub rounds: usize,
    pub most_rounds: usize,
    /// How long a turn counts.
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
    pub most_rounds: usize,
    pub seconds: f64,
    pub disturbed: f64,
    pub cells: Vec<Summary>,
    pub ratios: Vec<Ratio>,
    /// Ours beside itself.
    pub controls: Vec<Ratio>,
}

impl Results {
    /// From the file that a run has written.
    pub fn read(json: &Path) -> Result<Results> {
        let whose = || format!("read {}", json.display());
        serde_json::from_slice(&fs::read(json).with_context(whose)?).with_context(whose)
    }
}

impl From<Measured> for Results {
    fn from(measured: Measured) -> Results {
        let Measured { machine, rounds, most_rounds, seconds, disturbed, cells } = measured;
        let (ratios, controls) = (ratios::of(&cells), ratios::controls(&cells));
        let rows = cells.chunk_by(Cell::same_case);
        let cpu: Vec<_> = rows.flat_map(|row| row.iter().map(|cell| cpu_levelled(cell, row))).collect();
        let cells = cells.into_iter().zip(cpu).map(|(cell, cpu)| Summary::of(cell, cpu)).collect();
        Results { machine, rounds, most_rounds, seconds, disturbed, cells, ratios, controls }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::measure::Measurement;
    use crate::peers::PEERS;
    use crate::workloads::{Case, Workload};

    fn cell(peer: usize, nanoseconds: &[u64]) -> Cell {
        let mut cell = Cell::new(Workload::Read, Case::of(32), &PEERS[peer], Role::Peer, false);
        for (round, &nanoseconds) in nanoseconds.iter().enumerate() {
            let cpu = Duration::from_nanos(nanoseconds);
            cell.run(round, |_| Ok(Measurement { ops: 1, cpu, ..Measurement::default() }));
        }
        cell
    }

    #[test]
    fn cpu_time_agrees_with_its_ratio_when_the_machine_slows_down() {
        // The other costs a tenth more in every round, and ran in the fast ones alone.
        let row = [cell(0, &[10, 10, 20, 20, 20]), cell(2, &[11, 11])];
        let cpu = |cell| cpu_levelled(cell, &row).unwrap().median;
        assert_eq!(cpu(&row[0]), 20.0);
        assert!((cpu(&row[1]) - 22.0).abs() < 1e-9, "{}", cpu(&row[1]));
    }
}
