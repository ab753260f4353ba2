//! What several of the servers have in common.

use std::fs::File;
use std::net::TcpListener;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use anyhow::Result;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tokio::task;

use crate::blocks::{self, Block};
use crate::workloads::echo::buffer_size;

pub fn runtime() -> Result<Runtime> {
    Ok(Builder::new_current_thread().enable_all().build()?)
}

pub async fn serve<C>(listener: TcpListener, connection: impl Fn(TcpStream) -> C) -> Result<()>
where
    C: Future<Output = Result<()>> + Send + 'static,
{
    let listener = tokio::net::TcpListener::from_std(listener)?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(connection(stream));
    }
}

pub async fn echo(mut stream: impl AsyncRead + AsyncWrite + Unpin, message: usize) -> Result<()> {
    let mut buffer = vec![0; buffer_size(message)];
    loop {
        let count = stream.read(&mut buffer).await?;
        if count == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..count]).await?;
    }
}

pub async fn read_block(file: &Arc<File>, number: u64, mut into: Box<Block>) -> Result<Box<Block>> {
    let file = file.clone();
    task::spawn_blocking(move || {
        file.read_exact_at(&mut into, blocks::offset(number))?;
        Ok(into)
    })
    .await?
}
