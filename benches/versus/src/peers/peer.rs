//! A runtime or a bare loop, as the list of peers has it.

use std::net::{TcpListener, UdpSocket};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::measure::{Measurement, Window};
use crate::workloads::files::{Reads, Writes};
use crate::workloads::mixed::Copying;
use crate::workloads::{Case, Workload};

/// How one runtime does the workloads; `None` for one it cannot do.
pub struct Peer {
    pub name: &'static str,
    pub kind: Kind,
    /// Its name on crates.io; a bare loop has none.
    pub package: Option<&'static str>,
    /// Serves forever. Takes the length of a message, from which follows the
    /// [`buffer_size`](crate::workloads::echo::buffer_size).
    pub echo: Option<fn(TcpListener, usize) -> Result<()>>,
    /// Serves forever, from the file at the path, opened with O_DIRECT.
    pub unified: Option<fn(TcpListener, &Path) -> Result<()>>,
    /// Serves echo for messages of [`SMALL`](crate::workloads::echo::SMALL) bytes and copies a
    /// file, forever.
    pub mixed: Option<fn(TcpListener, Copying) -> Result<()>>,
    /// Returns when the readers have nothing left to read.
    pub read: Option<fn(Reads) -> Result<()>>,
    /// Returns when the writers have nothing left to write.
    pub write: Option<fn(Writes) -> Result<()>>,
    /// [`micro::run`](crate::workloads::micro::run) with its executor.
    pub micro: Option<Micro>,
    pub net: Option<Net>,
}

/// What ours is compared in with tokio alone. Each serves forever.
pub struct Net {
    /// Messages of [`SMALL`](crate::workloads::echo::SMALL) bytes, here and in `unix_echo`.
    pub udp_echo: fn(UdpSocket) -> Result<()>,
    pub unix_echo: fn(UnixListener) -> Result<()>,
    /// As `unix_echo`, once for each connection, over TCP. Then one task keeps them all, each
    /// waited for.
    pub socket_memory: fn(TcpListener) -> Result<()>,
    /// Tells at the end how many bytes came: 8 bytes, little endian.
    pub bulk_receive: fn(TcpListener) -> Result<()>,
    /// Says [`piece`](crate::workloads::bulk::piece) over and over.
    pub bulk_send: fn(TcpListener) -> Result<()>,
    /// By hyper.
    pub http: fn(TcpListener) -> Result<()>,
    /// By axum, from the file at the path, opened with O_DIRECT.
    pub axum_read: fn(TcpListener, &Path) -> Result<()>,
}

/// Takes how many tasks there are at once.
type Micro = fn(Workload, usize, Window) -> Result<Measurement>;

/// How long a peer that spins watches for completions before it sleeps.
pub const SPIN: Duration = Duration::from_micros(50);

/// What a peer is built on.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// aio-runtime.
    Ours,
    /// aio-runtime again, which here watches for completions before it sleeps. That is meant for
    /// few things at a time, and measured with them.
    Spinning,
    /// epoll, and threads for files.
    Epoll,
    IoUring,
    /// One of these that watches for completions, too.
    IoUringSpinning,
    /// Not a runtime but a loop written directly on the kernel's interface.
    Bare,
}

impl Kind {
    pub fn spins(self) -> bool {
        matches!(self, Kind::Spinning | Kind::IoUringSpinning)
    }
}

impl Peer {
    pub fn can(&self, workload: Workload, case: &Case) -> bool {
        /// The most things at a time that it makes sense to spin for.
        const FEW: usize = 8;
        let fits = !self.kind.spins() || case.many <= FEW;
        fits && match workload {
            Workload::Echo | Workload::Connect | Workload::ConnectionMemory | Workload::IdleCpu => self.echo.is_some(),
            Workload::UdpEcho | Workload::UnixEcho | Workload::SocketMemory => self.net.is_some(),
            Workload::BulkReceive | Workload::BulkSend => self.net.is_some(),
            Workload::Http | Workload::AxumRead => self.net.is_some(),
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
