//! The other end of a stream that goes one way.

use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};

use super::connection::connect;
use super::meter::{Meter, PATIENCE};
use crate::job::LoadRun;
use crate::measure::Measurement;
use crate::workloads::bulk::{PIECE, piece};

/// Sends, and hears at the end how much the server has received.
pub fn send(run: &LoadRun) -> Result<Measurement> {
    let mut stream = connect(run.port)?;
    stream.set_nonblocking(true)?;
    let piece = piece();
    let mut sent = 0;
    let measurement = count(run, || match stream.write(&piece) {
        Ok(more) => {
            sent += more as u64;
            Ok(more)
        }
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(0),
        Err(error) => Err(error).context("send"),
    })?;
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.shutdown(Shutdown::Write)?;
    let mut received = [0; 8];
    stream.read_exact(&mut received)?;
    let received = u64::from_le_bytes(received);
    ensure!(received == sent, "the server received {received} of {sent} bytes");
    Ok(measurement)
}

/// Receives, and checks what the server sends.
pub fn receive(run: &LoadRun) -> Result<Measurement> {
    let mut stream = connect(run.port)?;
    stream.set_nonblocking(true)?;
    let (expected, mut heard) = (piece(), [0; PIECE]);
    let mut at = 0;
    count(run, || match stream.read(&mut heard[at..]) {
        Ok(0) => bail!("the server closed the connection"),
        Ok(more) => {
            ensure!(heard[at..at + more] == expected[at..at + more], "the server sent wrong bytes");
            at = (at + more) % PIECE;
            Ok(more)
        }
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(0),
        Err(error) => Err(error).context("receive"),
    })
}

/// Counts each MiB that `step` has moved, and how long it took.
fn count(run: &LoadRun, mut step: impl FnMut() -> Result<usize>) -> Result<Measurement> {
    const MIB: usize = 1 << 20;
    let mut meter = Meter::new(run.server, run.window);
    let (mut moved, mut began) = (0, Instant::now());
    loop {
        moved += step()?;
        let is_whole = moved >= MIB;
        if is_whole {
            moved -= MIB;
            meter.answered(began.elapsed());
            began = Instant::now();
        }
        if let Some(measurement) = meter.turn(usize::from(is_whole))? {
            return Ok(measurement);
        }
    }
}
