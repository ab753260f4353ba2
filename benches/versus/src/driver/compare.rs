//! Two runs of `all`: how far they differ, and on which verdicts.

use std::path::Path;

use anyhow::Result;

use super::estimate::Estimate;
use super::format;
use super::ratios::Ratio;
use super::results::{Results, Summary};
use super::sheet::Column::{Figures, Words};
use super::sheet::Sheet;
use super::targets::Verdict;

/// Prints how the results of two runs differ.
pub fn compare(before: &Path, after: &Path) -> Result<()> {
    println!("{}", text(&Results::read(before)?, &Results::read(after)?));
    Ok(())
}

fn text(before: &Results, after: &Results) -> String {
    let ratios = common(&before.ratios, &after.ratios, same_ratio);
    let mut out = verdicts(&ratios);
    let mut changes: Vec<f64> = ratios.iter().map(|(before, after)| change(&before.value, &after.value)).collect();
    changes.sort_by(f64::total_cmp);
    if let Some(last) = changes.len().checked_sub(1) {
        let percent = |share: usize| 100.0 * changes[last * share / 100];
        out += &format!("\nHalf of the ratios differ by less than {:.1} %, ", percent(50));
        out += &format!("nine tenths by less than {:.1} %, all by less than {:.1} %.\n", percent(90), percent(100));
    }
    let moved: Vec<_> = ratios.iter().filter(|(before, after)| are_apart(&before.value, &after.value)).collect();
    out += &format!("{} of {} ratios changed by more than both intervals allow.\n", moved.len(), ratios.len());
    if !moved.is_empty() {
        out += &format!("\n{}\n", table(moved.into_iter()).for_terminal());
    }
    out + &instructions(&before.cells, &after.cells)
}

/// What both have, in the order of the first.
fn common<'a, T>(before: &'a [T], after: &'a [T], same: impl Fn(&T, &T) -> bool) -> Vec<(&'a T, &'a T)> {
    let pair = |before| Some((before, after.iter().find(|after| same(before, after))?));
    before.iter().filter_map(pair).collect()
}

/// Whoever the best is.
fn same_ratio(one: &Ratio, other: &Ratio) -> bool {
    let key = |ratio: &Ratio| (ratio.workload, ratio.case, ratio.io_uring_denied, ratio.figure);
    key(one) == key(other) && one.ours == other.ours && one.against == other.against
}

fn change(before: &Estimate, after: &Estimate) -> f64 {
    // What was 0 and is 0 has not changed.
    if before.median == after.median { 0.0 } else { (after.median / before.median - 1.0).abs() }
}

fn are_apart(one: &Estimate, other: &Estimate) -> bool {
    one.high < other.low || other.high < one.low
}

fn verdicts(ratios: &[(&Ratio, &Ratio)]) -> String {
    use Verdict::{Met, Missed, Undecided};
    let targets: Vec<_> = ratios.iter().filter(|(before, _)| before.limit.is_some()).collect();
    let both = |verdict| {
        let has = |ratio: &Ratio| ratio.verdict == Some(verdict);
        targets.iter().filter(|(before, after)| has(before) && has(after)).count()
    };
    let (met, missed, undecided) = (both(Met), both(Missed), both(Undecided));
    let opposite: Vec<_> = targets
        .iter()
        .filter(|(before, after)| {
            let verdicts = [before.verdict, after.verdict];
            verdicts == [Some(Met), Some(Missed)] || verdicts == [Some(Missed), Some(Met)]
        })
        .collect();
    let half = targets.len() - met - missed - undecided - opposite.len();
    let mut out = format!(
        "{} targets in both: {met} met twice, {missed} missed twice, {undecided} undecided twice, \
         {half} decided in one run alone, {} met in one and missed in the other.\n",
        targets.len(),
        opposite.len(),
    );
    if !opposite.is_empty() {
        out += &format!("\n{}\n", table(opposite.into_iter().copied()).for_terminal());
    }
    out
}

