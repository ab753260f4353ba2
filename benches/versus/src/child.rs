//! The processes that are measured or that make load: how the driver starts one, and what it says back.
//!
//! A child is this same binary with a [`Job`] as its argument. It answers on its standard output with [`Word`]s, one
//! line of JSON each: a server says where it listens and is ended by the driver; all others measure, say so, and exit.

use std::io::{BufRead, BufReader, Write};
use std::process::{ChildStdout, Command, Stdio};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use crate::measure::Measurement;
use crate::{load, peers, sys};

#[derive(Serialize, Deserialize)]
pub struct Job {
    /// The core that the child stays on.
    pub core: usize,
    pub part: Part,
}

#[derive(Serialize, Deserialize)]
pub enum Part {
    Peer(peers::Run),
    Load(load::Run),
}

#[derive(Serialize, Deserialize)]
pub enum Word {
    Listening { port: u16 },
    Measured(Measurement),
}

impl Word {
    /// Says it to the driver.
    pub fn say(&self) -> Result<()> {
        let mut line = serde_json::to_string(self)?;
        line.push('\n');
        Ok(std::io::stdout().write_all(line.as_bytes())?)
    }
}

/// The child's side: does the job that the driver wrote.
pub fn run(job: &str) -> Result<()> {
    let job: Job = serde_json::from_str(job).context("a job is written by the driver")?;
    sys::die_with_parent()?;
    sys::allow_many_files()?;
    sys::pin_to_core(job.core).with_context(|| format!("stay on core {}", job.core))?;
    match job.part {
        Part::Peer(run) => run.run(),
        Part::Load(run) => Word::Measured(run.run()?).say(),
    }
}

/// The driver's side: a child that runs until it has nothing more to say or is dropped.
pub struct Child {
    process: std::process::Child,
    words: BufReader<ChildStdout>,
    name: String,
}

impl Child {
    pub fn start(name: String, job: &Job) -> Result<Child> {
        let mut process = Command::new(std::env::current_exe()?)
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
            Word::Measured(_) => bail!("{} measured before it listened", self.name),
        }
    }

    pub fn measurement(&mut self) -> Result<Measurement> {
        match self.hear()? {
            Word::Measured(measurement) => Ok(measurement),
            Word::Listening { .. } => bail!("{} listened when it should measure", self.name),
        }
    }

    fn hear(&mut self) -> Result<Word> {
        let mut line = String::new();
        if self.words.read_line(&mut line)? == 0 {
            bail!("{} ended early: {}; its own words are above", self.name, self.process.wait()?);
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
