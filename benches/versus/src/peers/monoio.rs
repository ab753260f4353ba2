//! monoio, on io_uring and (as `monoio-legacy`) on epoll: the same servers on either driver.

use std::marker::PhantomData;
use std::net::TcpListener;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use io_uring::IoUring;
use monoio::blocking::DefaultThreadPool;
use monoio::fs::File;
use monoio::io::{AsyncReadRent, AsyncWriteRentExt};
use monoio::net::TcpStream;
use monoio::time::TimeDriver;
use monoio::{Buildable, IoUringDriver, LegacyDriver};

use super::{Kind, Peer};
use crate::blocks::{self, Access, Block};
use crate::workloads::echo::{self, buffer_size};
use crate::workloads::files::{Reader, Reads, Writer, Writes};
use crate::workloads::micro::{self, Executor};
use crate::workloads::mixed::{CHUNK, Copying};
use crate::workloads::unified::{self, Requests};

pub const PEER: Peer = peer::<IoUringDriver>("monoio", Kind::IoUring);
pub const LEGACY: Peer = peer::<LegacyDriver>("monoio-legacy", Kind::Epoll);

const fn peer<D: Driver>(name: &'static str, kind: Kind) -> Peer {
    Peer {
        name,
        kind,
        package: Some("monoio"),
        echo: Some(|listener, message| {
            runtime::<D>()?.block_on(serve::<D, _>(listener, |stream| echo(stream, message)))
        }),
        unified: Some(unified::<D>),
        mixed: Some(mixed::<D>),
        read: Some(read::<D>),
        write: Some(write::<D>),
        micro: Some(micro::run::<Monoio<D>>),
    }
}

type RuntimeBuilder<D> = monoio::RuntimeBuilder<TimeDriver<D>>;
type Runtime<D> = monoio::Runtime<TimeDriver<D>>;

/// What differs between the drivers.
trait Driver: monoio::Driver + Buildable + 'static {
    /// io_uring does not wait for a connection to a nonblocking listener, but says EAGAIN; epoll cannot do without.
    const NONBLOCKING: bool;

    type File: Clone + 'static;

    fn open(path: &Path, access: Access) -> Result<Self::File>;

    fn read<const SIZE: usize>(file: &Self::File, offset: u64, into: Box<Block<SIZE>>) -> impl Transfer<SIZE>;

    fn write<const SIZE: usize>(file: &Self::File, offset: u64, from: Box<Block<SIZE>>) -> impl Transfer<SIZE>;

    /// Makes a runtime fit for files too.
    fn with_files(builder: RuntimeBuilder<Self>) -> RuntimeBuilder<Self>;
}

/// Gives the block back once all of it is read or written.
trait Transfer<const SIZE: usize>: Future<Output = Result<Box<Block<SIZE>>>> {}

impl<const SIZE: usize, F: Future<Output = Result<Box<Block<SIZE>>>>> Transfer<SIZE> for F {}

impl Driver for IoUringDriver {
    const NONBLOCKING: bool = false;

    type File = Rc<File>;

    fn open(path: &Path, access: Access) -> Result<Rc<File>> {
        Ok(Rc::new(File::from_std(blocks::open(path, access)?)?))
    }

    async fn read<const SIZE: usize>(file: &Rc<File>, offset: u64, into: Box<Block<SIZE>>) -> Result<Box<Block<SIZE>>> {
        let (done, block) = file.read_exact_at(into, offset).await;
        done?;
        Ok(block)
    }

    async fn write<const SIZE: usize>(
        file: &Rc<File>,
        offset: u64,
        from: Box<Block<SIZE>>,
    ) -> Result<Box<Block<SIZE>>> {
        let (done, block) = file.write_all_at(from, offset).await;
        done?;
        Ok(block)
    }

    fn with_files(builder: RuntimeBuilder<Self>) -> RuntimeBuilder<Self> {
        builder
    }
}

/// monoio's own files would be read on the loop's thread here, and keep everybody waiting: hence the pool.
impl Driver for LegacyDriver {
    const NONBLOCKING: bool = true;

    type File = Arc<std::fs::File>;

    fn open(path: &Path, access: Access) -> Result<Arc<std::fs::File>> {
        Ok(Arc::new(blocks::open(path, access)?))
    }

    fn read<const SIZE: usize>(file: &Self::File, offset: u64, mut into: Box<Block<SIZE>>) -> impl Transfer<SIZE> {
        let file = file.clone();
        on_pool(move || {
            file.read_exact_at(&mut into, offset)?;
            Ok(into)
        })
    }

    fn write<const SIZE: usize>(file: &Self::File, offset: u64, from: Box<Block<SIZE>>) -> impl Transfer<SIZE> {
        let file = file.clone();
        on_pool(move || {
            file.write_all_at(&from, offset)?;
            Ok(from)
        })
    }

    fn with_files(builder: RuntimeBuilder<Self>) -> RuntimeBuilder<Self> {
        // More threads gained nothing, and fewer lost nothing, from 16 to 128.
        builder.attach_thread_pool(Box::new(DefaultThreadPool::new(64)))
    }
}

async fn on_pool<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    monoio::spawn_blocking(work).await.expect("the pool lives as long as the runtime")
}

