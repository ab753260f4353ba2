//! Our figures over others', and what of the targets is reached.

use std::fmt;

use serde::{Serialize, Serializer};

use super::cell::{Cell, Spread};
use super::targets::{self, Against, Limit, OURS, Target};
use crate::measure::Figure;
use crate::peers::Kind;
use crate::workloads::{Case, Workload};

/// A figure of ours over another's.
#[derive(Serialize)]
pub struct Ratio {
    pub workload: Workload,
    #[serde(serialize_with = "in_words")]
    pub case: Case,
    pub io_uring_denied: bool,
    pub figure: Figure,
    pub ours: String,
    pub against: String,
    /// Taken in each round, where the two ran one right after the other: a machine that is slower
    /// for a while is slower for both.
    pub value: Spread,
    pub target: Option<Limit>,
    pub met: Option<bool>,
}

/// All targets whose peers were run, and beside them our ratio to every other peer in the figure
/// that counts.
pub fn of(cells: &[Cell]) -> Vec<Ratio> {
    let targets = targets::all();
    let mut ratios = Vec::new();
    for row in cells.chunk_by(Cell::same_case) {
        let aims: Vec<&Target> = targets.iter().filter(|target| target.is_for(&row[0])).collect();
        let figure = row[0].workload.figure();
        if let Some(ours) = row.iter().find(|cell| cell.peer == OURS) {
            for theirs in row.iter().filter(|cell| cell.kind != Kind::Ours && cell.kind != Kind::Spinning) {
                let aim = aims.iter().find(|aim| aim.is_plain(figure) && aim.is_against(&theirs.peer));
                ratios.extend(Ratio::between(ours, theirs, figure, theirs.peer.clone(), aim.map(|aim| aim.limit)));
            }
        }
        let rest = aims.iter().filter(|aim| !(aim.is_plain(figure) && matches!(aim.against, Against::Peer(_))));
        ratios.extend(rest.filter_map(|aim| aim.look_at(row, cells)));
    }
    ratios
}

impl Ratio {
    /// None if one of the two has no such figure.
    fn between(ours: &Cell, theirs: &Cell, figure: Figure, against: String, target: Option<Limit>) -> Option<Ratio> {
        let rounds = ours.runs.iter().zip(&theirs.runs);
        let values = rounds.filter_map(|(ours, theirs)| Some(ours.figure(figure)? / theirs.figure(figure)?));
        // Nothing over nothing says nothing.
        let value = Spread::of(values.filter(|value| value.is_finite()))?;
        Some(Ratio::new(ours, figure, against, value, target))
    }

    fn new(ours: &Cell, figure: Figure, against: String, value: Spread, target: Option<Limit>) -> Ratio {
        Ratio {
            workload: ours.workload,
            case: ours.case,
            io_uring_denied: ours.io_uring_denied,
            figure,
            ours: ours.peer.clone(),
            against,
            value,
            target,
            met: target.map(|limit| limit.is_met(value.median)),
        }
    }
}

impl Target {
    fn is_for(&self, cell: &Cell) -> bool {
        (self.workload, self.case, false) == (cell.workload, cell.case, cell.io_uring_denied)
    }

    /// Whether it is about us without options, in this figure.
    fn is_plain(&self, figure: Figure) -> bool {
        self.ours == OURS && self.figure == figure
    }

    fn is_against(&self, peer: &str) -> bool {
        matches!(self.against, Against::Peer(name) if name == peer)
    }

    /// Compares in `row`, which has the cells of the target's case; none if somebody is missing
    /// there.
    fn look_at(&self, row: &[Cell], all: &[Cell]) -> Option<Ratio> {
        let Target { figure, limit, .. } = *self;
        let ours = row.iter().find(|cell| cell.peer == self.ours)?;
        let between = |theirs, against| Ratio::between(ours, theirs, figure, against, Some(limit));
        match self.against {
            Against::Peer(peer) => between(row.iter().find(|cell| cell.peer == peer)?, peer.to_owned()),
            Against::BestIoUring => {
                let best = self.best(row)?;
                between(best, format!("best io_uring: {}", best.peer))
            }
            Against::BestRuntime => {
                let best = self.best(row)?;
                between(best, format!("best: {}", best.peer))
            }
            Against::Case(case) => {
                let same = |cell: &&Cell| (cell.workload, cell.case, &*cell.peer) == (self.workload, case, self.ours);
                let other = all.iter().filter(|cell| !cell.io_uring_denied).find(same)?;
                between(other, format!("itself, {case}"))
            }
            Against::Nothing => Some(Ratio::new(ours, figure, "nothing".to_owned(), ours.spread(figure)?, Some(limit))),
        }
    }

    /// The one with the best median.
    fn best<'a>(&self, row: &'a [Cell]) -> Option<&'a Cell> {
        let with_median = |cell: &'a Cell| Some((cell, cell.spread(self.figure)?.median));
        let able = row.iter().filter(|cell| self.against.counts(cell.kind)).filter_map(with_median);
        let order = |one: &(&Cell, f64), other: &(&Cell, f64)| match self.figure.more_is_better() {
            true => other.1.total_cmp(&one.1),
            false => one.1.total_cmp(&other.1),
        };
        able.min_by(order).map(|(cell, _)| cell)
    }
}

/// For what has a name to be written in words.
fn in_words<T: fmt::Display, S: Serializer>(it: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(it)
}
