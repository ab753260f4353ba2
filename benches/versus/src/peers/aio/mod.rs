//! aio-runtime: files with O_DIRECT, read by the loop itself.

mod common;
mod http;
mod net;

use std::net::TcpListener;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use aio_runtime::fs::{Buf, File, OpenOptions};
use aio_runtime::io::{AsyncReadExt, AsyncWriteExt};
use aio_runtime::net::TcpStream;
use aio_runtime::{Builder, Runtime, task, time};
use anyhow::{Context, Result};

use self::common::{echo, read_block, serve};
use super::peer::{Kind, Peer, SPIN};
use crate::blocks::{self, Access, BLOCK_SIZE};
use crate::workloads::echo;
use crate::workloads::files::{Reader, Reads, Writer, Writes};
use crate::workloads::micro::{self, Executor};
use crate::workloads::mixed::{CHUNK, Copying};
use crate::workloads::unified::Requests;

pub const PEER: Peer = Peer {
    name: "aio-runtime",
    kind: Kind::Ours,
    package: Some("aio-runtime"),
    echo: Some(|listener, message| echo_on(Runtime::new()?, listener, message)),
    unified: Some(|listener, path| unified_on(Runtime::new()?, listener, path)),
    mixed: Some(mixed),
    read: Some(|reads| read_on(Runtime::new()?, reads)),
    write: Some(|writes| write_on(Runtime::new()?, writes)),
    micro: Some(micro::run::<Aio>),
    net: Some(net::NET),
};

/// With the one option that trades CPU time for latency.
pub const SPINNING: Peer = Peer {
    name: "aio-spin",
    kind: Kind::Spinning,
    package: Some("aio-runtime"),
    echo: Some(|listener, message| echo_on(spinning()?, listener, message)),
    unified: Some(|listener, path| unified_on(spinning()?, listener, path)),
    mixed: None,
    read: Some(|reads| read_on(spinning()?, reads)),
    write: Some(|writes| write_on(spinning()?, writes)),
    micro: None,
    net: None,
};

fn spinning() -> Result<Runtime> {
    Ok(Builder::new().spin(SPIN).build()?)
}

fn echo_on(runtime: Runtime, listener: TcpListener, message: usize) -> Result<()> {
    runtime.block_on(serve(listener, |stream| echo(stream, message)))
}

fn unified_on(runtime: Runtime, listener: TcpListener, path: &Path) -> Result<()> {
    runtime.block_on(async {
        let file = open(path, Access::DirectRead).await?;
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

fn mixed(listener: TcpListener, copying: Copying) -> Result<()> {
    Runtime::new()?.block_on(async {
        aio_runtime::spawn(async { copy(copying).await.expect("the copy goes on") });
        serve(listener, |stream| echo(stream, echo::SMALL)).await
    })
}

async fn copy(copying: Copying) -> Result<()> {
    let from = open(&copying.from, Access::DirectRead).await?;
    let to = open(&copying.to, Access::DirectWrite).await?;
    let mut buf = Buf::aligned(CHUNK, BLOCK_SIZE);
    for offset in copying.offsets() {
        let (read, chunk) = from.read_exact_at(buf, offset).await;
        read?;
        let (written, chunk) = to.write_all_at(chunk, offset).await;
        written?;
        buf = chunk;
    }
    Ok(())
}

fn read_on(runtime: Runtime, reads: Reads) -> Result<()> {
    runtime.block_on(async {
        let file = open(&reads.path, reads.access).await?;
        let read = |reader| aio_runtime::spawn(read(reader, file.clone()));
        for task in reads.readers.into_iter().map(read).collect::<Vec<_>>() {
            task.await??;
        }
        Ok(())
    })
}

async fn read(mut reader: Reader, file: Rc<File>) -> Result<()> {
    let mut block = Buf::aligned(BLOCK_SIZE, BLOCK_SIZE);
    while let Some(read) = reader.begin() {
        block = read_block(&file, read.block, block).await?;
        reader.end(&read, &block);
    }
    Ok(())
}

fn write_on(runtime: Runtime, writes: Writes) -> Result<()> {
    runtime.block_on(async {
        let file = open(&writes.path, Access::DirectWrite).await?;
        let write = |writer| aio_runtime::spawn(write(writer, file.clone()));
        for task in writes.writers.into_iter().map(write).collect::<Vec<_>>() {
            task.await??;
        }
        Ok(())
    })
}

async fn write(mut writer: Writer, file: Rc<File>) -> Result<()> {
    let mut block = Buf::aligned(BLOCK_SIZE, BLOCK_SIZE);
    while let Some(write) = writer.begin(&mut block) {
        let (done, written) = file.write_all_at(block, blocks::offset(write.block)).await;
        done?;
        block = written;
        writer.end(&write);
    }
    Ok(())
}

async fn open(path: &Path, access: Access) -> Result<Rc<File>> {
    let mut options = OpenOptions::new();
    options.read(access != Access::DirectWrite).write(access == Access::DirectWrite).direct(access.is_direct());
    let file = options.open(path).await.with_context(|| format!("open {} for {access:?}", path.display()))?;
    Ok(Rc::new(file))
}

struct Aio;

impl Executor for Aio {
    fn block_on<F: Future>(body: F) -> Result<F::Output> {
        Ok(Runtime::new()?.block_on(body))
    }

    fn spawn(task: impl Future<Output = ()> + Send + 'static) -> impl Future {
        aio_runtime::spawn(task)
    }

    fn spawn_yielding(times: usize) -> impl Future {
        aio_runtime::spawn(async move {
            for _ in 0..times {
                task::yield_now().await;
            }
        })
    }

    fn spawn_sleeping(duration: Duration) -> impl Future {
        aio_runtime::spawn(time::sleep(duration))
    }
}
