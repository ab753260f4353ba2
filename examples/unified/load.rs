//! The demonstration's clients: one request under way on each connection, every answer checked.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use aio_runtime::io::{AsyncReadExt, AsyncWriteExt};
use aio_runtime::net::TcpStream;
use futures::future::try_join_all;

use crate::content;
use crate::server::BLOCK_SIZE;

/// What to ask for, of which server, and how long.
#[derive(Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) addr: SocketAddr,
    pub(crate) blocks: u64,
    pub(crate) connections: u64,
    /// Requests that begin between these count.
    pub(crate) from: Instant,
    pub(crate) until: Instant,
}

/// Runs all clients. Returns the latency of each request that counts.
pub(crate) async fn run(plan: Plan) -> io::Result<Vec<Duration>> {
    let clients = (0..plan.connections).map(|index| client(plan, index));
    Ok(try_join_all(clients).await?.concat())
}

async fn client(plan: Plan, index: u64) -> io::Result<Vec<Duration>> {
    let mut latencies = Vec::new();
    let mut stream = TcpStream::connect(plan.addr).await?;
    stream.set_nodelay(true)?;
    let mut answer = [0; BLOCK_SIZE];
    let mut seed = index << 32;
    loop {
        let number = content::scatter(seed) % plan.blocks;
        seed += 1;
        let begin = Instant::now();
        if begin >= plan.until {
            return Ok(latencies);
        }
        stream.write_all(&number.to_le_bytes()).await?;
        stream.read_exact(&mut answer).await?;
        if begin >= plan.from {
            latencies.push(begin.elapsed());
        }
        if !content::is_block(number, &answer) {
            let text = format!("what came for block {number} is not that block");
            return Err(io::Error::other(text));
        }
    }
}
