//! smol on one thread: its local executor, run by its `block_on`, which also waits for I/O; files on its blocking pool.

use std::convert::Infallible;
use std::fs::File;
use std::net::TcpListener;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use async_executor::{LocalExecutor, StaticLocalExecutor, Task};
use smol::future::yield_now;
use smol::io::{AsyncReadExt, AsyncWriteExt};
use smol::net::TcpStream;
use smol::{Timer, unblock};

use super::Peer;
use crate::blocks::{self, Block};
use crate::workloads::micro::{self, Executor, Joins};
use crate::workloads::read::{Reader, Reads};
use crate::workloads::unified::Requests;

pub const PEER: Peer = Peer {
    name: "smol",
    echo: Some(|listener| block_on(serve(listener, echo))),
    unified: Some(unified),
    read: Some(read),
    spawn_join: Some(micro::spawn_join::<Smol>),
    yield_now: Some(micro::yield_now::<Smol>),
    sleep: Some(micro::sleep::<Smol>),
};

thread_local! {
    /// Leaked, as its documentation advises for speed: it then keeps no list of its tasks.
    static EXECUTOR: &'static StaticLocalExecutor = LocalExecutor::new().leak();
}

fn block_on<F: Future>(body: F) -> F::Output {
    EXECUTOR.with(|executor| smol::block_on(executor.run(body)))
}

fn spawn<T: 'static>(body: impl Future<Output = T> + 'static) -> Task<T> {
    EXECUTOR.with(|executor| executor.spawn(body))
}

async fn serve<C>(listener: TcpListener, connection: impl Fn(TcpStream) -> C) -> Result<()>
where
    C: Future<Output = Result<()>> + 'static,
{
    let listener = smol::net::TcpListener::try_from(listener)?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        spawn(connection(stream)).detach();
    }
}

async fn echo(mut stream: TcpStream) -> Result<()> {
    let mut buffer = [0; 4096];
    loop {
        let count = stream.read(&mut buffer).await?;
        if count == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..count]).await?;
    }
}

fn unified(listener: TcpListener, path: &Path) -> Result<()> {
    let file = Arc::new(blocks::open_direct(path)?);
    block_on(serve(listener, |stream| answer(stream, file.clone())))
}

async fn answer(mut stream: TcpStream, file: Arc<File>) -> Result<()> {
    let mut requests = Requests::default();
    let mut block = Block::zeroed();
    loop {
        let count = stream.read(requests.space()).await?;
        if count == 0 {
            return Ok(());
        }
        requests.received(count);
        for number in &mut requests {
            block = read_block(&file, number, block).await?;
            stream.write_all(&block).await?;
        }
    }
}

fn read(reads: Reads) -> Result<()> {
    let file = Arc::new(blocks::open_direct(&reads.path)?);
    block_on(async {
        let read_on = |reader| spawn(read_on(reader, file.clone()));
        for task in reads.readers.into_iter().map(read_on).collect::<Vec<_>>() {
            task.await?;
        }
        Ok(())
    })
}

async fn read_on(mut reader: Reader, file: Arc<File>) -> Result<()> {
    let mut block = Block::zeroed();
    while let Some(read) = reader.begin() {
        block = read_block(&file, read.block, block).await?;
        reader.end(&read, &block);
    }
    Ok(())
}

async fn read_block(file: &Arc<File>, number: u64, mut into: Box<Block>) -> Result<Box<Block>> {
    let file = file.clone();
    unblock(move || {
        file.read_exact_at(&mut into, blocks::offset(number))?;
        Ok(into)
    })
    .await
}

struct Smol;

// A task of smol's gives its output as it is, and passes a panic on: there is no error to join with.
impl Executor for Smol {
    fn block_on<F: Future>(body: F) -> Result<F::Output> {
        Ok(block_on(body))
    }

    fn spawn_empty() -> impl Joins {
        spawn(async { Ok::<_, Infallible>(()) })
    }

    fn spawn_yielding(times: usize) -> impl Joins {
        spawn(async move {
            for _ in 0..times {
                yield_now().await;
            }
            Ok::<_, Infallible>(())
        })
    }

    fn spawn_sleeping(duration: Duration) -> impl Joins {
        spawn(async move {
            Timer::after(duration).await;
            Ok::<_, Infallible>(())
        })
    }
}
