//! The loop that makes load on all connections.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use rustix::fd::OwnedFd;

use super::connection::Connection;
use super::meter::Meter;
use super::pace::Pace;
use crate::job::LoadRun;
use crate::measure::Measurement;
use crate::workloads::{Dialogue, Workload, echo};

const AT_ONCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };

/// One request after the other on each connection.
pub fn talk<D: Dialogue>(run: &LoadRun) -> Result<Measurement> {
    let mut clients = Clients::<D>::open(run)?;
    let mut pace = Pace::new(run.case.rate);
    for (index, connection) in clients.connections.iter_mut().enumerate() {
        pace.free(index, connection)?;
    }
    let mut meter = Meter::new(run.server, run.window);
    loop {
        let answers = clients.turn(|_, index, connection, latency| {
            meter.answered(latency);
            pace.free(index, connection)
        })?;
        pace.send_due(&mut clients.connections)?;
        if let Some(measurement) = meter.turn(answers)? {
            if run.workload == Workload::UdpEcho {
                clients.ensure_none_lost(measurement.wall)?;
            }
            return Ok(measurement);
        }
    }
}

/// One request on each connection, which is then closed and replaced by a new one.
pub fn connect_and_close(run: &LoadRun) -> Result<Measurement> {
    let mut clients = Clients::<echo::Client>::open(run)?;
    for connection in &mut clients.connections {
        connection.ask(Instant::now())?;
    }
    let mut meter = Meter::new(run.server, run.window);
    loop {
        let answers = clients.turn(|epoll, index, connection, latency| {
            meter.answered(latency);
            let began = Instant::now();
            connection.reopen(run)?;
            watch(epoll, index, connection)?;
            connection.ask(began)
        })?;
        if let Some(measurement) = meter.turn(answers)? {
            return Ok(measurement);
        }
    }
}

/// All connections that talk, and the epoll that watches them.
struct Clients<D> {
    epoll: OwnedFd,
    connections: Vec<Connection<D>>,
    events: Vec<epoll::Event>,
}

impl<D: Dialogue> Clients<D> {
    fn open(run: &LoadRun) -> Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let mut connections = Vec::with_capacity(run.case.many);
        for index in 0..run.case.many {
            let connection = Connection::open(run, D::new(&run.case, index))?;
            watch(&epoll, index, &connection)?;
            connections.push(connection);
        }
        Ok(Clients { epoll, connections, events: Vec::with_capacity(run.case.many) })
    }

    /// Nobody sends a lost datagram again: its client would be silent ever after, and the load less
    /// than the case says. None waits as long as a whole window.
    fn ensure_none_lost(&self, window: Duration) -> Result<()> {
        let lost = self.connections.iter().filter(|connection| connection.waits() >= window).count();
        ensure!(lost == 0, "{lost} datagrams were lost");
        Ok(())
    }

    /// Handles the events of all connections, without sleeping. Returns how many answers came.
    fn turn(
        &mut self,
        mut answered: impl FnMut(&OwnedFd, usize, &mut Connection<D>, Duration) -> Result<()>,
    ) -> Result<usize> {
        self.events.clear();
        epoll::wait(&self.epoll, spare_capacity(&mut self.events), Some(&AT_ONCE))?;
        let mut answers = 0;
        for event in &self.events {
            let index = event.data.u64() as usize;
            let connection = &mut self.connections[index];
            if let Some(latency) = connection.advance()? {
                answers += 1;
                answered(&self.epoll, index, connection, latency)?;
            }
        }
        Ok(answers)
    }
}

/// Edge-triggered: registered once, never touched again.
fn watch<D>(epoll: &OwnedFd, index: usize, connection: &Connection<D>) -> Result<()> {
    let interest = epoll::EventFlags::IN | epoll::EventFlags::OUT | epoll::EventFlags::ET;
    Ok(epoll::add(epoll, &connection.socket, epoll::EventData::new_u64(index as u64), interest)?)
}
