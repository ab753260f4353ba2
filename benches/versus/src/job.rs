//! What the driver asks of a child, and what the child says back.

use std::io::{self, Write};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::measure::{Measurement, Window};
use crate::workloads::{Case, Workload};

/// What a child is to do. An older build of this program must understand it too.
#[derive(Serialize, Deserialize)]
pub struct Job {
    /// The core that the child stays on.
    pub core: usize,
    pub deny_io_uring: bool,
    pub part: Part,
}

#[derive(Serialize, Deserialize)]
pub enum Part {
    Peer(PeerRun),
    Load(LoadRun),
}

/// Runs one peer in one case of a workload.
#[derive(Serialize, Deserialize)]
pub struct PeerRun {
    pub peer: String,
    pub workload: Workload,
    pub case: Case,
    pub window: Window,
    pub files: Files,
}

/// The files that a run may use.
#[derive(Clone, Serialize, Deserialize)]
pub struct Files {
    /// Only read: its blocks are those that were written at first.
    pub source: PathBuf,
    /// Written over.
    pub target: PathBuf,
}

/// Makes the load for a server.
#[derive(Serialize, Deserialize)]
pub struct LoadRun {
    pub workload: Workload,
    pub case: Case,
    /// Of no meaning for a server with a Unix socket, which listens at [`unix_name`].
    pub port: u16,
    /// The process that is measured.
    pub server: u32,
    pub window: Window,
}

/// What a child tells the driver.
#[derive(Serialize, Deserialize)]
pub enum Message {
    Listening {
        port: u16,
    },
    Measured(Measurement),
    /// Why it gives up.
    Failed {
        reason: String,
    },
}

/// Where the process `server` listens if it has a Unix socket: in no folder, so nothing is left
/// behind.
pub fn unix_name(server: u32) -> io::Result<SocketAddr> {
    SocketAddr::from_abstract_name(format!("versus-{server}"))
}

impl Message {
    /// Tells it to the driver.
    pub fn send(&self) -> Result<()> {
        let mut line = serde_json::to_string(self)?;
        line.push('\n');
        Ok(std::io::stdout().write_all(line.as_bytes())?)
    }
}
