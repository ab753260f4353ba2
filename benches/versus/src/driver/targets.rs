//! What aio-runtime aims for, as data.

use std::fmt;

use serde::Serialize;

use super::estimate::Estimate;
use crate::measure::Figure::{self, Busy, BytesEach, Cpu, P50, P99, Throughput};
use crate::peers::Kind;
use crate::workloads::Workload::{self, *};
use crate::workloads::{Case, echo};

/// The peer whose targets these are, and its name with the option that keeps it from sleeping.
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

/// What our figure is divided by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Against {
    Peer(&'static str),
    /// The best of those that are built on io_uring.
    BestIoUring,
    /// The best of all runtimes.
    BestRuntime,
    /// Ours without the idle connections of the case.
    WithoutIdle,
    /// Nothing: the figure itself has the limit.
    Nothing,
}

#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Limit {
    AtMost(f64),
    AtLeast(f64),
}
use Limit::{AtLeast, AtMost};

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    Met,
    Missed,
    /// The limit lies within the interval, or there were too few rounds for one.
    Undecided,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Verdict::Met => "met",
            Verdict::Missed => "MISSED",
            Verdict::Undecided => "undecided",
        })
    }
}

impl Against {
    /// Whether the best is chosen from peers of this kind, among others.
    pub fn counts(self, kind: Kind) -> bool {
        match self {
            Against::BestIoUring => kind == Kind::IoUring,
            Against::BestRuntime => matches!(kind, Kind::IoUring | Kind::Epoll),
            Against::Peer(_) | Against::WithoutIdle | Against::Nothing => false,
        }
    }
}

impl Limit {
    /// Whether it is kept, as far as the figures can tell.
    pub fn verdict(self, figures: &Estimate) -> Verdict {
        let (is_met, is_missed) = match self {
            AtMost(most) => (figures.high <= most, figures.low > most),
            AtLeast(least) => (figures.low >= least, figures.high < least),
        };
        match (is_met, is_missed) {
            _ if !figures.is_certain() => Verdict::Undecided,
            (true, _) => Verdict::Met,
            (_, true) => Verdict::Missed,
            (false, false) => Verdict::Undecided,
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

    add(Echo, Case::of(64).sized(echo::LARGE), Cpu, Against::Peer("tokio"), AtMost(1.0));
    let one = Case::of(1).sized(echo::SMALL);
    add(Echo, one, Cpu, Against::Peer("tokio"), AtMost(1.05));

    for workload in [UdpEcho, UnixEcho] {
        for case in workload.cases() {
            add(workload, case, Cpu, Against::Peer("tokio"), AtMost(1.0));
        }
    }

    for workload in [BulkReceive, BulkSend] {
        for case in workload.cases() {
            add(workload, case, Cpu, Against::Peer("tokio"), AtMost(1.0));
            add(workload, case, Throughput, Against::Peer("tokio"), AtLeast(1.0));
        }
    }
    add(Connect, Connect.cases()[0], Throughput, Against::Peer("tokio"), AtLeast(1.0));

    for (workload, limit) in [(Http, 1.0), (AxumRead, 0.45)] {
        for case in workload.cases() {
            add(workload, case, Cpu, Against::Peer("tokio"), AtMost(limit));
        }
    }

    for (many, io_uring, tokio) in [(32, 1.0, 0.55), (256, 1.0, 0.36)] {
        for case in [Case::of(many), Case::of(many).zipf()] {
            add(Unified, case, Cpu, Against::BestIoUring, AtMost(io_uring));
            add(Unified, case, Cpu, Against::Peer("tokio"), AtMost(tokio));
            add(Unified, case, P99, Against::BestRuntime, AtMost(1.0));
        }
    }

    for case in [32, 128].map(Case::of) {
        add(Read, case, Cpu, Against::BestIoUring, AtMost(1.0));
        add(Read, case, Cpu, Against::Peer("bare-aio"), AtMost(1.03));
    }

    // No peer may be better by more than a tenth.
    for workload in [SpawnJoin, YieldNow, Wake] {
        for case in workload.cases() {
            add(workload, case, Cpu, Against::BestRuntime, AtMost(1.1));
        }
    }
    // With this many, each wakeup of the loop serves several of them. With fewer, a runtime that
    // rounds to milliseconds wakes less often, and sleeps longer.
    add(Sleep, Case::of(100_000), Cpu, Against::BestRuntime, AtMost(1.1));

    let talking = Case::of(64).sized(64);
    add(Echo, talking.beside(12_000), Cpu, Against::WithoutIdle, AtMost(1.05));
    add(ConnectionMemory, ConnectionMemory.cases()[0], BytesEach, Against::BestRuntime, AtMost(1.0));
    add(SocketMemory, SocketMemory.cases()[0], BytesEach, Against::Peer("tokio"), AtMost(0.5));
    add(IdleCpu, IdleCpu.cases()[0], Busy, Against::Nothing, AtMost(0.0));

    let mut add = |workload, case, figure, against, limit| {
        let against = Against::Peer(against);
        all.push(Target { workload, case, figure, ours: OURS_SPINNING, against, limit });
    };
    add(Echo, one, Throughput, "tokio", AtLeast(1.5));
    for case in [1, 8].map(Case::of) {
        // The one runtime on io_uring that spins.
        add(Unified, case, P50, "glommio-spin", AtMost(0.8));
        add(Unified, case, P99, "glommio-spin", AtMost(0.8));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(limit: Limit, low: f64, high: f64) -> Verdict {
        limit.verdict(&Estimate { median: (low + high) / 2.0, low, high, count: 9 })
    }

    #[test]
    fn verdict_needs_the_whole_interval_on_one_side() {
        assert_eq!(verdict(AtMost(1.0), 0.8, 1.0), Verdict::Met);
        assert_eq!(verdict(AtMost(1.0), 1.01, 1.2), Verdict::Missed);
        assert_eq!(verdict(AtMost(1.0), 0.8, 1.01), Verdict::Undecided);
        assert_eq!(verdict(AtLeast(1.5), 1.5, 1.7), Verdict::Met);
        assert_eq!(verdict(AtLeast(1.5), 1.2, 1.4), Verdict::Missed);
        assert_eq!(verdict(AtLeast(1.5), 1.4, 1.7), Verdict::Undecided);
    }
}
