//! This program beside an older build of it: what a change of the library did to its figures.

use std::path::Path;

use anyhow::{Context, Result, bail};

use super::cell::{Cell, Role};
use super::estimate::Estimate;
use super::options::{Effort, Extent, Options};
use super::stage::Stage;
use super::targets::{Limit, OURS, Verdict};
use super::{format, instructions, plan, race};
use crate::measure::Figure;
use crate::peers::PEERS;
use crate::workloads::Workload::{self, *};
use crate::workloads::{Case, echo};

/// A change must not cost more than this, new over old.
const LIMIT: Limit = Limit::AtMost(1.01);

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

/// Measures aio-runtime in this program and in `old`, which may have been built from another
/// commit, turn by turn; prints the ratios.
pub fn against(options: &Options, old: &Path) -> Result<()> {
    let old = old.canonicalize().with_context(|| format!("find {}", old.display()))?;
    let effort = options.effort(Effort::PAIR)?;
    let stage = Stage::set(&options.dir, options.server_core, options.load_core)?.with_old(old);
    let counts_instructions = instructions::can_be_counted();

    println!("new: {}", stage.program(Role::Peer).display());
    println!("old: {}", stage.program(Role::Old).display());
    println!("new/old: the median of all rounds, and its 95 % interval. Wanted: {LIMIT}\n");
    for (workload, case) in chosen(options) {
        let window = effort.window(workload, &case);
        let mut pair = pair(workload, case, options.deny_io_uring);
        race::run(&mut pair, effort.rounds, close, |cell| stage.measure(cell, window));
        println!("{}", line(&pair)?);
        if counts_instructions && workload.has_instructions(&case) {
            println!("{}", instructions_line(&pair, &stage)?);
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

/// The new one, then the old one.
fn pair(workload: Workload, case: Case, io_uring_denied: bool) -> [Cell; 2] {
    let ours = PEERS.iter().find(|peer| peer.name == OURS).expect("ours is one of the peers");
    [Role::Peer, Role::Old].map(|role| Cell::new(workload, case, ours, role, io_uring_denied))
}

fn close(pair: &[Cell]) -> Vec<usize> {
    match ratio(pair).map(|ratio| LIMIT.verdict(&ratio)) {
        Some(Verdict::Undecided) => vec![0, 1],
        Some(Verdict::Met | Verdict::Missed) | None => Vec::new(),
    }
}

fn ratio(pair: &[Cell]) -> Option<Estimate> {
    pair[0].ratio_to(&pair[1], figure(&pair[0]))
}

fn figure(cell: &Cell) -> Figure {
    cell.workload.figure()
}

fn line(pair: &[Cell]) -> Result<String> {
    if let Some((cell, reason)) = pair.iter().find_map(|cell| Some((cell, cell.failure.as_ref()?))) {
        bail!("{cell}: {reason}");
    }
    let new = &pair[0];
    let ratio = ratio(pair).with_context(|| format!("{new} has no such figure"))?;
    let Estimate { median, low, high, count } = ratio;
    let verdict = LIMIT.verdict(&ratio);
    let (workload, case, figure) = (new.workload, new.case.to_string(), format::name(figure(new)));
    Ok(format!("{workload:11} {case:12} {figure:6}  {median:.3} ({low:.3}-{high:.3}) {verdict:9} after {count} rounds"))
}

fn instructions_line(pair: &[Cell], stage: &Stage) -> Result<String> {
    let count = |cell: &Cell| instructions::per_operation(stage.program(cell.role), cell, stage.server_core);
    let (new, old) = (count(&pair[0])?, count(&pair[1])?);
    Ok(format!("{:11} {:12} instr.  {:.3} ({new:.1} / {old:.1})", "", "", new / old))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::driver::race::Rounds;
    use crate::measure::Measurement;

    /// Races the two, whose operations cost so many nanoseconds, and returns the line.
    fn race(new: u64, old: impl Fn(usize) -> u64) -> Result<String> {
        let mut pair = pair(Read, Case::of(32), false);
        race::run(&mut pair, Rounds { least: 6, most: 24 }, close, |cell| {
            let nanoseconds = if cell.role == Role::Old { old(cell.turns.len()) } else { new };
            Ok(Measurement { ops: 1, cpu: Duration::from_nanos(nanoseconds), ..Measurement::default() })
        });
        line(&pair)
    }

    #[test]
    fn change_is_decided_as_soon_as_it_can_be() {
        assert_eq!(
            race(90, |_| 100).unwrap(),
            "read        32           CPU/op  0.900 (0.900-0.900) met       after 6 rounds"
        );
        assert!(race(110, |_| 100).unwrap().ends_with("MISSED    after 6 rounds"));
        assert!(race(100, |turn| [90, 110][turn % 2]).unwrap().ends_with("undecided after 24 rounds"));
    }

    #[test]
    fn failure_is_an_error() {
        let mut pair = pair(Read, Case::of(32), false);
        race::run(&mut pair, Rounds { least: 6, most: 24 }, close, |_| bail!("too much"));
        assert_eq!(line(&pair).unwrap_err().to_string(), "read 32 on aio-runtime: too much");
    }
}
