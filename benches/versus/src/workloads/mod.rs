//! What is measured. Each workload's file has all that is the same for every runtime: the client's side, the wire, the
//! way of counting.

pub mod echo;
pub mod micro;
pub mod read;
pub mod unified;

use std::fmt;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Workload {
    /// Send each 64-byte message back; sizes are connections.
    Echo,
    /// Read random 4 KiB blocks of a file with O_DIRECT; sizes are reads under way.
    Read,
    /// Answer each request with the block of the file that it names; sizes are connections.
    Unified,
    /// Spawn a task that does nothing and join it; sizes are tasks alive at once.
    SpawnJoin,
    /// Yield to the other tasks; sizes are tasks.
    YieldNow,
    /// Sleep 10 to 110 ms; sizes are sleeps under way.
    Sleep,
}

impl Workload {
    pub fn sizes(self) -> &'static [usize] {
        match self {
            Workload::Echo => &[64, 512],
            Workload::Read => &[32, 128],
            Workload::Unified => &[32, 256],
            Workload::SpawnJoin => &[1, 1_000],
            Workload::YieldNow => &[1_000],
            Workload::Sleep => &[100_000],
        }
    }

    /// Whether a client in another process makes the load.
    pub fn has_clients(self) -> bool {
        match self {
            Workload::Echo | Workload::Unified => true,
            Workload::Read | Workload::SpawnJoin | Workload::YieldNow | Workload::Sleep => false,
        }
    }
}

impl fmt::Display for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.to_possible_value().expect("no workload is skipped");
        f.pad(value.get_name())
    }
}
