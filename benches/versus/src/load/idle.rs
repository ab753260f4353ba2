//! What connections cost on which nothing is said.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;

use anyhow::{Result, ensure};

use super::connection::connect;
use super::{Dialogue, Run};
use crate::measure::{Gauge, Measurement};
use crate::sys;
use crate::workloads::echo;

impl Run {
    /// The server's memory for each connection. Each has talked once: what a server keeps for one
    /// that has not yet is of less interest, and the answer shows that it was accepted.
    pub fn weigh_idle(&self) -> Result<Measurement> {
        self.talk_once(&mut connect(self.port)?)?;
        let gauge = Gauge::of(self.server, self.window);
        let before = sys::resident_bytes(self.server)?;
        let from = gauge.mark(0)?;
        let mut idle = self.open_idle()?;
        for stream in &mut idle {
            self.talk_once(stream)?;
        }
        let to = gauge.mark(idle.len() as u64)?;
        let after = sys::resident_bytes(self.server)?;
        let bytes_each = after.saturating_sub(before) as f64 / idle.len() as f64;
        Ok(Measurement { bytes_each: Some(bytes_each), ..gauge.measure(&from, &to, None)? })
    }

    /// The server's CPU time while nothing is said.
    pub fn watch_idle(&self) -> Result<Measurement> {
        let _idle = self.open_idle()?;
        // Connections are accepted in the order in which they came: after the last one, all were.
        self.talk_once(&mut connect(self.port)?)?;
        thread::sleep(self.window.warmup);
        let gauge = Gauge::of(self.server, self.window);
        let from = gauge.mark(0)?;
        thread::sleep(self.window.counted);
        gauge.measure(&from, &gauge.mark(0)?, None)
    }

    fn talk_once(&self, stream: &mut TcpStream) -> Result<()> {
        let mut dialogue = echo::Client::new(&self.case, 0);
        dialogue.advance();
        let mut answer = vec![0; dialogue.answer_size()];
        stream.set_read_timeout(Some(super::PATIENCE))?;
        stream.write_all(dialogue.request())?;
        stream.read_exact(&mut answer)?;
        ensure!(dialogue.is_answer(&answer), "a wrong answer");
        Ok(())
    }
}
