//! Which pictures there are. Each answers one question.

use super::picture::{Panel, Picture, Row, Value};
use crate::driver::cell::Role;
use crate::driver::results::{Results, Summary};
use crate::measure::Figure::{self, BytesEach, Cpu, P99};
use crate::workloads::Workload::{self, *};
use crate::workloads::{Case, echo};

/// All pictures that these results have figures for.
pub fn pictures(results: &Results) -> Vec<Picture> {
    let echo = |many| Case::of(many).sized(echo::SMALL);
    let connections = |many: usize| format!("{many} connections");
    let whole = |workload: Workload| workload.cases()[0];
    let rated = |cell: &&Summary| cell.cell.workload == Unified && cell.cell.case.rate.is_some();
    let open = results.cells.iter().find(rated).map(|summary| summary.cell.case);

    let mut unified_p99 = vec![
        Pick::new(Unified, Case::of(32), P99, "32 connections, closed loop"),
        Pick::new(Unified, Case::of(256), P99, "256 connections, closed loop"),
    ];
    if let Some(case) = open {
        let title = format!("{} connections, {} requests/s", case.many, case.rate.unwrap_or_default());
        unified_p99.push(Pick::new(Unified, case, P99, title));
    }
    let pictures = [
        Sketch {
            name: "denied",
            title: "Where io_uring is denied, as in containers by default: CPU time per operation",
            note: "A runtime built on io_uring that starts anyway has fallen back to epoll.",
            per: " of CPU time",
            shared: false,
            denied: true,
            panels: vec![
                Pick::new(Echo, echo(64), Cpu, "TCP echo of 64 bytes"),
                Pick::new(Read, Case::of(32), Cpu, "direct read of 4 KiB"),
                Pick::new(Unified, Case::of(32), Cpu, "4 KiB of a file over TCP"),
            ],
        },
        Sketch {
            name: "unified",
            title: "4 KiB of a file over TCP: CPU time per request",
            note: "A request names a block, which is read with O_DIRECT and sent.",
            per: " of CPU time per request",
            shared: true,
            denied: false,
            panels: [32, 256].map(|many| Pick::new(Unified, Case::of(many), Cpu, connections(many))).into(),
        },
        Sketch {
            name: "unified-p99",
            title: "4 KiB of a file over TCP: p99 latency",
            note: "One request in 100 takes longer. At a fixed rate, latency counts from when a request was due.",
            per: " of latency",
            shared: false,
            denied: false,
            panels: unified_p99,
        },
        Sketch {
            name: "read",
            title: "Random 4 KiB reads with O_DIRECT: CPU time per read",
            note: "The threads of a pool are counted too.",
            per: " of CPU time per read",
            shared: true,
            denied: false,
            panels: [32, 128].map(|many| Pick::new(Read, Case::of(many), Cpu, format!("{many} in flight"))).into(),
        },
        Sketch {
            name: "echo",
            title: "TCP echo of 64 bytes: CPU time per message",
            note: "No file is touched.",
            per: " of CPU time per message",
            shared: true,
            denied: false,
            panels: [64, 512, 4096].map(|many| Pick::new(Echo, echo(many), Cpu, connections(many))).into(),
        },
        Sketch {
            name: "tasks",
            title: "Tasks and timers: CPU time per operation",
            note: "The executor alone, without I/O.",
            per: " of CPU time",
            shared: false,
            denied: false,
            panels: vec![
                Pick::new(SpawnJoin, Case::of(1000), Cpu, "spawn and join, 1000"),
                Pick::new(YieldNow, Case::of(1000), Cpu, "yield among 1000"),
                Pick::new(Wake, Case::of(1000), Cpu, "wake, 1000 pairs"),
                Pick::new(Sleep, Case::of(100_000), Cpu, "sleep, 100,000 at once"),
            ],
        },
        Sketch {
            name: "memory",
            title: "Memory: resident bytes of each connection or task",
            note: "The growth of the process, divided by how many it keeps. The kernel's memory is not included.",
            per: "",
            shared: false,
            denied: false,
            panels: vec![
                Pick::new(ConnectionMemory, whole(ConnectionMemory), BytesEach, "idle connection, of 4096"),
                Pick::new(TaskMemory, whole(TaskMemory), BytesEach, "waiting task, of 100,000"),
            ],
        },
    ];
    pictures.into_iter().filter_map(|sketch| sketch.picture(results)).collect()
}

/// A picture without its figures.
struct Sketch {
    name: &'static str,
    title: &'static str,
    note: &'static str,
    /// What follows the unit below the axis.
    per: &'static str,
    /// Whether all panels have the same scale.
    shared: bool,
    /// Whether io_uring was denied.
    denied: bool,
    panels: Vec<Pick>,
}

/// The cells of one panel.
struct Pick {
    workload: Workload,
    case: Case,
    figure: Figure,
    title: String,
}

impl Pick {
    fn new(workload: Workload, case: Case, figure: Figure, title: impl Into<String>) -> Pick {
        Pick { workload, case, figure, title: title.into() }
    }

    fn cells<'a>(&self, results: &'a Results, denied: bool) -> Vec<&'a Summary> {
        let it = (self.workload, self.case, denied);
        let same =
            |s: &&Summary| s.cell.role == Role::Peer && (s.cell.workload, s.cell.case, s.cell.io_uring_denied) == it;
        results.cells.iter().filter(same).collect()
    }
}

impl Sketch {
    /// None where nothing of it was measured.
    fn picture<'a>(self, results: &'a Results) -> Option<Picture> {
        let found = self.panels.iter().map(|pick| (pick, pick.cells(results, self.denied)));
        let found: Vec<_> = found.filter(|(_, cells)| !cells.is_empty()).collect();
        let mut rows: Vec<Row> = Vec::new();
        for cell in found.iter().flat_map(|(_, cells)| cells).map(|summary| &summary.cell) {
            if !rows.iter().any(|row| row.peer == cell.peer) {
                rows.push(Row { peer: cell.peer.clone(), kind: cell.kind, values: Vec::new() });
            }
        }
        rows.sort_by_key(|row| row.kind);
        for row in &mut rows {
            let summary = |cells: &[&'a Summary]| cells.iter().find(|summary| summary.cell.peer == row.peer).copied();
            row.values = found.iter().map(|(pick, cells)| self.value(summary(cells), pick.figure)).collect();
        }
        let panel = |pick: &Pick| Panel { title: pick.title.clone(), figure: pick.figure };
        let panels: Vec<Panel> = found.iter().map(|(pick, _)| panel(pick)).collect();
        let rounds = match results.rounds {
            1 => "One round.",
            _ => "Median of all rounds; whiskers: its 95 % interval.",
        };
        let note = format!("{} {rounds}", self.note);
        let Sketch { name, title, per, shared, .. } = self;
        (!panels.is_empty()).then_some(Picture { name, title, note, per, shared, panels, rows })
    }

    fn value(&self, summary: Option<&Summary>, figure: Figure) -> Value {
        let Some(summary) = summary else { return Value::Absent };
        match (&summary.cell.failure, summary.estimate(figure)) {
            (Some(_), _) if self.denied && summary.cell.turns.is_empty() => Value::Failed("does not start"),
            (Some(_), _) => Value::Failed("failed"),
            (None, Some(figures)) => Value::Measured(figures),
            (None, None) => Value::Absent,
        }
    }
}
