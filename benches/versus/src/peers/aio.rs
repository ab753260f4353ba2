//! aio-runtime: files with O_DIRECT, read on the loop itself.

use std::net::TcpListener;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use aio_runtime::fs::{Buf, File, OpenOptions};
use aio_runtime::io::{AsyncReadExt, AsyncWriteExt};
use aio_runtime::net::TcpStream;
use aio_runtime::{Runtime, task, time};
use anyhow::Result;

use super::Peer;
use crate::blocks::{self, BLOCK_SIZE};
use crate::workloads::micro::{self, Executor, Joins};
use crate::workloads::read::{Reader, Reads};
use crate::workloads::unified::Requests;

pub const PEER: Peer = Peer {
    name: "aio-runtime",
    echo: Some(|listener| Runtime::new()?.block_on(serve(listener, echo))),
    unified: Some(unified),
    read: Some(read),
    spawn_join: Some(micro::spawn_join::<Aio>),
    yield_now: Some(micro::yield_now::<Aio>),
    sleep: Some(micro::sleep::<Aio>),
};

async fn serve<C>(listener: TcpListener, connection: impl Fn(TcpStream) -> C) -> Result<()>
where
    C: Future<Output = Result<()>> + 'static,
{
    let listener = aio_runtime::net::TcpListener::from_std(listener)?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        aio_runtime::spawn(connection(stream));
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
    Runtime::new()?.block_on(async {
        let file = open(path).await?;
        serve(listener, |stream| answer(stream, file.clone())).await
    })
}

async fn answer(mut stream: TcpStream, file: Rc<File>) -> Result<()> {
    let mut requests = Requests::default();
    let mut block = Buf::aligned(BLOCK_SIZE, BLOCK_SIZE);
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
    Runtime::new()?.block_on(async {
        let file = open(&reads.path).await?;
        let read_on = |reader| aio_runtime::spawn(read_on(reader, file.clone()));
        for task in reads.readers.into_iter().map(read_on).collect::<Vec<_>>() {
            task.await??;
        }
        Ok(())
    })
}

async fn read_on(mut reader: Reader, file: Rc<File>) -> Result<()> {
    let mut block = Buf::aligned(BLOCK_SIZE, BLOCK_SIZE);
    while let Some(read) = reader.begin() {
        block = read_block(&file, read.block, block).await?;
        reader.end(&read, &block);
    }
    Ok(())
}

async fn open(path: &Path) -> Result<Rc<File>> {
    let file = OpenOptions::new().read(true).direct(true).open(path).await?;
    Ok(Rc::new(file))
}

async fn read_block(file: &File, number: u64, into: Buf) -> Result<Buf> {
    let (done, block) = file.read_exact_at(into, blocks::offset(number)).await;
    done?;
    Ok(block)
}

struct Aio;

impl Executor for Aio {
    fn block_on<F: Future>(body: F) -> Result<F::Output> {
        Ok(Runtime::new()?.block_on(body))
    }

    fn spawn_empty() -> impl Joins {
        aio_runtime::spawn(async {})
    }

    fn spawn_yielding(times: usize) -> impl Joins {
        aio_runtime::spawn(async move {
            for _ in 0..times {
                task::yield_now().await;
            }
        })
    }

    fn spawn_sleeping(duration: Duration) -> impl Joins {
        aio_runtime::spawn(time::sleep(duration))
    }
}
