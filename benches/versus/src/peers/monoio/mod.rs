//! monoio, on io_uring and (as `monoio-legacy`) on epoll: the same servers on either driver.

mod driver;

use std::marker::PhantomData;
use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use monoio::io::{AsyncReadRent, AsyncWriteRentExt};
use monoio::net::TcpStream;
use monoio::{IoUringDriver, LegacyDriver};

use self::driver::{Driver, plain_runtime, runtime, runtime_with_files};
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
        net: None,
    }
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
        Ok(plain_runtime::<D>()?.block_on(body))
    }

    fn spawn(task: impl Future<Output = ()> + Send + 'static) -> impl Future {
        monoio::spawn(task)
    }

    fn spawn_yielding(times: usize) -> impl Future {
        monoio::spawn(async move {
            for _ in 0..times {
                // monoio has no yield_now of its own.
                futures_lite::future::yield_now().await;
            }
        })
    }

    fn spawn_sleeping(duration: Duration) -> impl Future {
        monoio::spawn(monoio::time::sleep(duration))
    }
}
