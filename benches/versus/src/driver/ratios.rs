//! Our figures as multiples of others', and which targets are met.

use std::fmt;

use serde::{Serialize, Serializer};

use super::cell::{Cell, Role};
use super::estimate::Estimate;
use super::targets::{self, Against, Limit, OURS, Target, Verdict};
use crate::measure::Figure;
use crate::peers::Kind;
use crate::workloads::{Case, Workload};

/// A figure of ours as a multiple of another's.
#[derive(Serialize)]
pub struct Ratio {
    pub workload: Workload,
    #[serde(serialize_with = "as_text")]
    pub case: Case,
    pub io_uring_denied: bool,
    pub figure: Figure,
    /// The name of our cell.
    pub ours: String,
    /// Whom it is compared with: a peer, or the best of some.
    pub against: String,
    /// The name of that cell; none if the figure is compared with nothing.
    pub rival: Option<String>,
    /// Of the ratios in all rounds that both have run.
    pub value: Estimate,
    pub limit: Option<Limit>,
    pub verdict: Option<Verdict>,
}

/// All targets whose peers were run, and our ratio to every other peer in the figure that counts.
pub fn of(cells: &[Cell]) -> Vec<Ratio> {
    cells.chunk_by(Cell::same_case).flat_map(of_case).collect()
}

/// Ours compared with itself, in each case that has a control: how far the ratio is from 1 is
/// chance.
pub fn controls(cells: &[Cell]) -> Vec<Ratio> {
    let of_case = |row: &[Cell]| {
        let again = row.iter().find(|cell| cell.role == Role::Again)?;
        let ours = named(row, &again.peer)?;
        Ratio::between(ours, again, row[0].workload.figure(), "itself", None)
    };
    cells.chunk_by(Cell::same_case).filter_map(of_case).collect()
}

/// The cells of one case between whom a target is still undecided.
pub fn close(row: &[Cell]) -> Vec<usize> {
    let undecided: Vec<Ratio> =
        of_case(row).into_iter().filter(|ratio| ratio.verdict == Some(Verdict::Undecided)).collect();
    let is_in = |name: &str| undecided.iter().any(|ratio| ratio.ours == name || ratio.rival.as_deref() == Some(name));
    (0..row.len()).filter(|&index| is_in(&row[index].name())).collect()
}

fn of_case(row: &[Cell]) -> Vec<Ratio> {
    let targets = targets::all();
    let aims: Vec<&Target> = targets.iter().filter(|target| target.is_for(&row[0])).collect();
    let figure = row[0].workload.figure();
    let mut ratios = Vec::new();
    if let Some(ours) = named(row, OURS) {
        for theirs in row.iter().filter(|cell| cell.kind != Kind::Ours && !cell.kind.spins()) {
            let aim = aims.iter().find(|aim| aim.is_plain(figure) && aim.is_against(&theirs.peer));
            ratios.extend(Ratio::between(ours, theirs, figure, &theirs.peer, aim.map(|aim| aim.limit)));
        }
    }
    let rest = aims.iter().filter(|aim| !(aim.is_plain(figure) && matches!(aim.against, Against::Peer(_))));
    ratios.extend(rest.filter_map(|aim| aim.look_at(row)));
    ratios
}

fn named<'a>(row: &'a [Cell], name: &str) -> Option<&'a Cell> {
    row.iter().find(|cell| cell.name() == name)
}

impl Ratio {
    /// None if the two have no round in common with such a figure.
    fn between(ours: &Cell, theirs: &Cell, figure: Figure, against: &str, limit: Option<Limit>) -> Option<Ratio> {
        let value = ours.ratio_to(theirs, figure)?;
        Some(Ratio::new(ours, figure, against, Some(theirs.name()), value, limit))
    }

    fn new(
        ours: &Cell,
        figure: Figure,
        against: &str,
        rival: Option<String>,
        value: Estimate,
        limit: Option<Limit>,
    ) -> Ratio {
        Ratio {
            workload: ours.workload,
            case: ours.case,
            io_uring_denied: ours.io_uring_denied,
            figure,
            ours: ours.name(),
            against: against.to_owned(),
            rival,
            value,
            limit,
            verdict: limit.map(|limit| limit.verdict(&value)),
        }
    }

