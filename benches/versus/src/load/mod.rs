//! The load generator: one thread, plain epoll, every answer checked.
//!
//! A closed loop keeps one request in flight on each connection. An open loop sends a fixed number
//! of requests per second, whether the server keeps up or not, and counts latency from when a
//! request was due. So a server that stalls is charged for every request of that time, not only for
//! the one that it kept waiting.
//!
//! The load generator never sleeps while it makes load, and has a core to itself. If it slept, the
//! server would pay for waking it, and how often would be a matter of timing.

mod bulk;
mod connection;
mod idle;
mod meter;
mod pace;
mod talk;

use anyhow::{Result, bail};

use crate::job::LoadRun;
use crate::measure::Measurement;
use crate::workloads::{Dialogue, Workload, echo, http, unified};

pub fn run(run: &LoadRun) -> Result<Measurement> {
    match run.workload {
        Workload::ConnectionMemory | Workload::SocketMemory => idle::weigh(run),
        Workload::IdleCpu => idle::watch(run),
        Workload::Echo | Workload::Mixed | Workload::UdpEcho | Workload::UnixEcho => {
            talk_beside_idle::<echo::Client>(run)
        }
        Workload::Unified => talk_beside_idle::<unified::Client>(run),
        Workload::BulkReceive => bulk::send(run),
        Workload::BulkSend => bulk::receive(run),
        Workload::Http => talk::talk::<http::Hello>(run),
        Workload::AxumRead => talk::talk::<http::Reader>(run),
        Workload::Connect => talk::connect_and_close(run),
        other => bail!("{other} makes its own load"),
    }
}

fn talk_beside_idle<D: Dialogue>(run: &LoadRun) -> Result<Measurement> {
    let _idle = idle::open(run)?;
    talk::talk::<D>(run)
}
