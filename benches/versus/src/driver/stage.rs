//! One run: the files and the processes that it needs, and what they report.

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};

use super::cell::{Cell, Role};
use crate::blocks;
use crate::child::Child;
use crate::job::{Files, Job, LoadRun, Part, PeerRun};
use crate::measure::{Measurement, Window};
use crate::workloads::mixed::Check;
use crate::workloads::{Driven, Workload};

/// What all runs share.
pub struct Stage {
    pub server_core: usize,
    pub load_core: usize,
    source: File,
    files: Files,
    // Kept open as long as its path is used.
    _target: File,
    /// This program, and an older build of it.
    program: PathBuf,
    old: Option<PathBuf>,
}

impl Stage {
    /// Creates the files in `dir`.
    pub fn set(dir: &Path, server_core: usize, load_core: usize) -> Result<Stage> {
        let (source, target) = (blocks::create(dir)?, blocks::create(dir)?);
        let files = Files { source: blocks::path_of(&source), target: blocks::path_of(&target) };
        let program = std::env::current_exe()?;
        Ok(Stage { server_core, load_core, source, files, _target: target, program, old: None })
    }

    /// Names the program that cells with [`Role::Old`] run in.
    pub fn with_old(self, old: PathBuf) -> Stage {
        Stage { old: Some(old), ..self }
    }

    /// The program that cells with this role run in.
    pub fn program(&self, role: Role) -> &Path {
        match role {
            Role::Old => self.old.as_ref().expect("with_old was called"),
            Role::Peer | Role::Again | Role::WithoutIdle => &self.program,
        }
    }

    /// One run of one cell, in new processes.
    ///
    /// # Errors
    ///
    /// With the peer's own reason if there is one, else with the load generator's.
    pub fn measure(&self, cell: &Cell, window: Window) -> Result<Measurement> {
        if cell.workload != Workload::Buffered {
            return self.run(cell, window);
        }
        blocks::cache(&self.source)?;
        let measured = self.run(cell, window);
        blocks::uncache(&self.source)?;
        measured
    }

    fn run(&self, cell: &Cell, window: Window) -> Result<Measurement> {
        let check = (cell.workload == Workload::Mixed).then(|| Check::begin(&self.files.target)).transpose()?;
        let run = PeerRun {
            peer: cell.peer.to_owned(),
            workload: cell.workload,
            case: cell.case_to_run(),
            window,
            files: self.files.clone(),
        };
        let job = Job { core: self.server_core, deny_io_uring: cell.io_uring_denied, part: Part::Peer(run) };
        // A cell that has never run is assumed not to start.
        let complaint = if cell.turns.is_empty() { "does not start" } else { "stops" };
        let mut peer = Child::start(self.program(cell.role), cell.to_string(), &job)?;
        let measurement = match cell.workload.driven() {
            Driven::ByItself => peer.measurement().context(complaint)?,
            Driven::ByClients => {
                let port = peer.port().context(complaint)?;
                match self.load(cell, window, port, peer.pid()) {
                    Ok(measurement) => measurement,
                    Err(error) => {
                        let reason = peer.failure();
                        return Err(reason.map_or(error, |reason| anyhow!(reason).context(complaint)));
                    }
                }
            }
        };
        if let Some(check) = check {
            check.end(measurement.written)?;
        }
        Ok(measurement)
    }

    fn load(&self, cell: &Cell, window: Window, port: u16, server: u32) -> Result<Measurement> {
        let run = LoadRun { workload: cell.workload, case: cell.case_to_run(), port, server, window };
        let job = Job { core: self.load_core, deny_io_uring: false, part: Part::Load(run) };
        Child::start(&self.program, format!("the load for {cell}"), &job)?.measurement()
    }
}
