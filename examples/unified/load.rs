//! The demonstration's clients: one request under way on each connection, every answer checked.

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::time::Instant;

use aio_runtime::Runtime;
use aio_runtime::io::{AsyncReadExt, AsyncWriteExt};
use aio_runtime::net::TcpStream;
use futures::future::try_join_all;
use hdrhistogram::Histogram;

use crate::content;
use crate::server::BLOCK_SIZE;

/// What to ask for, of whom, and how long.
#[derive(Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) addr: SocketAddr,
    pub(crate) blocks: u64,
    pub(crate) connections: u64,
    /// Requests that begin between these count.
    pub(crate) from: Instant,
    pub(crate) until: Instant,
}

/// Runs all clients, on a runtime of its own. Returns what each request took, in nanoseconds.
pub(crate) fn run(plan: Plan) -> io::Result<Histogram<u64>> {
    let times = Histogram::new(3).expect("3 digits are possible");
    let times = RefCell::new(times);
    let clients = (0..plan.connections).map(|index| client(plan, index, &times));
    Runtime::new()?.block_on(try_join_all(clients))?;
    Ok(times.into_inner())
}

async fn client(plan: Plan, index: u64, times: &RefCell<Histogram<u64>>) -> io::Result<()> {
    let mut stream = TcpStream::connect(plan.addr).await?;
    stream.set_nodelay(true)?;
    let mut answer = [0; BLOCK_SIZE];
    let mut seed = index << 32;
    loop {
        let number = content::scatter(seed) % plan.blocks;
        seed += 1;
        let begin = Instant::now();
        if begin >= plan.until {
            return Ok(());
        }
        stream.write_all(&number.to_le_bytes()).await?;
        stream.read_exact(&mut answer).await?;
        if begin >= plan.from {
            *times.borrow_mut() += begin.elapsed().as_nanos() as u64;
        }
        if !content::is_block(number, &answer) {
            let text = format!("what came for block {number} is not that block");
            return Err(io::Error::other(text));
        }
    }
}
