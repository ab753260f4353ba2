//! smol on one thread: its local executor, run by its `block_on`, which also waits for I/O; files
//! on its blocking pool.

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

use super::{Kind, Peer};
use crate::blocks::{self, Access, Block};
use crate::workloads::echo::{self, buffer_size};
use crate::workloads::files::{Reader, Reads, Writer, Writes};
use crate::workloads::micro::{self, Executor};
use crate::workloads::mixed::{CHUNK, Copying};
use crate::workloads::unified::Requests;

pub const PEER: Peer = Peer {
    name: "smol",
    kind: Kind::Epoll,
    package: Some("smol"),
    echo: Some(|listener, message| block_on(serve(listener, |stream| echo(stream, message)))),
    unified: Some(unified),
    mixed: Some(mixed),
    read: Some(read),
    write: Some(write),
    micro: Some(micro::run::<Smol>),
    net: None,
};

thread_local! {
    /// Leaked, as the documentation advises for speed: it then keeps no list of its tasks. So
    /// start-stop makes and drops nothing here. It would be little anyway, as smol's part that
    /// waits for I/O belongs to the process.
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

async fn echo(mut stream: TcpStream, message: usize) -> Result<()> {
    let mut buffer = vec![0; buffer_size(message)];
    loop {
        let count = stream.read(&mut buffer).await?;
        if count == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..count]).await?;
    }
}

fn unified(listener: TcpListener, path: &Path) -> Result<()> {
    let file = Arc::new(blocks::open(path, Access::DirectRead)?);
    block_on(serve(listener, |stream| answer(stream, file.clone())))
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
    block_on(async {
        spawn(async { copy(copying).await.expect("the copy goes on") }).detach();
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
        chunk = unblock(move || {
            from.read_exact_at(&mut chunk, offset)?;
            to.write_all_at(&chunk, offset)?;
            anyhow::Ok(chunk)
        })
        .await?;
    }
    Ok(())
}

fn read(reads: Reads) -> Result<()> {
    let file = Arc::new(blocks::open(&reads.path, reads.access)?);
    block_on(async {
        let read_on = |reader| spawn(read_on(reader, file.clone()));
        for task in reads.readers.into_iter().map(read_on).collect::<Vec<_>>() {
            task.await?;
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

async fn read_block(file: &Arc<File>, number: u64, mut into: Box<Block>) -> Result<Box<Block>> {
    let file = file.clone();
    unblock(move || {
        file.read_exact_at(&mut into, blocks::offset(number))?;
        Ok(into)
    })
    .await
}

fn write(writes: Writes) -> Result<()> {
    let file = Arc::new(blocks::open(&writes.path, Access::DirectWrite)?);
    block_on(async {
        let write_on = |writer| spawn(write_on(writer, file.clone()));
        for task in writes.writers.into_iter().map(write_on).collect::<Vec<_>>() {
            task.await?;
        }
        Ok(())
    })
}

async fn write_on(mut writer: Writer, file: Arc<File>) -> Result<()> {
    let mut block = <Block>::zeroed();
    while let Some(write) = writer.begin(&mut block) {
        let (file, offset) = (file.clone(), blocks::offset(write.block));
        block = unblock(move || {
            file.write_all_at(&block, offset)?;
            anyhow::Ok(block)
        })
        .await?;
        writer.end(&write);
    }
    Ok(())
}

struct Smol;

impl Executor for Smol {
    fn block_on<F: Future>(body: F) -> Result<F::Output> {
        Ok(block_on(body))
    }

    fn spawn(task: impl Future<Output = ()> + Send + 'static) -> impl Future {
        spawn(task)
    }

    fn spawn_yielding(times: usize) -> impl Future {
        spawn(async move {
            for _ in 0..times {
                yield_now().await;
            }
        })
    }

    fn spawn_sleeping(duration: Duration) -> impl Future {
        spawn(Timer::after(duration))
    }
}