fn builder<D: Driver>() -> RuntimeBuilder<D> {
    let mut ring = IoUring::builder();
    // This thread reaps when it gets to it, and need not be interrupted for every completion.
    ring.setup_coop_taskrun();
    // As many entries as in monoio's own benchmark of an echo server.
    RuntimeBuilder::new().with_entries(32_768).uring_builder(ring)
}

fn runtime<D: Driver>() -> Result<Runtime<D>> {
    Ok(Buildable::build(builder())?)
}

fn runtime_with_files<D: Driver>() -> Result<Runtime<D>> {
    Ok(Buildable::build(D::with_files(builder()))?)
}

async fn serve<D: Driver, C>(listener: TcpListener, connection: impl Fn(TcpStream) -> C) -> Result<()>
where
    C: Future<Output = Result<()>> + 'static,
{
    listener.set_nonblocking(D::NONBLOCKING)?;
    let listener = monoio::net::TcpListener::from_std(listener)?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        monoio::spawn(connection(stream));
    }
}

async fn echo(mut stream: TcpStream, message: usize) -> Result<()> {
    let mut buffer = Vec::with_capacity(buffer_size(message));
    loop {
        let (received, filled) = stream.read(buffer).await;
        if received? == 0 {
            return Ok(());
        }
        let (sent, emptied) = stream.write_all(filled).await;
        sent?;
        buffer = emptied;
    }
}

fn unified<D: Driver>(listener: TcpListener, path: &Path) -> Result<()> {
    runtime_with_files::<D>()?.block_on(async {
        let file = D::open(path, Access::DirectRead)?;
        serve::<D, _>(listener, |stream| answer::<D>(stream, file.clone())).await
    })
}

async fn answer<D: Driver>(mut stream: TcpStream, file: D::File) -> Result<()> {
    let mut requests = Requests::default();
    let mut buffer = Vec::with_capacity(unified::RECEIVE_SIZE);
    let mut block = <Block>::zeroed();
    loop {
        let (received, bytes) = stream.read(buffer).await;
        if received? == 0 {
            return Ok(());
        }
        requests.extend(&bytes);
        buffer = bytes;
        for number in &mut requests {
            let answer = D::read(&file, blocks::offset(number), block).await?;
            let (sent, answer) = stream.write_all(answer).await;
            sent?;
            block = answer;
        }
    }
}

fn mixed<D: Driver>(listener: TcpListener, copying: Copying) -> Result<()> {
    runtime_with_files::<D>()?.block_on(async {
        monoio::spawn(async { copy::<D>(copying).await.expect("the copy goes on") });
        serve::<D, _>(listener, |stream| echo(stream, echo::SMALL)).await
    })
}

async fn copy<D: Driver>(copying: Copying) -> Result<()> {
    let from = D::open(&copying.from, Access::DirectRead)?;
    let to = D::open(&copying.to, Access::DirectWrite)?;
    let mut chunk = Block::<CHUNK>::zeroed();
    for offset in copying.offsets() {
        chunk = D::read(&from, offset, chunk).await?;
        chunk = D::write(&to, offset, chunk).await?;
    }
    Ok(())
}

fn read<D: Driver>(reads: Reads) -> Result<()> {
    runtime_with_files::<D>()?.block_on(async {
        let file = D::open(&reads.path, reads.access)?;
        let read_on = |reader| monoio::spawn(read_on::<D>(reader, file.clone()));
        for task in reads.readers.into_iter().map(read_on).collect::<Vec<_>>() {
            task.await?;
        }
        Ok(())
    })
}

async fn read_on<D: Driver>(mut reader: Reader, file: D::File) -> Result<()> {
    let mut block = <Block>::zeroed();
    while let Some(read) = reader.begin() {
        block = D::read(&file, blocks::offset(read.block), block).await?;
        reader.end(&read, &block);
    }
    Ok(())
}

fn write<D: Driver>(writes: Writes) -> Result<()> {
    runtime_with_files::<D>()?.block_on(async {
        let file = D::open(&writes.path, Access::DirectWrite)?;
        let write_on = |writer| monoio::spawn(write_on::<D>(writer, file.clone()));
        for task in writes.writers.into_iter().map(write_on).collect::<Vec<_>>() {
            task.await?;
        }
        Ok(())
    })
}

async fn write_on<D: Driver>(mut writer: Writer, file: D::File) -> Result<()> {
    let mut block = <Block>::zeroed();
    while let Some(write) = writer.begin(&mut block) {
        block = D::write(&file, blocks::offset(write.block), block).await?;
        writer.end(&write);
    }
    Ok(())
}

struct Monoio<D>(PhantomData<D>);

impl<D: Driver> Executor for Monoio<D> {
    fn block_on<F: Future>(body: F) -> Result<F::Output> {
        let mut runtime: Runtime<D> = Buildable::build(RuntimeBuilder::new())?;
        Ok(runtime.block_on(body))
    }

    fn spawn(task: impl Future<Output = ()> + Send + 'static) -> impl Future {
        monoio::spawn(task)
    }

    fn spawn_yielding(times: usize) -> impl Future {
        monoio::spawn(async move {
            for _ in 0..times {
                // monoio has none of its own.
                futures_lite::future::yield_now().await;
            }
        })
    }

    fn spawn_sleeping(duration: Duration) -> impl Future {
        monoio::spawn(monoio::time::sleep(duration))
    }
}
