//! glommio: files as DmaFile, which is O_DIRECT by itself, into buffers registered with io_uring.

#![allow(unsafe_code)]

use std::convert::Infallible;
use std::future;
use std::io;
use std::net::TcpListener;
use std::os::fd::{FromRawFd, IntoRawFd};
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use anyhow::Result;
use futures_lite::{AsyncReadExt, AsyncWriteExt};
use glommio::io::{DmaFile, ReadResult};
use glommio::net::TcpStream;
use glommio::{LocalExecutor, LocalExecutorBuilder, Placement};

use super::Peer;
use crate::blocks::{self, BLOCK_SIZE};
use crate::workloads::micro::{self, Executor, Joins};
use crate::workloads::read::{Reader, Reads};
use crate::workloads::unified::Requests;

pub const PEER: Peer = Peer {
    name: "glommio",
    echo: Some(|listener| run(serve(listener, echo))),
    unified: Some(unified),
    read: Some(read),
    spawn_join: Some(micro::spawn_join::<Glommio>),
    yield_now: Some(micro::yield_now::<Glommio>),
    sleep: Some(micro::sleep::<Glommio>),
};

/// Not bound to a core by glommio, because the whole process already is.
fn executor() -> Result<LocalExecutor> {
    Ok(LocalExecutorBuilder::new(Placement::Unbound).make().map_err(io::Error::from)?)
}

/// What glommio's own functions return: its error cannot be sent, so that it is no `anyhow::Error`.
type Fallible<T> = glommio::Result<T, ()>;

fn run(body: impl Future<Output = Fallible<()>>) -> Result<()> {
    Ok(executor()?.run(body).map_err(io::Error::from)?)
}

async fn serve<C>(listener: TcpListener, connection: impl Fn(TcpStream) -> C) -> Fallible<()>
where
    C: Future<Output = Fallible<()>> + 'static,
{
    // io_uring does not wait for a connection to a nonblocking listener, but says EAGAIN.
    listener.set_nonblocking(false)?;
    // SAFETY: the descriptor is a listening socket, and is handed over.
    let listener = unsafe { glommio::net::TcpListener::from_raw_fd(listener.into_raw_fd()) };
    loop {
        let stream = listener.accept().await?;
        stream.set_nodelay(true)?;
        glommio::spawn_local(connection(stream)).detach();
    }
}

async fn echo(mut stream: TcpStream) -> Fallible<()> {
    let mut buffer = [0; 4096];
    loop {
        let count = stream.read(&mut buffer).await?;
        if count == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..count]).await?;
    }
}

fn unified(listener: TcpListener, path: &Path) -> Result<()> {
    run(async {
        let file = open(path).await?;
        serve(listener, |stream| answer(stream, file.clone())).await
    })
}

async fn answer(mut stream: TcpStream, file: Rc<DmaFile>) -> Fallible<()> {
    let mut requests = Requests::default();
    loop {
        let count = stream.read(requests.space()).await?;
        if count == 0 {
            return Ok(());
        }
        requests.received(count);
        for number in &mut requests {
            let block = read_block(&file, number).await?;
            stream.write_all(&block).await?;
        }
    }
}

fn read(reads: Reads) -> Result<()> {
    run(async {
        let file = open(&reads.path).await?;
        let read_on = |reader| glommio::spawn_local(read_on(reader, file.clone()));
        for task in reads.readers.into_iter().map(read_on).collect::<Vec<_>>() {
            task.await?;
        }
        file.close_rc().await?;
        Ok(())
    })
}

async fn read_on(mut reader: Reader, file: Rc<DmaFile>) -> Fallible<()> {
    while let Some(read) = reader.begin() {
        let block = read_block(&file, read.block).await?;
        reader.end(&read, &block);
    }
    Ok(())
}

async fn open(path: &Path) -> Fallible<Rc<DmaFile>> {
    Ok(Rc::new(DmaFile::open(path).await?))
}

async fn read_block(file: &DmaFile, number: u64) -> Fallible<ReadResult> {
    file.read_at_aligned(blocks::offset(number), BLOCK_SIZE).await
}

struct Glommio;

impl Executor for Glommio {
    fn block_on<F: Future>(body: F) -> Result<F::Output> {
        Ok(executor()?.run(body))
    }

    fn spawn_empty() -> impl Joins {
        glommio::spawn_local(future::ready(Ok::<_, Infallible>(())))
    }

    fn spawn_yielding(times: usize) -> impl Joins {
        glommio::spawn_local(async move {
            for _ in 0..times {
                glommio::executor().yield_now().await;
            }
            Ok::<_, Infallible>(())
        })
    }

    fn spawn_sleeping(duration: Duration) -> impl Joins {
        glommio::spawn_local(async move {
            glommio::timer::sleep(duration).await;
            Ok::<_, Infallible>(())
        })
    }
}
