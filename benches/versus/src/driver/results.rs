//! What the rounds add up to: for each cell the median and how far the rounds lie apart, and our
//! ratio to every other.

use serde::{Deserialize, Serialize};

use super::cell::{Cell, Spread};
use super::machine::Machine;
use super::ratios::{self, Ratio};
use crate::measure::Figure;

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
