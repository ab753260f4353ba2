//! What aio-runtime means to reach, as data.

use std::fmt;

use serde::Serialize;

use crate::measure::Figure::{self, Busy, BytesEach, Cpu, P99, Throughput};
use crate::peers::Kind;
use crate::workloads::Workload::{self, *};
use crate::workloads::{Case, echo};

/// The peer whose targets these are; and what it is called with the option that keeps it from
/// sleeping.
pub const OURS: &str = "aio-runtime";
const OURS_SPINNING: &str = "aio-spin";

pub struct Target {
    pub workload: Workload,
    pub case: Case,
    pub figure: Figure,
    pub ours: &'static str,
    pub against: Against,
    pub limit: Limit,
}

/// Whose figure ours is divided by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Against {
    Peer(&'static str),
    /// The one with the best median, of those that are built on io_uring.
    BestIoUring,
    /// The one with the best median, of all runtimes.
    BestRuntime,
    /// Us in another case.
    Case(Case),
    /// Nobody's: the figure stands for itself.
    Nothing,
}

#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Limit {
    AtMost(f64),
    AtLeast(f64),
}
use Limit::{AtLeast, AtMost};

impl Against {
    /// Whether one of this kind is among those of whom the best counts.
    pub fn counts(self, kind: Kind) -> bool {
        match self {
            Against::BestIoUring => kind == Kind::IoUring,
            Against::BestRuntime => matches!(kind, Kind::IoUring | Kind::Epoll),
            Against::Peer(_) | Against::Case(_) | Against::Nothing => false,
        }
    }
}

impl Limit {
    pub fn is_met(self, value: f64) -> bool {
        match self {
            AtMost(most) => value <= most,
            AtLeast(least) => value >= least,
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AtMost(most) => write!(f, "<= {most:.2}"),
            AtLeast(least) => write!(f, ">= {least:.2}"),
        }
    }
}

pub fn all() -> Vec<Target> {
    let mut all = Vec::new();
    let mut add = |workload, case, figure, against, limit| {
        all.push(Target { workload, case, figure, ours: OURS, against, limit });
    };

    for case in echo::SIZES.into_iter().flat_map(|size| [64, 512, 4096].map(|many| Case::of(many).sized(size))) {
        for peer in ["tokio", "smol", "glommio", "compio", "monoio-legacy"] {
            add(Echo, case, Cpu, Against::Peer(peer), AtMost(1.0));
        }
        add(Echo, case, Cpu, Against::BestIoUring, AtMost(1.08));
    }

    for (many, io_uring, tokio) in [(32, 1.03, 0.55), (256, 0.92, 0.36)] {
        for case in [Case::of(many), Case::of(many).zipf()] {
            add(Unified, case, Cpu, Against::BestIoUring, AtMost(io_uring));
            add(Unified, case, Cpu, Against::Peer("tokio"), AtMost(tokio));
            add(Unified, case, P99, Against::BestRuntime, AtMost(1.0));
        }
    }

    for case in [32, 128].map(Case::of) {
        add(Read, case, Cpu, Against::BestIoUring, AtMost(1.0));
        add(Read, case, Cpu, Against::Peer("bare-aio"), AtMost(1.05));
    }

    // No peer better by more than a tenth.
    for workload in [SpawnJoin, YieldNow, Wake] {
        for case in workload.cases() {
            add(workload, case, Cpu, Against::BestRuntime, AtMost(1.1));
        }
    }
    // So many that none has the loop woken for itself alone. Of fewer, who rounds to milliseconds
    // sleeps longer, by design.
    add(Sleep, Case::of(100_000), Cpu, Against::BestRuntime, AtMost(1.1));

    let talking = Case::of(64).sized(64);
    add(Echo, talking.beside(12_000), Cpu, Against::Case(talking), AtMost(1.05));
    add(ConnectionMemory, ConnectionMemory.cases()[0], BytesEach, Against::BestRuntime, AtMost(1.0));
    add(IdleCpu, IdleCpu.cases()[0], Busy, Against::Nothing, AtMost(0.0));

    let one = Case::of(1).sized(64);
    let against = Against::Peer("tokio");
    let spinning =
        Target { workload: Echo, case: one, figure: Throughput, ours: OURS_SPINNING, against, limit: AtLeast(1.5) };
    all.push(spinning);
    all
}
