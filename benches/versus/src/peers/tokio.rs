//! tokio, current_thread, as its documentation advises: files on the blocking pool.

use std::fs::File;
use std::net::TcpListener;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tokio::task;

use super::Peer;
use crate::blocks::{self, Block};
use crate::workloads::micro::{self, Executor, Joins};
use crate::workloads::read::{Reader, Reads};
use crate::workloads::unified::Requests;

pub const PEER: Peer = Peer {
    name: "tokio",
    echo: Some(|listener| runtime()?.block_on(serve(listener, echo))),
    unified: Some(unified),
    read: Some(read),
    spawn_join: Some(micro::spawn_join::<Tokio>),
    yield_now: Some(micro::yield_now::<Tokio>),
    sleep: Some(micro::sleep::<Tokio>),
};

fn runtime() -> Result<Runtime> {
    Ok(Builder::new_current_thread().enable_all().build()?)
}

async fn serve<C>(listener: TcpListener, connection: impl Fn(TcpStream) -> C) -> Result<()>
where
    C: Future<Output = Result<()>> + Send + 'static,
{
    let listener = tokio::net::TcpListener::from_std(listener)?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(connection(stream));
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
    runtime()?.block_on(serve(listener, |stream| answer(stream, file.clone())))
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
    runtime()?.block_on(async {
        let read_on = |reader| tokio::spawn(read_on(reader, file.clone()));
        for task in reads.readers.into_iter().map(read_on).collect::<Vec<_>>() {
            task.await??;
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
    task::spawn_blocking(move || {
        file.read_exact_at(&mut into, blocks::offset(number))?;
        Ok(into)
    })
    .await?
}

struct Tokio;

impl Executor for Tokio {
    fn block_on<F: Future>(body: F) -> Result<F::Output> {
        Ok(runtime()?.block_on(body))
    }

    fn spawn_empty() -> impl Joins {
        tokio::spawn(async {})
    }

    fn spawn_yielding(times: usize) -> impl Joins {
        tokio::spawn(async move {
            for _ in 0..times {
                task::yield_now().await;
            }
        })
    }

    fn spawn_sleeping(duration: Duration) -> impl Joins {
        tokio::spawn(tokio::time::sleep(duration))
    }
}
