//! Running the tests of one file: each alone, in a process of its own, for a limited time.

use std::fs::File;
use std::io::{Read, Seek};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process_group};
use wait_timeout::ChildExt;

use crate::results::{Test, Verdict};

/// How long a test may outlive its limit, if nobody is left to end it.
const GRACE: Duration = Duration::from_secs(5);

/// How long a test may take.
#[derive(Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) first: Duration,
    /// At a second try, for a test that should pass and does not: a busy machine makes one of
    /// hundreds late now and then.
    pub(crate) second: Option<Duration>,
}

/// Runs all tests of an executable, within the limits for the test of that name.
pub(crate) fn run_all(executable: &Path, folder: &Path, limits: impl Fn(&str) -> Limits) -> Result<Vec<Test>> {
    let ignored = list(executable, folder, &["--ignored"])?;
    let run = |name: String| {
        let verdict =
            if ignored.contains(&name) { Verdict::Ignored } else { try_out(executable, folder, &name, limits(&name))? };
        Ok(Test { name, verdict })
    };
    list(executable, folder, &[])?.into_iter().map(run).collect()
}

/// The names of the tests.
fn list(executable: &Path, folder: &Path, more: &[&str]) -> Result<Vec<String>> {
    let output = command(executable, folder).args(["--list", "--format", "terse"]).args(more).output()?;
    ensure!(output.status.success(), "{} --list: {}", executable.display(), output.status);
    let lines = String::from_utf8(output.stdout)?;
    Ok(lines.lines().filter_map(|line| line.strip_suffix(": test")).map(str::to_owned).collect())
}

/// Runs a test, and once more if it is to have a second try.
fn try_out(executable: &Path, folder: &Path, name: &str, limits: Limits) -> Result<Verdict> {
    let first = run(executable, folder, name, limits.first)?;
    let (false, Some(limit)) = (first == Verdict::Passed, limits.second) else { return Ok(first) };
    let second = run(executable, folder, name, limit)?;
    if second == Verdict::Passed {
        println!("{name}: passed at the second try; at the first: {first}");
    }
    Ok(second)
}

fn run(executable: &Path, folder: &Path, name: &str, limit: Duration) -> Result<Verdict> {
    // Not pipes, which a test that says much would fill.
    let mut output = tempfile::tempfile()?;
    // By `timeout`, so that a test that hangs ends even if the runner was killed.
    let mut test = command(Path::new("timeout"), folder);
    let test = test.arg("--signal=KILL").arg(format!("{}s", (limit + GRACE).as_secs_f64())).arg(executable);
    // In a process group, so that what a test leaves running ends with it.
    let mut test = test.args(["--exact", name]).stdout(output.try_clone()?).stderr(output.try_clone()?);
    test = test.stdin(Stdio::null()).process_group(0);
    let mut child = test.spawn().with_context(|| format!("{}", executable.display()))?;
    let status = child.wait_timeout(limit)?;
    end(&mut child)?;
    let Some(status) = status else { return Ok(Verdict::Hung) };
    Ok(if status.success() { Verdict::Passed } else { Verdict::Failed(reason(status, &mut output)?) })
}

fn command(executable: &Path, folder: &Path) -> Command {
    let mut command = Command::new(executable);
    command.current_dir(folder).env("RUST_BACKTRACE", "0");
    command
}

/// Ends the test, if it runs, and the processes that it has started.
fn end(child: &mut Child) -> Result<()> {
    // An error means that nobody is left.
    let _ = kill_process_group(Pid::from_child(child), Signal::KILL);
    child.wait()?;
    Ok(())
}

/// Why a test failed, in a line.
fn reason(status: ExitStatus, output: &mut File) -> Result<String> {
    output.rewind()?;
    let mut text = Vec::new();
    output.read_to_end(&mut text)?;
    let said = message(&String::from_utf8_lossy(&text));
    Ok(match (said, status.signal()) {
        (said, None) => said.unwrap_or_else(|| status.to_string()),
        (None, Some(_)) => status.to_string(),
        (Some(said), Some(_)) => format!("{said}: {status}"),
    })
}

/// What the first panic said. Others may have followed from it.
fn message(output: &str) -> Option<String> {
    let mut lines = output.lines().skip_while(|line| !line.contains(" panicked at "));
    let at = lines.next()?;
    let said = lines.next()?;
    let at = at.rsplit('/').next().unwrap_or(at).trim_end_matches(':');
    Some(format!("{said} ({at})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a shell command as if it were a test.
    fn verdict(script: &str) -> Verdict {
        verdict_within(script, Limits { first: Duration::from_millis(500), second: None })
    }

    fn verdict_within(script: &str, limits: Limits) -> Verdict {
        let folder = tempfile::tempdir().unwrap();
        let executable = folder.path().join("test");
        std::fs::write(&executable, script).unwrap();
        let status = Command::new("chmod").arg("+x").arg(&executable).status().unwrap();
        assert!(status.success());
        try_out(&executable, folder.path(), "name", limits).unwrap()
    }

    #[test]
    fn a_test_passes_fails_or_hangs() {
        assert_eq!(verdict("#!/bin/sh\ntest \"$*\" = '--exact name'"), Verdict::Passed);
        assert_eq!(verdict("#!/bin/sh\nexit 3"), Verdict::Failed("exit status: 3".to_owned()));
        assert_eq!(verdict("#!/bin/sh\nsleep 60 & sleep 60"), Verdict::Hung);
        let panic = "echo \"thread 'main' (7) panicked at /a/b/tcp.rs:3:5:\"; echo 'no luck'; echo 'note: x'";
        let said = "no luck (tcp.rs:3:5)";
        assert_eq!(verdict(&format!("#!/bin/sh\n{panic}; exit 101")), Verdict::Failed(said.to_owned()));
        let verdict = verdict(&format!("#!/bin/sh\n{panic}; kill -6 $$"));
        assert!(matches!(&verdict, Verdict::Failed(said) if said.contains("no luck") && said.contains("SIGABRT")));
    }

    #[test]
    fn a_second_try_is_longer_and_the_last() {
        let limits = Limits { first: Duration::from_millis(200), second: Some(Duration::from_secs(10)) };
        assert_eq!(verdict_within("#!/bin/sh\nsleep 0.5", limits), Verdict::Passed);
        let fails_once = "#!/bin/sh\ntest -e tried || { touch tried; exit 3; }";
        assert_eq!(verdict_within(fails_once, limits), Verdict::Passed);
        assert_eq!(verdict(fails_once), Verdict::Failed("exit status: 3".to_owned()));
        let fails_twice = "#!/bin/sh\necho x >> tries; exit $(wc -l < tries)";
        assert_eq!(verdict_within(fails_twice, limits), Verdict::Failed("exit status: 2".to_owned()));
    }
}
