//! The processes that are measured or that make load: how the driver starts one, and what it says
//! back.
//!
//! A child is this same binary with a [`Job`] as its argument. It answers on its standard output
//! with [`Word`]s, one line of JSON each: a server says where it listens and is ended by the
//! driver; all others measure, say so, and exit.

use std::io::{BufRead, BufReader};
use std::panic;
use std::path::Path;
use std::process::{ChildStdout, Command, Stdio, exit};

use anyhow::{Context, Result, bail, ensure};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::job::{Job, Part, Word};
use crate::measure::Measurement;
use crate::{confine, load, peers, sys};

/// A child that says nothing for so long says nothing any more.
const PATIENCE: Timespec = Timespec { tv_sec: 60, tv_nsec: 0 };

/// The child's side: does the job that the driver wrote.
pub fn run(job: &str) -> Result<()> {
    // Not for the terminal, where the driver reports: a panic may well be a runtime's way to say
    // that it cannot start.
    panic::set_hook(Box::new(|panic| {
        let reason = panic.payload_as_str().unwrap_or("a panic").to_owned();
        // A driver that is gone needs no reason.
        let _ = Word::Failed { reason }.say();
    }));
    if let Err(error) = obey(job) {
        Word::Failed { reason: format!("{error:#}") }.say()?;
        exit(1);
    }
    Ok(())
}

fn obey(job: &str) -> Result<()> {
    let job: Job = serde_json::from_str(job).context("a job is written by the driver")?;
    sys::die_with_parent()?;
    sys::allow_many_files()?;
    sys::pin_to_core(job.core).with_context(|| format!("stay on core {}", job.core))?;
    if job.deny_io_uring {
        confine::deny_io_uring()?;
    }
    match job.part {
        Part::Peer(run) => peers::run(&run),
        Part::Load(run) => Word::Measured(load::run(&run)?).say(),
    }
}

/// The driver's side: a child that runs until it has nothing more to say or is dropped.
pub struct Child {
    process: std::process::Child,
    words: BufReader<ChildStdout>,
    name: String,
}

impl Child {
    /// Starts it in `program`: this one, or one of another version that has the same jobs.
    pub fn start(program: &Path, name: String, job: &Job) -> Result<Child> {
        Child::spawn(Command::new(program), name, job)
    }

    /// Starts it with `command`, to which the job is appended.
    pub fn spawn(mut command: Command, name: String, job: &Job) -> Result<Child> {
        let mut process = command
            .arg("child")
            .arg(serde_json::to_string(job)?)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("start {name}"))?;
        let stdout = process.stdout.take().expect("stdout is piped");
        Ok(Child { process, words: BufReader::new(stdout), name })
    }

    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    pub fn port(&mut self) -> Result<u16> {
        match self.hear()? {
            Word::Listening { port } => Ok(port),
            Word::Failed { reason } => bail!(reason),
            Word::Measured(_) => bail!("{} measured before it listened", self.name),
        }
    }

    pub fn measurement(&mut self) -> Result<Measurement> {
        match self.hear()? {
            Word::Measured(measurement) => Ok(measurement),
            Word::Failed { reason } => bail!(reason),
            Word::Listening { .. } => bail!("{} listened when it should measure", self.name),
        }
    }

    /// Waits until it has ended by itself.
    pub fn wait(mut self) -> Result<()> {
        let status = self.process.wait()?;
        ensure!(status.success(), "{} failed: {status}", self.name);
        Ok(())
    }

    /// Ends it, and tells why it had ended or was about to.
    pub fn last_words(mut self) -> Option<String> {
        let ended = self.process.try_wait().ok()?;
        let _ = self.process.kill();
        while let Ok(word) = self.hear() {
            if let Word::Failed { reason } = word {
                return Some(reason);
            }
        }
        ended.map(|status| status.to_string())
    }

    fn hear(&mut self) -> Result<Word> {
        if self.words.buffer().is_empty() {
            let mut said = [PollFd::new(self.words.get_ref(), PollFlags::IN)];
            ensure!(poll(&mut said, Some(&PATIENCE))? > 0, "{} says nothing", self.name);
        }
        let mut line = String::new();
        if self.words.read_line(&mut line)? == 0 {
            bail!("{} ended early: {}", self.name, self.process.wait()?);
        }
        serde_json::from_str(&line).with_context(|| format!("{} said {line:?}", self.name))
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // Either may fail, if the child has ended by itself: that is what was wanted.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
