//! tokio-uring: tokio, with sockets and files on io_uring; blocks in buffers registered with it.

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

use super::{Kind, Peer};
use crate::blocks::{self, Access, BLOCK_SIZE, Block};
use crate::workloads::echo::{self, buffer_size};
use crate::workloads::files::{Reader, Reads, Writer, Writes};
use crate::workloads::micro::{self, Executor};
use crate::workloads::mixed::{CHUNK, Copying};
use crate::workloads::unified::{self, Requests};

pub const PEER: Peer = Peer {
    name: "tokio-uring",
    kind: Kind::IoUring,
    package: Some("tokio-uring"),
    echo: Some(|listener, message| runtime()?.block_on(serve(listener, |stream| echo(stream, message)))),
    unified: Some(unified),
    mixed: Some(mixed),
    read: Some(read),
    write: Some(write),
    micro: Some(micro::run::<TokioUring>),
    net: None,
};

/// `start` would be shorter, but panics where io_uring is denied.
fn runtime() -> Result<Runtime> {
    let mut ring = tokio_uring::uring_builder();
    // This thread reaps whenever it gets to it: no completion need interrupt it.
    ring.setup_coop_taskrun();
    Ok(Runtime::new(tokio_uring::builder().uring_builder(&ring))?)
}

async fn serve<C>(listener: TcpListener, connection: impl Fn(TcpStream) -> C) -> Result<()>
where
    C: Future<Output = Result<()>> + 'static,
{
    // io_uring does not wait for a connection on a nonblocking listener: it returns EAGAIN.
    listener.set_nonblocking(false)?;
    let listener = tokio_uring::net::TcpListener::from_std(listener);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio_uring::spawn(connection(stream));
    }
}

async fn echo(stream: TcpStream, message: usize) -> Result<()> {
    let mut buffer = vec![0; buffer_size(message)];
    loop {
        let (received, filled) = stream.read(buffer).await;
        let count = received?;
        if count == 0 {
            return Ok(());
        }
        let (sent, emptied) = stream.write_all(filled.slice(..count)).await;
        sent?;
        buffer = emptied.into_inner();
    }
}

fn unified(listener: TcpListener, path: &Path) -> Result<()> {
    runtime()?.block_on(async {
        let file = open(path, Access::DirectRead)?;
        let blocks = register(MOST)?;
        serve(listener, |stream| answer(stream, file.clone(), blocks.clone())).await
    })
}

async fn answer(stream: TcpStream, file: Rc<File>, blocks: Blocks) -> Result<()> {
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
            let block = blocks.next(BLOCK_SIZE).await;
            let block = read_at(&file, blocks::offset(number), block).await?;
            let (sent, _) = stream.write_fixed_all(block).await;
            sent?;
        }
    }
}

fn mixed(listener: TcpListener, copying: Copying) -> Result<()> {
    runtime()?.block_on(async {
        tokio_uring::spawn(async { copy(copying).await.expect("the copy goes on") });
        serve(listener, |stream| echo(stream, echo::SMALL)).await
    })
}

async fn copy(copying: Copying) -> Result<()> {
    let from = open(&copying.from, Access::DirectRead)?;
    let to = open(&copying.to, Access::DirectWrite)?;
    let mut chunk = register::<CHUNK>(1)?.next(CHUNK).await;
    for offset in copying.offsets() {
        chunk = read_at(&from, offset, chunk).await?;
        chunk = write_at(&to, offset, chunk).await?;
    }
    Ok(())
}

fn read(reads: Reads) -> Result<()> {
    runtime()?.block_on(async {
        let file = open(&reads.path, reads.access)?;
        let blocks = register(reads.readers.len())?;
        let read_on = |reader| tokio_uring::spawn(read_on(reader, file.clone(), blocks.clone()));
        for task in reads.readers.into_iter().map(read_on).collect::<Vec<_>>() {
            task.await??;
        }
        Ok(())
    })
}

async fn read_on(mut reader: Reader, file: Rc<File>, blocks: Blocks) -> Result<()> {
    let mut block = blocks.next(BLOCK_SIZE).await;
    while let Some(read) = reader.begin() {
        block = read_at(&file, blocks::offset(read.block), block).await?;
        reader.end(&read, &block);
    }
    Ok(())
}

fn write(writes: Writes) -> Result<()> {
    runtime()?.block_on(async {
        let file = open(&writes.path, Access::DirectWrite)?;
        let blocks = register(writes.writers.len())?;
        let write_on = |writer| tokio_uring::spawn(write_on(writer, file.clone(), blocks.clone()));
        for task in writes.writers.into_iter().map(write_on).collect::<Vec<_>>() {
            task.await??;
        }
        Ok(())
    })
}

async fn write_on(mut writer: Writer, file: Rc<File>, blocks: Blocks) -> Result<()> {
    let mut block = blocks.next(BLOCK_SIZE).await;
    while let Some(write) = writer.begin(&mut block) {
        block = write_at(&file, blocks::offset(write.block), block).await?;
        writer.end(&write);
    }
    Ok(())
}

/// Blocks that the kernel need not map again for every transfer.
type Blocks<const SIZE: usize = BLOCK_SIZE> = Rc<FixedBufPool<Box<Block<SIZE>>>>;

/// How many buffers can be registered.
const MOST: usize = libc::UIO_MAXIOV as usize;

fn register<const SIZE: usize>(count: usize) -> Result<Blocks<SIZE>> {
    let blocks = FixedBufPool::new(iter::repeat_with(Block::zeroed).take(count));
    blocks.register()?;
    Ok(Rc::new(blocks))
}

fn open(path: &Path, access: Access) -> Result<Rc<File>> {
    Ok(Rc::new(File::from_std(blocks::open(path, access)?)))
}

async fn read_at(file: &File, offset: u64, into: FixedBuf) -> Result<FixedBuf> {
    let size = into.len();
    let (read, block) = file.read_fixed_at(into, offset).await;
    ensure!(read? == size, "read less than asked for");
    Ok(block)
}

async fn write_at(file: &File, offset: u64, from: FixedBuf) -> Result<FixedBuf> {
    let (written, block) = file.write_fixed_all_at(from, offset).await;
    written?;
    Ok(block)
}

struct TokioUring;

impl Executor for TokioUring {
    fn block_on<F: Future>(body: F) -> Result<F::Output> {
        Ok(runtime()?.block_on(body))
    }

    fn spawn(task: impl Future<Output = ()> + Send + 'static) -> impl Future {
        tokio_uring::spawn(task)
    }

    fn spawn_yielding(times: usize) -> impl Future {
        tokio_uring::spawn(async move {
            for _ in 0..times {
                task::yield_now().await;
            }
        })
    }

    fn spawn_sleeping(duration: Duration) -> impl Future {
        tokio_uring::spawn(tokio::time::sleep(duration))
    }
}
