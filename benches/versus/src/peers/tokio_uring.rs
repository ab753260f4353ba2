//! tokio-uring: tokio, with sockets and files on io_uring.

use std::iter;
use std::net::TcpListener;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Result, ensure};
use tokio::task;
use tokio_uring::Runtime;
use tokio_uring::buf::BoundedBuf;
use tokio_uring::buf::fixed::{FixedBuf, FixedBufPool};
use tokio_uring::fs::File;
use tokio_uring::net::TcpStream;

use super::Peer;
use crate::blocks::{self, BLOCK_SIZE, Block};
use crate::workloads::micro::{self, Executor, Joins};
use crate::workloads::read::{Reader, Reads};
use crate::workloads::unified::{self, Requests};

pub const PEER: Peer = Peer {
    name: "tokio-uring",
    echo: Some(|listener| runtime()?.block_on(serve(listener, echo))),
    unified: Some(unified),
    read: Some(read),
    spawn_join: Some(micro::spawn_join::<TokioUring>),
    yield_now: Some(micro::yield_now::<TokioUring>),
    sleep: Some(micro::sleep::<TokioUring>),
};

/// `start` would be shorter, but panics where io_uring is denied.
fn runtime() -> Result<Runtime> {
    let mut ring = tokio_uring::uring_builder();
    // This thread reaps when it gets to it, and need not be interrupted for every completion.
    ring.setup_coop_taskrun();
    Ok(Runtime::new(tokio_uring::builder().uring_builder(&ring))?)
}

async fn serve<C>(listener: TcpListener, connection: impl Fn(TcpStream) -> C) -> Result<()>
where
    C: Future<Output = Result<()>> + 'static,
{
    // io_uring does not wait for a connection to a nonblocking listener, but says EAGAIN.
    listener.set_nonblocking(false)?;
    let listener = tokio_uring::net::TcpListener::from_std(listener);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio_uring::spawn(connection(stream));
    }
}

async fn echo(stream: TcpStream) -> Result<()> {
    let mut buffer = vec![0; 4096];
    loop {
        let (received, message) = stream.read(buffer).await;
        let count = received?;
        if count == 0 {
            return Ok(());
        }
        let (sent, message) = stream.write_all(message.slice(..count)).await;
        sent?;
        buffer = message.into_inner();
    }
}

fn unified(listener: TcpListener, path: &Path) -> Result<()> {
    runtime()?.block_on(async {
        let file = open(path)?;
        let blocks = register(1024)?;
        serve(listener, |stream| answer(stream, file.clone(), blocks.clone())).await
    })
}

async fn answer(stream: TcpStream, file: Rc<File>, blocks: Rc<FixedBufPool<Box<Block>>>) -> Result<()> {
    let mut requests = Requests::default();
    let mut buffer = vec![0; unified::RECEIVE_SIZE];
    loop {
        let (received, bytes) = stream.read(buffer).await;
        let count = received?;
        if count == 0 {
            return Ok(());
        }
        requests.extend(&bytes[..count]);
        buffer = bytes;
        for number in &mut requests {
            // For this request only: there may be more connections than blocks.
            let block = read_block(&file, number, blocks.next(BLOCK_SIZE).await).await?;
            let (sent, _) = stream.write_fixed_all(block).await;
            sent?;
        }
    }
}

fn read(reads: Reads) -> Result<()> {
    runtime()?.block_on(async {
        let file = open(&reads.path)?;
        let blocks = register(reads.readers.len())?;
        let read_on = |reader| tokio_uring::spawn(read_on(reader, file.clone(), blocks.clone()));
        for task in reads.readers.into_iter().map(read_on).collect::<Vec<_>>() {
            task.await??;
        }
        Ok(())
    })
}

async fn read_on(mut reader: Reader, file: Rc<File>, blocks: Rc<FixedBufPool<Box<Block>>>) -> Result<()> {
    let mut block = blocks.next(BLOCK_SIZE).await;
    while let Some(read) = reader.begin() {
        block = read_block(&file, read.block, block).await?;
        reader.end(&read, &block);
    }
    Ok(())
}

fn open(path: &Path) -> Result<Rc<File>> {
    Ok(Rc::new(File::from_std(blocks::open_direct(path)?)))
}

/// Blocks that the kernel need not map for each read.
fn register(count: usize) -> Result<Rc<FixedBufPool<Box<Block>>>> {
    let pool = FixedBufPool::new(iter::repeat_with(Block::zeroed).take(count));
    pool.register()?;
    Ok(Rc::new(pool))
}

async fn read_block(file: &File, number: u64, into: FixedBuf) -> Result<FixedBuf> {
    let (done, block) = file.read_fixed_at(into, blocks::offset(number)).await;
    ensure!(done? == BLOCK_SIZE, "a short read");
    Ok(block)
}

struct TokioUring;

impl Executor for TokioUring {
    fn block_on<F: Future>(body: F) -> Result<F::Output> {
        Ok(runtime()?.block_on(body))
    }

    fn spawn_empty() -> impl Joins {
        tokio_uring::spawn(async {})
    }

    fn spawn_yielding(times: usize) -> impl Joins {
        tokio_uring::spawn(async move {
            for _ in 0..times {
                task::yield_now().await;
            }
        })
    }

    fn spawn_sleeping(duration: Duration) -> impl Joins {
        tokio_uring::spawn(tokio::time::sleep(duration))
    }
}
