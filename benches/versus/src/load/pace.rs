//! When the next request is sent, and on which connection.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::connection::Connection;
use crate::workloads::Dialogue;

pub enum Pace {
    /// On each connection as soon as its last one was answered.
    Closed,
    /// At a fixed rate.
    Open(Schedule),
}

pub struct Schedule {
    interval: Duration,
    /// When the next request is due.
    next: Instant,
    /// The connections without a request in flight, in the order in which they became free.
    free: VecDeque<usize>,
}

impl Pace {
    pub fn new(rate: Option<u32>) -> Pace {
        match rate {
            None => Pace::Closed,
            Some(rate) => Pace::Open(Schedule {
                interval: Duration::from_secs(1) / rate,
                next: Instant::now(),
                free: VecDeque::new(),
            }),
        }
    }

    /// Lets the connection with this index have its next request.
    pub fn free<D: Dialogue>(&mut self, index: usize, connection: &mut Connection<D>) -> Result<()> {
        match self {
            Pace::Closed => connection.ask(Instant::now()),
            Pace::Open(schedule) => {
                schedule.free.push_back(index);
                Ok(())
            }
        }
    }

    /// Sends the requests that are due. One that finds no connection free is sent later; its
    /// latency counts from when it was due anyway.
    pub fn send_due<D: Dialogue>(&mut self, connections: &mut [Connection<D>]) -> Result<()> {
        let Pace::Open(schedule) = self else { return Ok(()) };
        let now = Instant::now();
        while schedule.next <= now {
            let Some(index) = schedule.free.pop_front() else { break };
            connections[index].ask(schedule.next)?;
            schedule.next += schedule.interval;
        }
        Ok(())
    }
}
