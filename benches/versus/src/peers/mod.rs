//! The runtimes, and the bare loop: each file has one's servers, and says in a [`Peer`] which workloads it can run.
//!
//! The servers resemble each other, line by line where the runtimes allow it. They are not written once for all on
//! purpose: each is what a user of that runtime would write.

mod aio;
mod bare;
mod glommio;
mod monoio;
mod owned;
mod tokio;
mod tokio_uring;

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::child::Word;
use crate::measure::{Measurement, Window};
use crate::workloads::Workload;
use crate::workloads::read::{self, Reads};

/// In the order in which they take turns.
pub const PEERS: &[Peer] =
    &[aio::PEER, tokio::PEER, monoio::LEGACY, monoio::PEER, glommio::PEER, tokio_uring::PEER, bare::PEER];

/// One runtime's ways to do the workloads; `None` for one it cannot do.
pub struct Peer {
    pub name: &'static str,
    /// Serves for ever.
    pub echo: Option<fn(TcpListener) -> Result<()>>,
    /// Serves for ever, from the file there, to be opened with O_DIRECT.
    pub unified: Option<fn(TcpListener, &Path) -> Result<()>>,
    /// Returns when the readers have nothing more to read.
    pub read: Option<fn(Reads) -> Result<()>>,
    pub spawn_join: Option<Micro>,
    pub yield_now: Option<Micro>,
    pub sleep: Option<Micro>,
}

/// Takes the size of the workload.
type Micro = fn(usize, Window) -> Result<Measurement>;

impl Peer {
    pub fn can(&self, workload: Workload) -> bool {
        match workload {
            Workload::Echo => self.echo.is_some(),
            Workload::Read => self.read.is_some(),
            Workload::Unified => self.unified.is_some(),
            Workload::SpawnJoin => self.spawn_join.is_some(),
            Workload::YieldNow => self.yield_now.is_some(),
            Workload::Sleep => self.sleep.is_some(),
        }
    }
}

/// A child's job: one peer, one workload.
#[derive(Serialize, Deserialize)]
pub struct Run {
    pub peer: String,
    pub workload: Workload,
    pub size: usize,
    pub window: Window,
    pub file: PathBuf,
}

impl Run {
    pub fn run(&self) -> Result<()> {
        let peer = PEERS.iter().find(|peer| peer.name == self.peer);
        let peer = peer.with_context(|| format!("no peer {}", self.peer))?;
        self.as_peer(peer).with_context(|| format!("{} cannot run {}", self.peer, self.workload))?
    }

    fn as_peer(&self, peer: &Peer) -> Option<Result<()>> {
        let measured = match self.workload {
            Workload::Echo => return peer.echo.map(|serve| serve(listen()?)),
            Workload::Unified => return peer.unified.map(|serve| serve(listen()?, &self.file)),
            Workload::Read => read::measure(&self.file, self.size, self.window, peer.read?),
            Workload::SpawnJoin => peer.spawn_join?(self.size, self.window),
            Workload::YieldNow => peer.yield_now?(self.size, self.window),
            Workload::Sleep => peer.sleep?(self.size, self.window),
        };
        Some(measured.and_then(|measurement| Word::Measured(measurement).say()))
    }
}

/// A nonblocking listener, announced to the driver: connections that come before the runtime is up wait in its backlog.
fn listen() -> Result<TcpListener> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    listener.set_nonblocking(true)?;
    let port = listener.local_addr()?.port();
    Word::Listening { port }.say()?;
    Ok(listener)
}
