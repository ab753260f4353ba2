//! glommio: direct files as DmaFile, to and from memory registered with io_uring.

#![allow(unsafe_code)]

use std::io;
use std::net::TcpListener;
use std::os::fd::{FromRawFd, IntoRawFd};
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use anyhow::Result;
use futures_lite::{AsyncReadExt, AsyncWriteExt};
use glommio::io::{BufferedFile, DmaBuffer, DmaFile, OpenOptions, ReadResult};
use glommio::net::TcpStream;
use glommio::{LocalExecutor, LocalExecutorBuilder, Placement};

use super::peer::{Kind, Peer, SPIN};
use crate::blocks::{self, Access, BLOCK_SIZE};
use crate::workloads::echo::{self, buffer_size};
use crate::workloads::files::{Reader, Reads, Writer, Writes};
use crate::workloads::micro::{self, Executor};
use crate::workloads::mixed::{CHUNK, Copying};
use crate::workloads::unified::Requests;

pub const PEER: Peer = Peer {
    name: "glommio",
    kind: Kind::IoUring,
    package: Some("glommio"),
    echo: Some(|listener, message| echo_on(executor()?, listener, message)),
    unified: Some(|listener, path| unified_on(executor()?, listener, path)),
    mixed: Some(mixed),
    read: Some(read),
    write: Some(write),
    micro: Some(micro::run::<Glommio>),
    net: None,
};

/// With the option that keeps it from sleeping.
pub const SPINNING: Peer = Peer {
    name: "glommio-spin",
    kind: Kind::IoUringSpinning,
    package: Some("glommio"),
    echo: Some(|listener, message| echo_on(spinning()?, listener, message)),
    unified: Some(|listener, path| unified_on(spinning()?, listener, path)),
    mixed: None,
    read: None,
    write: None,
    micro: None,
    net: None,
};

/// What glommio's own functions return. Its error cannot be shared between threads, so it does not
/// convert to `anyhow::Error`.
type Fallible<T> = glommio::Result<T, ()>;

fn run(body: impl Future<Output = Fallible<()>>) -> Result<()> {
    run_on(executor()?, body)
}

fn run_on(executor: LocalExecutor, body: impl Future<Output = Fallible<()>>) -> Result<()> {
    Ok(executor.run(body).map_err(io::Error::from)?)
}

/// Glommio need not bind it to a core: the whole process is already bound.
fn executor() -> Result<LocalExecutor> {
    Ok(LocalExecutorBuilder::new(Placement::Unbound).make().map_err(io::Error::from)?)
}

fn spinning() -> Result<LocalExecutor> {
    let builder = LocalExecutorBuilder::new(Placement::Unbound).spin_before_park(SPIN);
    Ok(builder.make().map_err(io::Error::from)?)
}

async fn serve<C>(listener: TcpListener, connection: impl Fn(TcpStream) -> C) -> Fallible<()>
where
    C: Future<Output = Fallible<()>> + 'static,
{
    // io_uring does not wait for a connection on a nonblocking listener: it returns EAGAIN.
    listener.set_nonblocking(false)?;
    // SAFETY: the descriptor is a listening socket's, and nothing else owns it any more.
    let listener = unsafe { glommio::net::TcpListener::from_raw_fd(listener.into_raw_fd()) };
    loop {
        let stream = listener.accept().await?;
        stream.set_nodelay(true)?;
        glommio::spawn_local(connection(stream)).detach();
    }
}

fn echo_on(executor: LocalExecutor, listener: TcpListener, message: usize) -> Result<()> {
    run_on(executor, serve(listener, |stream| echo(stream, message)))
}

async fn echo(mut stream: TcpStream, message: usize) -> Fallible<()> {
    let mut buffer = vec![0; buffer_size(message)];
    loop {
        let count = stream.read(&mut buffer).await?;
        if count == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..count]).await?;
    }
}

fn unified_on(executor: LocalExecutor, listener: TcpListener, path: &Path) -> Result<()> {
    run_on(executor, async {
        let file = File::open(path, Access::DirectRead).await?;
        serve(listener, |stream| answer(stream, file.clone())).await
    })
}

