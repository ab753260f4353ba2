//! compio: on io_uring, or where that is not available on epoll and a pool of threads (its feature
//! `polling`).

use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use compio::BufResult;
use compio::buf::{IntoInner, IoBuf};
use compio::driver::ProactorBuilder;
use compio::fs::{File, OpenOptions};
use compio::io::{AsyncRead, AsyncReadAtExt, AsyncWriteAtExt, AsyncWriteExt};
use compio::net::TcpStream;
use compio::runtime::{ResumeUnwind, Runtime, spawn};
use rustix::fs::OFlags;

use super::{Kind, Peer};
use crate::blocks::{self, Access, BLOCK_SIZE, Block};
use crate::workloads::echo::{self, buffer_size};
use crate::workloads::files::{Reader, Reads, Writer, Writes};
use crate::workloads::micro::{self, Executor};
use crate::workloads::mixed::{CHUNK, Copying};
use crate::workloads::unified::Requests;

pub const PEER: Peer = Peer {
    name: "compio",
    kind: Kind::IoUring,
    package: Some("compio"),
    echo: Some(|listener, message| runtime()?.block_on(serve(listener, |stream| echo(stream, message)))),
    unified: Some(unified),
    mixed: Some(mixed),
    read: Some(read),
    write: Some(write),
    micro: Some(micro::run::<Compio>),
    net: None,
};

/// With the flags that io_uring has for a ring used by one thread, which compio sets only on
/// request. On epoll they mean nothing.
fn runtime() -> Result<Runtime> {
    let mut driver = ProactorBuilder::new();
    driver.single_issuer(true).defer_taskrun(true).taskrun_flag(true);
    Ok(Runtime::builder().with_proactor(driver).build()?)
}

async fn serve<C>(listener: TcpListener, connection: impl Fn(TcpStream) -> C) -> Result<()>
where
    C: Future<Output = Result<()>> + 'static,
{
    // On a nonblocking socket io_uring returns EAGAIN rather than wait. For epoll, compio makes it
    // nonblocking again.
    listener.set_nonblocking(false)?;
    let listener = compio::net::TcpListener::from_std(listener)?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        spawn(connection(stream)).detach();
    }
}

async fn echo(mut stream: TcpStream, message: usize) -> Result<()> {
    let mut buffer = Vec::with_capacity(buffer_size(message));
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
        let file = open(path, Access::DirectRead).await?;
        serve(listener, |stream| answer(stream, file.clone())).await
    })
}

async fn answer(mut stream: TcpStream, file: File) -> Result<()> {
    let mut requests = Requests::default();
    let mut received = Vec::with_capacity(requests.space().len());
    let mut block = aligned::<BLOCK_SIZE>();
    loop {
        // compio receives only into what it owns, so the few bytes are copied.
        received.clear();
        let space = requests.space().len();
        let BufResult(count, filled) = stream.read(received.slice(..space)).await;
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

fn mixed(listener: TcpListener, copying: Copying) -> Result<()> {
    runtime()?.block_on(async {
        spawn(async { copy(copying).await.expect("the copy goes on") }).detach();
        serve(listener, |stream| echo(stream, echo::SMALL)).await
    })
}

async fn copy(copying: Copying) -> Result<()> {
    let from = open(&copying.from, Access::DirectRead).await?;
    let mut to = open(&copying.to, Access::DirectWrite).await?;
    let mut buffer = aligned::<CHUNK>();
    for offset in copying.offsets() {
        let BufResult(read, chunk) = from.read_exact_at(buffer, offset).await;
        read?;
        let BufResult(written, chunk) = to.write_all_at(chunk, offset).await;
        written?;
        buffer = chunk;
    }
    Ok(())
}

fn read(reads: Reads) -> Result<()> {
    runtime()?.block_on(async {
        let file = open(&reads.path, reads.access).await?;
        let read_on = |reader| spawn(read_on(reader, file.clone()));
        for task in reads.readers.into_iter().map(read_on).collect::<Vec<_>>() {
            task.await.resume_unwind().expect("nobody cancels")?;
        }
        Ok(())
    })
}

async fn read_on(mut reader: Reader, file: File) -> Result<()> {
    let mut block = aligned::<BLOCK_SIZE>();
    while let Some(read) = reader.begin() {
        block = read_block(&file, read.block, block).await?;
        reader.end(&read, block);
    }
    Ok(())
}

async fn read_block(file: &File, number: u64, into: &'static mut [u8]) -> Result<&'static mut [u8]> {
    let BufResult(done, block) = file.read_exact_at(into, blocks::offset(number)).await;
    done?;
    Ok(block)
}

fn write(writes: Writes) -> Result<()> {
    runtime()?.block_on(async {
        let file = open(&writes.path, Access::DirectWrite).await?;
        let write_on = |writer| spawn(write_on(writer, file.clone()));
        for task in writes.writers.into_iter().map(write_on).collect::<Vec<_>>() {
            task.await.resume_unwind().expect("nobody cancels")?;
        }
        Ok(())
    })
}

async fn write_on(mut writer: Writer, mut file: File) -> Result<()> {
    let mut block = aligned::<BLOCK_SIZE>();
    while let Some(write) = writer.begin(block) {
        let BufResult(done, written) = file.write_all_at(block, blocks::offset(write.block)).await;
        done?;
        block = written;
        writer.end(&write);
    }
    Ok(())
}

async fn open(path: &Path, access: Access) -> Result<File> {
    let flags = if access.is_direct() { OFlags::DIRECT } else { OFlags::empty() };
    OpenOptions::new()
        .read(access != Access::DirectWrite)
        .write(access == Access::DirectWrite)
        .custom_flags(flags.bits() as i32)
        .open(path)
        .await
        .with_context(|| format!("open {} for {access:?}", path.display()))
}

/// A buffer for direct transfers. Of the buffers that compio accepts without unsafe code, only a
/// leaked one can be aligned.
fn aligned<const SIZE: usize>() -> &'static mut [u8] {
    let buffer: &'static mut Block<SIZE> = Box::leak(Block::zeroed());
    buffer
}

struct Compio;

impl Executor for Compio {
    fn block_on<F: Future>(body: F) -> Result<F::Output> {
        Ok(runtime()?.block_on(body))
    }

    fn spawn(task: impl Future<Output = ()> + Send + 'static) -> impl Future {
        spawn(task)
    }

    fn spawn_yielding(times: usize) -> impl Future {
        spawn(async move {
            for _ in 0..times {
                // compio has no yield_now of its own; this one is from futures-lite.
                smol::future::yield_now().await;
            }
        })
    }

    fn spawn_sleeping(duration: Duration) -> impl Future {
        spawn(compio::time::sleep(duration))
    }
}
