//! What is measured. Each workload's file has all that is the same for every runtime: the client's side, the wire, the
//! way of counting.

pub mod case;
pub mod echo;
pub mod files;
pub mod micro;
pub mod mixed;
pub mod unified;

use std::fmt;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

pub use case::{Case, Choice};

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Workload {
    /// Send each message back.
    Echo,
    /// Accept, send one message back, see the close.
    Connect,
    /// Answer each request with the block of the file that it names.
    Unified,
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
    /// Make a runtime, have it do nothing, drop it.
    StartStop,
    /// Keep tasks that wait for ever: resident bytes of each.
    TaskMemory,
    /// Keep connections on which nothing is said: resident bytes of each.
    ConnectionMemory,
    /// Keep connections on which nothing is said: CPU time.
    IdleCpu,
}

/// Who makes the load.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Driven {
    /// A load generator in another process.
    ByClients,
    /// The measured process itself.
    ByItself,
}

impl Workload {
    pub fn driven(self) -> Driven {
        use Workload::*;
        match self {
            Echo | Connect | Unified | Mixed | ConnectionMemory | IdleCpu => Driven::ByClients,
            Read | Write | Buffered => Driven::ByItself,
            SpawnJoin | YieldNow | Wake | Sleep | StartStop | TaskMemory => Driven::ByItself,
        }
    }

    /// All cases of a full plan.
    pub fn cases(self) -> Vec<Case> {
        use Workload::*;
        let each = |all: &[usize]| all.iter().copied().map(Case::of).collect::<Vec<_>>();
        match self {
            Echo => {
                let sizes = [64, 1024, 16 * 1024];
                let mut cases: Vec<Case> = sizes
                    .iter()
                    .flat_map(|&size| each(&[1, 64, 512, 4096]).into_iter().map(move |case| case.sized(size)))
                    .collect();
                cases.push(Case::of(64).sized(64).beside(12_000));
                cases
            }
            Connect => vec![Case::of(32).sized(64)],
            Unified => each(&[1, 32, 256]).into_iter().flat_map(|case| [case, case.zipf()]).collect(),
            Mixed => vec![Case::of(64).sized(64)],
            Read | Write => each(&[1, 32, 128]),
            Buffered => each(&[1, 32]),
            SpawnJoin => each(&[1, 1_000]),
            YieldNow | Wake => each(&[1_000]),
            Sleep | TaskMemory => each(&[100_000]),
            StartStop => each(&[1]),
            ConnectionMemory => vec![Case::of(0).sized(64).beside(4096)],
            IdleCpu => vec![Case::of(0).sized(64).beside(12_000)],
        }
    }

    /// The one case that shows whether the workload works.
    pub fn quick_case(self) -> Case {
        use Workload::*;
        match self {
            Echo => Case::of(64).sized(64),
            Unified | Read | Write | Buffered => Case::of(32),
            SpawnJoin => Case::of(1_000),
            Sleep | TaskMemory => Case::of(10_000),
            ConnectionMemory | IdleCpu => Case::of(0).sized(64).beside(512),
            Connect | Mixed | YieldNow | Wake | StartStop => self.cases()[0],
        }
    }
}

impl fmt::Display for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.to_possible_value().expect("no workload is skipped");
        f.pad(value.get_name())
    }
}
