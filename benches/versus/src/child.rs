//! The processes that are measured or that make load: how the driver starts one and listens to it.
//!
//! A child is this same binary with a [`Job`] as its argument. It writes [`Message`]s to its
//! standard output, one line of JSON each. A server says where it listens, and the driver ends it.
//! All others measure, report, and exit.

use std::io::{BufRead, BufReader};
use std::panic;
use std::path::Path;
use std::process::{ChildStdout, Command, Stdio, exit};

use anyhow::{Context, Result, bail, ensure};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::job::{Job, Message, Part};
use crate::measure::Measurement;
use crate::{confine, load, peers, sys};

/// A child that says nothing for this long hangs.
const PATIENCE: Timespec = Timespec { tv_sec: 60, tv_nsec: 0 };

/// The child's side: does the job that the driver wrote.
pub fn run(job: &str) -> Result<()> {
    // The driver reports it, not this process's terminal: a panic may be a runtime's way to say
    // that it cannot start.
    panic::set_hook(Box::new(|panic| {
        let reason = panic.payload_as_str().unwrap_or("a panic").to_owned();
        // If the driver is gone, nobody needs the reason.
        let _ = Message::Failed { reason }.send();
    }));
    if let Err(error) = obey(job) {
        Message::Failed { reason: format!("{error:#}") }.send()?;
        exit(1);
    }
    Ok(())
}

fn obey(job: &str) -> Result<()> {
    let job: Job = serde_json::from_str(job).context("read the driver's job")?;
    sys::die_with_parent()?;
    sys::allow_many_files()?;
    sys::pin_to_core(job.core).with_context(|| format!("stay on core {}", job.core))?;
    if job.deny_io_uring {
        confine::deny_io_uring()?;
    }
    match job.part {
        Part::Peer(run) => peers::run(&run),
        Part::Load(run) => Message::Measured(load::run(&run)?).send(),
    }
}

/// The driver's side: a child, which is ended when this is dropped.
pub struct Child {
    process: std::process::Child,
    messages: BufReader<ChildStdout>,
    name: String,
}

impl Child {
    /// Starts it in `program`: this one, or an older build that knows the same jobs.
    pub fn start(program: &Path, name: String, job: &Job) -> Result<Child> {
        Child::spawn(Command::new(program), name, job)
    }

    /// Starts it with `command`, after which the job follows.
    pub fn spawn(mut command: Command, name: String, job: &Job) -> Result<Child> {
        let mut process = command
            .arg("child")
            .arg(serde_json::to_string(job)?)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("start {name}"))?;
        let stdout = process.stdout.take().expect("stdout is piped");
        Ok(Child { process, messages: BufReader::new(stdout), name })
    }

    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    pub fn port(&mut self) -> Result<u16> {
        match self.receive()? {
            Message::Listening { port } => Ok(port),
            Message::Failed { reason } => bail!(reason),
            Message::Measured(_) => bail!("{} reported a measurement before it listened", self.name),
        }
    }

    pub fn measurement(&mut self) -> Result<Measurement> {
        match self.receive()? {
            Message::Measured(measurement) => Ok(measurement),
            Message::Failed { reason } => bail!(reason),
            Message::Listening { .. } => bail!("{} listened instead of measuring", self.name),
        }
    }

    /// Waits until it has ended on its own.
    pub fn wait(mut self) -> Result<()> {
        let status = self.process.wait()?;
        ensure!(status.success(), "{} failed: {status}", self.name);
        Ok(())
    }

    /// Ends it. Returns why it had failed, if it had.
    pub fn failure(mut self) -> Option<String> {
        let ended = self.process.try_wait().ok()?;
        let _ = self.process.kill();
        while let Ok(message) = self.receive() {
            if let Message::Failed { reason } = message {
                return Some(reason);
            }
        }
        ended.map(|status| status.to_string())
    }

    fn receive(&mut self) -> Result<Message> {
        if self.messages.buffer().is_empty() {
            let mut readable = [PollFd::new(self.messages.get_ref(), PollFlags::IN)];
            ensure!(poll(&mut readable, Some(&PATIENCE))? > 0, "{} says nothing", self.name);
        }
        let mut line = String::new();
        if self.messages.read_line(&mut line)? == 0 {
            bail!("{} ended early: {}", self.name, self.process.wait()?);
        }
        serde_json::from_str(&line).with_context(|| format!("{} said {line:?}", self.name))
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // Both may fail if the child has already ended, which is fine.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
