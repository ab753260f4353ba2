//! How many instructions an operation takes in user space, as callgrind counts them.
//!
//! Time depends on what else the machine does. This does not: two counts of one program differ by
//! less than a thousandth. So it is the figure to compare two commits with. It leaves out what the
//! kernel does.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tempfile::NamedTempFile;

use super::cell::Cell;
use crate::child::Child;
use crate::job::{Files, Job, Part, PeerRun};
use crate::measure::Window;

/// Whether it can be counted here: callgrind is part of valgrind, which may not be installed.
pub fn can_be_counted() -> bool {
    Command::new("valgrind").arg("--version").output().is_ok_and(|version| version.status.success())
}

/// What a micro workload takes for one operation: the difference of a short run and a longer one,
/// so that the start of the process drops out.
pub fn per_operation(program: &Path, cell: &Cell, core: usize) -> Result<f64> {
    // One batch, or a few.
    let short = count(program, cell, core, Duration::from_millis(1))?;
    let long = count(program, cell, core, Duration::from_secs(1).max(3 * short.wall))?;
    ensure!(long.ops > short.ops, "{cell} did not get any further in a longer run");
    Ok((long.instructions as f64 - short.instructions as f64) / (long.ops - short.ops) as f64)
}

struct Count {
    instructions: u64,
    ops: u64,
    wall: Duration,
}

fn count(program: &Path, cell: &Cell, core: usize, counted: Duration) -> Result<Count> {
    let log = NamedTempFile::new()?;
    let mut valgrind = Command::new("valgrind");
    let log_file = format!("--log-file={}", log.path().display());
    valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null", &log_file]).arg(program);
    let run = PeerRun {
        peer: cell.peer.clone(),
        workload: cell.workload,
        case: cell.case,
        // All operations are counted, as all instructions are.
        window: Window { warmup: Duration::ZERO, counted, count_calls: false },
        // A micro workload uses none.
        files: Files { source: "".into(), target: "".into() },
    };
    let job = Job { core, deny_io_uring: cell.io_uring_denied, part: Part::Peer(run) };
    let mut child = Child::spawn(valgrind, format!("callgrind for {cell}"), &job)?;
    let measured = child.measurement()?;
    child.wait()?;
    let log = std::fs::read_to_string(log.path())?;
    let instructions = collected(&log).with_context(|| format!("callgrind counted nothing: {log}"))?;
    Ok(Count { instructions, ops: measured.ops, wall: measured.wall })
}

/// From the summary that callgrind writes at the end.
fn collected(log: &str) -> Option<u64> {
    log.lines().find_map(|line| line.split_once("Collected :")?.1.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instructions_are_found_in_the_log() {
        let log = "==7== Events    : Ir\n==7== Collected : 129555682\n==7== \n==7== I   refs:      129,555,682\n";
        assert_eq!(collected(log), Some(129_555_682));
        assert_eq!(collected("==7== Events    : Ir\n"), None);
    }
}
