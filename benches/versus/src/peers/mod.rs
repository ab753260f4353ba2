//! The runtimes, and the bare loops: each file has one's servers, and says in a [`Peer`] which
//! workloads it can run.
//!
//! The servers resemble each other, line by line where the runtimes allow it. They are not written
//! once for all on purpose: each is what a user of that runtime would write.

mod aio;
mod bare_aio;
mod bare_epoll;
mod bare_sockets;
mod compio;
mod glommio;
mod monoio;
mod owned;
mod smol;
mod tokio;
mod tokio_uring;

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::blocks::Access;
use crate::child::Word;
use crate::measure::{Measurement, Window};
use crate::workloads::files::{self, Reads, Writes};
use crate::workloads::mixed::Copying;
use crate::workloads::{Case, Workload, echo};

/// In the order in which they take turns.
pub const PEERS: &[Peer] = &[
    aio::PEER,
    aio::SPINNING,
    tokio::PEER,
    smol::PEER,
    monoio::LEGACY,
    monoio::PEER,
    glommio::PEER,
    compio::PEER,
    tokio_uring::PEER,
    bare_aio::PEER,
    bare_epoll::PEER,
];

/// One runtime's ways to do the workloads; `None` for one it cannot do.
pub struct Peer {
    pub name: &'static str,
    pub kind: Kind,
    /// Its name on crates.io; none for a bare loop.
    pub package: Option<&'static str>,
    /// Serves for ever. Takes the bytes of a message; for its buffers see [`echo::buffer_size`].
    pub echo: Option<fn(TcpListener, usize) -> Result<()>>,
    /// Serves for ever, from the file there, to be opened with O_DIRECT.
    pub unified: Option<fn(TcpListener, &Path) -> Result<()>>,
    /// Serves echo for messages of [`echo::SMALL`] bytes and copies, for ever.
    pub mixed: Option<fn(TcpListener, Copying) -> Result<()>>,
    /// Returns when the readers have nothing more to read.
    pub read: Option<fn(Reads) -> Result<()>>,
    /// Returns when the writers have nothing more to write.
    pub write: Option<fn(Writes) -> Result<()>>,
    /// [`micro::run`](crate::workloads::micro::run) with its executor.
    pub micro: Option<Micro>,
}

/// Takes how many are to be at once.
type Micro = fn(Workload, usize, Window) -> Result<Measurement>;

/// What a peer is built on.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// aio-runtime.
    Ours,
    /// aio-runtime again, watching for completions before it sleeps: meant for, and measured with,
    /// one thing at a time.
    Spinning,
    /// epoll, and threads for files.
    Epoll,
    IoUring,
    /// No runtime: a loop written directly on the kernel's interface.
    Bare,
}

impl Peer {
    pub fn can(&self, workload: Workload, case: &Case) -> bool {
        let fits = self.kind != Kind::Spinning || case.many == 1;
        fits && match workload {
            Workload::Echo | Workload::Connect | Workload::ConnectionMemory | Workload::IdleCpu => self.echo.is_some(),
            Workload::Unified => self.unified.is_some(),
            Workload::Mixed => self.mixed.is_some(),
            Workload::Read | Workload::Buffered => self.read.is_some(),
            Workload::Write => self.write.is_some(),
            Workload::SpawnJoin
            | Workload::YieldNow
            | Workload::Wake
            | Workload::Sleep
            | Workload::StartStop
            | Workload::TaskMemory => self.micro.is_some(),
        }
    }
}

/// A child's job: one peer, one workload.
#[derive(Serialize, Deserialize)]
pub struct Run {
    pub peer: String,
    pub workload: Workload,
    pub case: Case,
    pub window: Window,
    pub files: Files,
}

/// Where the files are that a run may use.
#[derive(Clone, Serialize, Deserialize)]
pub struct Files {
    /// To be read only: its blocks are as they were made.
    pub source: PathBuf,
    /// To be written over.
    pub target: PathBuf,
}

impl Run {
    pub fn run(&self) -> Result<()> {
        let peer = PEERS.iter().find(|peer| peer.name == self.peer);
        let peer = peer.with_context(|| format!("no peer {}", self.peer))?;
        self.as_peer(peer).with_context(|| format!("{} cannot run {}", self.peer, self.workload))?
    }

    fn as_peer(&self, peer: &Peer) -> Option<Result<()>> {
        let Run { case, window, files: Files { source, target }, .. } = self;
        let read = |access, read| files::measure_reads(source, access, case.many, *window, read);
        let measured = match self.workload {
            Workload::Echo | Workload::Connect | Workload::ConnectionMemory | Workload::IdleCpu => {
                let message = case.message.unwrap_or(echo::SMALL);
                return peer.echo.map(|serve| serve(listen()?, message));
            }
            Workload::Unified => return peer.unified.map(|serve| serve(listen()?, source)),
            Workload::Mixed => return peer.mixed.map(|serve| serve(listen()?, Copying::new(source, target))),
            Workload::Read => read(Access::DirectRead, peer.read?),
            Workload::Buffered => read(Access::CachedRead, peer.read?),
            Workload::Write => files::measure_writes(target, case.many, *window, peer.write?),
            Workload::SpawnJoin
            | Workload::YieldNow
            | Workload::Wake
            | Workload::Sleep
            | Workload::StartStop
            | Workload::TaskMemory => peer.micro?(self.workload, case.many, *window),
        };
        Some(measured.and_then(|measurement| Word::Measured(measurement).say()))
    }
}

/// A nonblocking listener, announced to the driver: connections that come before the runtime is up
/// wait in its backlog.
fn listen() -> Result<TcpListener> {
    /// The most that the kernel grants unless told otherwise. std's own choice is small for
    /// thousands of clients: what does not fit is lost, and sent again after a second.
    const BACKLOG: i32 = 4096;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    rustix::net::listen(&listener, BACKLOG)?;
    listener.set_nonblocking(true)?;
    let port = listener.local_addr()?.port();
    Word::Listening { port }.say()?;
    Ok(listener)
}
