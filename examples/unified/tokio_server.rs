//! The same server as one writes it for tokio: one thread waits for the sockets with epoll, and the
//! file is read on tokio's pool of threads, since epoll cannot wait for a disk.

use std::fs::File;
use std::io;
use std::net;
use std::os::unix::fs::FileExt;
use std::pin::pin;
use std::sync::Arc;

use futures::channel::oneshot;
use futures::future::{Either, select};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;
use tokio::task;

use crate::server::{BLOCK_SIZE, REQUEST_SIZE};

/// Aligned for `O_DIRECT`.
#[repr(C, align(4096))]
struct Block([u8; BLOCK_SIZE]);

/// Serves on a runtime of its own, until it is stopped.
pub(crate) fn run(listener: net::TcpListener, file: File, stopped: oneshot::Receiver<()>) -> io::Result<()> {
    Builder::new_current_thread().enable_io().build()?.block_on(async {
        listener.set_nonblocking(true)?;
        let serve = serve(TcpListener::from_std(listener)?, Arc::new(file));
        match select(pin!(serve), stopped).await {
            Either::Left((failed, _)) => failed,
            Either::Right(_) => Ok(()),
        }
    })
}

async fn serve(listener: TcpListener, file: Arc<File>) -> io::Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        let file = Arc::clone(&file);
        tokio::spawn(async move {
            if let Err(reason) = answer(stream, &file).await {
                tracing::warn!(%reason, "connection closed");
            }
        });
    }
}

/// Serves one client until it leaves.
async fn answer(stream: TcpStream, file: &Arc<File>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = BufReader::with_capacity(16 * REQUEST_SIZE, stream);
    let mut block = Box::new(Block([0; BLOCK_SIZE]));
    while !stream.fill_buf().await?.is_empty() {
        let number = stream.read_u64_le().await?;
        block = read_block(file, number, block).await?;
        stream.write_all(&block.0).await?;
    }
    Ok(())
}

async fn read_block(file: &Arc<File>, number: u64, mut into: Box<Block>) -> io::Result<Box<Block>> {
    let file = Arc::clone(file);
    let read = move || {
        file.read_exact_at(&mut into.0, number * BLOCK_SIZE as u64)?;
        Ok(into)
    };
    task::spawn_blocking(read).await?
}
