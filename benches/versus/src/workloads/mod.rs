//! What is measured. The file of a workload has what is the same for every runtime: the client's
//! side, the format on the wire, the way of counting.

pub mod bulk;
pub mod case;
pub mod dialogue;
pub mod echo;
pub mod files;
pub mod http;
pub mod micro;
pub mod mixed;
pub mod unified;

use std::{fmt, iter};

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::measure::Figure;
pub use case::{Case, Choice};
pub use dialogue::Dialogue;

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Workload {
    /// Send each message back.
    Echo,
    /// Accept, send one message back, see the close.
    Connect,
    /// Send each datagram back.
    UdpEcho,
    /// Send each message back over a Unix socket.
    UnixEcho,
    /// Receive a stream of bytes.
    BulkReceive,
    /// Send a stream of bytes.
    BulkSend,
    /// Answer each request with the block of the file that it names.
    Unified,
    /// Greet over HTTP/1.1, by hyper.
    Http,
    /// Answer each request over HTTP with a block of the file, by axum.
    AxumRead,
    /// Send each message back while the same loop copies a big file.
    Mixed,
    /// Read random 4 KiB blocks of a file with O_DIRECT.
    Read,
    /// Write random 4 KiB blocks of a file with O_DIRECT.
    Write,
    /// Read random 4 KiB blocks of a file from the page cache.
    Buffered,
    /// Spawn a task that does nothing and join it.
    SpawnJoin,
    /// Yield to the other tasks.
    YieldNow,
    /// Wake another task and wait for it.
    Wake,
    /// Sleep 10 to 110 ms.
    Sleep,
    /// Build a runtime, let it do nothing, drop it.
    StartStop,
    /// Keep tasks that wait forever: resident bytes of each.
    TaskMemory,
    /// Keep idle connections: resident bytes of each.
    ConnectionMemory,
    /// Keep idle connections, all in one task: resident bytes of each.
    SocketMemory,
    /// Keep idle connections: CPU time.
    IdleCpu,
}

/// What makes the load.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Driven {
    /// A load generator in another process.
    ByClients,
    /// The measured process itself.
    ByItself,
}

/// Requests per second in open loops, low enough for every peer.
pub struct Rates {
    pub echo: u32,
    pub unified: u32,
}

impl Workload {
    pub fn driven(self) -> Driven {
        use Workload::*;
        match self {
            Echo | Connect | UdpEcho | UnixEcho | Unified | Http | AxumRead | Mixed => Driven::ByClients,
            BulkReceive | BulkSend | ConnectionMemory | SocketMemory | IdleCpu => Driven::ByClients,
            Read | Write | Buffered => Driven::ByItself,
            SpawnJoin | YieldNow | Wake | Sleep | StartStop | TaskMemory => Driven::ByItself,
        }
    }

    /// The figure that counts first.
    pub fn figure(self) -> Figure {
        use Workload::*;
        match self {
            TaskMemory | ConnectionMemory | SocketMemory => Figure::BytesEach,
            IdleCpu => Figure::Busy,
            // Its CPU time includes the copy's.
            Mixed => Figure::P99,
            Echo | Connect | UdpEcho | UnixEcho | Unified | Http | AxumRead => Figure::Cpu,
            BulkReceive | BulkSend | Read | Write | Buffered => Figure::Cpu,
            SpawnJoin | YieldNow | Wake | Sleep | StartStop => Figure::Cpu,
        }
    }

    /// Whether system calls per operation mean anything.
    pub fn has_calls(self) -> bool {
        use Workload::*;
        match self {
            Echo | Connect | UdpEcho | UnixEcho | Unified | Http | AxumRead | Mixed => true,
            BulkReceive | BulkSend | Read | Write | Buffered | StartStop => true,
            SpawnJoin | YieldNow | Wake | Sleep | TaskMemory | ConnectionMemory | SocketMemory | IdleCpu => false,
        }
    }

