//! compio: on io_uring, or on epoll and a pool of threads where there is none (its feature `polling`).

use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use compio::BufResult;
use compio::buf::{IntoInner, IoBuf};
use compio::driver::ProactorBuilder;
use compio::fs::{File, OpenOptions};
use compio::io::{AsyncRead, AsyncReadAtExt, AsyncWriteExt};
use compio::net::TcpStream;
use compio::runtime::{Runtime, spawn};
use rustix::fs::OFlags;

use super::Peer;
use crate::blocks::{self, Block};
use crate::workloads::micro::{self, Executor, Joins};
use crate::workloads::read::{Reader, Reads};
use crate::workloads::unified::Requests;

pub const PEER: Peer = Peer {
    name: "compio",
    echo: Some(|listener| runtime()?.block_on(serve(listener, echo))),
    unified: Some(unified),
    read: Some(read),
    spawn_join: Some(micro::spawn_join::<Compio>),
    yield_now: Some(micro::yield_now::<Compio>),
    sleep: Some(micro::sleep::<Compio>),
};

/// What the documentation of its driver advises for one thread; the driver for epoll ignores it.
fn runtime() -> Result<Runtime> {
    let mut driver = ProactorBuilder::new();
    driver.single_issuer(true).defer_taskrun(true).taskrun_flag(true);
    Ok(Runtime::builder().with_proactor(driver).build()?)
}

async fn serve<C>(listener: TcpListener, connection: impl Fn(TcpStream) -> C) -> Result<()>
where
    C: Future<Output = Result<()>> + 'static,
{
    // io_uring gives EAGAIN from a nonblocking socket rather than wait; where epoll is used, compio sets it back.
    listener.set_nonblocking(false)?;
    let listener = compio::net::TcpListener::from_std(listener)?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        spawn(connection(stream)).detach();
    }
}

async fn echo(mut stream: TcpStream) -> Result<()> {
    let mut buffer = Vec::with_capacity(4096);
    loop {
        buffer.clear();
        let BufResult(received, filled) = stream.read(buffer).await;
        if received? == 0 {
            return Ok(());
        }
        let BufResult(sent, emptied) = stream.write_all(filled).await;
        sent?;
        buffer = emptied;
    }
}

fn unified(listener: TcpListener, path: &Path) -> Result<()> {
    runtime()?.block_on(async {
        let file = open(path).await?;
        serve(listener, |stream| answer(stream, file.clone())).await
    })
}

async fn answer(mut stream: TcpStream, file: File) -> Result<()> {
    let mut requests = Requests::default();
    let mut received = Vec::with_capacity(64);
    let mut block = room();
    loop {
        // It takes a buffer of its own to receive, so what comes is copied: a few bytes.
        received.clear();
        let space = requests.space();
        let BufResult(count, filled) = stream.read(received.slice(..space.len())).await;
        let count = count?;
        if count == 0 {
            return Ok(());
        }
        received = filled.into_inner();
        requests.space()[..count].copy_from_slice(&received);
        requests.received(count);
        for number in &mut requests {
            block = read_block(&file, number, block).await?;
            let BufResult(sent, back) = stream.write_all(block).await;
            sent?;
            block = back;
        }
    }
}

fn read(reads: Reads) -> Result<()> {
    runtime()?.block_on(async {
        let file = open(&reads.path).await?;
        let read_on = |reader| spawn(read_on(reader, file.clone()));
        for task in reads.readers.into_iter().map(read_on).collect::<Vec<_>>() {
            task.await.expect("no task panics")?;
        }
        Ok(())
    })
}

async fn read_on(mut reader: Reader, file: File) -> Result<()> {
    let mut block = room();
    while let Some(read) = reader.begin() {
        block = read_block(&file, read.block, block).await?;
        reader.end(&read, block);
    }
    Ok(())
}

async fn open(path: &Path) -> Result<File> {
    Ok(OpenOptions::new().read(true).custom_flags(OFlags::DIRECT.bits() as i32).open(path).await?)
}

/// Room for a block. Of the buffers that compio can take without unsafe code, a leaked one can be aligned.
fn room() -> &'static mut [u8] {
    let block: &'static mut Block = Box::leak(Block::zeroed());
    block
}

async fn read_block(file: &File, number: u64, into: &'static mut [u8]) -> Result<&'static mut [u8]> {
    let BufResult(done, block) = file.read_exact_at(into, blocks::offset(number)).await;
    done?;
    Ok(block)
}

struct Compio;

impl Executor for Compio {
    fn block_on<F: Future>(body: F) -> Result<F::Output> {
        Ok(runtime()?.block_on(body))
    }

    fn spawn_empty() -> impl Joins {
        spawn(async {})
    }

    fn spawn_yielding(times: usize) -> impl Joins {
        spawn(async move {
            for _ in 0..times {
                // It has none of its own.
                smol::future::yield_now().await;
            }
        })
    }

    fn spawn_sleeping(duration: Duration) -> impl Joins {
        spawn(compio::time::sleep(duration))
    }
}
