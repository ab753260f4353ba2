//! monoio, on io_uring and (as `monoio-legacy`) on epoll: the same servers on either driver.

use std::convert::Infallible;
use std::future;
use std::marker::PhantomData;
use std::net::TcpListener;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use monoio::blocking::DefaultThreadPool;
use monoio::fs::File;
use monoio::io::{AsyncReadRent, AsyncWriteRentExt};
use monoio::net::TcpStream;
use monoio::time::TimeDriver;
use monoio::{Buildable, IoUringDriver, LegacyDriver, Runtime, RuntimeBuilder};

use super::Peer;
use crate::blocks::{self, Block};
use crate::workloads::micro::{self, Executor, Joins};
use crate::workloads::read::{Reader, Reads};
use crate::workloads::unified::{self, Requests};

pub const PEER: Peer = peer::<IoUringDriver>("monoio");
pub const LEGACY: Peer = peer::<LegacyDriver>("monoio-legacy");

const fn peer<D: Driver>(name: &'static str) -> Peer {
    Peer {
        name,
        echo: Some(|listener| block_on(builder::<D>(), serve::<D, _>(listener, echo))?),
        unified: Some(unified::<D>),
        read: Some(read::<D>),
        spawn_join: Some(micro::spawn_join::<Monoio<D>>),
        yield_now: Some(micro::yield_now::<Monoio<D>>),
        sleep: Some(micro::sleep::<Monoio<D>>),
    }
}

/// What differs between the drivers.
trait Driver: monoio::Driver + Buildable + 'static {
    /// io_uring does not wait for a connection to a nonblocking listener, but says EAGAIN; epoll cannot do without.
    const NONBLOCKING: bool;

    type File: Clone + 'static;

    fn open(path: &Path) -> Result<Self::File>;

    fn read_block(file: &Self::File, number: u64, into: Box<Block>) -> impl Future<Output = Result<Box<Block>>>;

    /// Makes a runtime fit for files too.
    fn with_files(builder: RuntimeBuilder<TimeDriver<Self>>) -> RuntimeBuilder<TimeDriver<Self>> {
        builder
    }
}

impl Driver for IoUringDriver {
    const NONBLOCKING: bool = false;

    type File = Rc<File>;

    fn open(path: &Path) -> Result<Rc<File>> {
        Ok(Rc::new(File::from_std(blocks::open_direct(path)?)?))
    }

    async fn read_block(file: &Rc<File>, number: u64, into: Box<Block>) -> Result<Box<Block>> {
        let (done, block) = file.read_exact_at(into, blocks::offset(number)).await;
        done?;
        Ok(block)
    }
}

/// monoio's own files would be read on the loop's thread here, and keep everybody waiting: hence the pool.
impl Driver for LegacyDriver {
    const NONBLOCKING: bool = true;

    type File = Arc<std::fs::File>;

    fn open(path: &Path) -> Result<Arc<std::fs::File>> {
        Ok(Arc::new(blocks::open_direct(path)?))
    }

    async fn read_block(file: &Arc<std::fs::File>, number: u64, mut into: Box<Block>) -> Result<Box<Block>> {
        let file = file.clone();
        let read = monoio::spawn_blocking(move || {
            file.read_exact_at(&mut into, blocks::offset(number))?;
            Ok(into)
        });
        read.await.expect("the pool lives as long as the runtime")
    }

    fn with_files(builder: RuntimeBuilder<TimeDriver<Self>>) -> RuntimeBuilder<TimeDriver<Self>> {
        // More threads gained nothing, and fewer lost nothing, from 16 to 128.
        builder.attach_thread_pool(Box::new(DefaultThreadPool::new(64)))
    }
}

fn builder<D: Driver>() -> RuntimeBuilder<TimeDriver<D>> {
    let mut ring = io_uring::IoUring::builder();
    // This thread reaps when it gets to it, and need not be interrupted for every completion.
    ring.setup_coop_taskrun();
    // As many entries as in monoio's own benchmark of an echo server.
    RuntimeBuilder::new().with_entries(32_768).uring_builder(ring)
}

fn block_on<D: Driver, F: Future>(builder: RuntimeBuilder<TimeDriver<D>>, body: F) -> Result<F::Output> {
    let mut runtime: Runtime<TimeDriver<D>> = Buildable::build(builder)?;
    Ok(runtime.block_on(body))
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

async fn echo(mut stream: TcpStream) -> Result<()> {
    let mut buffer = Vec::with_capacity(4096);
    loop {
        let (received, message) = stream.read(buffer).await;
        if received? == 0 {
            return Ok(());
        }
        let (sent, message) = stream.write_all(message).await;
        sent?;
        buffer = message;
    }
}

fn unified<D: Driver>(listener: TcpListener, path: &Path) -> Result<()> {
    block_on(D::with_files(builder()), async {
        let file = D::open(path)?;
        serve::<D, _>(listener, |stream| answer::<D>(stream, file.clone())).await
    })?
}

async fn answer<D: Driver>(mut stream: TcpStream, file: D::File) -> Result<()> {
    let mut requests = Requests::default();
    let mut buffer = Vec::with_capacity(unified::RECEIVE_SIZE);
    let mut block = Block::zeroed();
    loop {
        let (received, bytes) = stream.read(buffer).await;
        if received? == 0 {
            return Ok(());
        }
        requests.extend(&bytes);
        buffer = bytes;
        for number in &mut requests {
            let answer = D::read_block(&file, number, block).await?;
            let (sent, answer) = stream.write_all(answer).await;
            sent?;
            block = answer;
        }
    }
}

fn read<D: Driver>(reads: Reads) -> Result<()> {
    block_on(D::with_files(builder()), async {
        let file = D::open(&reads.path)?;
        let read_on = |reader| monoio::spawn(read_on::<D>(reader, file.clone()));
        for task in reads.readers.into_iter().map(read_on).collect::<Vec<_>>() {
            task.await?;
        }
        Ok(())
    })?
}

async fn read_on<D: Driver>(mut reader: Reader, file: D::File) -> Result<()> {
    let mut block = Block::zeroed();
    while let Some(read) = reader.begin() {
        block = D::read_block(&file, read.block, block).await?;
        reader.end(&read, &block);
    }
    Ok(())
}

struct Monoio<D>(PhantomData<D>);

impl<D: Driver> Executor for Monoio<D> {
    fn block_on<F: Future>(body: F) -> Result<F::Output> {
        block_on(builder::<D>(), body)
    }

    fn spawn_empty() -> impl Joins {
        monoio::spawn(future::ready(Ok::<_, Infallible>(())))
    }

    fn spawn_yielding(times: usize) -> impl Joins {
        monoio::spawn(async move {
            for _ in 0..times {
                // monoio has none of its own.
                futures_lite::future::yield_now().await;
            }
            Ok::<_, Infallible>(())
        })
    }

    fn spawn_sleeping(duration: Duration) -> impl Joins {
        monoio::spawn(async move {
            monoio::time::sleep(duration).await;
            Ok::<_, Infallible>(())
        })
    }
}
