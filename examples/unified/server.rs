//! The server: requests in, blocks out.

use std::fs;
use std::io;
use std::net;
use std::path::Path;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use aio_runtime::fs::{Buf, File, OpenOptions};
use aio_runtime::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use aio_runtime::net::{TcpListener, TcpStream};
use aio_runtime::{Runtime, time};
use futures::channel::oneshot;
use futures::future::select;

pub(crate) const BLOCK_SIZE: usize = 4096;
pub(crate) const REQUEST_SIZE: usize = size_of::<u64>();

/// Opens a file with `O_DIRECT`, or without it where the file system cannot do that for blocks of
/// this size.
pub(crate) async fn open(path: &Path) -> io::Result<File> {
    // Nothing else runs yet, so this may block. To open a FIFO could block forever.
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    let reason = match OpenOptions::new().read(true).direct(true).open(path).await {
        Ok(file) => match file.alignment() {
            Some(asked) if asked.memory.max(asked.offset) > BLOCK_SIZE => format!("{asked:?}"),
            _ => return Ok(file),
        },
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => error.to_string(),
        Err(error) => return Err(error),
    };
    tracing::warn!(reason, "no O_DIRECT, reading through the page cache");
    File::open(path).await
}

/// Serves on a runtime of its own, until it is stopped.
pub(crate) fn run(listener: net::TcpListener, file: fs::File, stopped: oneshot::Receiver<()>) -> io::Result<()> {
    Runtime::new()?.block_on(async {
        let serve = serve(TcpListener::from_std(listener)?, File::from_std(file));
        select(pin!(serve), stopped).await;
        Ok(())
    })
}

/// Serves forever.
pub(crate) async fn serve(listener: TcpListener, file: File) {
    let file = Rc::new(file);
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                let file = Rc::clone(&file);
                aio_runtime::spawn(async move {
                    if let Err(reason) = answer(stream, &file).await {
                        tracing::warn!(%peer, %reason, "connection closed");
                    }
                });
            }
            // Out of descriptors, most likely: some are free again when clients leave.
            Err(error) => {
                tracing::warn!(%error, "cannot accept");
                time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// Serves one client until it leaves.
async fn answer(stream: TcpStream, file: &File) -> io::Result<()> {
    stream.set_nodelay(true)?;
    // With room for more than one request, a read mostly falls short, which tells the runtime that
    // the socket is empty.
    let mut requests = BufReader::with_capacity(16 * REQUEST_SIZE, &stream);
    let mut block = Buf::aligned(BLOCK_SIZE, BLOCK_SIZE);
    while !requests.fill_buf().await?.is_empty() {
        let mut number = [0; REQUEST_SIZE];
        requests.read_exact(&mut number).await?;
        block = read_block(file, u64::from_le_bytes(number), block).await?;
        (&stream).write_all(&block).await?;
    }
    Ok(())
}

async fn read_block(file: &File, number: u64, into: Buf) -> io::Result<Buf> {
    let offset = number.saturating_mul(BLOCK_SIZE as u64);
    let (read, block) = file.read_exact_at(into, offset).await;
    match read {
        Ok(()) => Ok(block),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            Err(io::Error::other(format!("block {number} is past the end of the file")))
        }
        Err(error) => Err(io::Error::other(format!("block {number}: {error}"))),
    }
}