async fn answer(mut stream: TcpStream, file: File) -> Fallible<()> {
    let mut requests = Requests::default();
    loop {
        let count = stream.read(requests.space()).await?;
        if count == 0 {
            return Ok(());
        }
        requests.received(count);
        for number in &mut requests {
            let block = file.read_block(number).await?;
            stream.write_all(&block).await?;
        }
    }
}

fn mixed(listener: TcpListener, copying: Copying) -> Result<()> {
    run(async {
        glommio::spawn_local(async { copy(copying).await.expect("the copy goes on") }).detach();
        serve(listener, |stream| echo(stream, echo::SMALL)).await
    })
}

async fn copy(copying: Copying) -> Fallible<()> {
    let from = DmaFile::open(&copying.from).await?;
    let to = open_to_write(&copying.to).await?;
    for offset in copying.offsets() {
        let read = from.read_at_aligned(offset, CHUNK).await?;
        // A buffer that was read into cannot be written from.
        let mut chunk = to.alloc_dma_buffer(CHUNK);
        chunk.as_bytes_mut().copy_from_slice(&read);
        write_at(&to, offset, chunk).await?;
    }
    Ok(())
}

fn read(reads: Reads) -> Result<()> {
    run(async {
        let file = File::open(&reads.path, reads.access).await?;
        let read_on = |reader| glommio::spawn_local(read_on(reader, file.clone()));
        for task in reads.readers.into_iter().map(read_on).collect::<Vec<_>>() {
            task.await?;
        }
        Ok(())
    })
}

async fn read_on(mut reader: Reader, file: File) -> Fallible<()> {
    while let Some(read) = reader.begin() {
        let block = file.read_block(read.block).await?;
        reader.end(&read, &block);
    }
    Ok(())
}

fn write(writes: Writes) -> Result<()> {
    run(async {
        let file = Rc::new(open_to_write(&writes.path).await?);
        let write_on = |writer| glommio::spawn_local(write_on(writer, file.clone()));
        for task in writes.writers.into_iter().map(write_on).collect::<Vec<_>>() {
            task.await?;
        }
        Ok(())
    })
}

async fn write_on(mut writer: Writer, file: Rc<DmaFile>) -> Fallible<()> {
    loop {
        // A write consumes its buffer, which goes back to the registered memory.
        let mut block = file.alloc_dma_buffer(BLOCK_SIZE);
        let Some(write) = writer.begin(block.as_bytes_mut()) else { return Ok(()) };
        write_at(&file, blocks::offset(write.block), block).await?;
        writer.end(&write);
    }
}

/// Opened for reading.
#[derive(Clone)]
enum File {
    Direct(Rc<DmaFile>),
    Cached(Rc<BufferedFile>),
}

impl File {
    async fn open(path: &Path, access: Access) -> Fallible<File> {
        if access.is_direct() {
            Ok(File::Direct(Rc::new(DmaFile::open(path).await?)))
        } else {
            Ok(File::Cached(Rc::new(BufferedFile::open(path).await?)))
        }
    }

    async fn read_block(&self, number: u64) -> Fallible<ReadResult> {
        match self {
            File::Direct(file) => file.read_at_aligned(blocks::offset(number), BLOCK_SIZE).await,
            File::Cached(file) => file.read_at(blocks::offset(number), BLOCK_SIZE).await,
        }
    }
}

async fn open_to_write(path: &Path) -> Fallible<DmaFile> {
    // For reading as well, because opening it tries a read.
    OpenOptions::new().read(true).write(true).dma_open(path).await
}

async fn write_at(file: &DmaFile, offset: u64, from: DmaBuffer) -> Fallible<()> {
    let size = from.len();
    let written = file.write_at(from, offset).await?;
    if written < size {
        return Err(io::Error::from(io::ErrorKind::WriteZero).into());
    }
    Ok(())
}

struct Glommio;

impl Executor for Glommio {
    fn block_on<F: Future>(body: F) -> Result<F::Output> {
        Ok(executor()?.run(body))
    }

    fn spawn(task: impl Future<Output = ()> + Send + 'static) -> impl Future {
        glommio::spawn_local(task)
    }

    fn spawn_yielding(times: usize) -> impl Future {
        glommio::spawn_local(async move {
            for _ in 0..times {
                glommio::executor().yield_now().await;
            }
        })
    }

    fn spawn_sleeping(duration: Duration) -> impl Future {
        glommio::spawn_local(glommio::timer::sleep(duration))
    }
}