    /// Whether user-space instructions per operation mean anything: all the work must be done
    /// there, and be the same each time. How often a few sleepers wake the loop depends on its
    /// speed.
    pub fn has_instructions(self, case: &Case) -> bool {
        use Workload::*;
        matches!(self, SpawnJoin | YieldNow | Wake) || (self == Sleep && case.many >= 100_000)
    }

    /// How much longer a turn is than the options say: latencies need many samples, and sleeps come
    /// in batches of a tenth of a second.
    pub fn turn_factor(self, case: &Case) -> f64 {
        use Workload::*;
        match self {
            _ if case.rate.is_some() => 4.0,
            Mixed | Unified | AxumRead | Sleep => 2.0,
            Echo | Connect | UdpEcho | UnixEcho | BulkReceive | BulkSend | Http => 1.0,
            Read | Write | Buffered | SpawnJoin | YieldNow | Wake => 1.0,
            StartStop | TaskMemory | ConnectionMemory | SocketMemory | IdleCpu => 1.0,
        }
    }

    /// The case that is measured in an open loop too, if there is one.
    pub fn open_case(self, rates: &Rates) -> Option<Case> {
        match self {
            Workload::Echo => Some(Case::of(64).sized(echo::SMALL).at_rate(rates.echo)),
            Workload::Unified => Some(Case::of(32).at_rate(rates.unified)),
            _ => None,
        }
    }

    /// All cases of a full plan.
    pub fn cases(self) -> Vec<Case> {
        use Workload::*;
        let each = |all: &[usize]| all.iter().copied().map(Case::of).collect::<Vec<_>>();
        match self {
            Echo => {
                let one = Case::of(1).sized(echo::SMALL);
                let sized = |size| each(&[64, 512, 4096]).into_iter().map(move |case| case.sized(size));
                let beside_idle = Case::of(64).sized(echo::SMALL).beside(12_000);
                let large = Case::of(64).sized(echo::LARGE);
                iter::once(one).chain(echo::SIZES.into_iter().flat_map(sized)).chain([large, beside_idle]).collect()
            }
            Connect => vec![Case::of(32).sized(echo::SMALL)],
            UdpEcho | UnixEcho => each(&[1, 64, 512]).into_iter().map(|case| case.sized(echo::SMALL)).collect(),
            Unified => each(&[1, 8])
                .into_iter()
                .chain(each(&[32, 256]).into_iter().flat_map(|case| [case, case.zipf()]))
                .collect(),
            BulkReceive | BulkSend => each(&[1]),
            Http | AxumRead => each(&[64]),
            Mixed => vec![Case::of(64).sized(echo::SMALL)],
            Read | Write => each(&[1, 32, 128]),
            Buffered => each(&[1, 32]),
            SpawnJoin => each(&[1, 1_000]),
            YieldNow | Wake => each(&[1_000]),
            Sleep => each(&[10_000, 100_000]),
            TaskMemory => each(&[100_000]),
            StartStop => each(&[1]),
            ConnectionMemory | SocketMemory => vec![Case::of(0).sized(echo::SMALL).beside(4096)],
            IdleCpu => vec![Case::of(0).sized(echo::SMALL).beside(12_000)],
        }
    }

    /// The one case that shows whether the workload works.
    pub fn quick_case(self) -> Case {
        use Workload::*;
        match self {
            Echo | UdpEcho | UnixEcho => Case::of(64).sized(echo::SMALL),
            Unified | Read | Write | Buffered => Case::of(32),
            SpawnJoin => Case::of(1_000),
            Sleep | TaskMemory => Case::of(10_000),
            ConnectionMemory | SocketMemory | IdleCpu => Case::of(0).sized(echo::SMALL).beside(512),
            Connect | BulkReceive | BulkSend | Http | AxumRead | Mixed | YieldNow | Wake | StartStop => self.cases()[0],
        }
    }
}

impl fmt::Display for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.to_possible_value().expect("no workload is skipped");
        f.pad(value.get_name())
    }
}