fn table<'a>(ratios: impl Iterator<Item = &'a (&'a Ratio, &'a Ratio)>) -> Sheet {
    let header = [
        Words("workload"),
        Words("case"),
        Words("ours"),
        Words("against"),
        Words("of"),
        Figures("before"),
        Figures("after"),
        Figures("limit"),
    ];
    let value = |ratio: &Ratio| format!("{:.3} ({:.3}-{:.3})", ratio.value.median, ratio.value.low, ratio.value.high);
    let row = |(before, after): &(&Ratio, &Ratio)| {
        vec![
            before.workload.to_string(),
            format!("{}{}", before.case, format::denied(before.io_uring_denied)),
            before.ours.clone(),
            after.whom(),
            format::name(before.figure).to_owned(),
            value(before),
            value(after),
            before.limit.map_or_else(String::new, |limit| limit.to_string()),
        ]
    };
    Sheet::new(&header, ratios.map(row))
}

/// Counts that differ by more than a thousandth, which is more than two counts of one program do.
fn instructions(before: &[Summary], after: &[Summary]) -> String {
    let same = |one: &Summary, other: &Summary| one.cell.same_case(&other.cell) && one.cell.name() == other.cell.name();
    let mut out = String::new();
    for (before, after) in common(before, after, same) {
        let (Some(old), Some(new)) = (before.cell.instructions, after.cell.instructions) else { continue };
        if (new / old - 1.0).abs() > 0.001 {
            out += &format!("{}: {old:.1} instructions before, {new:.1} after ({:.3})\n", after.cell, new / old);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::driver::cell::{Cell, Role};
    use crate::driver::machine::Machine;
    use crate::driver::results::Measured;
    use crate::measure::Measurement;
    use crate::peers::PEERS;
    use crate::workloads::{Case, Workload};

    /// Ours and the bare loop's, against which the target is 1.05, with the CPU time of each round.
    fn results(ours: &[u64], instructions: f64) -> Results {
        let cells = ["aio-runtime", "bare-aio"].map(|name| {
            let peer = PEERS.iter().find(|peer| peer.name == name).unwrap();
            let mut cell = Cell::new(Workload::Read, Case::of(32), peer, Role::Peer, false);
            cell.instructions = Some(instructions);
            for (round, &nanoseconds) in ours.iter().enumerate() {
                let cpu = Duration::from_nanos(if name == "bare-aio" { 100 } else { nanoseconds });
                cell.run(round, |_| Ok(Measurement { ops: 1, cpu, ..Measurement::default() }));
            }
            cell
        });
        let machine = Machine::this(Path::new("/"));
        let cells = cells.into();
        Measured { machine, rounds: 6, most_rounds: 6, seconds: 1.0, disturbed: 0.0, cells }.into()
    }

    #[test]
    fn runs_that_agree_say_so() {
        let (one, other) = (results(&[98, 99, 99, 99, 99, 100], 1_000.0), results(&[99; 6], 1_000.5));
        let text = text(&one, &other);
        assert!(text.starts_with("1 targets in both: 1 met twice"), "{text}");
        assert!(text.contains("differ by less than 0.0 %"), "{text}");
        assert!(text.ends_with("0 of 1 ratios changed by more than both intervals allow.\n"), "{text}");
    }

    #[test]
    fn runs_that_contradict_each_other_are_shown() {
        let text = text(&results(&[98; 6], 1_000.0), &results(&[110; 6], 1_100.0));
        assert!(text.contains("1 met in one and missed in the other"), "{text}");
        assert!(text.contains("1 of 1 ratios changed"), "{text}");
        assert!(text.contains("0.980 (0.980-0.980)"), "{text}");
        assert!(text.contains("read 32 on aio-runtime: 1000.0 instructions before, 1100.0 after (1.100)"), "{text}");
    }
}