    /// Whom it is compared with, by name.
    pub fn whom(&self) -> String {
        match &self.rival {
            Some(rival) if *rival != self.against => format!("{}: {rival}", self.against),
            Some(_) | None => self.against.clone(),
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
    fn look_at(&self, row: &[Cell]) -> Option<Ratio> {
        let Target { figure, limit, .. } = *self;
        let ours = named(row, self.ours)?;
        let between = |theirs, against| Ratio::between(ours, theirs, figure, against, Some(limit));
        match self.against {
            Against::Peer(peer) => between(named(row, peer)?, peer),
            Against::BestIoUring => between(self.best(ours, row)?, "best io_uring"),
            Against::BestRuntime => between(self.best(ours, row)?, "best"),
            Against::WithoutIdle => between(row.iter().find(|cell| cell.role == Role::WithoutIdle)?, "itself"),
            Against::Nothing => {
                let value = ours.estimate(figure)?;
                Some(Ratio::new(ours, figure, "nothing", None, value, Some(limit)))
            }
        }
    }

    /// The one that ours compares worst with, in the rounds that both have run.
    fn best<'a>(&self, ours: &Cell, row: &'a [Cell]) -> Option<&'a Cell> {
        let able = row.iter().filter(|cell| self.against.counts(cell.kind));
        let ratios = able.filter_map(|cell| Some((cell, ours.ratio_to(cell, self.figure)?.median)));
        let worst = match self.figure.more_is_better() {
            true => ratios.min_by(|one, other| one.1.total_cmp(&other.1)),
            false => ratios.max_by(|one, other| one.1.total_cmp(&other.1)),
        };
        worst.map(|(cell, _)| cell)
    }
}

/// For what has a name to be written as text.
fn as_text<T: fmt::Display, S: Serializer>(it: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(it)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::measure::Measurement;
    use crate::peers::PEERS;

    /// A cell of the case "32 reads at once", whose CPU time is `nanoseconds` in each round.
    fn cell(name: &str, role: Role, nanoseconds: &[u64]) -> Cell {
        let peer = PEERS.iter().find(|peer| peer.name == name).unwrap();
        let mut cell = Cell::new(Workload::Read, Case::of(32), peer, role, false);
        for (round, &nanoseconds) in nanoseconds.iter().enumerate() {
            let cpu = Duration::from_nanos(nanoseconds);
            cell.run(round, |_| Ok(Measurement { ops: 1, cpu, ..Measurement::default() }));
        }
        cell
    }

    fn against<'a>(ratios: &'a [Ratio], whom: &str) -> &'a Ratio {
        ratios.iter().find(|ratio| ratio.whom() == whom).unwrap_or_else(|| panic!("nothing against {whom}"))
    }

    #[test]
    fn best_is_the_one_that_ours_compares_worst_with_in_common_rounds() {
        // compio has the lower median, as it ran only while the machine was fast.
        let row = [
            cell("aio-runtime", Role::Peer, &[10, 10, 20, 20, 20, 20]),
            cell("compio", Role::Peer, &[12, 12]),
            cell("monoio", Role::Peer, &[8, 8, 16, 16, 16, 16]),
        ];
        let ratios = of(&row);
        let best = against(&ratios, "best io_uring: monoio");
        assert_eq!((best.value.median, best.verdict), (1.25, Some(Verdict::Missed)));
        assert_eq!(against(&ratios, "compio").verdict, None, "there is no such target");
    }

    #[test]
    fn close_race_is_between_ours_and_the_rival() {
        let straddles = [9, 9, 9, 11, 11, 11];
        let row = [
            cell("aio-runtime", Role::Peer, &[10; 6]),
            cell("aio-runtime", Role::Again, &straddles),
            cell("tokio", Role::Peer, &straddles),
            cell("monoio", Role::Peer, &straddles),
            cell("bare-aio", Role::Peer, &[10; 6]),
        ];
        assert_eq!(against(&of(&row), "bare-aio").verdict, Some(Verdict::Met));
        assert_eq!(close(&row), [0, 3]);
    }

    #[test]
    fn too_few_rounds_decide_nothing() {
        let row = [cell("aio-runtime", Role::Peer, &[1; 5]), cell("bare-aio", Role::Peer, &[9; 5])];
        assert_eq!(against(&of(&row), "bare-aio").verdict, Some(Verdict::Undecided));
    }

    #[test]
    fn control_is_compared_with_itself_and_with_nobody_else() {
        let row = [
            cell("aio-runtime", Role::Peer, &[12; 6]),
            cell("aio-runtime", Role::Again, &[10; 6]),
            cell("monoio", Role::Peer, &[12; 6]),
        ];
        let [control] = &controls(&row)[..] else { panic!("one case has one control") };
        assert_eq!((control.value.median, control.verdict), (1.2, None));
        assert!(of(&row).iter().all(|ratio| ratio.rival.as_deref() == Some("monoio")));
    }
}
