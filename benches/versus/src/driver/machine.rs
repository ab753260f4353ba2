//! On what, with what and when it was measured.

use std::collections::BTreeMap;
use std::fs;

use serde::{Deserialize, Serialize};

use crate::peers::PEERS;

#[derive(Serialize, Deserialize)]
pub struct Machine {
    pub cpu: String,
    pub cores: usize,
    pub memory_bytes: u64,
    pub kernel: String,
    /// UTC.
    pub date: String,
    /// Of every peer that is a package.
    pub versions: BTreeMap<String, String>,
}

impl Machine {
    pub fn this() -> Machine {
        let memory = rustix::system::sysinfo();
        Machine {
            cpu: cpu().unwrap_or_else(|| std::env::consts::ARCH.to_owned()),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory_bytes: memory.totalram as u64 * u64::from(memory.mem_unit),
            kernel: rustix::system::uname().release().to_string_lossy().into_owned(),
            date: jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M").to_string(),
            versions: PEERS.iter().filter_map(|peer| versioned(peer.package?)).collect(),
        }
    }
}

/// Not told on every architecture.
fn cpu() -> Option<String> {
    let all = fs::read_to_string("/proc/cpuinfo").ok()?;
    let model = all.lines().find_map(|line| line.strip_prefix("model name"))?;
    Some(model.trim_start_matches([' ', '\t', ':']).to_owned())
}

/// With the version that was built in.
fn versioned(package: &str) -> Option<(String, String)> {
    let (_, rest) = include_str!("../../Cargo.lock").split_once(&format!("name = \"{package}\"\nversion = \""))?;
    Some((package.to_owned(), rest.split('"').next()?.to_owned()))
}
