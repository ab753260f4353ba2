//! tokio, current_thread, as its documentation advises: files on the blocking pool.

mod common;
mod http;
mod net;

use std::fs::File;
use std::net::TcpListener;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task;

use self::common::{echo, read_block, runtime, serve};
use super::{Kind, Peer};
use crate::blocks::{self, Access, Block};
use crate::workloads::echo;
use crate::workloads::files::{Reader, Reads, Writer, Writes};
use crate::workloads::micro::{self, Executor};
use crate::workloads::mixed::{CHUNK, Copying};
use crate::workloads::unified::Requests;

pub const PEER: Peer = Peer {
    name: "tokio",
    kind: Kind::Epoll,
    package: Some("tokio"),
    echo: Some(|listener, message| runtime()?.block_on(serve(listener, |stream| echo(stream, message)))),
    unified: Some(unified),
    mixed: Some(mixed),
    read: Some(read),
    write: Some(write),
    micro: Some(micro::run::<Tokio>),
    net: Some(net::NET),
};

fn unified(listener: TcpListener, path: &Path) -> Result<()> {
    let file = Arc::new(blocks::open(path, Access::DirectRead)?);
    runtime()?.block_on(serve(listener, |stream| answer(stream, file.clone())))
}

async fn answer(mut stream: TcpStream, file: Arc<File>) -> Result<()> {
    let mut requests = Requests::default();
    let mut block = <Block>::zeroed();
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

fn mixed(listener: TcpListener, copying: Copying) -> Result<()> {
    runtime()?.block_on(async {
        tokio::spawn(async { copy(copying).await.expect("the copy goes on") });
        serve(listener, |stream| echo(stream, echo::SMALL)).await
    })
}

async fn copy(copying: Copying) -> Result<()> {
    let from = Arc::new(blocks::open(&copying.from, Access::DirectRead)?);
    let to = Arc::new(blocks::open(&copying.to, Access::DirectWrite)?);
    let mut chunk = Block::<CHUNK>::zeroed();
    for offset in copying.offsets() {
        let (from, to) = (from.clone(), to.clone());
        // One trip to the pool for both is cheaper than two.
        chunk = task::spawn_blocking(move || {
            from.read_exact_at(&mut chunk, offset)?;
            to.write_all_at(&chunk, offset)?;
            anyhow::Ok(chunk)
        })
        .await??;
    }
    Ok(())
}

fn read(reads: Reads) -> Result<()> {
    let file = Arc::new(blocks::open(&reads.path, reads.access)?);
    runtime()?.block_on(async {
        let read_on = |reader| tokio::spawn(read_on(reader, file.clone()));
        for task in reads.readers.into_iter().map(read_on).collect::<Vec<_>>() {
            task.await??;
        }
        Ok(())
    })
}

async fn read_on(mut reader: Reader, file: Arc<File>) -> Result<()> {
    let mut block = <Block>::zeroed();
    while let Some(read) = reader.begin() {
        block = read_block(&file, read.block, block).await?;
        reader.end(&read, &block);
    }
    Ok(())
}

fn write(writes: Writes) -> Result<()> {
    let file = Arc::new(blocks::open(&writes.path, Access::DirectWrite)?);
    runtime()?.block_on(async {
        let write_on = |writer| tokio::spawn(write_on(writer, file.clone()));
        for task in writes.writers.into_iter().map(write_on).collect::<Vec<_>>() {
            task.await??;
        }
        Ok(())
    })
}

async fn write_on(mut writer: Writer, file: Arc<File>) -> Result<()> {
    let mut block = <Block>::zeroed();
    while let Some(write) = writer.begin(&mut block) {
        let (file, offset) = (file.clone(), blocks::offset(write.block));
        block = task::spawn_blocking(move || {
            file.write_all_at(&block, offset)?;
            anyhow::Ok(block)
        })
        .await??;
        writer.end(&write);
    }
    Ok(())
}

struct Tokio;

impl Executor for Tokio {
    fn block_on<F: Future>(body: F) -> Result<F::Output> {
        Ok(runtime()?.block_on(body))
    }

    fn spawn(task: impl Future<Output = ()> + Send + 'static) -> impl Future {
        tokio::spawn(task)
    }

    fn spawn_yielding(times: usize) -> impl Future {
        tokio::spawn(async move {
            for _ in 0..times {
                task::yield_now().await;
            }
        })
    }

    fn spawn_sleeping(duration: Duration) -> impl Future {
        tokio::spawn(tokio::time::sleep(duration))
    }
}
