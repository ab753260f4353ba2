//! What idle connections cost.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;

use anyhow::{Result, ensure};

use super::connection::connect;
use super::meter::PATIENCE;
use crate::job::LoadRun;
use crate::measure::{Gauge, Measurement};
use crate::sys;
use crate::workloads::{Dialogue, echo};

/// Opens the idle connections of the case.
pub fn open(run: &LoadRun) -> Result<Vec<TcpStream>> {
    (0..run.case.idle).map(|_| connect(run.port)).collect()
}

/// The server's memory for each connection. Each has talked once: the answer shows that it was
/// accepted, and what a server keeps for a connection before that matters less.
pub fn weigh(run: &LoadRun) -> Result<Measurement> {
    talk_once(run, &mut connect(run.port)?)?;
    let gauge = Gauge::of(run.server, run.window);
    let before = sys::resident_bytes(run.server)?;
    let from = gauge.mark(0)?;
    let mut idle = open(run)?;
    for stream in &mut idle {
        talk_once(run, stream)?;
    }
    let to = gauge.mark(idle.len() as u64)?;
    let after = sys::resident_bytes(run.server)?;
    let bytes_each = after.saturating_sub(before) as f64 / idle.len() as f64;
    Ok(Measurement { bytes_each: Some(bytes_each), ..gauge.measure(&from, &to, None)? })
}

/// The server's CPU time while its connections are idle.
pub fn watch(run: &LoadRun) -> Result<Measurement> {
    let _idle = open(run)?;
    // Connections are accepted in the order in which they came: once this one is answered, all are.
    talk_once(run, &mut connect(run.port)?)?;
    thread::sleep(run.window.warmup);
    let gauge = Gauge::of(run.server, run.window);
    let from = gauge.mark(0)?;
    thread::sleep(run.window.counted);
    gauge.measure(&from, &gauge.mark(0)?, None)
}

fn talk_once(run: &LoadRun, stream: &mut TcpStream) -> Result<()> {
    let mut dialogue = echo::Client::new(&run.case, 0);
    dialogue.advance();
    let mut answer = vec![0; dialogue.answer_size()];
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(dialogue.request())?;
    stream.read_exact(&mut answer)?;
    ensure!(dialogue.is_answer(&answer), "the server sent a wrong answer");
    Ok(())
}
