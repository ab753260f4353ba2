//! The load generator: one thread, plain epoll, every answer checked.
//!
//! A closed loop keeps one request under way on each connection. An open loop sends so many
//! requests per second, whether the server keeps up or not, and counts latency from when a request
//! was due: a server that stalls is charged for all who would have come meanwhile, not only for the
//! one that it kept waiting.
//!
//! It never sleeps while it makes load. It has a core to itself, and a client that sleeps would
//! have the server pay for waking it: the slower the client's answer, the cheaper the server would
//! look.

mod connection;
mod idle;
mod meter;
mod pace;
mod talk;

use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};

use crate::measure::{Measurement, Window};
use crate::workloads::{Case, Workload, echo, unified};
use connection::connect;

/// No answer at all for so long means that the server has lost some of them.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Serialize, Deserialize)]
pub struct Run {
    pub workload: Workload,
    pub case: Case,
    pub port: u16,
    /// The process that is measured.
    pub server: u32,
    pub window: Window,
}

/// One side of what is said on a connection: a request, then its answer, then the next request.
pub trait Dialogue {
    /// The one of the connection with this number.
    fn new(case: &Case, connection: usize) -> Self;

    /// Goes on to the next request.
    fn advance(&mut self);

    fn request(&self) -> &[u8];

    /// The length of every answer.
    fn answer_size(&self) -> usize;

    /// Whether this is the answer to the request.
    fn is_answer(&self, answer: &[u8]) -> bool;
}

impl Run {
    pub fn run(&self) -> Result<Measurement> {
        match self.workload {
            Workload::ConnectionMemory => self.weigh_idle(),
            Workload::IdleCpu => self.watch_idle(),
            Workload::Echo | Workload::Mixed => self.talk_beside_idle::<echo::Client>(),
            Workload::Unified => self.talk_beside_idle::<unified::Client>(),
            Workload::Connect => self.connect_and_close(),
            other => bail!("{other} makes its own load"),
        }
    }

    fn talk_beside_idle<D: Dialogue>(&self) -> Result<Measurement> {
        let _idle = self.open_idle()?;
        self.talk::<D>()
    }

    fn open_idle(&self) -> Result<Vec<TcpStream>> {
        (0..self.case.idle).map(|_| connect(self.port)).collect()
    }
}
