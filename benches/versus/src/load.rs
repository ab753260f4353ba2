//! The load generator: one thread, plain epoll, a closed loop on each connection, every answer checked.
//!
//! It never sleeps. It has a core to itself, and a client that sleeps would have the server pay for waking it: the
//! slower the client's answer, the cheaper the server would look.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use serde::{Deserialize, Serialize};

use crate::measure::{Gauge, Latencies, Mark, Measurement, Window, latencies};
use crate::workloads::{Case, Workload, echo, unified};

/// No answer at all for so long means that the server has lost some of them.
const PATIENCE: Duration = Duration::from_secs(10);
const AT_ONCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };

#[derive(Serialize, Deserialize)]
pub struct Run {
    pub workload: Workload,
    pub case: Case,
    pub port: u16,
    /// The process whose CPU time counts.
    pub server: u32,
    pub window: Window,
}

/// One side of what is said on a connection: a request, then its answer, then the next request.
pub trait Dialogue {
    /// The one of the connection with this number.
    fn new(case: &Case, connection: usize) -> Self;

    /// The length of every answer.
    fn answer_size(&self) -> usize;

    fn next_request(&mut self) -> &[u8];

    /// Whether this is the answer to the last request.
    fn is_answer(&self, answer: &[u8]) -> bool;
}

impl Run {
    pub fn run(&self) -> Result<Measurement> {
        match self.workload {
            Workload::Echo | Workload::Mixed => self.talk::<echo::Client>(),
            Workload::Unified => self.talk::<unified::Client>(),
            other => bail!("{other} is not there yet"),
        }
    }

    fn talk<D: Dialogue>(&self) -> Result<Measurement> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let mut connections = Vec::with_capacity(self.case.many);
        for index in 0..self.case.many {
            let connection = Connection::<D>::open(self.port, D::new(&self.case, index))?;
            // Edge-triggered: registered once, never touched again.
            let interest = epoll::EventFlags::IN | epoll::EventFlags::ET;
            let token = epoll::EventData::new_u64(index as u64);
            epoll::add(&epoll, &connection.stream, token, interest)?;
            connections.push(connection);
        }
        for connection in &mut connections {
            connection.ask(Instant::now())?;
        }

        let mut meter = Meter::new(self.server, self.window)?;
        let mut events = Vec::with_capacity(self.case.many);
        loop {
            events.clear();
            epoll::wait(&epoll, spare_capacity(&mut events), Some(&AT_ONCE))?;
            for event in &events {
                let connection = &mut connections[event.data.u64() as usize];
                if connection.hear()? {
                    let now = Instant::now();
                    meter.answered(now - connection.asked_at);
                    connection.ask(now)?;
                }
            }
            if let Some(measurement) = meter.turn(events.len())? {
                return Ok(measurement);
            }
        }
    }
}

struct Connection<D> {
    stream: TcpStream,
    dialogue: D,
    asked_at: Instant,
    answer: Box<[u8]>,
    heard: usize,
}

impl<D: Dialogue> Connection<D> {
    fn open(port: u16, dialogue: D) -> Result<Self> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).context("connect")?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        Ok(Connection {
            stream,
            asked_at: Instant::now(),
            answer: vec![0; dialogue.answer_size()].into(),
            dialogue,
            heard: 0,
        })
    }

    fn ask(&mut self, now: Instant) -> Result<()> {
        let request = self.dialogue.next_request();
        let sent = self.stream.write(request).context("send a request")?;
        // A closed loop has one small request under way: it always fits.
        ensure!(sent == request.len(), "a request was sent by halves");
        self.asked_at = now;
        Ok(())
    }

    /// Takes what has come; true once that completes the answer.
    fn hear(&mut self) -> Result<bool> {
        match self.stream.read(&mut self.answer[self.heard..]) {
            Ok(0) => bail!("the server closed a connection"),
            Ok(more) => self.heard += more,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error).context("receive an answer"),
        }
        if self.heard < self.answer.len() {
            return Ok(false);
        }
        self.heard = 0;
        ensure!(self.dialogue.is_answer(&self.answer), "a wrong answer");
        Ok(true)
    }
}

/// Counts answers, and marks both ends of the window.
struct Meter {
    gauge: Gauge,
    window: Window,
    opens: Instant,
    from: Option<Mark>,
    answers: u64,
    latencies: Latencies,
    last_answer: Instant,
}

impl Meter {
    fn new(server: u32, window: Window) -> Result<Meter> {
        Ok(Meter {
            gauge: Gauge::of(server)?,
            window,
            opens: Instant::now() + window.warmup,
            from: None,
            answers: 0,
            latencies: latencies(),
            last_answer: Instant::now(),
        })
    }

    fn answered(&mut self, after: Duration) {
        self.answers += 1;
        if self.from.is_some() {
            self.latencies.saturating_record(after.as_nanos() as u64);
        }
    }

    /// To be called once a turn, with the number of its events; returns the result when the window closes.
    fn turn(&mut self, events: usize) -> Result<Option<Measurement>> {
        let now = Instant::now();
        if events > 0 {
            self.last_answer = now;
        }
        ensure!(now - self.last_answer < PATIENCE, "no answer for {PATIENCE:?}");
        match &self.from {
            None if now >= self.opens => self.from = Some(self.gauge.mark(self.answers)?),
            Some(from) if now >= self.opens + self.window.counted => {
                let to = self.gauge.mark(self.answers)?;
                return Ok(Some(self.gauge.measure(from, &to, Some(&self.latencies))?));
            }
            None | Some(_) => {}
        }
        Ok(None)
    }
}
